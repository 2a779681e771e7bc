//! Activation functions that are layers of their own. All leave the shape as it is.

use serde::{Deserialize, Serialize};

use super::super::info::{WeightInfo, WeightOrder};
use super::super::options::{Axes, Constraint, Initializer, Regularizer};
use super::{Inferred, zeros};
use crate::error::{Error, Result};

const fn three_tenths() -> f64 {
    0.3
}
const fn unit() -> f64 {
    1.0
}

/// `x` from the threshold to `max_value` (which larger values become), `negative_slope · (x - threshold)` below.
/// <https://keras.io/api/layers/activation_layers/relu/>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReLU {
    /// The largest output; no bound where absent.
    #[serde(default)]
    pub max_value: Option<f64>,
    /// The slope below the threshold.
    #[serde(default)]
    pub negative_slope: f64,
    /// From where on values pass.
    #[serde(default)]
    pub threshold: f64,
}

/// `x` above 0, `negative_slope · x` below.
/// <https://keras.io/api/layers/activation_layers/leaky_relu/>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeakyReLU {
    /// The slope below 0; older files call it `alpha`.
    #[serde(default = "three_tenths")]
    pub negative_slope: f64,
}

/// `x` above 0, `alpha · (e^x - 1)` below.
/// <https://keras.io/api/layers/activation_layers/elu/>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ELU {
    /// The value far below 0, negated.
    #[serde(default = "unit")]
    pub alpha: f64,
}

/// `e^x` divided by its sum over some axes.
/// <https://keras.io/api/layers/activation_layers/softmax/>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Softmax {
    /// What sums to 1.
    #[serde(default)]
    pub axis: Axes,
}

impl Softmax {
    /// Whether the sum is over the last axis alone, of a batch with `rank` axes.
    pub fn is_over_last(&self, rank: usize) -> bool {
        self.axis.resolve(rank).is_ok_and(|axes| axes == [rank - 1])
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

impl PReLU {
    /// The weight alpha, of the input's shape with 1 for each shared axis.
    pub(in super::super) fn infer(&self, input: &[usize]) -> Inferred {
        let mut shape = input.to_vec();
        for axis in self.shared(input.len() + 1)? {
            shape[axis - 1] = 1;
        }
        let alpha = WeightInfo::new(["weight", "alpha"], shape, WeightOrder::Same, self.alpha_initializer);
        Ok((input.to_vec(), vec![alpha.held(self.alpha_regularizer, &self.alpha_constraint)]))
    }

    fn shared(&self, rank: usize) -> Result<Vec<usize>> {
        let axes = self.shared_axes.as_ref().map_or(Ok(vec![]), |axes| axes.resolve(rank))?;
        match axes.first() {
            Some(0) => Err(Error::model("the batch is not an axis that alpha has").got(0).at("shared_axes")),
            _ => Ok(axes),
        }
    }
}
