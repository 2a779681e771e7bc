//! Convolutions that treat every channel by itself.

use serde::{Deserialize, Serialize};

use super::super::info::{WeightInfo, WeightOrder};
use super::super::options::{Activation, Constraint, DataFormat, Initializer, Padding, Pair, Regularizer};
use super::super::window;
use super::{Effect, Inferred, LayerRules, glorot_uniform, image, one, positive, single, vector, yes, zeros};
use crate::error::{Error, Result};

/// 2-D convolution of each channel by itself, `depth_multiplier` times.
///
/// `[N, H, W, C] → [N, H', W', C·depth_multiplier]`, sizes as for [`super::Conv2D`]; channel c's m-th output lies at
/// c·depth_multiplier + m.
/// <https://keras.io/api/layers/convolution_layers/depthwise_convolution2d/>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DepthwiseConv2D {
    /// Outputs of each channel.
    #[serde(default = "one")]
    pub depth_multiplier: usize,
    /// The window, in pixels.
    pub kernel_size: Pair,
    /// The window's step, in pixels.
    #[serde(default = "single")]
    pub strides: Pair,
    /// What happens at the border.
    #[serde(default)]
    pub padding: Padding,
    /// Always `channels_last`.
    #[serde(default)]
    pub data_format: DataFormat,
    /// The step between the window's own pixels; Keras 3 takes it together with strides here.
    #[serde(default = "single")]
    pub dilation_rate: Pair,
    /// What follows the bias.
    #[serde(default)]
    pub activation: Activation,
    /// Whether there is a bias, one value an output channel.
    #[serde(default = "yes")]
    pub use_bias: bool,
    /// How the kernel begins.
    #[serde(default = "glorot_uniform")]
    pub depthwise_initializer: Initializer,
    /// How the bias begins.
    #[serde(default = "zeros")]
    pub bias_initializer: Initializer,
    /// A loss on the kernel.
    #[serde(default)]
    pub depthwise_regularizer: Option<Regularizer>,
    /// A loss on the bias.
    #[serde(default)]
    pub bias_regularizer: Option<Regularizer>,
    /// A loss on the output: read, and refused in training.
    #[serde(default)]
    pub activity_regularizer: Option<Regularizer>,
    /// What the kernel is held to.
    #[serde(default)]
    pub depthwise_constraint: Option<Constraint>,
    /// What the bias is held to.
    #[serde(default)]
    pub bias_constraint: Option<Constraint>,
}

impl LayerRules for DepthwiseConv2D {
    // The shape `[H', W', C·M]` and the weights depthwise kernel `(kh, kw, C, M)` and bias `(C·M)`.
    fn infer(&self, input: &[usize]) -> Inferred {
        let [height, width, channels] = image(input)?;
        let outputs = multiplied(channels, self.depth_multiplier)?;
        let out = window::output((height, width), self.kernel_size, self.strides, self.dilation_rate, self.padding)?;
        let kernel = vec![self.kernel_size.height, self.kernel_size.width, channels, self.depth_multiplier];
        let names = ["weight", "depthwise_kernel"];
        let kernel = WeightInfo::new(names, kernel, WeightOrder::Depthwise, self.depthwise_initializer);
        let mut weights = vec![kernel.held(self.depthwise_regularizer, &self.depthwise_constraint)];
        weights.extend(self.use_bias.then(|| {
            let bias = vector(["bias", "bias"], outputs, self.bias_initializer);
            bias.held(self.bias_regularizer, &self.bias_constraint)
        }));
        Ok((vec![out.height, out.width, outputs], weights))
    }

    fn effect(&self, _input: &[usize], _output: &[usize]) -> Effect {
        Effect::Mixes
    }

    fn activation(&self) -> Activation {
        self.activation.clone()
    }

    fn activity_regularizer(&self) -> Option<Regularizer> {
        self.activity_regularizer
    }
}

