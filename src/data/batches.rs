//! Batches on the device. Small data sets lie there as `u8`, so that a step copies nothing from the host; the images of
//! large ones are decoded by threads, a few batches ahead of the one that is needed.

mod order;
mod single;
mod streaming;

use std::sync::Arc;

use rayon::ThreadPool;
use tch::{Device, Tensor};

use crate::data::{ImageShape, Numbers, Samples};
use crate::device::threads;
use crate::distributed::Group;
use crate::error::Result;
use crate::native;
use crate::rng::{self, Stream};
pub use order::Order;
pub use single::SingleImages;
use streaming::Streaming;

/// Labelled images that are given out in batches on a device: the same ones, whichever way they are fed.
pub struct DataLoader {
    feed: ImageFeed,
    /// `i64 [N]`, on the device.
    labels: Tensor,
    device: Device,
    /// Whether batches are a network's features of the images, not the images.
    holds_features: bool,
    /// The processes that share its batches.
    group: Group,
}

enum ImageFeed {
    /// `u8 [N, H, W, C]`, or features `[N, …]`, on the device.
    Resident(Tensor),
    Streaming(Box<Streaming>),
}

impl DataLoader {
    /// Copies `samples` to `device` where they are in memory, unless they are [`Samples::streamed`]; on the CPU they are there. Else they
    /// stay where they are, and batch after batch is brought to `device`, prepared by the pool's threads ([`threads`]).
    ///
    /// # Errors
    /// A device error where the device has no room, an internal one where the system gives no threads; whether files can be read
    /// turns out when their batch is needed.
    pub fn new(samples: &Samples, device: Device) -> Result<Self> {
        let Some(pixels) = samples.resident_pixels() else {
            return Self::streaming(samples.clone(), device, threads::pool()?);
        };
        let shape = samples.shape();
        let sizes = [samples.len(), shape.height, shape.width, shape.channels].map(|size| size as i64);
        let labels = native::shared(samples.shared_labels().clone(), &sizes[..1])?;
        let images = native::shared(pixels.clone(), &sizes)?;
        native::guarded(|| {
            let images = images.to_device(device);
            let labels = labels.to_device(device);
            let (feed, group) = (ImageFeed::Resident(images), Group::alone());
            Ok(DataLoader { feed, labels, device, holds_features: false, group })
        })
    }

    fn streaming(samples: Samples, device: Device, pool: Arc<ThreadPool>) -> Result<Self> {
        let labels = native::shared(samples.shared_labels().clone(), &[samples.len() as i64])?;
        let labels = native::guarded(|| Ok(labels.to_device(device)))?;
        let streaming = Streaming::new(samples, device, pool);
        let (feed, group) = (ImageFeed::Streaming(Box::new(streaming)), Group::alone());
        Ok(DataLoader { feed, labels, device, holds_features: false, group })
    }

    /// Batches of `features [N, …]` in place of the images that they were made of.
    pub fn with_features(&self, features: Tensor) -> Self {
        let labels = self.labels.shallow_clone();
        let (device, group) = (self.device, self.group.clone());
        DataLoader { feed: ImageFeed::Resident(features), labels, device, holds_features: true, group }
    }

    /// The same images, whose batches the processes of `group` share: training and evaluation take this one's part.
    #[must_use]
    pub fn shared_by(self, group: &Group) -> Self {
        DataLoader { group: group.clone(), ..self }
    }

    /// The processes that share its batches: this one alone unless it is [`DataLoader::shared_by`] others.
    pub fn group(&self) -> &Group {
        &self.group
    }

    /// Whether batches are a network's features of the images, not the images.
    pub fn holds_features(&self) -> bool {
        self.holds_features
    }

    /// Whether threads decode the images while the step computes, so that it may have to wait for them.
    pub fn is_streamed(&self) -> bool {
        matches!(self.feed, ImageFeed::Streaming(_))
    }

    /// Its images one by one; none where it holds features.
    pub fn single_images(&self) -> Option<SingleImages> {
        match &self.feed {
            ImageFeed::Resident(_) if self.holds_features => None,
            ImageFeed::Resident(images) => Some(SingleImages::resident(images)),
            ImageFeed::Streaming(streaming) => Some(SingleImages::of(streaming.samples().clone())),
        }
    }

    /// The shape of the images; none where it holds features.
    pub fn image_shape(&self) -> Option<ImageShape> {
        self.single_images().map(|images| images.shape())
    }

