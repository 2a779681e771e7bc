//! Images that are read as they are needed.

use std::cell::{OnceCell, RefCell};
use std::sync::Arc;

use rayon::ThreadPool;
use tch::{Device, Tensor};

use super::order::Order;
use crate::data::prefetch::Prefetch;
use crate::data::{Numbers, Samples};
use crate::error::{Error, Result};
use crate::native::{self, Feed};

/// Batches that are copied to a GPU before the one that is computed on is done.
const AHEAD: usize = 2;

/// Images that the threads of `pool` decode, a few batches ahead, and that are copied to a GPU while it computes. At most
/// `threads + 2` batches are in memory at a time, and on a GPU `AHEAD + 1` more.
pub(super) struct Streaming {
    samples: Samples,
    device: Device,
    pool: Arc<ThreadPool>,
    /// Each number in its place.
    pub files_order: OnceCell<Order>,
    current: RefCell<Option<Current>>,
    /// The way to the GPU, where that is the device.
    feed: RefCell<Option<Feed>>,
}

/// The order that is followed, and the batches on their way.
struct Current {
    numbers: Numbers,
    batch_size: usize,
    num_batches: usize,
    /// How many images the largest batch has.
    largest: usize,
    /// The batch that is expected to be asked for.
    next: u64,
    prefetch: Prefetch,
    /// Why the batch behind those on their way to the GPU cannot be had.
    failed: Option<Error>,
}

impl Streaming {
    pub fn new(samples: Samples, device: Device, pool: Arc<ThreadPool>) -> Self {
        let (files_order, current, feed) = (OnceCell::new(), RefCell::new(None), RefCell::new(None));
        Streaming { samples, device, pool, files_order, current, feed }
    }

    pub fn samples(&self) -> &Samples {
        &self.samples
    }

    /// The pixels of batch `index` of `order`, `u8 [B, H, W, C]` on the device. Batches that are asked for one after the
    /// other are decoded ahead.
    pub fn batch(&self, order: &Order, index: u64, batch_size: usize) -> Result<Tensor> {
        let mut slot = self.current.borrow_mut();
        let is_next = slot.as_ref().is_some_and(|current| {
            // the numbers are held, so that their address is their own
            current.numbers.are_shared_with(&order.numbers) && current.batch_size == batch_size && current.next == index
        });
        if !is_next {
            // what is decoded of the order before ends first
            *slot = None;
            *slot = Some(self.begin(order, index, batch_size)?);
        }
        let current = slot.as_mut().expect("it was just made");
        let shape = self.samples.shape();
        let count = order.range(index, batch_size).len();
        let sizes = [count, shape.height, shape.width, shape.channels].map(|size| size as i64);
        let pixels = match self.device {
            Device::Cuda(gpu) => self.next_from(current, gpu, &sizes)?,
            _ => native::shared(Arc::new(current.prefetch.take()?), &sizes)?.to_device(self.device),
        };
        current.next += 1;
        if current.next as usize == current.num_batches {
            // the next order is drawn before its first batch is asked for: this one's memory is free by then
            *slot = None;
        }
        Ok(pixels)
    }

    fn begin(&self, order: &Order, index: u64, batch_size: usize) -> Result<Current> {
        if let Some(feed) = &mut *self.feed.borrow_mut() {
            feed.clear();
        }
        let batches = order.ranges(batch_size);
        let num_batches = batches.len();
        let largest = batches.iter().map(ExactSizeIterator::len).max().unwrap_or(0);
        let prefetch =
            Prefetch::new(self.samples.clone(), order.numbers.clone(), batches, index as usize, self.pool.clone());
        Ok(Current {
            numbers: order.numbers.clone(),
            batch_size,
            num_batches,
            largest,
            next: index,
            prefetch,
            failed: None,
        })
    }

    /// The next batch, `u8` of `sizes` on the GPU; then the copies of those that are decoded begin.
    fn next_from(&self, current: &mut Current, gpu: usize, sizes: &[i64]) -> Result<Tensor> {
        let mut feed = self.feed.borrow_mut();
        let shape = self.samples.shape();
        let bytes = current.largest * shape.height * shape.width * shape.channels;
        let feed = match &mut *feed {
            Some(feed) if feed.bytes() >= bytes => feed,
            feed => feed.insert(Feed::new(gpu, AHEAD, bytes)?),
        };
        if feed.on_the_way() == 0 {
            match current.failed.take() {
                Some(error) => return Err(error),
                None => feed.begin(&current.prefetch.take()?)?,
            }
        }
        let pixels = feed.take(sizes)?;
        while feed.on_the_way() < AHEAD && current.failed.is_none() {
            match current.prefetch.try_take() {
                Some(Ok(pixels)) => feed.begin(&pixels)?,
                Some(Err(error)) => current.failed = Some(error),
                None => break,
            }
        }
        Ok(pixels)
    }
}
