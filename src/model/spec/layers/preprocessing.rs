//! What a network does to its input before it looks at it, in training and otherwise.

use serde::{Deserialize, Serialize};

use super::super::info::{WeightInfo, WeightOrder};
use super::super::options::{Axes, DataFormat, Initializer, No, Numbers};
use super::augmentation::{FillMode, Interpolation};
use super::{Effect, Inferred, LayerRules, image, last, positive, unchanged};
use crate::error::{Error, Result};

/// `x · scale + offset`: any shape, unchanged.
/// <https://keras.io/api/layers/preprocessing_layers/image_preprocessing/rescaling/>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rescaling {
    /// The factor, or one for each channel.
    pub scale: Numbers,
    /// What is added, or one for each channel.
    #[serde(default = "Rescaling::no_offset")]
    pub offset: Numbers,
}

impl LayerRules for Rescaling {
    fn infer(&self, input: &[usize]) -> Inferred {
        for (key, numbers) in [("scale", &self.scale), ("offset", &self.offset)] {
            fits(numbers, input).map_err(|error| error.at(key))?;
        }
        unchanged(input)
    }

    fn effect(&self, _input: &[usize], _output: &[usize]) -> Effect {
        Effect::Scales
    }
}

impl Rescaling {
    fn no_offset() -> Numbers {
        Numbers::One(0.0)
    }
}

/// `(x - mean) / max(√variance, 1e-7)`: any shape, unchanged. Without a mean and a variance of its own it has them, one
/// a channel, as weights that Keras's `adapt` has set.
/// <https://keras.io/api/layers/preprocessing_layers/numerical/normalization/>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Normalization {
    /// The axes that have a mean and a variance for each place, by default the last; none for all together.
    #[serde(default = "Normalization::default_axis")]
    pub axis: Option<Axes>,
    /// Whether the other way round: `x · max(√variance, 1e-7) + mean`.
    #[serde(default)]
    pub invert: bool,
    /// The mean.
    #[serde(default)]
    pub mean: Option<Numbers>,
    /// The variance.
    #[serde(default)]
    pub variance: Option<Numbers>,
}

impl LayerRules for Normalization {
    // The weights mean, variance and count, where the settings do not have them.
    fn infer(&self, input: &[usize]) -> Inferred {
        let axes = self.kept_axes(input)?;
        match (&self.mean, &self.variance) {
            (Some(mean), Some(variance)) => {
                // a list lies along the last axis, in Keras, too
                let rest = &axes[..axes.len() - usize::from(axes.last() == Some(&input.len()))];
                if let (Some(_), true) = (rest.first(), mean.values().len() > 1 || variance.values().len() > 1) {
                    let wrong = Error::model("numbers for each place are supported along the last axis only");
                    return Err(wrong.got(format!("{axes:?}")).at("axis"));
                }
                fits(mean, input).map_err(|error| error.at("mean"))?;
                fits(variance, input).map_err(|error| error.at("variance"))?;
                unchanged(input)
            }
            (None, None) => {
                let shape: Vec<usize> = axes.iter().map(|&axis| input[axis - 1]).collect();
                Ok((input.to_vec(), adapted(&shape)))
            }
            _ => Err(Error::model("mean and variance are either both there or both absent")),
        }
    }

    fn effect(&self, _input: &[usize], _output: &[usize]) -> Effect {
        Effect::Scales
    }
}

impl Normalization {
    fn default_axis() -> Option<Axes> {
        Some(Axes::Many(vec![-1]))
    }

    /// The axes that have statistics of their own for each place, ascending, the batch being axis 0.
    ///
    /// # Errors
    /// A model error where one is not there or is the batch.
    pub fn kept_axes(&self, input: &[usize]) -> Result<Vec<usize>> {
        let axes = self.axis.as_ref().map_or(Ok(vec![]), |axis| axis.resolve(input.len() + 1))?;
        match axes.first() {
            Some(0) => Err(Error::model("the batch has no statistics of its own").at("axis")),
            _ => Ok(axes),
        }
    }
}

fn adapted(shape: &[usize]) -> Vec<WeightInfo> {
    let weight = |name, shape: &[usize], initializer| WeightInfo {
        trainable: false,
        ..WeightInfo::new([name, name], shape.to_vec(), WeightOrder::Same, initializer)
    };
    vec![
        weight("mean", shape, Initializer::Zeros),
        weight("variance", shape, Initializer::Ones),
        weight("count", &[], Initializer::Zeros),
    ]
}

/// One number, or as many as there are channels.
fn fits(numbers: &Numbers, input: &[usize]) -> Result<()> {
    let channels = last(input)?;
    match numbers.values().len() {
        1 => Ok(()),
        count if count == channels => Ok(()),
        count => Err(Error::model("the numbers are not one for each channel")
            .expected(format!("1 or {channels} numbers"))
            .got(count)),
    }
}

/// The middle of an image: `[N, H, W, C] → [N, height, width, C]`.
/// <https://keras.io/api/layers/preprocessing_layers/image_preprocessing/center_crop/>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CenterCrop {
    /// Always `channels_last`.
    #[serde(default)]
    pub data_format: DataFormat,
    /// The output's height, at most the input's.
    pub height: usize,
    /// The output's width, at most the input's.
    pub width: usize,
}

impl LayerRules for CenterCrop {
    fn infer(&self, input: &[usize]) -> Inferred {
        let [height, width, channels] = image(input)?;
        positive("height", self.height)?;
        positive("width", self.width)?;
        match self.height <= height && self.width <= width {
            true => Ok((vec![self.height, self.width, channels], vec![])),
            false => Err(Error::model("a CenterCrop of less than its size, which Keras resizes, is not supported")
                .expected(format!("at least {} × {} pixels", self.height, self.width))
                .got(format!("{height} × {width}"))),
        }
    }

    fn effect(&self, _input: &[usize], _output: &[usize]) -> Effect {
        Effect::Moves { keeps_classes: true }
    }
}

/// An image in another size: `[N, H, W, C] → [N, height, width, C]`.
/// <https://keras.io/api/layers/preprocessing_layers/image_preprocessing/resizing/>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resizing {
    /// Always `channels_last`.
    #[serde(default)]
    pub data_format: DataFormat,
    /// The output's height.
    pub height: usize,
    /// The output's width.
    pub width: usize,
    /// Where new values come from.
    #[serde(default = "Interpolation::bilinear")]
    pub interpolation: Interpolation,
    /// Not supported: has to be `false`.
    #[serde(default)]
    pub crop_to_aspect_ratio: No,
    /// Not supported: has to be `false`.
    #[serde(default)]
    pub pad_to_aspect_ratio: No,
    /// Ignored without `pad_to_aspect_ratio`.
    #[serde(default = "FillMode::constant")]
    pub fill_mode: FillMode,
    /// Ignored without `pad_to_aspect_ratio`.
    #[serde(default)]
    pub fill_value: f64,
    /// Not supported: has to be `false`.
    #[serde(default)]
    pub antialias: No,
}

impl LayerRules for Resizing {
    fn infer(&self, input: &[usize]) -> Inferred {
        let [_, _, channels] = image(input)?;
        positive("height", self.height)?;
        positive("width", self.width)?;
        Ok((vec![self.height, self.width, channels], vec![]))
    }

    fn effect(&self, _input: &[usize], _output: &[usize]) -> Effect {
        Effect::Moves { keeps_classes: true }
    }
}
