//! One value for each window, or for each channel.

use serde::{Deserialize, Serialize};

use super::super::options::{DataFormat, Padding, Pair};
use super::super::window;
use super::{Effect, Inferred, LayerRules, double, image};

/// The largest value of each window.
///
/// `[N, H, W, C] → [N, H', W', C]`, sizes as for [`super::Conv2D`] with the pool as window.
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

impl LayerRules for MaxPooling2D {
    fn infer(&self, input: &[usize]) -> Inferred {
        infer(input, self.pool_size, self.strides, self.padding)
    }

    fn effect(&self, _input: &[usize], _output: &[usize]) -> Effect {
        Effect::Pools
    }
}

/// The mean of each window, over the pixels that are there.
///
/// `[N, H, W, C] → [N, H', W', C]`, sizes as for [`super::Conv2D`] with the pool as window.
/// <https://keras.io/api/layers/pooling_layers/average_pooling2d/>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AveragePooling2D {
    /// The window, in pixels.
    #[serde(default = "double")]
    pub pool_size: Pair,
    /// What happens at the border; padded pixels do not count.
    #[serde(default)]
    pub padding: Padding,
    /// The window's step; the window itself where absent.
    #[serde(default)]
    pub strides: Option<Pair>,
    /// Always `channels_last`.
    #[serde(default)]
    pub data_format: DataFormat,
}

impl LayerRules for AveragePooling2D {
    fn infer(&self, input: &[usize]) -> Inferred {
        infer(input, self.pool_size, self.strides, self.padding)
    }

    fn effect(&self, _input: &[usize], _output: &[usize]) -> Effect {
        Effect::Pools
    }
}

fn infer(input: &[usize], pool_size: Pair, strides: Option<Pair>, padding: Padding) -> Inferred {
    let [height, width, channels] = image(input)?;
    let strides = strides.unwrap_or(pool_size);
    let out = window::output((height, width), pool_size, strides, Pair::square(1), padding)?;
    Ok((vec![out.height, out.width, channels], vec![]))
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

impl LayerRules for GlobalAveragePooling2D {
    fn infer(&self, input: &[usize]) -> Inferred {
        infer_global(input, self.keepdims)
    }

    fn effect(&self, _input: &[usize], _output: &[usize]) -> Effect {
        Effect::Pools
    }
}

/// The largest value over height and width: `[N, H, W, C] → [N, C]`.
/// <https://keras.io/api/layers/pooling_layers/global_max_pooling2d/>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GlobalMaxPooling2D {
    /// Always `channels_last`.
    #[serde(default)]
    pub data_format: DataFormat,
    /// Whether the output is `[N, 1, 1, C]` instead.
    #[serde(default)]
    pub keepdims: bool,
}

impl LayerRules for GlobalMaxPooling2D {
    fn infer(&self, input: &[usize]) -> Inferred {
        infer_global(input, self.keepdims)
    }

    fn effect(&self, _input: &[usize], _output: &[usize]) -> Effect {
        Effect::Pools
    }
}

/// What either global pooling leaves of an image.
fn infer_global(input: &[usize], keepdims: bool) -> Inferred {
    let [_, _, channels] = image(input)?;
    Ok((if keepdims { vec![1, 1, channels] } else { vec![channels] }, vec![]))
}
