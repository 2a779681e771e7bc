//! The loss that a network was compiled with in Keras, where it says what the network's outputs are.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A loss by its name, as a class or a function of Keras's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompiledLoss {
    /// `binary_crossentropy`, `BinaryCrossentropy` …
    pub name: String,
    /// Whether it takes outputs without an activation for logits.
    #[serde(default)]
    pub from_logits: bool,
}

/// What a loss expects of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// One of K classes.
    Categorical,
    /// Each output by itself is there or not.
    Binary,
    /// Keras's other losses: numbers, or scores that no probability follows from.
    Other,
    /// A function that is not Keras's.
    Unknown,
}

/// Keras's losses in lower case without `_`, with the short names it takes.
const CATEGORICAL: [&str; 3] =
    ["categoricalcrossentropy", "sparsecategoricalcrossentropy", "categoricalfocalcrossentropy"];
const BINARY: [&str; 3] = ["binarycrossentropy", "bce", "binaryfocalcrossentropy"];
const OTHER: [&str; 25] = [
    "meansquarederror",
    "mse",
    "meanabsoluteerror",
    "mae",
    "meanabsolutepercentageerror",
    "mape",
    "meansquaredlogarithmicerror",
    "msle",
    "cosinesimilarity",
    "cosineproximity",
    "huber",
    "huberloss",
    "logcosh",
    "poisson",
    "kldivergence",
    "kullbackleiblerdivergence",
    "kld",
    "hinge",
    "squaredhinge",
    "categoricalhinge",
    "dice",
    "tversky",
    "circle",
    "ctc",
    "categoricalgeneralizedcrossentropy",
];

impl CompiledLoss {
    /// From the `loss` of Keras's compile settings: a name, an object, or one of them in a list or under an output's name.
    /// `None` where there is none, or several.
    pub fn from_json(loss: &Value) -> Option<Self> {
        match loss {
            Value::String(name) => Some(CompiledLoss { name: name.clone(), from_logits: false }),
            Value::Array(losses) => match &losses[..] {
                [loss] => Self::from_json(loss),
                _ => None,
            },
            Value::Object(object) => match (object.get("class_name").and_then(Value::as_str), object.get("config")) {
                (Some("function"), Some(name)) => Self::from_json(name),
                (Some(class_name), config) => {
                    let from_logits = config.and_then(|config| config.get("from_logits")?.as_bool()).unwrap_or(false);
                    let name = class_name.rsplit('>').next().unwrap_or(class_name).to_owned();
                    Some(CompiledLoss { name, from_logits })
                }
                (None, _) if object.len() == 1 => object.values().next().and_then(Self::from_json),
                (None, _) => None,
            },
            _ => None,
        }
    }

    /// Whether it is `categorical_crossentropy`, of one-hot labels or of numbers.
    pub fn is_categorical_crossentropy(&self) -> bool {
        ["categoricalcrossentropy", "sparsecategoricalcrossentropy"].contains(&&*self.plain_name())
    }

    /// Whether it is `binary_crossentropy`.
    pub fn is_binary_crossentropy(&self) -> bool {
        ["binarycrossentropy", "bce"].contains(&&*self.plain_name())
    }

    fn plain_name(&self) -> String {
        self.name.to_ascii_lowercase().replace('_', "")
    }

    pub(super) fn family(&self) -> Family {
        match self.plain_name().as_str() {
            name if CATEGORICAL.contains(&name) => Family::Categorical,
            name if BINARY.contains(&name) => Family::Binary,
            name if OTHER.contains(&name) => Family::Other,
            _ => Family::Unknown,
        }
    }
}
