//! Convolution and its transpose.

use serde::{Deserialize, Serialize};

use super::super::info::{WeightInfo, WeightOrder};
use super::super::options::{Activation, Constraint, DataFormat, Initializer, Padding, Pair, Regularizer};
use super::super::window;
use super::{Effect, Inferred, LayerRules, glorot_uniform, image, one, positive, single, vector, yes, zeros};
use crate::error::{Error, Result};

/// 2-D convolution.
///
/// `[N, H, W, C] → [N, H', W', filters]`, `valid`: H' = ⌈(H − (kh − 1)·dh) / sh⌉, `same`: H' = ⌈H / sh⌉ (and W alike).
/// <https://keras.io/api/layers/convolution_layers/convolution2d/>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Conv2D {
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
    /// Into how many separate groups the channels fall.
    #[serde(default = "one")]
    pub groups: usize,
    /// What follows the bias.
    #[serde(default)]
    pub activation: Activation,
    /// Whether there is a bias, one value a filter.
    #[serde(default = "yes")]
    pub use_bias: bool,
    /// How the kernel begins.
    #[serde(default = "glorot_uniform")]
    pub kernel_initializer: Initializer,
    /// How the bias begins.
    #[serde(default = "zeros")]
    pub bias_initializer: Initializer,
    /// A loss on the kernel.
    #[serde(default)]
    pub kernel_regularizer: Option<Regularizer>,
    /// A loss on the bias.
    #[serde(default)]
    pub bias_regularizer: Option<Regularizer>,
    /// A loss on the output: read, and refused in training.
    #[serde(default)]
    pub activity_regularizer: Option<Regularizer>,
    /// What the kernel is held to.
    #[serde(default)]
    pub kernel_constraint: Option<Constraint>,
    /// What the bias is held to.
    #[serde(default)]
    pub bias_constraint: Option<Constraint>,
}

impl LayerRules for Conv2D {
    // The shape `[H', W', filters]` and the weights kernel `(kh, kw, C/groups, filters)` and bias `(filters)`.
    fn infer(&self, input: &[usize]) -> Inferred {
        let [height, width, channels] = image(input)?;
        positive("filters", self.filters)?;
        positive("groups", self.groups)?;
        if !channels.is_multiple_of(self.groups) || !self.filters.is_multiple_of(self.groups) {
            return Err(Error::model("channels and filters do not fall into the groups")
                .expected(format!("multiples of groups = {}", self.groups))
                .got(format!("{channels} channels, {} filters", self.filters)));
        }
        not_both(self.strides, self.dilation_rate)?;
        let out = window::output((height, width), self.kernel_size, self.strides, self.dilation_rate, self.padding)?;
        let Pair { height: kh, width: kw } = self.kernel_size;
        let kernel = vec![kh, kw, channels / self.groups, self.filters];
        let kernel = WeightInfo::new(["weight", "kernel"], kernel, WeightOrder::Convolution, self.kernel_initializer);
        let mut weights = vec![kernel.held(self.kernel_regularizer, &self.kernel_constraint)];
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

/// As Keras has it: a convolution either jumps or spreads.
pub(super) fn not_both(strides: Pair, dilation_rate: Pair) -> Result<()> {
    match strides != Pair::square(1) && dilation_rate != Pair::square(1) {
        true => Err(Error::model("strides and dilation_rate cannot both be above 1")),
        false => Ok(()),
    }
}

/// The transpose of 2-D convolution.
///
/// `[N, H, W, C] → [N, H', W', filters]`, `same`: H' = H·sh, `valid`: H' = H·sh + max(kh − sh, 0); with an output padding
/// H' = (H − 1)·sh + kh + padding, less 2·⌊kh / 2⌋ for `same`.
/// <https://keras.io/api/layers/convolution_layers/convolution2d_transpose/>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Conv2DTranspose {
    /// Output channels.
    pub filters: usize,
    /// The window, in pixels.
    pub kernel_size: Pair,
    /// The window's step in the output, in pixels.
    #[serde(default = "single")]
    pub strides: Pair,
    /// What is cut off at the border.
    #[serde(default)]
    pub padding: Padding,
    /// Pixels added to the output after; Keras's own choice where absent.
    #[serde(default)]
    pub output_padding: Option<Pair>,
    /// Always `channels_last`.
    #[serde(default)]
    pub data_format: DataFormat,
    /// Not supported above 1.
    #[serde(default = "single")]
    pub dilation_rate: Pair,
    /// What follows the bias.
    #[serde(default)]
    pub activation: Activation,
    /// Whether there is a bias, one value a filter.
    #[serde(default = "yes")]
    pub use_bias: bool,
    /// How the kernel begins.
    #[serde(default = "glorot_uniform")]
    pub kernel_initializer: Initializer,
    /// How the bias begins.
    #[serde(default = "zeros")]
    pub bias_initializer: Initializer,
    /// A loss on the kernel.
    #[serde(default)]
    pub kernel_regularizer: Option<Regularizer>,
    /// A loss on the bias.
    #[serde(default)]
    pub bias_regularizer: Option<Regularizer>,
    /// A loss on the output: read, and refused in training.
    #[serde(default)]
    pub activity_regularizer: Option<Regularizer>,
    /// What the kernel is held to.
    #[serde(default)]
    pub kernel_constraint: Option<Constraint>,
    /// What the bias is held to.
    #[serde(default)]
    pub bias_constraint: Option<Constraint>,
}

impl LayerRules for Conv2DTranspose {
    // The shape `[H', W', filters]` and the weights kernel `(kh, kw, filters, C)` and bias `(filters)`.
    fn infer(&self, input: &[usize]) -> Inferred {
        let [height, width, channels] = image(input)?;
        positive("filters", self.filters)?;
        if self.dilation_rate != Pair::square(1) {
            return Err(Error::model("a dilated Conv2DTranspose is not supported")
                .expected("dilation_rate [1, 1]")
                .got(format!("[{}, {}]", self.dilation_rate.height, self.dilation_rate.width)));
        }
        let out = self.output_size(height, width)?;
        let Pair { height: kh, width: kw } = self.kernel_size;
        let kernel = vec![kh, kw, self.filters, channels];
        let kernel = WeightInfo::new(["weight", "kernel"], kernel, WeightOrder::Convolution, self.kernel_initializer);
        let mut weights = vec![kernel.held(self.kernel_regularizer, &self.kernel_constraint)];
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

impl Conv2DTranspose {
    /// The output's height and width.
    fn output_size(&self, height: usize, width: usize) -> Result<Pair> {
        let padding = self.output_padding;
        let axis = |axis: &str, n, k, s, added| window::transposed_output(axis, n, k, s, self.padding, added);
        let (size, step) = (self.kernel_size, self.strides);
        Ok(Pair {
            height: axis("height", height, size.height, step.height, padding.map(|padding| padding.height))?,
            width: axis("width", width, size.width, step.width, padding.map(|padding| padding.width))?,
        })
    }
}
