//! Batches that threads decode ahead of whoever takes them: in one order whatever the number of threads, and never more
//! than a few at a time.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use super::Samples;
use crate::error::{Error, Result};

/// Batches that wait to be taken, beside one for each thread.
const WAITING: usize = 2;

/// An epoch's batches on their way. At most `threads + 2` batches are in memory.
pub struct Prefetch {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    samples: Samples,
    order: Vec<usize>,
    batch_size: usize,
    num_batches: usize,
    /// How many batches may be begun before the first of them is taken.
    ahead: usize,
    state: Mutex<State>,
    /// A batch is done.
    done: Condvar,
    /// A batch was taken, or nobody wants any more.
    taken: Condvar,
}

struct State {
    next_to_begin: usize,
    next_to_take: usize,
    done: BTreeMap<usize, Result<Vec<u8>>>,
    stop: bool,
}

impl Prefetch {
    /// Begins with batch `first` of the images of `samples` in `order`.
    ///
    /// # Errors
    /// An internal error where the system gives no thread.
    pub fn new(
        samples: Samples,
        order: Vec<usize>,
        batch_size: usize,
        first: usize,
        num_threads: usize,
    ) -> Result<Self> {
        let num_batches = order.len().div_ceil(batch_size);
        let state = State { next_to_begin: first, next_to_take: first, done: BTreeMap::new(), stop: false };
        let (state, done, taken) = (Mutex::new(state), Condvar::new(), Condvar::new());
        let ahead = num_threads + WAITING;
        let shared = Arc::new(Shared { samples, order, batch_size, num_batches, ahead, state, done, taken });
        let mut prefetch = Prefetch { shared, threads: Vec::new() };
        for number in 0..num_threads {
            let shared = prefetch.shared.clone();
            let thread = thread::Builder::new().name(format!("decode-{number}")).spawn(move || shared.work());
            prefetch.threads.push(
                thread.map_err(|error| Error::internal("cannot start a thread that decodes images").because(error))?,
            );
        }
        Ok(prefetch)
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
            if let Some(pixels) = self.shared.take_done(&mut state) {
                return pixels;
            }
            if self.threads.iter().all(JoinHandle::is_finished) {
                return Err(Error::internal("the threads that decode images are gone"));
            }
            state = self.shared.done.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// As [`Prefetch::take`] where the next batch is there; it does not wait.
    pub fn try_take(&self) -> Option<Result<Vec<u8>>> {
        self.shared.take_done(&mut self.shared.lock())
    }
}

impl Drop for Prefetch {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.taken.notify_all();
        for thread in self.threads.drain(..) {
            // a thread that panicked has said so
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // the state is whole between two statements
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_done(&self, state: &mut State) -> Option<Result<Vec<u8>>> {
        let pixels = state.done.remove(&state.next_to_take)?;
        state.next_to_take += 1;
        self.taken.notify_all();
        Some(pixels)
    }

    fn work(&self) {
        while let Some(number) = self.begin() {
            let pixels = self.samples.images_of(&self.order[self.range(number)]);
            self.lock().done.insert(number, pixels);
            self.done.notify_all();
        }
        self.done.notify_all();
    }

    /// The next batch, as soon as there is room for it; `None` where none is left or wanted.
    fn begin(&self) -> Option<usize> {
        let mut state = self.lock();
        loop {
            let number = state.next_to_begin;
            if state.stop || number >= self.num_batches {
                return None;
            }
            if number < state.next_to_take + self.ahead {
                state.next_to_begin += 1;
                return Some(number);
            }
            state = self.taken.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn range(&self, number: usize) -> Range<usize> {
        let start = number * self.batch_size;
        start..(start + self.batch_size).min(self.order.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::ImageShape;
    use crate::data::image::Preprocessing;
    use crate::data::stored::ImageSource;

    const SHAPE: ImageShape = ImageShape { height: 1, width: 1, channels: 1 };

    /// `count` images of one pixel, whose value is their number.
    fn samples(count: usize) -> Samples {
        let pixels = (0..count).map(|index| index as u8).collect();
        Samples::new(SHAPE, pixels, vec![0; count], 1).unwrap()
    }

    #[test]
    fn batches_come_in_order_whatever_the_number_of_threads() {
        let order: Vec<usize> = (0..100).rev().collect();
        for num_threads in [1, 2, 8] {
            let prefetch = Prefetch::new(samples(100), order.clone(), 7, 2, num_threads).unwrap();
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
        let prefetch = Prefetch::new(samples(200), (0..200).collect(), 1, 0, 3).unwrap();
        for taken in 0..20 {
            thread::sleep(std::time::Duration::from_millis(5));
            assert!(prefetch.shared.lock().next_to_begin <= taken + 3 + WAITING);
            prefetch.take().unwrap();
        }
    }

    #[test]
    fn an_image_that_cannot_be_read_is_an_error_in_its_place() {
        let files = ["none.png", "neither.png"].map(|name| ImageSource::File(name.into())).to_vec();
        let preparation = Preprocessing::from(SHAPE);
        let samples = Samples::stored(files, preparation, vec![0; 2], 1).unwrap();
        let prefetch = Prefetch::new(samples, vec![1, 0], 1, 0, 2).unwrap();
        for name in ["neither.png", "none.png"] {
            let error = prefetch.take().unwrap_err();
            assert_eq!(error.exit_code(), 3);
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}
