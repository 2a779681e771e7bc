//! Activation functions: by name, or as a layer in the name's place.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};
use strum::VariantNames;

use super::function_layer::FunctionLayer;
use super::object::to_json;
use crate::error::nearest;

/// Keras's names.
static NAMES: [(&str, Activation); 27] = [
    ("linear", Activation::Linear),
    ("relu", Activation::Relu),
    ("relu6", Activation::Relu6),
    ("leaky_relu", Activation::LeakyRelu),
    ("elu", Activation::Elu),
    ("selu", Activation::Selu),
    ("celu", Activation::Celu),
    ("tanh", Activation::Tanh),
    ("sigmoid", Activation::Sigmoid),
    ("hard_sigmoid", Activation::HardSigmoid),
    ("log_sigmoid", Activation::LogSigmoid),
    ("softplus", Activation::Softplus),
    ("softsign", Activation::Softsign),
    ("silu", Activation::Silu),
    ("hard_silu", Activation::HardSilu),
    ("gelu", Activation::Gelu),
    ("mish", Activation::Mish),
    ("exponential", Activation::Exponential),
    ("squareplus", Activation::Squareplus),
    ("soft_shrink", Activation::SoftShrink),
    ("hard_shrink", Activation::HardShrink),
    ("tanh_shrink", Activation::TanhShrink),
    ("hard_tanh", Activation::HardTanh),
    ("sparse_plus", Activation::SparsePlus),
    ("sparse_sigmoid", Activation::SparseSigmoid),
    ("softmax", Activation::Softmax),
    ("log_softmax", Activation::LogSoftmax),
];
/// Second names.
static ALIASES: [(&str, Activation); 2] = [("swish", Activation::Silu), ("hard_swish", Activation::HardSilu)];

/// An activation function (Keras's `keras.activations`, exact formulas as in Keras 3).
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Activation {
    /// The identity.
    #[default]
    Linear,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
    /// `x` above 0, `0.2 x` below.
    LeakyRelu,
    /// `x` above 0, `e^x - 1` below.
    Elu,
    /// Scaled ELU (Klambauer and others 2017).
    Selu,
    /// ELU with a continuous slope (Barron 2017), α = 1: the same function as ELU there.
    Celu,
    /// The hyperbolic tangent.
    Tanh,
    /// `1 / (1 + e^-x)`.
    Sigmoid,
    /// Keras 3's: `min(max(x + 3, 0), 6) / 6`.
    HardSigmoid,
    /// Keras 2's and 1's `hard_sigmoid`: `0.2 x + 0.5` held to `[0, 1]`. Keras 3 has no name for it.
    Keras2HardSigmoid,
    /// `log(sigmoid(x))`.
    LogSigmoid,
    /// `log(1 + e^x)`.
    Softplus,
    /// `x / (1 + |x|)`.
    Softsign,
    /// `x · sigmoid(x)`, also called swish.
    Silu,
    /// `x · hard_sigmoid(x)` with Keras 3's, also called hard_swish.
    HardSilu,
    /// `x · Φ(x)` with the exact error function.
    Gelu,
    /// `x · tanh(softplus(x))`.
    Mish,
    /// `e^x`.
    Exponential,
    /// `(x + √(x² + 4)) / 2`.
    Squareplus,
    /// `x` moved towards 0 by 0.5.
    SoftShrink,
    /// `x` outside `[-0.5, 0.5]`, else 0.
    HardShrink,
    /// `x - tanh(x)`.
    TanhShrink,
    /// `x` held to `[-1, 1]`.
    HardTanh,
    /// 0 up to -1, `(x + 1)² / 4` up to 1, `x` above.
    SparsePlus,
    /// `(x + 1) / 2` held to `[0, 1]`.
    SparseSigmoid,
    /// `e^x` divided by its sum over the last axis.
    Softmax,
    /// The logarithm of softmax.
    LogSoftmax,
    /// A layer's function, with its settings.
    Layer(FunctionLayer),
}

impl Activation {
    /// Names that Keras knows and this program does not, with the reason.
    const REFUSED: [(&'static str, &'static str); 3] = [
        ("sparsemax", "Keras computes another function under this name than the published one"),
        ("glu", "it halves the channels"),
        ("threshold", "Keras cannot build it without its arguments"),
    ];

