//! The values that Keras's layer configurations are made of: sizes, padding, activations, initialisers.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::error::nearest;

/// Two sizes along height and width. Keras writes `[h, w]`, and takes one number for both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "OneOrTwo", into = "[usize; 2]")]
pub struct Pair {
    /// Along the height.
    pub height: usize,
    /// Along the width.
    pub width: usize,
}

impl Pair {
    /// The same size along both axes.
    pub const fn square(size: usize) -> Self {
        Pair { height: size, width: size }
    }
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a whole number or a list of two")]
enum OneOrTwo {
    One(usize),
    Two([usize; 2]),
}

impl From<OneOrTwo> for Pair {
    fn from(sizes: OneOrTwo) -> Self {
        match sizes {
            OneOrTwo::One(size) => Pair::square(size),
            OneOrTwo::Two([height, width]) => Pair { height, width },
        }
    }
}

impl From<Pair> for [usize; 2] {
    fn from(pair: Pair) -> Self {
        [pair.height, pair.width]
    }
}

/// How a window treats the border (Keras's `padding`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Padding {
    /// Only whole windows: the output is smaller.
    #[default]
    Valid,
    /// Padded so that the output has `ceil(n / stride)` pixels; the odd pixel goes after.
    Same,
}

/// The order of an image's axes. Only Keras's default is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataFormat {
    /// `[N, H, W, C]`.
    #[default]
    ChannelsLast,
}

/// A value that has to be `null`: what Keras can have here is not supported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Absent;

impl Serialize for Absent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_none()
    }
}

impl<'de> Deserialize<'de> for Absent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Null => Ok(Absent),
            other => Err(serde::de::Error::custom(format!("expected null (not supported here), got {other}"))),
        }
    }
}

/// An activation function (Keras's `keras.activations`, exact formulas as in Keras 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
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
    /// The hyperbolic tangent.
    Tanh,
    /// `1 / (1 + e^-x)`.
    Sigmoid,
    /// `log(1 + e^x)`.
    Softplus,
    /// `x / (1 + |x|)`.
    Softsign,
    /// `x · sigmoid(x)`, also called swish.
    Silu,
    /// `x · Φ(x)` with the exact error function.
    Gelu,
    /// `x · tanh(softplus(x))`.
    Mish,
    /// `e^x`.
    Exponential,
    /// `e^x` divided by its sum over the last axis.
    Softmax,
}

impl Activation {
    const NAMES: [(&'static str, Activation); 15] = [
        ("linear", Activation::Linear),
        ("relu", Activation::Relu),
        ("relu6", Activation::Relu6),
        ("leaky_relu", Activation::LeakyRelu),
        ("elu", Activation::Elu),
        ("selu", Activation::Selu),
        ("tanh", Activation::Tanh),
        ("sigmoid", Activation::Sigmoid),
        ("softplus", Activation::Softplus),
        ("softsign", Activation::Softsign),
        ("silu", Activation::Silu),
        ("gelu", Activation::Gelu),
        ("mish", Activation::Mish),
        ("exponential", Activation::Exponential),
        ("softmax", Activation::Softmax),
    ];

    /// Keras's name of it.
    pub fn name(self) -> &'static str {
        let named = Self::NAMES.iter().find(|(_, activation)| *activation == self);
        named.expect("every activation is in the table").0
    }

    fn from_name(name: &str) -> Result<Self, String> {
        let known = Self::NAMES.map(|(name, _)| name);
        match Self::NAMES.iter().find(|(known, _)| *known == name) {
            Some((_, activation)) => Ok(*activation),
            None if name == "swish" => Ok(Activation::Silu),
            None => Err(format!("unknown activation '{name}'{}", nearest(name, &known))),
        }
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Activation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Activation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Option::<String>::deserialize(deserializer)? {
            Some(name) => Self::from_name(&name).map_err(serde::de::Error::custom),
            None => Ok(Activation::Linear),
        }
    }
}

/// How a weight begins (Keras's `keras.initializers`). Fans are those of the Keras shape.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Initializer {
    /// U(-l, l), l = √(6 / (fan_in + fan_out)) (Glorot and Bengio 2010): Keras's default for kernels.
    GlorotUniform,
    /// Truncated normal, σ = √(2 / (fan_in + fan_out)).
    GlorotNormal,
    /// U(-l, l), l = √(6 / fan_in) (He and others 2015).
    HeUniform,
    /// Truncated normal, σ = √(2 / fan_in).
    HeNormal,
    /// U(-l, l), l = √(3 / fan_in).
    LecunUniform,
    /// Truncated normal, σ = √(1 / fan_in).
    LecunNormal,
    /// All 0.
    Zeros,
    /// All 1.
    Ones,
    /// All the same value.
    Constant {
        /// That value.
        value: f64,
    },
    /// N(mean, stddev).
    RandomNormal {
        /// The mean.
        mean: f64,
        /// The standard deviation.
        stddev: f64,
    },
    /// U(minval, maxval).
    RandomUniform {
        /// The lower bound.
        minval: f64,
        /// The upper bound.
        maxval: f64,
    },
}