    /// N.
    pub fn num_images(&self) -> usize {
        self.labels.size()[0] as usize
    }

    /// How many batches of `batch_size` hold all images: the last one may be smaller.
    pub fn num_batches(&self, batch_size: usize) -> u64 {
        self.num_images().div_ceil(batch_size) as u64
    }

    /// The order of the images in training epoch `epoch` (from 0).
    pub fn shuffled(&self, seed: u64, epoch: u64) -> Order {
        let mut numbers: Vec<u32> = (0..self.num_images() as u32).collect();
        rng::shuffle(&mut rng::generator(seed, Stream::Epoch(epoch)), &mut numbers);
        Order::new(Numbers::listed(numbers), &self.labels)
    }

    /// The order of training epoch `epoch` (from 0): that of the files, unless they are `shuffle`d.
    pub fn order(&self, shuffle: bool, seed: u64, epoch: u64) -> Order {
        if shuffle { self.shuffled(seed, epoch) } else { self.in_order() }
    }

    /// `count` of the images, spread evenly over all of them, in the order of the files; all where there are no more.
    pub fn spread(&self, count: usize) -> Order {
        let num_images = self.num_images();
        let count = count.min(num_images);
        let numbers = (0..count).map(|at| (at as u64 * num_images as u64 / count as u64) as u32).collect();
        Order::new(Numbers::listed(numbers), &self.labels)
    }

    /// The order of the files.
    pub fn in_order(&self) -> Order {
        Order::new(Numbers::InOrder(self.num_images()), &self.labels)
    }

    /// Batch `index` of the images in `order`: images `u8 [B, H, W, C]`, labels `i64 [B]`, on the device. Nothing here
    /// waits for a GPU.
    ///
    /// # Errors
    /// A data error where an image's file cannot be read, a device error where it cannot be copied.
    pub fn batch_of(&self, order: &Order, index: u64, batch_size: usize) -> Result<(Tensor, Tensor)> {
        let (chosen, labels) = order.batch(index, batch_size);
        Ok(match &self.feed {
            ImageFeed::Resident(images) => (images.index_select(0, &chosen), labels),
            ImageFeed::Streaming(streaming) => (streaming.batch(order, index, batch_size)?, labels),
        })
    }

    /// The images, or features, numbered `numbers` (`i64 [B]` on the device) and their labels; none where they do not lie on the device.
    pub fn chosen(&self, numbers: &Tensor) -> Option<(Tensor, Tensor)> {
        match &self.feed {
            ImageFeed::Resident(images) => {
                Some((images.index_select(0, numbers), self.labels.index_select(0, numbers)))
            }
            ImageFeed::Streaming(_) => None,
        }
    }

    /// Which images batch `index` of `order` has: `i64 [B]`, on the device.
    pub fn numbers_of(&self, order: &Order, index: u64, batch_size: usize) -> Tensor {
        order.numbers_of(order.range(index, batch_size))
    }

    /// Batch `index` in the order of the files: images `u8 [B, H, W, C]`, labels `i64 [B]`, on the device. Of images that
    /// lie there, nothing is copied.
    ///
    /// # Errors
    /// As [`DataLoader::batch_of`].
    pub fn batch(&self, index: u64, batch_size: usize) -> Result<(Tensor, Tensor)> {
        let (start, count) = self.range(index, batch_size);
        let labels = self.labels.narrow(0, start, count);
        Ok(match &self.feed {
            ImageFeed::Resident(images) => (images.narrow(0, start, count), labels),
            ImageFeed::Streaming(streaming) => {
                (streaming.batch(streaming.files_order.get_or_init(|| self.in_order()), index, batch_size)?, labels)
            }
        })
    }

    fn range(&self, index: u64, batch_size: usize) -> (i64, i64) {
        let start = index as i64 * batch_size as i64;
        (start, (self.labels.size()[0] - start).min(batch_size as i64))
    }

    /// The device that the batches are on.
    pub fn device(&self) -> Device {
        self.device
    }
}

impl std::fmt::Debug for DataLoader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let feed = match self.feed {
            ImageFeed::Resident(_) => "resident",
            ImageFeed::Streaming(_) => "streaming",
        };
        write!(f, "DataLoader({} images, {feed}, {:?})", self.num_images(), self.device)
    }
}

#[cfg(test)]
mod tests;