    /// Keras's name of it; of a layer, its class's.
    pub fn name(&self) -> &'static str {
        match self {
            Activation::Keras2HardSigmoid => "hard_sigmoid (Keras 2)",
            Activation::Layer(layer) => layer.class_name(),
            named => {
                let found = NAMES.iter().find(|(_, activation)| activation == named);
                found.expect("every other activation is in the table").0
            }
        }
    }

    /// Every name that Keras has for one.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().chain(&ALIASES).map(|(name, _)| *name)
    }

    fn from_name(name: &str) -> Result<Self, String> {
        if let Some((_, activation)) = NAMES.iter().chain(&ALIASES).find(|(known, _)| *known == name) {
            return Ok(activation.clone());
        }
        match Self::REFUSED.iter().find(|(known, _)| *known == name) {
            Some((_, reason)) => Err(format!("the activation '{name}' is not supported: {reason}")),
            None => {
                let known: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
                Err(format!("unknown activation '{name}'{}", nearest(name, &known)))
            }
        }
    }

    /// A layer in the place of a name. Its own name and bookkeeping mean nothing here.
    fn from_object(object: &Map<String, Value>) -> Result<Self, String> {
        let class_name = object.get("class_name").and_then(Value::as_str).unwrap_or_default();
        let mut config = match object.get("config") {
            None => Map::new(),
            Some(Value::Object(config)) => config.clone(),
            Some(_) => return Err(format!("the activation is a Python {class_name}, which a file cannot hold")),
        };
        config.retain(|key, _| !["name", "trainable", "dtype"].contains(&key.as_str()));
        match class_name {
            "Activation" => serde_json::from_value(config.remove("activation").unwrap_or_default())
                .map_err(|error| error.to_string()),
            "Identity" => Ok(Activation::Linear),
            "Sequential" if is_keras2_hard_sigmoid(&config) => Ok(Activation::Keras2HardSigmoid),
            _ if FunctionLayer::VARIANTS.contains(&class_name) => {
                let object = json!({ "class_name": class_name, "config": config });
                let layer: FunctionLayer = serde_json::from_value(object).map_err(|error| error.to_string())?;
                let written = serde_json::to_value(&layer).unwrap_or_default();
                match config.keys().find(|key| written["config"].get(key.as_str()).is_none()) {
                    Some(key) => Err(format!("unknown key '{key}' in the config of the activation {class_name}")),
                    None => Ok(Activation::Layer(layer)),
                }
            }
            other => {
                Err(format!("the layer '{other}' cannot be an activation{}", nearest(other, FunctionLayer::VARIANTS)))
            }
        }
    }

    fn to_json(&self) -> Value {
        match self {
            Activation::Layer(layer) => {
                let object = serde_json::to_value(layer).expect("settings are plain numbers and lists");
                to_json("keras.layers", layer.class_name(), object["config"].clone())
            }
            Activation::Keras2HardSigmoid => keras2_hard_sigmoid(),
            named => json!(named.name()),
        }
    }
}

/// Keras 2's hard sigmoid as Keras 3 can load it: a network of two layers in the place of the activation's name.
pub(in crate::model::spec) fn keras2_hard_sigmoid() -> Value {
    let layers = [
        to_json("keras.layers", "Rescaling", json!({ "scale": 0.2, "offset": 0.5 })),
        to_json("keras.layers", "ReLU", json!({ "max_value": 1.0 })),
    ];
    to_json("keras", "Sequential", json!({ "name": "keras2_hard_sigmoid", "layers": layers }))
}

/// Whether a Sequential's `config` is what [`keras2_hard_sigmoid`] writes, or Keras's own rendering of it.
fn is_keras2_hard_sigmoid(config: &Map<String, Value>) -> bool {
    let Some(layers) = config.get("layers").and_then(Value::as_array) else { return false };
    let layers: Vec<&Value> = layers.iter().filter(|layer| layer["class_name"] != "InputLayer").collect();
    let [rescaling, relu] = layers[..] else { return false };
    let is = |layer: &Value, key: &str, expected: f64| {
        layer["config"].get(key).map_or(expected == 0.0, |value| value.as_f64() == Some(expected))
    };
    rescaling["class_name"] == "Rescaling"
        && is(rescaling, "scale", 0.2)
        && is(rescaling, "offset", 0.5)
        && relu["class_name"] == "ReLU"
        && is(relu, "max_value", 1.0)
        && is(relu, "negative_slope", 0.0)
        && is(relu, "threshold", 0.0)
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Activation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Activation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let activation = match Value::deserialize(deserializer)? {
            Value::Null => Ok(Activation::Linear),
            Value::String(name) => Self::from_name(&name),
            Value::Object(object) => Self::from_object(&object),
            other => Err(format!("expected an activation's name or object, got {other}")),
        };
        activation.map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
