//! A layer's settings, key by key as Keras 3 writes them. One struct per class: what Keras calls `config`, less the keys
//! that every layer has (`name`, `trainable`, `dtype`).

use serde::{Deserialize, Serialize};

use super::values::{Absent, Activation, DataFormat, Initializer, Padding, Pair};

const fn glorot_uniform() -> Initializer {
    Initializer::GlorotUniform
}
const fn zeros() -> Initializer {
    Initializer::Zeros
}
const fn ones() -> Initializer {
    Initializer::Ones
}
const fn yes() -> bool {
    true
}
const fn one() -> usize {
    1
}
const fn single() -> Pair {
    Pair::square(1)
}
const fn double() -> Pair {
    Pair::square(2)
}

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
    /// Not supported.
    #[serde(default)]
    pub kernel_regularizer: Absent,
    /// Not supported.
    #[serde(default)]
    pub bias_regularizer: Absent,
    /// Not supported.
    #[serde(default)]
    pub activity_regularizer: Absent,
    /// Not supported.
    #[serde(default)]
    pub kernel_constraint: Absent,
    /// Not supported.
    #[serde(default)]
    pub bias_constraint: Absent,
}

/// The largest value of each window.
///
/// `[N, H, W, C] → [N, H', W', C]`, sizes as for [`Conv2D`] with the pool as window.
/// <https://keras.io/api/layers/pooling_layers/max_pooling2d/>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MaxPooling2D {
    /// The window, in pixels.
    #[serde(default = "double")]
    pub pool_size: Pair,
    /// What happens at the border; padded pixels never win.
    #[serde(default)]
    pub padding: Padding,
    /// The window's step; the window itself where absent.
    #[serde(default)]
    pub strides: Option<Pair>,
    /// Always `channels_last`.
    #[serde(default)]
    pub data_format: DataFormat,
}

/// The mean over height and width: `[N, H, W, C] → [N, C]`.
/// <https://keras.io/api/layers/pooling_layers/global_average_pooling2d/>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GlobalAveragePooling2D {
    /// Always `channels_last`.
    #[serde(default)]
    pub data_format: DataFormat,
    /// Whether the output is `[N, 1, 1, C]` instead.
    #[serde(default)]
    pub keepdims: bool,
}

/// In training, sets a share of the values to 0 and scales the others up: any shape, unchanged.
/// <https://keras.io/api/layers/regularization_layers/dropout/>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dropout {
    /// The share that is dropped, in `[0, 1)`.
    pub rate: f64,
    /// Ignored: every seed derives from the run's.
    #[serde(default)]
    pub seed: Option<i64>,
    /// Not supported.
    #[serde(default)]
    pub noise_shape: Absent,
}

/// All values of an image as one vector, in height, width, channel order: `[N, H, W, C] → [N, H·W·C]`.
/// <https://keras.io/api/layers/reshaping_layers/flatten/>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Flatten {
    /// Always `channels_last`.
    #[serde(default)]
    pub data_format: DataFormat,
}

/// A fully connected layer on the last axis: `[…, C] → […, units]`.
/// <https://keras.io/api/layers/core_layers/dense/>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dense {
    /// Outputs.
    pub units: usize,
    /// What follows the bias.
    #[serde(default)]
    pub activation: Activation,
    /// Whether there is a bias, one value a unit.
    #[serde(default = "yes")]
    pub use_bias: bool,
    /// How the kernel begins.
    #[serde(default = "glorot_uniform")]
    pub kernel_initializer: Initializer,
    /// How the bias begins.
    #[serde(default = "zeros")]
    pub bias_initializer: Initializer,
    /// Not supported.
    #[serde(default)]
    pub kernel_regularizer: Absent,
    /// Not supported.
    #[serde(default)]
    pub bias_regularizer: Absent,
    /// Not supported.
    #[serde(default)]
    pub kernel_constraint: Absent,
    /// Not supported.
    #[serde(default)]
    pub bias_constraint: Absent,
    /// Not supported.
    #[serde(default)]
    pub quantization_config: Absent,
}

/// An activation function as a layer: any shape, unchanged.
/// <https://keras.io/api/layers/core_layers/activation_layer/>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActivationLayer {
    /// The function.
    pub activation: Activation,
}

/// Batch normalisation over the last axis (Ioffe and Szegedy 2015), with Keras's moving statistics: any shape, unchanged.
/// <https://keras.io/api/layers/normalization_layers/batch_normalization/>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BatchNormalization {
    /// The channel axis: always the last.
    #[serde(default)]
    pub axis: LastAxis,
    /// How much of the old moving statistics a step keeps.
    #[serde(default = "BatchNormalization::default_momentum")]
    pub momentum: f64,
    /// Added to the variance.
    #[serde(default = "BatchNormalization::default_epsilon")]
    pub epsilon: f64,
    /// Whether there is an offset (`beta`).
    #[serde(default = "yes")]
    pub center: bool,
    /// Whether there is a factor (`gamma`).
    #[serde(default = "yes")]
    pub scale: bool,
    /// How the offset begins.
    #[serde(default = "zeros")]
    pub beta_initializer: Initializer,
    /// How the factor begins.
    #[serde(default = "ones")]
    pub gamma_initializer: Initializer,
    /// How the moving mean begins.
    #[serde(default = "zeros")]
    pub moving_mean_initializer: Initializer,
    /// How the moving variance begins.
    #[serde(default = "ones")]
    pub moving_variance_initializer: Initializer,
    /// Not supported.
    #[serde(default)]
    pub beta_regularizer: Absent,
    /// Not supported.
    #[serde(default)]
    pub gamma_regularizer: Absent,
    /// Not supported.
    #[serde(default)]
    pub beta_constraint: Absent,
    /// Not supported.
    #[serde(default)]
    pub gamma_constraint: Absent,
    /// Ignored: there is one device.
    #[serde(default)]
    pub synchronized: bool,
    /// Not supported: has to be `false`.
    #[serde(default)]
    pub renorm: No,
    /// Not supported.
    #[serde(default)]
    pub renorm_clipping: Absent,
    /// Ignored without `renorm`.
    #[serde(default = "BatchNormalization::default_momentum")]
    pub renorm_momentum: f64,
}

impl BatchNormalization {
    fn default_momentum() -> f64 {
        0.99
    }

    fn default_epsilon() -> f64 {
        1e-3
    }
}

/// The last axis, which Keras writes as -1 and older versions as a list of one positive number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct LastAxis;

impl TryFrom<i64> for LastAxis {
    type Error = String;

    fn try_from(axis: i64) -> Result<Self, String> {
        match axis {
            -1 => Ok(LastAxis),
            other => Err(format!("expected axis -1, the channels, got {other}")),
        }
    }
}

impl From<LastAxis> for i64 {
    fn from(_: LastAxis) -> Self {
        -1
    }
}

/// A switch that has to be off: what it would turn on is not supported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "bool", into = "bool")]
pub struct No;

impl TryFrom<bool> for No {
    type Error = String;

    fn try_from(on: bool) -> Result<Self, String> {
        if on { Err("expected false (not supported here), got true".into()) } else { Ok(No) }
    }
}

impl From<No> for bool {
    fn from(_: No) -> Self {
        false
    }
}
