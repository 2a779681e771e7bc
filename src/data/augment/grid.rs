//! Where the pixels of moved images come from.

use tch::{Device, Kind, Tensor};

/// The places that `theta f32 [B, 2, 3]` takes the middles of `[height, width]` pixels to: `f32 [B, H, W, 2]`, in
/// libtorch's coordinates, from -1 at the first border to 1 at the last along both sides. What libtorch's
/// `affine_grid_generator` gives, up to rounding, without its matrix product: on CUDA that may be computed in TF32, whose 10
/// bits move pixels of large images to other places.
pub fn affine_grid(theta: &Tensor, size: [i64; 2]) -> Tensor {
    Middles::new(size, theta.device()).moved(theta)
}

/// The middles of an image's pixels, each side's: `f32 [H, 1, 1]` and `f32 [W, 1]`.
#[derive(Debug)]
pub(super) struct Middles([Tensor; 2]);

impl Middles {
    /// Those of `[height, width]` pixels.
    pub fn new([height, width]: [i64; 2], device: Device) -> Self {
        Middles([middles(height, device).reshape([-1, 1, 1]), middles(width, device).reshape([-1, 1])])
    }

    /// As [`affine_grid`].
    pub fn moved(&self, theta: &Tensor) -> Tensor {
        let Middles([rows, columns]) = self;
        let factor = |column| theta.select(2, column).unsqueeze(1).unsqueeze(1); // [B, 1, 1, 2]
        let along = factor(0) * columns + factor(2); // [B, 1, W, 2]
        along + factor(1) * rows // [B, H, W, 2]
    }
}

/// The middles of `size` pixels between -1 and 1: `f32 [size]`.
fn middles(size: i64, device: Device) -> Tensor {
    Tensor::linspace(-1.0, 1.0, size, (Kind::Float, device)) * ((size - 1) as f64) / size as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_is_libtorch_s() {
        crate::native::manual_seed(5, Device::Cpu).unwrap();
        for [height, width] in [[28i64, 28], [6, 8], [1, 5], [7, 1], [224, 96]] {
            let theta = Tensor::rand([4, 2, 3], (Kind::Float, Device::Cpu)) * 2.0 - 1.0;
            let expected = Tensor::affine_grid_generator(&theta, [4, 3, height, width], false);
            let grid = affine_grid(&theta, [height, width]);
            assert_eq!(grid.size(), expected.size());
            let difference = (grid - expected).abs().max().double_value(&[]);
            assert!(difference < 1e-6, "{height}x{width}: {difference}");
        }
    }
}
