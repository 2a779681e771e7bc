//! Changes training images on the device, so that the network does not learn them by heart: `u8` batch in, `u8` batch out. What happens to an image is a pure function of the
//! run's seed, the epoch and the image's number; mixing pairs of images, of the seed and the step.

mod changes;
mod config;
mod draws;
mod epoch;
mod grid;
mod mix;

use tch::Tensor;

pub use changes::Changes;
pub use config::AugmentConfig;
pub use epoch::EpochChanges;
pub use grid::affine_grid;
pub use mix::{Mixed, Mixer};

use super::ImageShape;
use crate::rng::{Stream, derive};

/// How the training images numbered `samples` (`i64 [N]`), of `[height, width]` pixels, are changed in `epoch` (from 0) of the run seeded
/// with `seed`; none where `config` changes nothing. Drawn on the device of `samples`.
pub fn changes_of(config: &AugmentConfig, samples: &Tensor, size: [i64; 2], seed: u64, epoch: u64) -> Option<Changes> {
    Changes::new(config, samples, derive(seed, Stream::Augment(epoch)), size)
}

/// Changes `images` (`u8 [B, H, W, C]`), the training images numbered `samples` (`i64 [B]`), as they are changed in
/// `epoch` (from 0): `u8 [B, H, W, C]`. See [`Changes::apply`].
pub fn augment(config: &AugmentConfig, images: &Tensor, samples: &Tensor, seed: u64, epoch: u64) -> Tensor {
    let changes = changes_of(config, samples, [images.size()[1], images.size()[2]], seed, epoch);
    changes.map_or_else(|| images.shallow_clone(), |changes| changes.apply(images, 0))
}

/// Changes the training image numbered `number` (`pixels`: `u8 [H, W, C]` of `shape`) as it is changed in the first epoch.
pub fn augment_one(config: &AugmentConfig, shape: ImageShape, number: usize, pixels: &[u8], seed: u64) -> Vec<u8> {
    let sizes = [1, shape.height, shape.width, shape.channels].map(|size| size as i64);
    let image = Tensor::from_slice(pixels).reshape(sizes);
    let changed = augment(config, &image, &Tensor::from_slice(&[number as i64]), seed, 0);
    Vec::try_from(changed.reshape([-1])).expect("an image is bytes")
}

#[cfg(test)]
mod tests;
