//! Values brought to mean 0 and variance 1.

use serde::{Deserialize, Serialize};

use super::super::info::{WeightInfo, WeightOrder};
use super::super::options::{Axes, Constraint, Initializer, No, Null, Regularizer};
use super::{Effect, Inferred, LayerRules, last, one_axis, ones, thousandth, unchanged, vector, yes, zeros};
use crate::error::{Error, Result};

const fn most() -> f64 {
    0.99
}
const fn groups_of_32() -> i64 {
    32
}

/// Batch normalisation of each place along an axis (Ioffe and Szegedy 2015), with Keras's moving statistics: any shape, unchanged.
/// <https://keras.io/api/layers/normalization_layers/batch_normalization/>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BatchNormalization {
    /// The channel axis.
    #[serde(default)]
    pub axis: Axes,
    /// How much of the old moving statistics a step keeps.
    #[serde(default = "most")]
    pub momentum: f64,
    /// Added to the variance.
    #[serde(default = "thousandth")]
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
    /// A loss on the offset.
    #[serde(default)]
    pub beta_regularizer: Option<Regularizer>,
    /// A loss on the factor.
    #[serde(default)]
    pub gamma_regularizer: Option<Regularizer>,
    /// What the offset is held to.
    #[serde(default)]
    pub beta_constraint: Option<Constraint>,
    /// What the factor is held to.
    #[serde(default)]
    pub gamma_constraint: Option<Constraint>,
    /// Ignored: there is one device.
    #[serde(default)]
    pub synchronized: bool,
    /// Not supported: has to be `false`.
    #[serde(default)]
    pub renorm: No,
    /// Not supported.
    #[serde(default)]
    pub renorm_clipping: Null,
    /// Ignored without `renorm`.
    #[serde(default = "most")]
    pub renorm_momentum: f64,
}

impl LayerRules for BatchNormalization {
    // The weights gamma, beta, moving mean and moving variance, one value a channel.
    fn infer(&self, input: &[usize]) -> Inferred {
        let channels = input[self.channel_axis(input)? - 1];
        let mut weights = Vec::new();
        weights.extend(self.scale.then(|| {
            let gamma = vector(["weight", "gamma"], channels, self.gamma_initializer);
            gamma.held(self.gamma_regularizer, &self.gamma_constraint)
        }));
        weights.extend(self.center.then(|| {
            let beta = vector(["bias", "beta"], channels, self.beta_initializer);
            beta.held(self.beta_regularizer, &self.beta_constraint)
        }));
        let statistics = [
            vector(["running_mean", "moving_mean"], channels, self.moving_mean_initializer),
            vector(["running_var", "moving_variance"], channels, self.moving_variance_initializer),
        ];
        weights.extend(statistics.map(|weight| WeightInfo { trainable: false, ..weight }));
        Ok((input.to_vec(), weights))
    }

    fn effect(&self, _input: &[usize], _output: &[usize]) -> Effect {
        Effect::Scales
    }
}

impl BatchNormalization {
    /// The axis whose places each have a factor and an offset, of an input with the batch as axis 0.
    ///
    /// # Errors
    /// A model error where there is no such axis, it is the batch, or there are several.
    pub fn channel_axis(&self, input: &[usize]) -> Result<usize> {
        one_axis(&self.axis, input)
    }
}

/// Normalisation of each image by itself over some axes (Ba and others 2016): any shape, unchanged. Axis -1 of an image
/// means over the channels of each pixel.
/// <https://keras.io/api/layers/normalization_layers/layer_normalization/>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerNormalization {
    /// What is normalised together.
    #[serde(default)]
    pub axis: Axes,
    /// Added to the variance.
    #[serde(default = "thousandth")]
    pub epsilon: f64,
    /// Whether there is an offset (`beta`).
    #[serde(default = "yes")]
    pub center: bool,
    /// Whether there is a factor (`gamma`).
    #[serde(default = "yes")]
    pub scale: bool,
    /// Not supported: has to be `false`.
    #[serde(default)]
    pub rms_scaling: No,
    /// How the offset begins.
    #[serde(default = "zeros")]
    pub beta_initializer: Initializer,
    /// How the factor begins.
    #[serde(default = "ones")]
    pub gamma_initializer: Initializer,
    /// A loss on the offset.
    #[serde(default)]
    pub beta_regularizer: Option<Regularizer>,
    /// A loss on the factor.
    #[serde(default)]
    pub gamma_regularizer: Option<Regularizer>,
    /// What the offset is held to.
    #[serde(default)]
    pub beta_constraint: Option<Constraint>,
    /// What the factor is held to.
    #[serde(default)]
    pub gamma_constraint: Option<Constraint>,
}

impl LayerRules for LayerNormalization {
    // The weights gamma and beta, of the sizes of the axes in ascending order.
    fn infer(&self, input: &[usize]) -> Inferred {
        let sizes: Vec<usize> = self.axes(input.len() + 1)?.into_iter().map(|axis| input[axis - 1]).collect();
        let affine = |names, initializer| WeightInfo::new(names, sizes.clone(), WeightOrder::Same, initializer);
        let mut weights = Vec::new();
        weights.extend(self.scale.then(|| {
            let gamma = affine(["weight", "gamma"], self.gamma_initializer);
            gamma.held(self.gamma_regularizer, &self.gamma_constraint)
        }));
        weights.extend(self.center.then(|| {
            let beta = affine(["bias", "beta"], self.beta_initializer);
            beta.held(self.beta_regularizer, &self.beta_constraint)
        }));
        Ok((input.to_vec(), weights))
    }

