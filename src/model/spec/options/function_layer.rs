//! Layers without weights that can stand for an activation's name.

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantNames};

use super::Axes;

const fn three_tenths() -> f64 {
    0.3
}
const fn unit() -> f64 {
    1.0
}

/// A layer without weights that can stand for an activation's name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, IntoStaticStr, VariantNames)]
#[serde(tag = "class_name", content = "config")]
pub enum FunctionLayer {
    /// See [`ReLU`].
    ReLU(ReLU),
    /// See [`LeakyReLU`].
    LeakyReLU(LeakyReLU),
    /// See [`ELU`].
    ELU(ELU),
    /// See [`Softmax`].
    Softmax(Softmax),
}

impl FunctionLayer {
    /// Keras's name of the layer's class.
    pub fn class_name(&self) -> &'static str {
        self.into()
    }
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
