//! Pooling, and the padding that windows need.

use tch::{Device, Kind, Tensor};

use super::super::spec::layers::{AveragePooling2D, MaxPooling2D};
use super::super::spec::{Padding, Pair, Sides, same_padding};
use crate::native;

/// `x [B, C, H, W] → [B, C, H', W']`, with the `bias` of the layer before, where it is added here, and a ReLU behind it. `zeros` are
/// those of the layer before, where [`takes_zeros`] holds and no value is less.
pub fn max(
    spec: &MaxPooling2D,
    input: &[usize],
    bias: Option<Tensor>,
    relu: bool,
    zeros: Option<Pad>,
) -> impl Fn(&Tensor) -> Tensor + Send + 'static {
    let window = sizes(spec.pool_size);
    let strides = sizes(spec.strides.unwrap_or(spec.pool_size));
    let pad = zeros.unwrap_or_else(|| max_pad(spec, input));
    move |x| {
        if pad.is_none() && window == strides {
            let pooled = native::max_pool(x, bias.as_ref(), window, relu);
            if let Some(pooled) = pooled.unwrap_or_else(|error| native::throw(error)) {
                return pooled;
            }
        }
        let biased = bias.as_ref().map(|bias| x + bias.to_kind(x.kind()).view([1, -1, 1, 1]));
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
    let [left, _, top, _] = zeros.0;
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

/// Keras's padding in numbers: left, right, top, bottom.
#[derive(Debug, Clone, Copy)]
pub struct Pad([i64; 4]);

impl Pad {
    /// What `padding` means for windows on an image of Keras's shape `input`.
    pub fn new(padding: Padding, input: &[usize], window: Pair, strides: Pair, dilation: Pair) -> Self {
        let (Padding::Same, &[height, width, _]) = (padding, input) else {
            return Pad::none();
        };
        let (top, bottom) = same_padding(height, window.height, strides.height, dilation.height);
        let (left, right) = same_padding(width, window.width, strides.width, dilation.width);
        Pad([left as i64, right as i64, top as i64, bottom as i64])
    }

    /// As much as `sides` says; none where opposite ones differ.
    pub fn even(sides: Sides) -> Option<Self> {
        let Sides { top, bottom, left, right } = sides;
        let pad = Pad([left, right, top, bottom].map(|size| size as i64));
        (left == right && top == bottom).then_some(pad)
    }

    /// No padding.
    pub fn none() -> Self {
        Pad([0; 4])
    }

    fn is_none(&self) -> bool {
        self.0 == [0; 4]
    }

    /// The input and the padding to give to the operator: even padding is the operator's own, the rest is done here.
    pub fn apply(&self, x: &Tensor, value: f64) -> (Tensor, [i64; 2]) {
        let [left, right, top, bottom] = self.0;
        if left == right && top == bottom { (x.shallow_clone(), [top, left]) } else { (self.around(x, value), [0, 0]) }
    }

    /// `x` with `value` around it.
    pub fn around(&self, x: &Tensor, value: f64) -> Tensor {
        if self.is_none() { x.shallow_clone() } else { x.pad(self.0, "constant", value) }
    }
}

/// Height and width as libtorch takes them.
pub fn sizes(pair: Pair) -> [i64; 2] {
    [pair.height as i64, pair.width as i64]
}