    fn effect(&self, _input: &[usize], _output: &[usize]) -> Effect {
        Effect::Scales
    }
}

impl LayerNormalization {
    /// The axes that are normalised, ascending, of a batch with `rank` axes.
    ///
    /// # Errors
    /// A model error where an axis is not there or is the batch.
    pub fn axes(&self, rank: usize) -> Result<Vec<usize>> {
        not_the_batch(self.axis.resolve(rank)?)
    }
}

/// Normalisation of groups of channels of each image (Wu and He 2018): any shape, unchanged.
/// <https://keras.io/api/layers/normalization_layers/group_normalization/>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupNormalization {
    /// How many groups of neighbouring channels; -1 is one for each channel.
    #[serde(default = "groups_of_32")]
    pub groups: i64,
    /// The channel axis.
    #[serde(default)]
    pub axis: Axes,
    /// Added to the variance.
    #[serde(default = "thousandth")]
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
    /// A loss on the offset.
    #[serde(default)]
    pub beta_regularizer: Option<Regularizer>,
    /// A loss on the factor.
    #[serde(default)]
    pub gamma_regularizer: Option<Regularizer>,
    /// What the offset is held to.
    #[serde(default)]
    pub beta_constraint: Option<Constraint>,
    /// What the factor is held to.
    #[serde(default)]
    pub gamma_constraint: Option<Constraint>,
}

impl LayerRules for GroupNormalization {
    // The weights gamma and beta, one value a channel.
    fn infer(&self, input: &[usize]) -> Inferred {
        let channels = input[self.channel_axis(input)? - 1];
        self.num_groups(channels)?;
        let mut weights = Vec::new();
        weights.extend(self.scale.then(|| {
            let gamma = vector(["weight", "gamma"], channels, self.gamma_initializer);
            gamma.held(self.gamma_regularizer, &self.gamma_constraint)
        }));
        weights.extend(self.center.then(|| {
            let beta = vector(["bias", "beta"], channels, self.beta_initializer);
            beta.held(self.beta_regularizer, &self.beta_constraint)
        }));
        Ok((input.to_vec(), weights))
    }

    fn effect(&self, _input: &[usize], _output: &[usize]) -> Effect {
        Effect::Scales
    }
}

impl GroupNormalization {
    /// The axis whose places each have a factor and an offset, of an input with the batch as axis 0.
    ///
    /// # Errors
    /// A model error where there is no such axis, it is the batch, or there are several.
    pub fn channel_axis(&self, input: &[usize]) -> Result<usize> {
        one_axis(&self.axis, input)
    }

    /// Into how many groups `channels` fall.
    ///
    /// # Errors
    /// A model error where they do not fall into that many.
    pub fn num_groups(&self, channels: usize) -> Result<usize> {
        let groups = if self.groups == -1 { Some(channels) } else { usize::try_from(self.groups).ok() };
        let fits = groups.filter(|&groups| groups > 0 && channels.is_multiple_of(groups));
        fits.ok_or_else(|| {
            Error::model("the channels do not fall into the groups")
                .expected(format!("a number of groups that divides {channels} channels, or -1"))
                .got(self.groups)
        })
    }
}

/// Each image's vectors along some axes brought to length 1: any shape, unchanged.
/// <https://keras.io/api/layers/normalization_layers/unit_normalization/>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UnitNormalization {
    /// What a length is taken over.
    #[serde(default)]
    pub axis: Axes,
}

impl LayerRules for UnitNormalization {
    fn infer(&self, input: &[usize]) -> Inferred {
        self.axes(input.len() + 1)?;
        unchanged(input)
    }

    fn effect(&self, _input: &[usize], _output: &[usize]) -> Effect {
        Effect::Scales
    }
}

impl UnitNormalization {
    /// The axes that a length is taken over, ascending, of a batch with `rank` axes.
    ///
    /// # Errors
    /// A model error where an axis is not there or is the batch.
    pub fn axes(&self, rank: usize) -> Result<Vec<usize>> {
        not_the_batch(self.axis.resolve(rank)?)
    }
}

/// A factor for each channel: of ConvNeXt in `keras.applications` (Touvron and others 2021). Any shape, unchanged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerScale {
    /// What each factor begins with.
    pub init_values: f64,
    /// How many channels there are.
    pub projection_dim: usize,
}

impl LayerRules for LayerScale {
    // The weight gamma, one value a channel.
    fn infer(&self, input: &[usize]) -> Inferred {
        let channels = last(input)?;
        if channels != self.projection_dim {
            return Err(Error::model("the layer is for another number of channels")
                .expected(format!("projection_dim {channels}, as its input has"))
                .got(self.projection_dim)
                .at("projection_dim"));
        }
        let initializer = Initializer::Constant { value: self.init_values };
        Ok((input.to_vec(), vec![vector(["weight", "gamma"], channels, initializer)]))
    }

    fn effect(&self, _input: &[usize], _output: &[usize]) -> Effect {
        Effect::Scales
    }
}

fn not_the_batch(axes: Vec<usize>) -> Result<Vec<usize>> {
    match axes.first() {
        Some(0) => Err(Error::model("the batch cannot be normalised over").at("axis")),
        None => Err(Error::model("there is no axis to normalise over").at("axis")),
        Some(_) => Ok(axes),
    }
}
