//! Batches that the pool's threads decode ahead of whoever takes them: in one order whatever the number of threads, and never
//! more than a few at a time.

use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rayon::ThreadPool;

use super::Samples;
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
    order: Vec<usize>,
    batch_size: usize,
    num_batches: usize,
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
    /// Begins with batch `first` of the images of `samples` in `order`, decoded by the threads of `pool`.
    pub fn new(samples: Samples, order: Vec<usize>, batch_size: usize, first: usize, pool: Arc<ThreadPool>) -> Self {
        let num_batches = order.len().div_ceil(batch_size);
        let (next_to_begin, next_to_take) = (first, first);
        let state = State { next_to_begin, next_to_take, done: BTreeMap::new(), num_running: 0, stop: false };
        let (state, done) = (Mutex::new(state), Condvar::new());
        let prefetch =
            Prefetch { shared: Arc::new(Shared { samples, order, batch_size, num_batches, state, done }), pool };
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
        if number >= self.shared.num_batches {
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
        if number < self.shared.num_batches {
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
        let start = number * self.batch_size;
        let indices = &self.order[start..(start + self.batch_size).min(self.order.len())];
        // whoever waits for the batch must hear of it, whatever comes
        let pixels = panic::catch_unwind(AssertUnwindSafe(|| self.samples.images_of(indices)));
        let pixels = pixels.unwrap_or_else(|_| Err(Error::internal("a thread that decodes images panicked")));
        let mut state = self.lock();
        state.num_running -= 1;
        state.done.insert(number, pixels);
        drop(state);
        self.done.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::ImageShape;
    use crate::data::image::Preprocessing;
    use crate::data::stored::ImageSource;
    use crate::device::threads;

    const SHAPE: ImageShape = ImageShape { height: 1, width: 1, channels: 1 };

    fn pool(num_threads: usize) -> Arc<ThreadPool> {
        Arc::new(threads::build(num_threads).unwrap())
    }

    /// `count` images of one pixel, whose value is their number.
    fn samples(count: usize) -> Samples {
        let pixels = (0..count).map(|index| index as u8).collect();
        Samples::new(SHAPE, pixels, vec![0; count], 1).unwrap()
    }

    #[test]
    fn batches_come_in_order_whatever_the_number_of_threads() {
        let order: Vec<usize> = (0..100).rev().collect();
        for num_threads in [1, 2, 8] {
            let prefetch = Prefetch::new(samples(100), order.clone(), 7, 2, pool(num_threads));
            let mut pixels = Vec::new();
            for number in 2..15 {
                assert_eq!(prefetch.next(), number);
                pixels.extend(prefetch.take().unwrap());
            }
            assert_eq!(pixels, (0..86).rev().collect::<Vec<u8>>());
            assert!(prefetch.take().is_err());
        }
    }

    #[test]
    fn no_more_than_a_few_batches_are_decoded_ahead() {
        let prefetch = Prefetch::new(samples(200), (0..200).collect(), 1, 0, pool(3));
        for taken in 0..20 {
            std::thread::sleep(std::time::Duration::from_millis(5));
            assert!(prefetch.shared.lock().next_to_begin <= taken + 3 + WAITING);
            prefetch.take().unwrap();
        }
    }

    #[test]
    fn an_image_that_cannot_be_read_is_an_error_in_its_place() {
        let files = ["none.png", "neither.png"].map(|name| ImageSource::File(name.into())).to_vec();
        let preparation = Preprocessing::from(SHAPE);
        let samples = Samples::stored(files, preparation, vec![0; 2], 1).unwrap();
        let prefetch = Prefetch::new(samples, vec![1, 0], 1, 0, pool(2));
        for name in ["neither.png", "none.png"] {
            let error = prefetch.take().unwrap_err();
            assert_eq!(error.exit_code(), 3);
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn one_thread_serves_several_that_are_taken_in_turns_or_given_up() {
        let pool = pool(1);
        let begin = || Prefetch::new(samples(200), (0..200).collect(), 1, 0, pool.clone());
        let (first, second) = (begin(), begin());
        drop(begin());
        for number in 0..200 {
            assert_eq!((first.take().unwrap(), second.take().unwrap()), (vec![number], vec![number]));
        }
    }
}
