//! Keras's images and windows where images lie `[B, C, H, W]`: for every format that has them so.

use crate::model::layers::axis_here;
use crate::model::spec::layers::Conv2DTranspose;
use crate::model::spec::{Padding, Pair, same_padding, transposed_crop};

/// The order of axes that brings an image to Keras's.
pub(super) const TO_KERAS: [i64; 4] = [0, 2, 3, 1];
/// The order of axes that brings it back.
pub(super) const FROM_KERAS: [i64; 4] = [0, 3, 1, 2];

/// Where Keras's `axis` (the batch is 0) of a tensor with `rank` axes lies.
pub(super) fn dim_of(axis: usize, rank: usize) -> i64 {
    axis_here(axis, rank)
}

/// Height and width.
pub(super) fn sizes(pair: Pair) -> [i64; 2] {
    [pair.height as i64, pair.width as i64]
}

/// How many pixels at the sides of an image of Keras's shape `input` give `padding`: left, right, top, bottom.
pub(super) fn sides(padding: Padding, input: &[usize], window: Pair, strides: Pair, dilation: Pair) -> [i64; 4] {
    let (Padding::Same, &[height, width, _]) = (padding, input) else { return [0; 4] };
    let (top, bottom) = same_padding(height, window.height, strides.height, dilation.height);
    let (left, right) = same_padding(width, window.width, strides.width, dilation.width);
    [left, right, top, bottom].map(|size| size as i64)
}

/// Which part of a transposed convolution's whole output, (n − 1)·s + k, is Keras's, along the height or the width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TransposedAxis {
    /// How many pixels of it come before.
    pub before: i64,
    /// How many come after; below 0 where as many are lacking, which are zeros.
    pub after: i64,
}

/// The height's and the width's, of an image of Keras's shape `input` that becomes one of `output`.
pub(super) fn transposed(conv: &Conv2DTranspose, input: &[usize], output: &[usize]) -> [TransposedAxis; 2] {
    let axis = |axis: usize, kernel: usize, stride: usize| {
        let (size, out) = (input[axis], output[axis]);
        let before = transposed_crop(size, kernel, stride, out, conv.padding) as i64;
        let full = ((size - 1) * stride + kernel) as i64;
        TransposedAxis { before, after: full - before - out as i64 }
    };
    let (kernel, stride) = (conv.kernel_size, conv.strides);
    [axis(0, kernel.height, stride.height), axis(1, kernel.width, stride.width)]
}
