//! Noise in training, the identity otherwise. All leave the shape as it is.

use serde::{Deserialize, Serialize};

use super::super::options::{DataFormat, Null};
use super::{Effect, Inferred, LayerRules, share, unchanged};
use crate::error::Error;

/// Sets a share of the values to 0 and scales the others up.
/// <https://keras.io/api/layers/regularization_layers/dropout/>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dropout {
    /// The share that is dropped, in `[0, 1)`.
    pub rate: f64,
    /// Ignored: every seed derives from the run's.
    #[serde(default)]
    pub seed: Option<i64>,
    /// The shape of what is drawn, with the batch: 1 where values share a draw, the input's own size or nothing where not.
    #[serde(default)]
    pub noise_shape: Option<Vec<Option<usize>>>,
}

impl Dropout {
    /// For each axis of Keras's, the batch's first, whether its values share a draw; `None` where none do.
    pub fn shared_axes(&self) -> Option<Vec<bool>> {
        let shared: Vec<bool> = self.noise_shape.as_ref()?.iter().map(|size| *size == Some(1)).collect();
        shared.contains(&true).then_some(shared)
    }
}

impl LayerRules for Dropout {
    fn infer(&self, input: &[usize]) -> Inferred {
        if let Some(noise) = &self.noise_shape {
            let [batch, sizes @ ..] = &noise[..] else { return Err(unfit_noise(noise, input)) };
            let fits = |(noise, size): (&Option<usize>, &usize)| noise.is_none_or(|noise| noise == 1 || noise == *size);
            if !matches!(batch, None | Some(1)) || sizes.len() != input.len() || !sizes.iter().zip(input).all(fits) {
                return Err(unfit_noise(noise, input));
            }
        }
        place_rate(input, self.rate)
    }

    fn effect(&self, _input: &[usize], _output: &[usize]) -> Effect {
        Effect::Noise { amount: self.rate }
    }
}

/// As [`Dropout`], for whole channels of an image.
/// <https://keras.io/api/layers/regularization_layers/spatial_dropout2d/>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpatialDropout2D {
    /// The share that is dropped, in `[0, 1)`.
    pub rate: f64,
    /// Ignored: every seed derives from the run's.
    #[serde(default)]
    pub seed: Option<i64>,
    /// Always `channels_last`.
    #[serde(default)]
    pub data_format: DataFormat,
}

/// Dropout that keeps mean and variance of self-normalising networks (Klambauer and others 2017).
/// <https://keras.io/api/layers/regularization_layers/alpha_dropout/>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlphaDropout {
    /// The share that is dropped, in `[0, 1)`.
    pub rate: f64,
    /// Ignored: every seed derives from the run's.
    #[serde(default)]
    pub seed: Option<i64>,
    /// Not supported.
    #[serde(default)]
    pub noise_shape: Null,
}

impl LayerRules for AlphaDropout {
    fn infer(&self, input: &[usize]) -> Inferred {
        place_rate(input, self.rate)
    }

    fn effect(&self, _input: &[usize], _output: &[usize]) -> Effect {
        Effect::Noise { amount: self.rate }
    }
}

/// Multiplies by normal values of mean 1 and variance rate / (1 - rate).
/// <https://keras.io/api/layers/regularization_layers/gaussian_dropout/>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GaussianDropout {
    /// What the variance comes from, in `[0, 1)`.
    pub rate: f64,
    /// Ignored: every seed derives from the run's.
    #[serde(default)]
    pub seed: Option<i64>,
}

impl LayerRules for GaussianDropout {
    fn infer(&self, input: &[usize]) -> Inferred {
        place_rate(input, self.rate)
    }

    fn effect(&self, _input: &[usize], _output: &[usize]) -> Effect {
        Effect::Noise { amount: self.rate }
    }
}

/// Adds normal values of mean 0.
/// <https://keras.io/api/layers/regularization_layers/gaussian_noise/>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GaussianNoise {
    /// Their standard deviation.
    pub stddev: f64,
    /// Ignored: every seed derives from the run's.
    #[serde(default)]
    pub seed: Option<i64>,
}

/// Sets whole images to 0 in training and scales the others up (Huang and others 2016): of ConvNeXt in
/// `keras.applications`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StochasticDepth {
    /// The share of the images, in `[0, 1)`.
    pub drop_path_rate: f64,
}

impl LayerRules for StochasticDepth {
    fn infer(&self, input: &[usize]) -> Inferred {
        place_rate(input, self.drop_path_rate)
    }

    fn effect(&self, _input: &[usize], _output: &[usize]) -> Effect {
        Effect::Noise { amount: self.drop_path_rate }
    }
}

fn unfit_noise(noise: &[Option<usize>], input: &[usize]) -> Error {
    let text = |size: &Option<usize>| size.map_or("null".to_owned(), |size| size.to_string());
    let shape: Vec<String> = noise.iter().map(text).collect();
    Error::model("the noise does not fit the input")
        .expected(format!("null or 1 for the batch, then for each of {input:?} null, 1 or its size"))
        .got(format!("[{}]", shape.join(", ")))
        .at("noise_shape")
}

/// A layer that only needs a `rate` in `[0, 1)`.
fn place_rate(input: &[usize], rate: f64) -> Inferred {
    share("dropout rate", rate)?;
    unchanged(input)
}

impl LayerRules for SpatialDropout2D {
    fn infer(&self, input: &[usize]) -> Inferred {
        super::image(input)?;
        place_rate(input, self.rate)
    }

    fn effect(&self, _input: &[usize], _output: &[usize]) -> Effect {
        Effect::Noise { amount: self.rate }
    }
}

impl LayerRules for GaussianNoise {
    fn infer(&self, input: &[usize]) -> Inferred {
        match self.stddev >= 0.0 && self.stddev.is_finite() {
            true => unchanged(input),
            false => Err(Error::model("stddev is out of range").expected("0 or more").got(self.stddev)),
        }
    }

    fn effect(&self, _input: &[usize], _output: &[usize]) -> Effect {
        Effect::Noise { amount: self.stddev }
    }
}
