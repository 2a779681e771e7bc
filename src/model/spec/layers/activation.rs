//! The rules of the activation functions that are layers of their own. All leave the shape as it is.

use serde::{Deserialize, Serialize};

use super::super::info::{WeightInfo, WeightOrder};
use super::super::options::{
    Activation, Axes, Constraint, ELU, FunctionLayer, Initializer, LeakyReLU, ReLU, Regularizer, Softmax,
};
use super::{Effect, Inferred, LayerRules, unchanged, zeros};
use crate::error::{Error, Result};

impl LayerRules for ReLU {
    fn infer(&self, input: &[usize]) -> Inferred {
        unchanged(input)
    }

    fn effect(&self, _input: &[usize], _output: &[usize]) -> Effect {
        Effect::Keeps
    }

    fn activation(&self) -> Activation {
        Activation::Layer(FunctionLayer::ReLU(self.clone()))
    }
}

impl LayerRules for LeakyReLU {
    fn infer(&self, input: &[usize]) -> Inferred {
        unchanged(input)
    }

    fn effect(&self, _input: &[usize], _output: &[usize]) -> Effect {
        Effect::Keeps
    }

    fn activation(&self) -> Activation {
        Activation::Layer(FunctionLayer::LeakyReLU(self.clone()))
    }
}

impl LayerRules for ELU {
    fn infer(&self, input: &[usize]) -> Inferred {
        unchanged(input)
    }

    fn effect(&self, _input: &[usize], _output: &[usize]) -> Effect {
        Effect::Keeps
    }

    fn activation(&self) -> Activation {
        Activation::Layer(FunctionLayer::ELU(self.clone()))
    }
}

impl LayerRules for Softmax {
    fn infer(&self, input: &[usize]) -> Inferred {
        self.axis.resolve(input.len() + 1).and_then(|_| unchanged(input))
    }

    fn effect(&self, _input: &[usize], _output: &[usize]) -> Effect {
        Effect::Keeps
    }

    fn activation(&self) -> Activation {
        Activation::Layer(FunctionLayer::Softmax(self.clone()))
    }
}

/// `x` above 0, `alpha · x` below, with an alpha that is learnt for each value of the input (He and others 2015).
/// <https://keras.io/api/layers/activation_layers/prelu/>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PReLU {
    /// How alpha begins.
    #[serde(default = "zeros")]
    pub alpha_initializer: Initializer,
    /// A loss on alpha.
    #[serde(default)]
    pub alpha_regularizer: Option<Regularizer>,
    /// What alpha is held to.
    #[serde(default)]
    pub alpha_constraint: Option<Constraint>,
    /// Axes that share one alpha, counted from 1, the first after the batch.
    #[serde(default)]
    pub shared_axes: Option<Axes>,
}

impl LayerRules for PReLU {
    // The weight alpha, of the input's shape with 1 for each shared axis.
    fn infer(&self, input: &[usize]) -> Inferred {
        let mut shape = input.to_vec();
        for axis in self.shared(input.len() + 1)? {
            shape[axis - 1] = 1;
        }
        let alpha = WeightInfo::new(["weight", "alpha"], shape, WeightOrder::Same, self.alpha_initializer);
        Ok((input.to_vec(), vec![alpha.held(self.alpha_regularizer, &self.alpha_constraint)]))
    }

    fn effect(&self, _input: &[usize], _output: &[usize]) -> Effect {
        Effect::Bends("PReLU")
    }
}

impl PReLU {
    fn shared(&self, rank: usize) -> Result<Vec<usize>> {
        let axes = self.shared_axes.as_ref().map_or(Ok(vec![]), |axes| axes.resolve(rank))?;
        match axes.first() {
            Some(0) => Err(Error::model("the batch is not an axis that alpha has").got(0).at("shared_axes")),
            _ => Ok(axes),
        }
    }
}
