//! Other shapes and sizes.

use tch::Tensor;

use super::super::spec::Sides;
use super::super::spec::layers::{Interpolation, Permute};
use super::order::{from_keras_order, to_keras_order};

/// The values of each image in Keras's shape `output`.
pub fn reshape(output: &[usize]) -> impl Fn(&Tensor) -> Tensor + Send + 'static {
    let shape: Vec<i64> = std::iter::once(-1).chain(output.iter().map(|&size| size as i64)).collect();
    move |x| from_keras_order(&to_keras_order(x).reshape(&shape))
}

/// The axes of each image in another order.
pub fn permute(spec: &Permute) -> impl Fn(&Tensor) -> Tensor + Send + 'static {
    let order: Vec<i64> = std::iter::once(0).chain(spec.dims.iter().map(|&axis| axis as i64)).collect();
    move |x| from_keras_order(&to_keras_order(x).permute(&order))
}

/// Zeros around `x [B, C, H, W]`.
pub fn zero_padding(sides: Sides) -> impl Fn(&Tensor) -> Tensor + Send + 'static {
    let Sides { top, bottom, left, right } = sides;
    let padding = [left, right, top, bottom].map(|size| size as i64);
    move |x| x.constant_pad_nd(padding)
}

/// `x [B, C, H, W]` less its border; `output` is what is left, in Keras's shape.
pub fn crop(sides: Sides, output: &[usize]) -> impl Fn(&Tensor) -> Tensor + Send + 'static {
    let [top, left] = [sides.top, sides.left].map(|size| size as i64);
    let [height, width] = size_of(output);
    move |x| x.narrow(2, top, height).narrow(3, left, width)
}

/// The middle of `x [B, C, H, W]`; the odd pixel goes at the end.
pub fn center_crop(input: &[usize], output: &[usize]) -> impl Fn(&Tensor) -> Tensor + Send + 'static {
    let before = |axis: usize| (input[axis] - output[axis]) / 2;
    let sides = Sides { top: before(0), left: before(1), ..Sides::default() };
    crop(sides, output)
}

/// `x [B, C, H, W]` in the size of Keras's shape `output`; pixels have their values at their centres.
pub fn resize(interpolation: Interpolation, output: &[usize]) -> impl Fn(&Tensor) -> Tensor + Send + 'static {
    let size = size_of(output);
    move |x| match interpolation {
        Interpolation::Nearest => x.internal_upsample_nearest_exact2d(size, None, None),
        Interpolation::Bilinear => x.upsample_bilinear2d(size, false, None, None),
    }
}

fn size_of(output: &[usize]) -> [i64; 2] {
    [output[0] as i64, output[1] as i64]
}
