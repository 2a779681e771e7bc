//! What is added to the loss for a weight, and what a weight is held to after each step.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

use super::Axes;
use super::object::{Object, to_json};

/// A loss on a weight's values (Keras's `keras.regularizers`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Regularizer {
    /// `l1 · Σ|w|`.
    L1 {
        /// The factor.
        l1: f64,
    },
    /// `l2 · Σw²` (no half).
    L2 {
        /// The factor.
        l2: f64,
    },
    /// `l1 · Σ|w| + l2 · Σw²`.
    L1L2 {
        /// The factor of the absolute values.
        l1: f64,
        /// The factor of the squares.
        l2: f64,
    },
    /// The mean of |cos| between different rows, or columns, of a matrix.
    Orthogonal {
        /// The factor.
        factor: f64,
        /// Whose angles.
        mode: OrthogonalMode,
    },
}

/// Which vectors of a matrix [`Regularizer::Orthogonal`] looks at, in Keras's order `[in, out]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrthogonalMode {
    /// One vector an input.
    Rows,
    /// One vector an output.
    Columns,
}

const MODES: [(&str, OrthogonalMode); 2] = [("rows", OrthogonalMode::Rows), ("columns", OrthogonalMode::Columns)];

impl Regularizer {
    fn to_json(self) -> Value {
        let (class_name, config) = match self {
            Regularizer::L1 { l1 } => ("L1", json!({ "l1": l1 })),
            Regularizer::L2 { l2 } => ("L2", json!({ "l2": l2 })),
            Regularizer::L1L2 { l1, l2 } => ("L1L2", json!({ "l1": l1, "l2": l2 })),
            Regularizer::Orthogonal { factor, mode } => {
                let mode = if mode == OrthogonalMode::Rows { "rows" } else { "columns" };
                ("OrthogonalRegularizer", json!({ "factor": factor, "mode": mode }))
            }
        };
        to_json("keras.regularizers", class_name, config)
    }

    fn from_json(value: &Value) -> Result<Self, String> {
        let mut object = Object::new("regularizer", value)?;
        let named = value.is_string();
        let both = if named { 0.01 } else { 0.0 };
        let regularizer = match object.class_name.as_str() {
            "L1" | "l1" => Regularizer::L1 { l1: object.number("l1", 0.01)? },
            "L2" | "l2" => Regularizer::L2 { l2: object.number("l2", 0.01)? },
            "L1L2" | "l1_l2" | "l1l2" => {
                Regularizer::L1L2 { l1: object.number("l1", both)?, l2: object.number("l2", both)? }
            }
            "OrthogonalRegularizer" | "orthogonal_regularizer" => Regularizer::Orthogonal {
                factor: object.number("factor", 0.01)?,
                mode: object.word("mode", &MODES, OrthogonalMode::Rows)?,
            },
            _ => return Err(object.unknown(&["L1", "L2", "L1L2", "OrthogonalRegularizer"])),
        };
        object.finish()?;
        Ok(regularizer)
    }
}

impl Serialize for Regularizer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Regularizer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_json(&Value::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// What a weight is held to after each step (Keras's `keras.constraints`). Axes are those of Keras's shape; a norm is taken
/// over them.
#[derive(Debug, Clone, PartialEq)]
pub enum Constraint {
    /// Norms of at most `max_value`.
    MaxNorm {
        /// The largest norm.
        max_value: f64,
        /// What a norm is taken over.
        axis: Axes,
    },
    /// No negative value.
    NonNeg,
    /// Norms of 1.
    UnitNorm {
        /// What a norm is taken over.
        axis: Axes,
    },
    /// Norms from `min_value` to `max_value`, approached at `rate`.
    MinMaxNorm {
        /// The smallest norm.
        min_value: f64,
        /// The largest norm.
        max_value: f64,
        /// The share of the way that a step goes.
        rate: f64,
        /// What a norm is taken over.
        axis: Axes,
    },
}

impl Constraint {
    /// The axes of Keras's shape that norms are taken over.
    pub fn axis(&self) -> Option<&Axes> {
        match self {
            Constraint::NonNeg => None,
            Constraint::MaxNorm { axis, .. } | Constraint::UnitNorm { axis } | Constraint::MinMaxNorm { axis, .. } => {
                Some(axis)
            }
        }
    }

    fn to_json(&self) -> Value {
        let (class_name, config) = match self {
            Constraint::MaxNorm { max_value, axis } => ("MaxNorm", json!({ "max_value": max_value, "axis": axis })),
            Constraint::NonNeg => ("NonNeg", json!({})),
            Constraint::UnitNorm { axis } => ("UnitNorm", json!({ "axis": axis })),
            Constraint::MinMaxNorm { min_value, max_value, rate, axis } => {
                ("MinMaxNorm", json!({ "min_value": min_value, "max_value": max_value, "rate": rate, "axis": axis }))
            }
        };
        to_json("keras.constraints", class_name, config)
    }

    fn from_json(value: &Value) -> Result<Self, String> {
        let mut object = Object::new("constraint", value)?;
        let axis = |object: &mut Object| match object.take("axis") {
            None => Ok(Axes::One(0)),
            Some(axis) => serde_json::from_value(axis).map_err(|error| error.to_string()),
        };
        let constraint = match object.class_name.as_str() {
            "MaxNorm" | "max_norm" | "maxnorm" => {
                Constraint::MaxNorm { max_value: object.number("max_value", 2.0)?, axis: axis(&mut object)? }
            }
            "NonNeg" | "non_neg" | "nonneg" => Constraint::NonNeg,
            "UnitNorm" | "unit_norm" | "unitnorm" => Constraint::UnitNorm { axis: axis(&mut object)? },
            "MinMaxNorm" | "min_max_norm" | "minmaxnorm" => Constraint::MinMaxNorm {
                min_value: object.number("min_value", 0.0)?,
                max_value: object.number("max_value", 1.0)?,
                rate: object.number("rate", 1.0)?,
                axis: axis(&mut object)?,
            },
            _ => return Err(object.unknown(&["MaxNorm", "NonNeg", "UnitNorm", "MinMaxNorm"])),
        };
        object.finish()?;
        Ok(constraint)
    }
}

impl Serialize for Constraint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Constraint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_json(&Value::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
