//! Random changes of images `[B, C, H, W]` in training, one draw for each image.

use std::f64::consts::TAU;

use tch::{Kind, Tensor};

use super::super::spec::Bounds;
use super::super::spec::layers::{
    FillMode, FlipMode, Interpolation, RandomBrightness, RandomContrast, RandomFlip, RandomRotation, RandomTranslation,
    RandomZoom,
};
use crate::data::augment::affine_grid;
use crate::distributed::noise_rows;

/// f32 `[B]`, each number between two bounds.
fn draw(x: &Tensor, [low, high]: [f64; 2]) -> Tensor {
    let batch = x.size()[0];
    let (first, total) = noise_rows(batch); // of several processes, each draws for all images
    Tensor::rand([total], (Kind::Float, x.device())).narrow(0, first, batch) * (high - low) + low
}

/// `[B]` in a shape and kind that goes with `x`.
fn per_image(values: &Tensor, x: &Tensor) -> Tensor {
    values.to_kind(x.kind()).reshape([-1, 1, 1, 1])
}

/// Mirrors half of the images.
pub fn flip(x: &Tensor, spec: &RandomFlip) -> Tensor {
    let axes: &[i64] = match spec.mode {
        FlipMode::Horizontal => &[3],
        FlipMode::Vertical => &[2],
        FlipMode::HorizontalAndVertical => &[2, 3],
    };
    let chosen = draw(x, [0.0, 1.0]).le(0.5).reshape([-1, 1, 1, 1]);
    x.flip(axes).where_self(&chosen, x)
}

/// Moves values away from their channel's mean.
pub fn contrast(x: &Tensor, spec: &RandomContrast) -> Tensor {
    let mean = x.mean_dim([2i64, 3].as_slice(), true, None);
    let factor = per_image(&draw(x, [1.0 - spec.factor[0], 1.0 + spec.factor[1]]), x);
    let [low, high] = spec.value_range;
    ((x - &mean) * factor + mean).clamp(low, high)
}

/// Adds a share of the value range.
pub fn brightness(x: &Tensor, spec: &RandomBrightness) -> Tensor {
    let [low, high] = spec.value_range;
    (x + per_image(&(draw(x, spec.factor.ends()) * (high - low)), x)).clamp(low, high)
}

/// Turns images about their middle.
pub fn rotate(x: &Tensor, spec: &RandomRotation) -> Tensor {
    let angle = draw(x, spec.factor.ends()) * TAU;
    let (cos, sin) = (angle.cos(), angle.sin());
    let lines = [[cos.shallow_clone(), -&sin, cos.zeros_like()], [sin, cos.shallow_clone(), cos.zeros_like()]];
    sample(x, &lines, &Sampling::new(spec.fill_mode, spec.fill_value, spec.interpolation))
}

/// Shows images larger or smaller.
pub fn zoom(x: &Tensor, spec: &RandomZoom) -> Tensor {
    let factor = |bounds: Bounds| draw(x, bounds.ends()) + 1.0;
    let height = factor(spec.height_factor);
    let width = spec.width_factor.map_or_else(|| height.shallow_clone(), factor);
    let zero = || height.zeros_like();
    let lines = [[width, zero(), zero()], [zero(), height.shallow_clone(), zero()]];
    sample(x, &lines, &Sampling::new(spec.fill_mode, spec.fill_value, spec.interpolation))
}

/// Moves images down and to the right.
pub fn translate(x: &Tensor, spec: &RandomTranslation) -> Tensor {
    let size = x.size();
    let down = draw(x, spec.height_factor.ends()) * size[2] as f64;
    let right = draw(x, spec.width_factor.ends()) * size[3] as f64;
    let (zero, one) = (|| down.zeros_like(), || down.ones_like());
    let lines = [[one(), zero(), -right], [zero(), one(), -&down]];
    sample(x, &lines, &Sampling::new(spec.fill_mode, spec.fill_value, spec.interpolation))
}

/// Where values come from.
struct Sampling {
    fill_mode: FillMode,
    fill_value: f64,
    interpolation: Interpolation,
}

impl Sampling {
    fn new(fill_mode: FillMode, fill_value: f64, interpolation: Interpolation) -> Self {
        Sampling { fill_mode, fill_value, interpolation }
    }
}

/// Each output pixel (x, y), counted in pixels from the middle, takes the value at (x', y') = `lines` · (x, y, 1), six
/// numbers f32 `[B]`. libtorch's reflection about the border's outer edge is Keras's `reflect`.
fn sample(x: &Tensor, lines: &[[Tensor; 3]; 2], sampling: &Sampling) -> Tensor {
    let size = x.size();
    let (height, width) = (size[2] as f64, size[3] as f64);
    // in units of half an image, as libtorch's grid has them, from pixels
    let [[a, b, c], [d, e, f]] = lines;
    let theta = Tensor::stack(
        &[
            Tensor::stack(&[a.shallow_clone(), b * (height / width), c * (2.0 / width)], 1),
            Tensor::stack(&[d * (width / height), e.shallow_clone(), f * (2.0 / height)], 1),
        ],
        1,
    ); // f32 [B, 2, 3]
    let grid = affine_grid(&theta, [size[2], size[3]]); // f32 [B, H, W, 2]
    let mode = if sampling.interpolation == Interpolation::Bilinear { 0 } else { 1 };
    let padding = match sampling.fill_mode {
        FillMode::Constant => 0,
        FillMode::Nearest => 1,
        FillMode::Reflect => 2,
        FillMode::Wrap => unreachable!("a network that wraps is not trained"),
    };
    let offset = if sampling.fill_mode == FillMode::Constant { sampling.fill_value } else { 0.0 };
    let values = x.to_kind(Kind::Float) - offset;
    (values.grid_sampler(&grid, mode, padding, false) + offset).to_kind(x.kind())
}

#[cfg(test)]
mod tests;
