//! What waits for a network: a bounded queue, from which batches are taken.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A queue of items that are taken in batches. Items that go together have the same key.
#[derive(Debug)]
pub struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    /// How many are about to be pushed.
    coming: AtomicUsize,
    capacity: usize,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<T>,
    is_closed: bool,
}

/// Why items were not taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// There is no room.
    Full,
    /// Nothing is taken any more.
    Closed,
}

/// Counts one that is about to be pushed, until it is dropped.
#[derive(Debug)]
pub struct Coming<'a>(&'a AtomicUsize);

impl Drop for Coming<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<T> Queue<T> {
    /// A queue that holds at most `capacity` items.
    pub fn new(capacity: usize) -> Self {
        let state = State { items: VecDeque::new(), is_closed: false };
        Queue { state: Mutex::new(state), changed: Condvar::new(), coming: AtomicUsize::new(0), capacity }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        // a panic elsewhere leaves nothing half-done here
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that something will be pushed soon, for which batches may wait.
    pub fn announce(&self) -> Coming<'_> {
        self.coming.fetch_add(1, Ordering::Relaxed);
        Coming(&self.coming)
    }

    /// How many items wait.
    pub fn waiting(&self) -> usize {
        self.state().items.len()
    }

    /// Takes all of `items` in, or none.
    ///
    /// # Errors
    /// Where there is no room for all, or the queue is closed.
    pub fn push(&self, items: Vec<T>) -> Result<(), Refused> {
        let mut state = self.state();
        match () {
            () if state.is_closed => return Err(Refused::Closed),
            () if state.items.len() + items.len() > self.capacity => return Err(Refused::Full),
            () => state.items.extend(items),
        }
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// Takes nothing in any more; what waits can still be taken.
    pub fn close(&self) {
        self.state().is_closed = true;
        self.changed.notify_all();
    }

    /// Waits for items and takes the first, and those behind it that go with it, at most `max`. Waits up to `delay` for more
    /// while some are announced. None once the queue is closed and empty.
    pub fn take(&self, max: usize, delay: Duration, go_together: impl Fn(&T, &T) -> bool) -> Option<Vec<T>> {
        let mut state = self.state();
        while state.items.is_empty() {
            if state.is_closed {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let deadline = Instant::now() + delay;
        while state.items.len() < max && !state.is_closed && self.coming.load(Ordering::Relaxed) > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let first = state.items.front()?;
        let count = state.items.iter().take(max).take_while(|item| go_together(first, item)).count();
        Some(state.items.drain(..count).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Duration = Duration::ZERO;

    #[test]
    fn batches_are_what_goes_together() {
        let queue = Queue::new(5);
        queue.push(vec![10, 11, 12, 20, 21]).unwrap();
        assert_eq!((queue.push(vec![30]), queue.waiting()), (Err(Refused::Full), 5));
        let take = |max| queue.take(max, NONE, |a, b| a / 10 == b / 10);
        assert_eq!(take(2), Some(vec![10, 11]));
        assert_eq!(take(9), Some(vec![12]));
        queue.close();
        assert_eq!(queue.push(vec![30]), Err(Refused::Closed));
        assert_eq!((take(9), take(9)), (Some(vec![20, 21]), None));
    }

    #[test]
    fn more_than_there_is_room_for_is_refused_as_a_whole() {
        let queue = Queue::new(2);
        assert_eq!(queue.push(vec![1, 2, 3]), Err(Refused::Full));
        assert_eq!(queue.waiting(), 0);
    }

    #[test]
    fn a_batch_waits_for_what_is_announced_only() {
        let queue = Queue::new(9);
        let long = Duration::from_secs(60);
        queue.push(vec![1]).unwrap();
        assert_eq!(queue.take(9, long, |_, _| true), Some(vec![1]), "nothing is announced");
        queue.push(vec![1]).unwrap();
        let taken = std::thread::scope(|scope| {
            let coming = queue.announce();
            let taker = scope.spawn(|| queue.take(2, long, |_, _| true));
            std::thread::sleep(Duration::from_millis(20));
            queue.push(vec![2]).unwrap();
            drop(coming);
            taker.join().unwrap()
        });
        assert_eq!(taken, Some(vec![1, 2]));
        let _coming = queue.announce();
        queue.push(vec![3]).unwrap();
        assert_eq!(queue.take(2, Duration::from_millis(5), |_, _| true), Some(vec![3]), "no longer than that");
    }
}
