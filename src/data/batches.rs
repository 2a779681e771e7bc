//! Batches on the device: the images stay there as `u8`, so that a step copies nothing from the host.

use tch::{Device, Kind, Tensor};

use crate::data::Samples;
use crate::error::Result;
use crate::rng::{self, Stream};

/// Labelled images on a device.
pub struct DeviceSamples {
    images: Tensor,
    labels: Tensor,
}

impl DeviceSamples {
    /// Copies `samples` to `device`.
    ///
    /// # Errors
    /// A data error where an image's file cannot be read.
    pub fn new(samples: &Samples, device: Device) -> Result<Self> {
        let shape = samples.shape();
        let sizes = [samples.len(), shape.height, shape.width, shape.channels].map(|size| size as i64);
        let images = match samples.pixels() {
            Some(pixels) => Tensor::from_slice(pixels),
            None => Tensor::from_slice(samples.clone().into_memory()?.pixels().expect("they are in memory")),
        };
        let images = images.view(sizes).to_device(device);
        let labels = Tensor::from_slice(samples.labels()).to_device(device);
        Ok(DeviceSamples { images, labels })
    }

    /// N.
    pub fn num_images(&self) -> usize {
        self.labels.size()[0] as usize
    }

    /// How many batches of `batch_size` hold all images: the last one may be smaller.
    pub fn num_batches(&self, batch_size: usize) -> u64 {
        self.num_images().div_ceil(batch_size) as u64
    }

    /// The order of the images in training epoch `epoch` (from 0): every image once. `i64 [N]`, on the device.
    pub fn shuffled(&self, seed: u64, epoch: u64) -> Tensor {
        let mut order: Vec<i64> = (0..self.labels.size()[0]).collect();
        rng::shuffle(&mut rng::generator(seed, Stream::Epoch(epoch)), &mut order);
        Tensor::from_slice(&order).to_device(self.images.device())
    }

    /// Batch `index` of the images in `order` (`i64 [N]`): images `u8 [B, H, W, C]`, labels `i64 [B]`.
    pub fn batch_of(&self, order: &Tensor, index: u64, batch_size: usize) -> (Tensor, Tensor) {
        let chosen = self.numbers_of(order, index, batch_size);
        (self.images.index_select(0, &chosen), self.labels.index_select(0, &chosen))
    }

    /// Which images batch `index` of `order` has: `i64 [B]`.
    pub fn numbers_of(&self, order: &Tensor, index: u64, batch_size: usize) -> Tensor {
        let (start, count) = self.range(index, batch_size);
        order.narrow(0, start, count)
    }

    /// Batch `index` in the order of the files: images `u8 [B, H, W, C]`, labels `i64 [B]`. Views, nothing is copied.
    pub fn batch(&self, index: u64, batch_size: usize) -> (Tensor, Tensor) {
        let (start, count) = self.range(index, batch_size);
        (self.images.narrow(0, start, count), self.labels.narrow(0, start, count))
    }

    fn range(&self, index: u64, batch_size: usize) -> (i64, i64) {
        let start = index as i64 * batch_size as i64;
        (start, (self.labels.size()[0] - start).min(batch_size as i64))
    }

    /// The device the images are on.
    pub fn device(&self) -> Device {
        self.images.device()
    }
}

impl std::fmt::Debug for DeviceSamples {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DeviceSamples({:?} {:?} on {:?})", self.images.size(), Kind::Uint8, self.images.device())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::ImageShape;

    fn samples(count: usize) -> DeviceSamples {
        let shape = ImageShape { height: 1, width: 2, channels: 1 };
        let pixels = (0..count).flat_map(|index| [index as u8, 0]).collect();
        let labels = (0..count).map(|index| (index % 3) as i64).collect();
        DeviceSamples::new(&Samples::new(shape, pixels, labels, 3).unwrap(), Device::Cpu).unwrap()
    }

    #[test]
    fn an_epoch_shows_every_image_once_with_its_label() {
        let samples = samples(10);
        let order = samples.shuffled(1, 0);
        assert_eq!(samples.num_batches(4), 3);
        let mut seen = Vec::new();
        for index in 0..3 {
            let (images, labels) = samples.batch_of(&order, index, 4);
            assert_eq!(images.size()[1..], [1, 2, 1]);
            let first = Vec::<i64>::try_from(images.select(2, 0).flatten(0, -1).to_kind(Kind::Int64)).unwrap();
            let labels = Vec::<i64>::try_from(labels).unwrap();
            assert!(first.iter().zip(&labels).all(|(pixel, label)| pixel % 3 == *label));
            seen.extend(first);
        }
        assert_ne!(seen, (0..10).collect::<Vec<_>>());
        seen.sort_unstable();
        assert_eq!(seen, (0..10).collect::<Vec<_>>());
        assert_eq!(samples.shuffled(1, 0), order);
        assert_ne!(samples.shuffled(1, 1), order);
    }

    #[test]
    fn batches_in_file_order_keep_the_last_one() {
        let samples = samples(5);
        let sizes: Vec<i64> = (0..samples.num_batches(2)).map(|index| samples.batch(index, 2).1.size()[0]).collect();
        assert_eq!(sizes, [2, 2, 1]);
    }
}
