//! Convolutions and the fully connected layer. Weights take the input's kind, so that bf16 input is computed in bf16.

use tch::Tensor;

use super::super::spec::layers::{Conv2D, Conv2DTranspose, Dense, DepthwiseConv2D, SeparableConv2D};
use super::super::spec::{Pair, transposed_crop};
use super::copies::in_kind;
use super::order::{from_keras_order, to_keras_order};
use super::padding::{Pad, sizes};
use crate::native;

/// A convolution of some kind: `x [B, C, H, W] → [B, filters, H', W']`.
#[derive(Debug)]
pub struct Convolution {
    kernel: Tensor,
    bias: Option<Tensor>,
    strides: [i64; 2],
    dilation: [i64; 2],
    groups: i64,
    pad: Pad,
}

impl Convolution {
    /// The one of `spec`, with the weights `own`: the kernel, and the bias where it is added here. `zeros` are those of the layer before,
    /// where they are added here and the layer itself adds none.
    pub fn new(spec: &Conv2D, input: &[usize], mut own: Vec<Tensor>, zeros: Option<Pad>) -> Self {
        let pad = || Pad::new(spec.padding, input, spec.kernel_size, spec.strides, spec.dilation_rate);
        Convolution {
            kernel: own.remove(0),
            bias: own.pop(),
            strides: sizes(spec.strides),
            dilation: sizes(spec.dilation_rate),
            groups: spec.groups as i64,
            pad: zeros.unwrap_or_else(pad),
        }
    }

    /// What it makes of `x [B, C, H, W]`.
    pub fn run(&self, x: &Tensor) -> Tensor {
        let (x, padding) = self.pad.apply(x, 0.0);
        let bias = self.bias.as_ref().map(|bias| in_kind(bias, x.kind()));
        x.conv2d(&in_kind(&self.kernel, x.kind()), bias, self.strides, padding, self.dilation, self.groups)
    }

    /// The largest values of 2 × 2 of what it makes of `x`, plus `bias`, through a ReLU where `relu`; none where that is to be
    /// computed one by one. For convolutions of which [`can_pool`] holds.
    pub fn pooled(&self, x: &Tensor, bias: Option<&Tensor>, relu: bool) -> Option<Tensor> {
        native::conv_pool(x, &self.kernel, bias, self.pad.sides(), relu).unwrap_or_else(|error| native::throw(error))
    }
}

/// Whether a convolution on images of Keras's shape `input` may be computed together with a max-pooling of 2 × 2 behind it: that of a
/// first layer on one channel, and one on as many as fill vectors.
pub fn can_pool(spec: &Conv2D, input: &[usize]) -> bool {
    let Conv2D { kernel_size, strides, dilation_rate, groups, .. } = spec;
    let is_small = [3, 5].map(Pair::square).contains(kernel_size) && *groups == 1;
    let is_dense = *strides == Pair::square(1) && *dilation_rate == Pair::square(1);
    is_small && is_dense && input.last().is_some_and(|&channels| channels == 1 || channels.is_multiple_of(16))
}

/// `x [B, C, H, W] → [B, C·M, H', W']`. `zeros` as in [`conv2d`].
pub fn depthwise(
    spec: &DepthwiseConv2D,
    input: &[usize],
    mut own: Vec<Tensor>,
    zeros: Option<Pad>,
) -> impl Fn(&Tensor) -> Tensor + Send + 'static {
    let convolution = Convolution {
        kernel: own.remove(0),
        bias: own.pop(),
        strides: sizes(spec.strides),
        dilation: sizes(spec.dilation_rate),
        groups: channels(input),
        pad: zeros.unwrap_or_else(|| Pad::new(spec.padding, input, spec.kernel_size, spec.strides, spec.dilation_rate)),
    };
    move |x| convolution.run(x)
}

/// `x [B, C, H, W] → [B, filters, H', W']`: each channel by itself, then 1 × 1 across them. `zeros` as in [`conv2d`].
pub fn separable(
    spec: &SeparableConv2D,
    input: &[usize],
    mut own: Vec<Tensor>,
    zeros: Option<Pad>,
) -> impl Fn(&Tensor) -> Tensor + Send + 'static {
    let depthwise = Convolution {
        kernel: own.remove(0),
        bias: None,
        strides: sizes(spec.strides),
        dilation: sizes(spec.dilation_rate),
        groups: channels(input),
        pad: zeros.unwrap_or_else(|| Pad::new(spec.padding, input, spec.kernel_size, spec.strides, spec.dilation_rate)),
    };
    let pointwise = Convolution {
        kernel: own.remove(0),
        bias: own.pop(),
        strides: [1, 1],
        dilation: [1, 1],
        groups: 1,
        pad: Pad::none(),
    };
    move |x| pointwise.run(&depthwise.run(x))
}

fn channels(input: &[usize]) -> i64 {
    input.last().map_or(1, |&channels| channels as i64)
}

/// `x [B, C, H, W] → [B, filters, H', W']`: the full output, extended by zeros or cut to Keras's size.
pub fn transposed(
    spec: &Conv2DTranspose,
    input: &[usize],
    output: &[usize],
    mut own: Vec<Tensor>,
) -> impl Fn(&Tensor) -> Tensor + Send + 'static {
    let kernel = own.remove(0);
    let bias = own.pop();
    let strides = sizes(spec.strides);
    let (window, step, padding) = (spec.kernel_size, spec.strides, spec.padding);
    let axis = |axis: usize, k, s| {
        let (n, out) = (input[axis], output[axis]);
        (transposed_crop(n, k, s, out, padding) as i64, out as i64)
    };
    let (top, height) = axis(0, window.height, step.height);
    let (left, width) = axis(1, window.width, step.width);
    move |x| {
        let full = x.conv_transpose2d(&in_kind(&kernel, x.kind()), None::<Tensor>, strides, [0, 0], [0, 0], 1, [1, 1]);
        let size = full.size(); // [B, filters, (H - 1)·sh + kh, (W - 1)·sw + kw]
        let short = [(left + width - size[3]).max(0), (top + height - size[2]).max(0)];
        let full = if short == [0, 0] { full } else { full.constant_pad_nd([0, short[0], 0, short[1]]) };
        let y = full.narrow(2, top, height).narrow(3, left, width);
        match &bias {
            Some(bias) => y + in_kind(bias, x.kind()).reshape([1, -1, 1, 1]),
            None => y,
        }
    }
}

/// `x [B, C] → [B, units]`, or on the channels of an image, or on the last axis of any other shape.
pub fn dense(spec: &Dense, mut own: Vec<Tensor>) -> impl Fn(&Tensor) -> Tensor + Send + 'static {
    let kernel = own.remove(0);
    let bias = spec.use_bias.then(|| own.remove(0));
    move |x| {
        let bias = bias.as_ref().map(|bias| in_kind(bias, x.kind()));
        from_keras_order(&to_keras_order(x).linear(&in_kind(&kernel, x.kind()), bias))
    }
}
