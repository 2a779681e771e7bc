//! Changes training images on the device, so that the network does not learn them by heart: `u8` batch in, `u8` batch out. What happens to an image is a pure function of the
//! run's seed, the epoch and the image's number; mixing pairs of images, of the seed and the step.

mod config;
mod draws;
mod grid;
mod mix;

use tch::{Kind, Tensor};

pub use config::AugmentConfig;
pub use grid::affine_grid;
pub use mix::{Mixed, Mixer};

use super::ImageShape;
use crate::rng::{Stream, derive};
use draws::{Draw, Draws};

/// The largest share of an image that is erased, and the smallest (Zhong et al., Random Erasing Data Augmentation, 2017).
const ERASED_AREA: [f64; 2] = [0.02, 0.33];
/// The largest ratio of an erased rectangle's sides.
const ERASED_ASPECT: f64 = 3.3;

/// Changes `images` (`u8 [B, H, W, C]`), the training images numbered `samples` (`i64 [B]`), as they are changed in
/// `epoch` (from 0): `u8 [B, H, W, C]`. In order: mirror, rotation, zoom and shift as one bilinear resampling with zeros
/// outside; contrast; brightness; erasing.
pub fn augment(config: &AugmentConfig, images: &Tensor, samples: &Tensor, seed: u64, epoch: u64) -> Tensor {
    if !(config.moves_pixels() || config.brightness > 0.0 || config.contrast > 0.0 || config.erase > 0.0) {
        return images.shallow_clone();
    }
    let draws = Draws::new(samples, derive(seed, Stream::Augment(epoch)));
    let mut pixels = images.permute([0, 3, 1, 2]).to_kind(Kind::Float); // [B, C, H, W]
    if config.moves_pixels() {
        pixels = move_pixels(config, &pixels, &draws);
    }
    if config.contrast > 0.0 {
        let factor = per_image(&(draws.around_zero(Draw::Contrast, config.contrast) + 1.0));
        let mean = pixels.mean_dim([2i64, 3].as_slice(), true, None);
        pixels = (&pixels - &mean) * factor + mean;
    }
    if config.brightness > 0.0 {
        pixels += per_image(&draws.around_zero(Draw::Brightness, config.brightness * 255.0));
    }
    if config.erase > 0.0 {
        pixels = erase(config, &pixels, &draws);
    }
    pixels.round().clamp(0.0, 255.0).to_kind(Kind::Uint8).permute([0, 2, 3, 1])
}

/// Changes the training image numbered `number` (`pixels`: `u8 [H, W, C]` of `shape`) as it is changed in the first epoch.
pub fn augment_one(config: &AugmentConfig, shape: ImageShape, number: usize, pixels: &[u8], seed: u64) -> Vec<u8> {
    let sizes = [1, shape.height, shape.width, shape.channels].map(|size| size as i64);
    let image = Tensor::from_slice(pixels).reshape(sizes);
    let changed = augment(config, &image, &Tensor::from_slice(&[number as i64]), seed, 0);
    Vec::try_from(changed.reshape([-1])).expect("an image is bytes")
}

/// `[B] → [B, 1, 1, 1]`.
fn per_image(values: &Tensor) -> Tensor {
    values.reshape([-1, 1, 1, 1])
}

/// Resamples `pixels f32 [B, C, H, W]` where the inverse of mirror, rotation, zoom and shift leads.
fn move_pixels(config: &AugmentConfig, pixels: &Tensor, draws: &Draws) -> Tensor {
    let [height, width] = [pixels.size()[2] as f64, pixels.size()[3] as f64];
    let mirror = 1.0 - draws.unit(Draw::Flip).lt(config.flip).to_kind(Kind::Float) * 2.0;
    let angle = draws.around_zero(Draw::Rotate, config.rotate.to_radians());
    let zoom = draws.around_zero(Draw::Zoom, config.zoom) + 1.0;
    let (cos, sin) = (angle.cos() / &zoom, angle.sin() / &zoom);
    let shift_x = (draws.around_zero(Draw::ShiftX, config.shift) * width).round() * (2.0 / width);
    let shift_y = (draws.around_zero(Draw::ShiftY, config.shift) * height).round() * (2.0 / height);
    // libtorch's coordinates go from -1 to 1 along both sides, so a turn of a rectangle has its ratio in it
    let rows = [&cos * &mirror, &sin * (-height / width), shift_x, sin * mirror * (width / height), cos, shift_y];
    let theta = Tensor::stack(&rows, 1).reshape([-1, 2, 3]);
    let grid = affine_grid(&theta, [pixels.size()[2], pixels.size()[3]]);
    const BILINEAR: i64 = 0;
    const ZEROS: i64 = 0;
    pixels.grid_sampler(&grid, BILINEAR, ZEROS, false)
}

/// Paints a rectangle of one grey over some of `pixels f32 [B, C, H, W]`: area and ratio of the sides as in the paper, cut
/// off where it reaches over the border.
fn erase(config: &AugmentConfig, pixels: &Tensor, draws: &Draws) -> Tensor {
    let [height, width] = [pixels.size()[2], pixels.size()[3]];
    let [smallest, largest] = ERASED_AREA;
    let area = draws.unit(Draw::EraseArea) * (largest - smallest) + smallest; // a share of the image
    let aspect = draws.around_zero(Draw::EraseAspect, ERASED_ASPECT.ln()).exp();
    let covered = |size: i64, share: Tensor, centre: Draw| {
        let half = (share.sqrt() * (size as f64 / 2.0)).unsqueeze(1);
        let middle = (draws.unit(centre) * size as f64).unsqueeze(1);
        let places = Tensor::arange(size, (Kind::Float, pixels.device())) + 0.5;
        (places - middle).abs().le_tensor(&half) // [B, size]
    };
    let rows = covered(height, &area * &aspect, Draw::EraseY).reshape([-1, 1, height, 1]);
    let columns = covered(width, area / aspect, Draw::EraseX).reshape([-1, 1, 1, width]);
    let chosen = per_image(&draws.unit(Draw::Erase).lt(config.erase));
    let grey = per_image(&(draws.unit(Draw::EraseValue) * 256.0).floor());
    let erased = rows.logical_and(&columns).logical_and(&chosen);
    grey.where_self(&erased, pixels)
}

#[cfg(test)]
mod tests;
