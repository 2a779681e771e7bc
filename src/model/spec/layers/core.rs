//! The fully connected layer, and layers that compute next to nothing.

use serde::{Deserialize, Serialize};

use super::super::info::{WeightInfo, WeightOrder};
use super::super::options::{Activation, Constraint, Initializer, Null, Regularizer};
use super::{Effect, Inferred, LayerRules, glorot_uniform, last, positive, unchanged, vector, yes, zeros};

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
    /// A loss on the kernel.
    #[serde(default)]
    pub kernel_regularizer: Option<Regularizer>,
    /// A loss on the bias.
    #[serde(default)]
    pub bias_regularizer: Option<Regularizer>,
    /// What the kernel is held to.
    #[serde(default)]
    pub kernel_constraint: Option<Constraint>,
    /// What the bias is held to.
    #[serde(default)]
    pub bias_constraint: Option<Constraint>,
    /// Not supported.
    #[serde(default)]
    pub quantization_config: Null,
    /// A loss on the output: read, and refused in training. Keras 3 does not write it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activity_regularizer: Option<Regularizer>,
}

impl LayerRules for Dense {
    // The shape `[…, units]` and the weights kernel `(C, units)` and bias `(units)`.
    fn infer(&self, input: &[usize]) -> Inferred {
        let inputs = last(input)?;
        positive("units", self.units)?;
        let kernel = vec![inputs, self.units];
        let kernel = WeightInfo::new(["weight", "kernel"], kernel, WeightOrder::Dense, self.kernel_initializer);
        let mut weights = vec![kernel.held(self.kernel_regularizer, &self.kernel_constraint)];
        weights.extend(self.use_bias.then(|| {
            let bias = vector(["bias", "bias"], self.units, self.bias_initializer);
            bias.held(self.bias_regularizer, &self.bias_constraint)
        }));
        let mut output = input.to_vec();
        *output.last_mut().expect("checked above") = self.units;
        Ok((output, weights))
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

/// An activation function as a layer: any shape, unchanged.
/// <https://keras.io/api/layers/core_layers/activation_layer/>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActivationLayer {
    /// The function.
    pub activation: Activation,
}

impl LayerRules for ActivationLayer {
    fn infer(&self, input: &[usize]) -> Inferred {
        unchanged(input)
    }

    fn effect(&self, _input: &[usize], _output: &[usize]) -> Effect {
        Effect::Keeps
    }

    fn activation(&self) -> Activation {
        self.activation.clone()
    }
}

/// What comes in goes out: any shape, unchanged.
/// <https://keras.io/api/layers/core_layers/identity/>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Identity {}

impl LayerRules for Identity {
    fn infer(&self, input: &[usize]) -> Inferred {
        unchanged(input)
    }

    fn effect(&self, _input: &[usize], _output: &[usize]) -> Effect {
        Effect::Keeps
    }
}

/// A loss on what passes: any shape, unchanged. Read, and refused in training.
/// <https://keras.io/api/layers/regularization_layers/activity_regularization/>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActivityRegularization {
    /// The factor of the absolute values.
    #[serde(default)]
    pub l1: f64,
    /// The factor of the squares.
    #[serde(default)]
    pub l2: f64,
}

impl LayerRules for ActivityRegularization {
    fn infer(&self, input: &[usize]) -> Inferred {
        unchanged(input)
    }

    fn effect(&self, _input: &[usize], _output: &[usize]) -> Effect {
        Effect::Keeps
    }

    fn activity_regularizer(&self) -> Option<Regularizer> {
        (self.l1 != 0.0 || self.l2 != 0.0).then_some(Regularizer::L1L2 { l1: self.l1, l2: self.l2 })
    }
}