/// A depthwise convolution, then a 1 × 1 convolution across the channels.
///
/// `[N, H, W, C] → [N, H', W', filters]`, sizes as for [`super::Conv2D`]; strides, dilation and padding belong to the first
/// of the two, bias and activation to the second.
/// <https://keras.io/api/layers/convolution_layers/separable_convolution2d/>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeparableConv2D {
    /// Depthwise outputs of each channel.
    #[serde(default = "one")]
    pub depth_multiplier: usize,
    /// Output channels.
    pub filters: usize,
    /// The window, in pixels.
    pub kernel_size: Pair,
    /// The window's step, in pixels.
    #[serde(default = "single")]
    pub strides: Pair,
    /// What happens at the border.
    #[serde(default)]
    pub padding: Padding,
    /// Always `channels_last`.
    #[serde(default)]
    pub data_format: DataFormat,
    /// The step between the window's own pixels.
    #[serde(default = "single")]
    pub dilation_rate: Pair,
    /// What follows the bias.
    #[serde(default)]
    pub activation: Activation,
    /// Whether there is a bias, one value a filter.
    #[serde(default = "yes")]
    pub use_bias: bool,
    /// How the depthwise kernel begins.
    #[serde(default = "glorot_uniform")]
    pub depthwise_initializer: Initializer,
    /// How the pointwise kernel begins.
    #[serde(default = "glorot_uniform")]
    pub pointwise_initializer: Initializer,
    /// How the bias begins.
    #[serde(default = "zeros")]
    pub bias_initializer: Initializer,
    /// A loss on the depthwise kernel.
    #[serde(default)]
    pub depthwise_regularizer: Option<Regularizer>,
    /// A loss on the pointwise kernel.
    #[serde(default)]
    pub pointwise_regularizer: Option<Regularizer>,
    /// A loss on the bias.
    #[serde(default)]
    pub bias_regularizer: Option<Regularizer>,
    /// A loss on the output: read, and refused in training.
    #[serde(default)]
    pub activity_regularizer: Option<Regularizer>,
    /// What the depthwise kernel is held to.
    #[serde(default)]
    pub depthwise_constraint: Option<Constraint>,
    /// What the pointwise kernel is held to.
    #[serde(default)]
    pub pointwise_constraint: Option<Constraint>,
    /// What the bias is held to.
    #[serde(default)]
    pub bias_constraint: Option<Constraint>,
}

impl LayerRules for SeparableConv2D {
    // The shape `[H', W', filters]` and the weights depthwise kernel `(kh, kw, C, M)`, pointwise kernel
    // `(1, 1, C·M, filters)` and bias `(filters)`.
    fn infer(&self, input: &[usize]) -> Inferred {
        let [height, width, channels] = image(input)?;
        positive("filters", self.filters)?;
        let between = multiplied(channels, self.depth_multiplier)?;
        let out = window::output((height, width), self.kernel_size, self.strides, self.dilation_rate, self.padding)?;
        let depthwise = vec![self.kernel_size.height, self.kernel_size.width, channels, self.depth_multiplier];
        let names = ["depthwise_weight", "depthwise_kernel"];
        let depthwise = WeightInfo::new(names, depthwise, WeightOrder::Depthwise, self.depthwise_initializer);
        let pointwise = vec![1, 1, between, self.filters];
        let names = ["pointwise_weight", "pointwise_kernel"];
        let pointwise = WeightInfo::new(names, pointwise, WeightOrder::Convolution, self.pointwise_initializer);
        let mut weights = vec![
            depthwise.held(self.depthwise_regularizer, &self.depthwise_constraint),
            pointwise.held(self.pointwise_regularizer, &self.pointwise_constraint),
        ];
        weights.extend(self.use_bias.then(|| {
            let bias = vector(["bias", "bias"], self.filters, self.bias_initializer);
            bias.held(self.bias_regularizer, &self.bias_constraint)
        }));
        Ok((vec![out.height, out.width, self.filters], weights))
    }

    fn effect(&self, _input: &[usize], _output: &[usize]) -> Effect {
        Effect::Mixes
    }

    fn activation(&self) -> Activation {
        self.activation.clone()
    }

    fn activity_regularizer(&self) -> Option<Regularizer> {
        self.activity_regularizer
    }
}

fn multiplied(channels: usize, depth_multiplier: usize) -> Result<usize> {
    positive("depth_multiplier", depth_multiplier)?;
    let too_large = || Error::model("there are too many channels").got(format!("{channels} × {depth_multiplier}"));
    channels.checked_mul(depth_multiplier).ok_or_else(too_large)
}
