//! Batches that the pool's threads decode ahead of whoever takes them: in one order whatever the number of threads, and never
//! more than a few at a time.

use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rayon::ThreadPool;

use super::{Numbers, Samples};
use crate::error::{Error, Result};

/// Batches that wait to be taken, beside one for each thread.
const WAITING: usize = 2;

/// An epoch's batches on their way. At most `threads + 2` batches are in memory.
///
/// Each batch is a job of its own in the pool, which takes jobs in their order. A job never waits for another, so that a pool of
/// one thread does them all; and whoever takes batches decodes none.
pub struct Prefetch {
    shared: Arc<Shared>,
    pool: Arc<ThreadPool>,
}

struct Shared {
    samples: Samples,
    order: Numbers,
    /// Which of the order each batch has.
    batches: Vec<Range<usize>>,
    state: Mutex<State>,
    /// A batch is done.
    done: Condvar,
}

struct State {
    next_to_begin: usize,
    next_to_take: usize,
    done: BTreeMap<usize, Result<Vec<u8>>>,
    /// Jobs that decode at this moment.
    num_running: usize,
    stop: bool,
}

impl Prefetch {
    /// Begins with batch `first` of `batches`, each a range of the images of `samples` in `order`, decoded by the threads of `pool`.
    pub fn new(
        samples: Samples,
        order: Numbers,
        batches: Vec<Range<usize>>,
        first: usize,
        pool: Arc<ThreadPool>,
    ) -> Self {
        let (next_to_begin, next_to_take) = (first, first);
        let state = State { next_to_begin, next_to_take, done: BTreeMap::new(), num_running: 0, stop: false };
        let (state, done) = (Mutex::new(state), Condvar::new());
        let prefetch = Prefetch { shared: Arc::new(Shared { samples, order, batches, state, done }), pool };
        let mut state = prefetch.shared.lock();
        for _ in 0..prefetch.pool.current_num_threads() + WAITING {
            prefetch.begin_next(&mut state);
        }
        drop(state);
        prefetch
    }

    /// The batch that [`Prefetch::take`] gives next.
    pub fn next(&self) -> usize {
        self.shared.lock().next_to_take
    }

    /// The pixels of the next batch, `u8 [B, H, W, C]`. Waits for them.
    ///
    /// # Errors
    /// A data error where an image cannot be read, and past the last batch.
    pub fn take(&self) -> Result<Vec<u8>> {
        let mut state = self.shared.lock();
        let number = state.next_to_take;
        if number >= self.shared.batches.len() {
            return Err(Error::internal("there is no further batch").got(number));
        }
        loop {
            if let Some(pixels) = self.take_done(&mut state) {
                return pixels;
            }
            state = self.shared.done.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// As [`Prefetch::take`] where the next batch is there; it does not wait.
    pub fn try_take(&self) -> Option<Result<Vec<u8>>> {
        self.take_done(&mut self.shared.lock())
    }

    fn take_done(&self, state: &mut State) -> Option<Result<Vec<u8>>> {
        let pixels = state.done.remove(&state.next_to_take)?;
        state.next_to_take += 1;
        self.begin_next(state);
        Some(pixels)
    }

    /// Gives the pool the next batch to decode, where there is one.
    fn begin_next(&self, state: &mut State) {
        let number = state.next_to_begin;
        if number < self.shared.batches.len() {
            state.next_to_begin += 1;
            let shared = self.shared.clone();
            self.pool.spawn_fifo(move || shared.decode(number));
        }
    }
}

impl Drop for Prefetch {
    /// Waits for the batches that are being decoded; those that are not begun yet never are.
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.stop = true;
        while state.num_running > 0 {
            state = self.shared.done.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // the state is whole between two statements
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn decode(&self, number: usize) {
        let mut state = self.lock();
        if state.stop {
            return;
        }
        state.num_running += 1;
        drop(state);
        let indices: Vec<usize> = self.order.range(self.batches[number].clone()).collect();
        // whoever waits for the batch must hear of it, whatever comes
        let pixels = panic::catch_unwind(AssertUnwindSafe(|| self.samples.images_of(&indices)));
        let pixels = pixels.unwrap_or_else(|_| Err(Error::internal("a thread that decodes images panicked")));
        let mut state = self.lock();
        state.num_running -= 1;
        state.done.insert(number, pixels);
        drop(state);
        self.done.notify_all();
    }
}

#[cfg(test)]
mod tests;