impl Initializer {
    /// The initialisers without settings: Keras 3's class name, the older function's name, the variant.
    const PLAIN: [(&'static str, &'static str, Initializer); 8] = [
        ("GlorotUniform", "glorot_uniform", Initializer::GlorotUniform),
        ("GlorotNormal", "glorot_normal", Initializer::GlorotNormal),
        ("HeUniform", "he_uniform", Initializer::HeUniform),
        ("HeNormal", "he_normal", Initializer::HeNormal),
        ("LecunUniform", "lecun_uniform", Initializer::LecunUniform),
        ("LecunNormal", "lecun_normal", Initializer::LecunNormal),
        ("Zeros", "zeros", Initializer::Zeros),
        ("Ones", "ones", Initializer::Ones),
    ];

    fn to_json(self) -> Value {
        let plain = Self::PLAIN.iter().find(|(_, _, initializer)| *initializer == self);
        let (class_name, config) = match (self, plain) {
            (Initializer::Zeros, _) => ("Zeros", json!({})),
            (Initializer::Ones, _) => ("Ones", json!({})),
            (Initializer::Constant { value }, _) => ("Constant", json!({ "value": value })),
            (Initializer::RandomNormal { mean, stddev }, _) => {
                ("RandomNormal", json!({ "mean": mean, "stddev": stddev, "seed": null }))
            }
            (Initializer::RandomUniform { minval, maxval }, _) => {
                ("RandomUniform", json!({ "minval": minval, "maxval": maxval, "seed": null }))
            }
            (_, Some((class_name, _, _))) => {
                (*class_name, json!({ "seed": null, "input_axes": null, "output_axes": null }))
            }
            (_, None) => unreachable!("every other initialiser is in the table"),
        };
        json!({ "module": "keras.initializers", "class_name": class_name, "config": config, "registered_name": null })
    }

    fn from_json(value: &Value) -> Result<Self, String> {
        let empty = Map::new();
        let (class_name, config) = match value {
            Value::String(name) => (name.as_str(), &empty),
            Value::Object(object) => (
                object.get("class_name").and_then(Value::as_str).ok_or("an initializer without class_name")?,
                object.get("config").and_then(Value::as_object).unwrap_or(&empty),
            ),
            other => return Err(format!("expected an initializer's name or object, got {other}")),
        };
        let number = |key: &str, default: f64| match config.get(key) {
            None => Ok(default),
            Some(value) => value.as_f64().ok_or_else(|| format!("{class_name}'s {key} is not a number: {value}")),
        };
        let plain = Self::PLAIN.iter().find(|(class, function, _)| [*class, *function].contains(&class_name));
        match (class_name, plain) {
            (_, Some((_, _, initializer))) => Ok(*initializer),
            ("Constant" | "constant", _) => Ok(Initializer::Constant { value: number("value", 0.0)? }),
            ("RandomNormal" | "random_normal", _) => {
                Ok(Initializer::RandomNormal { mean: number("mean", 0.0)?, stddev: number("stddev", 0.05)? })
            }
            ("RandomUniform" | "random_uniform", _) => {
                Ok(Initializer::RandomUniform { minval: number("minval", -0.05)?, maxval: number("maxval", 0.05)? })
            }
            _ => {
                let mut known = Self::PLAIN.map(|(class, _, _)| class).to_vec();
                known.extend(["Constant", "RandomNormal", "RandomUniform"]);
                Err(format!("unknown initializer '{class_name}'{}", nearest(class_name, &known)))
            }
        }
    }
}

impl Serialize for Initializer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Initializer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_json(&Value::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn initializers_survive_json() {
        let mut all = Initializer::PLAIN.map(|(_, _, initializer)| initializer).to_vec();
        all.push(Initializer::Constant { value: 0.5 });
        all.push(Initializer::RandomNormal { mean: 0.1, stddev: 0.2 });
        all.push(Initializer::RandomUniform { minval: -1.0, maxval: 2.0 });
        for initializer in all {
            assert_eq!(Initializer::from_json(&initializer.to_json()), Ok(initializer));
        }
    }

    #[test]
    fn activations_survive_json_and_misspelt_ones_are_named() {
        for (name, activation) in Activation::NAMES {
            assert_eq!(activation.name(), name);
            assert_eq!(serde_json::from_value::<Activation>(json!(name)).unwrap(), activation);
        }
        assert_eq!(serde_json::from_value::<Activation>(Value::Null).unwrap(), Activation::Linear);
        let error = serde_json::from_value::<Activation>(json!("rellu")).unwrap_err().to_string();
        assert_eq!(error, "unknown activation 'rellu', did you mean 'relu'?");
    }

    #[test]
    fn pairs_take_one_number_or_two() {
        assert_eq!(serde_json::from_value::<Pair>(json!(3)).unwrap(), Pair::square(3));
        assert_eq!(serde_json::from_value::<Pair>(json!([3, 5])).unwrap(), Pair { height: 3, width: 5 });
        assert!(serde_json::from_value::<Pair>(json!([3])).is_err());
        assert!(serde_json::from_value::<Pair>(json!(-1)).is_err());
        assert_eq!(serde_json::to_value(Pair::square(2)).unwrap(), json!([2, 2]));
    }
}
