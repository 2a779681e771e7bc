//! Convolutions and the fully connected layer. Weights take the input's kind, so that bf16 input is computed in bf16.

use tch::Tensor;

use super::super::spec::layers::{Conv2D, Conv2DTranspose, Dense, DepthwiseConv2D, SeparableConv2D};
use super::super::spec::transposed_crop;
use super::order::{from_keras_order, to_keras_order};
use super::pooling::{Pad, sizes};

/// A convolution of some kind: `x [B, C, H, W] → [B, filters, H', W']`.
struct Convolution {
    kernel: Tensor,
    bias: Option<Tensor>,
    strides: [i64; 2],
    dilation: [i64; 2],
    groups: i64,
    pad: Pad,
}

impl Convolution {
    fn run(&self, x: &Tensor) -> Tensor {
        let (x, padding) = self.pad.apply(x, 0.0);
        let bias = self.bias.as_ref().map(|bias| bias.to_kind(x.kind()));
        x.conv2d(&self.kernel.to_kind(x.kind()), bias, self.strides, padding, self.dilation, self.groups)
    }
}

/// `x [B, C, H, W] → [B, filters, H', W']`. `zeros` are those of the layer before, where they are added here and the layer itself
/// adds none.
pub fn conv2d(
    spec: &Conv2D,
    input: &[usize],
    mut own: Vec<Tensor>,
    zeros: Option<Pad>,
) -> impl Fn(&Tensor) -> Tensor + Send + 'static {
    let convolution = Convolution {
        kernel: own.remove(0),
        bias: own.pop(),
        strides: sizes(spec.strides),
        dilation: sizes(spec.dilation_rate),
        groups: spec.groups as i64,
        pad: zeros.unwrap_or_else(|| Pad::new(spec.padding, input, spec.kernel_size, spec.strides, spec.dilation_rate)),
    };
    move |x| convolution.run(x)
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
        let full = x.conv_transpose2d(&kernel.to_kind(x.kind()), None::<Tensor>, strides, [0, 0], [0, 0], 1, [1, 1]);
        let size = full.size(); // [B, filters, (H - 1)·sh + kh, (W - 1)·sw + kw]
        let short = [(left + width - size[3]).max(0), (top + height - size[2]).max(0)];
        let full = if short == [0, 0] { full } else { full.constant_pad_nd([0, short[0], 0, short[1]]) };
        let y = full.narrow(2, top, height).narrow(3, left, width);
        match &bias {
            Some(bias) => y + bias.to_kind(x.kind()).reshape([1, -1, 1, 1]),
            None => y,
        }
    }
}

/// `x [B, C] → [B, units]`, or on the channels of an image, or on the last axis of any other shape.
pub fn dense(spec: &Dense, mut own: Vec<Tensor>) -> impl Fn(&Tensor) -> Tensor + Send + 'static {
    let kernel = own.remove(0);
    let bias = spec.use_bias.then(|| own.remove(0));
    move |x| {
        let bias = bias.as_ref().map(|bias| bias.to_kind(x.kind()));
        from_keras_order(&to_keras_order(x).linear(&kernel.to_kind(x.kind()), bias))
    }
}
