//! Random changes of images in training, one draw for each image; the identity otherwise. All leave the shape as it is.

use serde::{Deserialize, Serialize};

use super::super::options::{Bounds, DataFormat};
use super::{Effect, Inferred, LayerRules, image, unchanged};
use crate::error::Error;

const fn colours() -> [f64; 2] {
    [0.0, 255.0]
}

/// What lies beyond an image's border.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FillMode {
    /// The image mirrored, the border's pixels twice: `d c b a | a b c d | d c b a`.
    #[default]
    Reflect,
    /// One value.
    Constant,
    /// The image again. Read, and refused in training.
    Wrap,
    /// The border's pixels.
    Nearest,
}

impl FillMode {
    pub(super) const fn constant() -> Self {
        FillMode::Constant
    }
}

/// How values between pixels are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interpolation {
    /// The nearest pixel's.
    Nearest,
    /// Linearly from the four around, pixels having their values at their centres.
    Bilinear,
}

impl Interpolation {
    pub(super) const fn nearest() -> Self {
        Interpolation::Nearest
    }

    pub(super) const fn bilinear() -> Self {
        Interpolation::Bilinear
    }
}

/// Along which axes images are mirrored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlipMode {
    /// Both, by one draw (Keras 3).
    #[default]
    HorizontalAndVertical,
    /// Left and right.
    Horizontal,
    /// Top and bottom.
    Vertical,
}

/// Mirrors half of the images.
/// <https://keras.io/api/layers/preprocessing_layers/image_augmentation/random_flip/>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RandomFlip {
    /// Always `channels_last`.
    #[serde(default)]
    pub data_format: DataFormat,
    /// Ignored: every seed derives from the run's.
    #[serde(default)]
    pub seed: Option<i64>,
    /// Along which axes.
    #[serde(default)]
    pub mode: FlipMode,
}

impl LayerRules for RandomFlip {
    fn infer(&self, input: &[usize]) -> Inferred {
        infer(input, &[])
    }

    fn effect(&self, _input: &[usize], _output: &[usize]) -> Effect {
        Effect::Augments
    }
}

/// Turns images about their middle.
/// <https://keras.io/api/layers/preprocessing_layers/image_augmentation/random_rotation/>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RandomRotation {
    /// Always `channels_last`.
    #[serde(default)]
    pub data_format: DataFormat,
    /// The bounds of the angle, in turns.
    pub factor: Bounds,
    /// What comes in from outside.
    #[serde(default)]
    pub fill_mode: FillMode,
    /// The value of [`FillMode::Constant`].
    #[serde(default)]
    pub fill_value: f64,
    /// Where values between pixels come from.
    #[serde(default = "Interpolation::bilinear")]
    pub interpolation: Interpolation,
    /// Ignored: every seed derives from the run's.
    #[serde(default)]
    pub seed: Option<i64>,
}

impl LayerRules for RandomRotation {
    fn infer(&self, input: &[usize]) -> Inferred {
        infer(input, &[self.factor])
    }

    fn effect(&self, _input: &[usize], _output: &[usize]) -> Effect {
        Effect::Augments
    }
}

/// Shows images larger (factors below 0) or smaller (above).
/// <https://keras.io/api/layers/preprocessing_layers/image_augmentation/random_zoom/>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RandomZoom {
    /// Always `channels_last`.
    #[serde(default)]
    pub data_format: DataFormat,
    /// The bounds of the change along the height.
    pub height_factor: Bounds,
    /// The bounds of the change along the width; that of the height where absent.
    #[serde(default)]
    pub width_factor: Option<Bounds>,
    /// What comes in from outside.
    #[serde(default)]
    pub fill_mode: FillMode,
    /// Where values between pixels come from.
    #[serde(default = "Interpolation::bilinear")]
    pub interpolation: Interpolation,
    /// Ignored: every seed derives from the run's.
    #[serde(default)]
    pub seed: Option<i64>,
    /// The value of [`FillMode::Constant`].
    #[serde(default)]
    pub fill_value: f64,
}

impl LayerRules for RandomZoom {
    fn infer(&self, input: &[usize]) -> Inferred {
        infer(input, &[self.height_factor, self.width_factor.unwrap_or(self.height_factor)])
    }

    fn effect(&self, _input: &[usize], _output: &[usize]) -> Effect {
        Effect::Augments
    }
}

/// Moves images down and to the right (or, by negative factors, up and to the left).
/// <https://keras.io/api/layers/preprocessing_layers/image_augmentation/random_translation/>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RandomTranslation {
    /// Always `channels_last`.
    #[serde(default)]
    pub data_format: DataFormat,
    /// The bounds of the way down, in heights.
    pub height_factor: Bounds,
    /// The bounds of the way to the right, in widths.
    pub width_factor: Bounds,
    /// What comes in from outside.
    #[serde(default)]
    pub fill_mode: FillMode,
    /// Where values between pixels come from.
    #[serde(default = "Interpolation::bilinear")]
    pub interpolation: Interpolation,
    /// Ignored: every seed derives from the run's.
    #[serde(default)]
    pub seed: Option<i64>,
    /// The value of [`FillMode::Constant`].
    #[serde(default)]
    pub fill_value: f64,
}

impl LayerRules for RandomTranslation {
    fn infer(&self, input: &[usize]) -> Inferred {
        infer(input, &[self.height_factor, self.width_factor])
    }

    fn effect(&self, _input: &[usize], _output: &[usize]) -> Effect {
        Effect::Augments
    }
}

/// Moves each channel's values away from their mean, by a factor from 1 − low to 1 + high.
/// <https://keras.io/api/layers/preprocessing_layers/image_augmentation/random_contrast/>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RandomContrast {
    /// Always `channels_last`.
    #[serde(default)]
    pub data_format: DataFormat,
    /// Low and high.
    pub factor: [f64; 2],
    /// What the result is held to.
    #[serde(default = "colours")]
    pub value_range: [f64; 2],
    /// Ignored: every seed derives from the run's.
    #[serde(default)]
    pub seed: Option<i64>,
}

impl LayerRules for RandomContrast {
    fn infer(&self, input: &[usize]) -> Inferred {
        infer(input, &[])
    }

    fn effect(&self, _input: &[usize], _output: &[usize]) -> Effect {
        Effect::Augments
    }
}

/// Adds a share of the value range.
/// <https://keras.io/api/layers/preprocessing_layers/image_augmentation/random_brightness/>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RandomBrightness {
    /// Always `channels_last`.
    #[serde(default)]
    pub data_format: DataFormat,
    /// The bounds of the share.
    pub factor: Bounds,
    /// What the result is held to.
    #[serde(default = "colours")]
    pub value_range: [f64; 2],
    /// Ignored: every seed derives from the run's.
    #[serde(default)]
    pub seed: Option<i64>,
}

impl LayerRules for RandomBrightness {
    fn infer(&self, input: &[usize]) -> Inferred {
        infer(input, &[self.factor])
    }

    fn effect(&self, _input: &[usize], _output: &[usize]) -> Effect {
        Effect::Augments
    }
}

/// A layer of this file: it needs images and bounds in order.
fn infer(input: &[usize], bounds: &[Bounds]) -> Inferred {
    image(input)?;
    for [low, high] in bounds.iter().map(|bounds| bounds.ends()) {
        if !(low <= high && (high - low).is_finite()) {
            return Err(Error::model("a random factor's bounds are not in order")
                .expected("[low, high]")
                .got(format!("[{low}, {high}]")));
        }
    }
    unchanged(input)
}
