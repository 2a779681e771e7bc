//! How weights begin.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

use super::object::{Object, to_json};

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
    /// N(mean, stddev), redrawn beyond two standard deviations.
    TruncatedNormal {
        /// The mean.
        mean: f64,
        /// The standard deviation before the tails are cut.
        stddev: f64,
    },
    /// U(minval, maxval).
    RandomUniform {
        /// The lower bound.
        minval: f64,
        /// The upper bound.
        maxval: f64,
    },
    /// A variance of `scale` / fan, from any of three distributions.
    VarianceScaling {
        /// The factor.
        scale: f64,
        /// Which fan.
        mode: Fan,
        /// Which distribution.
        distribution: Distribution,
    },
    /// The identity matrix times `gain`.
    Identity {
        /// The factor.
        gain: f64,
    },
    /// A random orthogonal matrix times `gain` (Saxe and others 2013), of all axes but the last and the last.
    Orthogonal {
        /// The factor.
        gain: f64,
    },
}

/// Which number of connections [`Initializer::VarianceScaling`] divides by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fan {
    /// The inputs of a unit.
    In,
    /// The outputs of a unit.
    Out,
    /// The mean of both.
    Average,
}

/// From what [`Initializer::VarianceScaling`] draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distribution {
    /// A normal distribution cut off at two standard deviations.
    TruncatedNormal,
    /// A normal distribution.
    UntruncatedNormal,
    /// A uniform distribution.
    Uniform,
}

const FANS: [(&str, Fan); 3] = [("fan_in", Fan::In), ("fan_out", Fan::Out), ("fan_avg", Fan::Average)];
/// The first name of each is the one that is written; Keras up to 2.2 wrote "normal".
const DISTRIBUTIONS: [(&str, Distribution); 4] = [
    ("truncated_normal", Distribution::TruncatedNormal),
    ("untruncated_normal", Distribution::UntruncatedNormal),
    ("uniform", Distribution::Uniform),
    ("normal", Distribution::TruncatedNormal),
];

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
    /// The others' class names.
    const WITH_SETTINGS: [&'static str; 7] =
        ["Constant", "RandomNormal", "TruncatedNormal", "RandomUniform", "VarianceScaling", "Identity", "Orthogonal"];

    fn to_json(self) -> Value {
        let (class_name, config) = match self {
            Initializer::Zeros => ("Zeros", json!({})),
            Initializer::Ones => ("Ones", json!({})),
            Initializer::Constant { value } => ("Constant", json!({ "value": value })),
            Initializer::RandomNormal { mean, stddev } => {
                ("RandomNormal", json!({ "seed": null, "mean": mean, "stddev": stddev }))
            }
            Initializer::TruncatedNormal { mean, stddev } => {
                ("TruncatedNormal", json!({ "seed": null, "mean": mean, "stddev": stddev }))
            }
            Initializer::RandomUniform { minval, maxval } => {
                ("RandomUniform", json!({ "seed": null, "minval": minval, "maxval": maxval }))
            }
            Initializer::VarianceScaling { scale, mode, distribution } => {
                ("VarianceScaling", variance_scaling_to_json(scale, mode, distribution))
            }
            Initializer::Identity { gain: 1.0 } => ("Identity", json!({})),
            Initializer::Identity { gain } => ("Identity", json!({ "gain": gain })),
            Initializer::Orthogonal { gain } => ("Orthogonal", json!({ "seed": null, "gain": gain })),
            plain => {
                let found = Self::PLAIN.iter().find(|(_, _, initializer)| *initializer == plain);
                let class_name = found.expect("every other initialiser is in the table").0;
                (class_name, json!({ "seed": null, "input_axes": null, "output_axes": null }))
            }
        };
        to_json("keras.initializers", class_name, config)
    }

    fn from_json(value: &Value) -> Result<Self, String> {
        let mut object = Object::new("initializer", value)?;
        let class_name = object.class_name.clone();
        // TensorFlow 1 and 2 had two versions of some, with the same numbers
        let class_name = class_name.strip_suffix("V2").or_else(|| class_name.strip_suffix("V1")).unwrap_or(&class_name);
        let plain = Self::PLAIN.iter().find(|(class, function, _)| [*class, *function].contains(&class_name));
        let initializer = match (class_name, plain) {
            (_, Some((_, _, initializer))) => *initializer,
            ("zero", _) => Initializer::Zeros,
            ("one", _) => Initializer::Ones,
            ("Constant" | "constant", _) => Initializer::Constant { value: object.number("value", 0.0)? },
            ("RandomNormal" | "random_normal" | "normal", _) => {
                Initializer::RandomNormal { mean: object.number("mean", 0.0)?, stddev: object.number("stddev", 0.05)? }
            }
            ("TruncatedNormal" | "truncated_normal", _) => Initializer::TruncatedNormal {
                mean: object.number("mean", 0.0)?,
                stddev: object.number("stddev", 0.05)?,
            },
            ("RandomUniform" | "random_uniform" | "uniform", _) => Initializer::RandomUniform {
                minval: object.number("minval", -0.05)?,
                maxval: object.number("maxval", 0.05)?,
            },
            ("VarianceScaling" | "variance_scaling", _) => Initializer::VarianceScaling {
                scale: object.number("scale", 1.0)?,
                mode: object.word("mode", &FANS, Fan::In)?,
                distribution: object.word("distribution", &DISTRIBUTIONS, Distribution::TruncatedNormal)?,
            },
            ("Identity" | "identity", _) => Initializer::Identity { gain: object.number("gain", 1.0)? },
            ("Orthogonal" | "orthogonal", _) => Initializer::Orthogonal { gain: object.number("gain", 1.0)? },
            _ => {
                let known = Self::PLAIN.iter().map(|(class, _, _)| *class).chain(Self::WITH_SETTINGS);
                return Err(object.unknown(&known.collect::<Vec<_>>()));
            }
        };
        object.finish()?;
        Ok(initializer)
    }
}

fn variance_scaling_to_json(scale: f64, mode: Fan, distribution: Distribution) -> Value {
    let mode = FANS.iter().find(|(_, fan)| *fan == mode).expect("every fan is in the table").0;
    let distribution = DISTRIBUTIONS.iter().find(|(_, known)| *known == distribution).expect("all are in the table").0;
    json!({
        "seed": null, "scale": scale, "mode": mode, "distribution": distribution, "input_axes": null,
        "output_axes": null,
    })
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
mod tests;
