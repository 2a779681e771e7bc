//! Pooling.

use tch::{Device, Kind, Tensor};

use super::super::spec::layers::{AveragePooling2D, MaxPooling2D};
use super::super::spec::{Padding, Pair};
use super::copies::in_kind;
use super::moved::Moved;
use super::padding::{Pad, sizes};
use crate::native;

/// `x [B, C, H, W] → [B, C, H', W']`. Of the layer before, `moved` has the convolution or the bias, where they are computed here, and
/// its zeros, where [`takes_zeros`] holds and no value is less; and whether a ReLU is behind it.
pub fn max(spec: &MaxPooling2D, input: &[usize], moved: Moved) -> impl Fn(&Tensor) -> Tensor + Send + 'static {
    let Moved { convolution, bias, relu, zeros, .. } = moved;
    let window = sizes(spec.pool_size);
    let strides = sizes(spec.strides.unwrap_or(spec.pool_size));
    let pad = zeros.unwrap_or_else(|| max_pad(spec, input));
    move |x| {
        if let Some(pooled) = convolution.as_ref().and_then(|first| first.pooled(x, bias.as_ref(), relu)) {
            return pooled;
        }
        let convolved = convolution.as_ref().map(|first| first.run(x));
        let x = convolved.as_ref().unwrap_or(x);
        if pad.is_none() && window == strides {
            let pooled = native::max_pool(x, bias.as_ref(), window, relu);
            if let Some(pooled) = pooled.unwrap_or_else(|error| native::throw(error)) {
                return pooled;
            }
        }
        let biased = bias.as_ref().map(|bias| x + in_kind(bias, x.kind()).view([1, -1, 1, 1]));
        // even padding is at most half a window: what Keras's is, and what `takes_zeros` asks for
        let (x, padding) = pad.apply(biased.as_ref().unwrap_or(x), f64::NEG_INFINITY);
        let pooled = x.max_pool2d(window, strides, padding, [1, 1], false);
        if relu { pooled.relu() } else { pooled }
    }
}

/// Whether windows do not overlap and need no padding: then the bias of the layer before may be added behind them.
pub fn takes_bias(spec: &MaxPooling2D, input: &[usize]) -> bool {
    spec.strides.is_none_or(|strides| strides == spec.pool_size) && max_pad(spec, input).is_none()
}

/// Whether libtorch's pooling takes `zeros` around its input: half a window on each side at most.
pub fn takes_zeros(spec: &MaxPooling2D, zeros: Pad) -> bool {
    let [left, _, top, _] = zeros.sides();
    let [height, width] = sizes(spec.pool_size);
    spec.padding == Padding::Valid && 2 * top <= height && 2 * left <= width
}

fn max_pad(spec: &MaxPooling2D, input: &[usize]) -> Pad {
    Pad::new(spec.padding, input, spec.pool_size, spec.strides.unwrap_or(spec.pool_size), Pair::square(1))
}

/// `x [B, C, H, W] → [B, C, H', W']`, the mean over the pixels that are there.
pub fn average(
    spec: &AveragePooling2D,
    input: &[usize],
    device: Device,
) -> impl Fn(&Tensor) -> Tensor + Send + 'static {
    let window = sizes(spec.pool_size);
    let strides = spec.strides.unwrap_or(spec.pool_size);
    let pad = Pad::new(spec.padding, input, spec.pool_size, strides, Pair::square(1));
    let strides = sizes(strides);
    let (is_whole, size) = (pad.is_none(), [input[0] as i64, input[1] as i64]);
    let pool = move |x: &Tensor| pad.around(x, 0.0).avg_pool2d(window, strides, [0, 0], false, true, None);
    // which part of each window is there
    let there = (!is_whole).then(|| pool(&Tensor::ones([1, 1, size[0], size[1]], (Kind::Float, device))));
    move |x| match &there {
        Some(there) => pool(x) / there.to_kind(x.kind()),
        None => pool(x),
    }
}

/// `x [B, C, H, W] → [B, C]`, or `[B, C, 1, 1]`.
pub fn global_average(keepdims: bool) -> impl Fn(&Tensor) -> Tensor + Send + 'static {
    move |x| x.mean_dim([2i64, 3].as_slice(), keepdims, None)
}

/// `x [B, C, H, W] → [B, C]`, or `[B, C, 1, 1]`.
pub fn global_max(keepdims: bool) -> impl Fn(&Tensor) -> Tensor + Send + 'static {
    move |x| x.amax([2i64, 3].as_slice(), keepdims)
}
