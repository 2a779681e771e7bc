//! The values that Keras's layer configurations are made of: sizes, padding, activations, initialisers.

mod activation;
mod function_layer;
mod initializer;
mod object;
mod regularizer;

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

pub use activation::Activation;
pub(super) use activation::keras2_hard_sigmoid;
pub use function_layer::{ELU, FunctionLayer, LeakyReLU, ReLU, Softmax};
pub use initializer::{Distribution, Fan, Initializer};
pub use regularizer::{Constraint, OrthogonalMode, Regularizer};

use crate::error::{Error, Result};

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
pub struct Null;

impl Serialize for Null {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_none()
    }
}

impl<'de> Deserialize<'de> for Null {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Null => Ok(Null),
            other => Err(serde::de::Error::custom(format!("expected null (not supported here), got {other}"))),
        }
    }
}

/// A switch that has to be off: what it would turn on is not supported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "bool", into = "bool")]
pub struct No;

impl TryFrom<bool> for No {
    type Error = String;

    fn try_from(on: bool) -> Result<Self, String> {
        if on { Err("expected false (not supported here), got true".into()) } else { Ok(No) }
    }
}

impl From<No> for bool {
    fn from(_: No) -> Self {
        false
    }
}

/// One axis or several, as Keras counts them: the batch is 0, the last is -1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected an axis or a list of axes")]
pub enum Axes {
    /// One axis.
    One(i64),
    /// Several.
    Many(Vec<i64>),
}

impl Default for Axes {
    fn default() -> Self {
        Axes::One(-1)
    }
}

impl fmt::Display for Axes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Axes::One(axis) => write!(f, "{axis}"),
            Axes::Many(axes) => write!(f, "{axes:?}"),
        }
    }
}

impl Axes {
    /// The axes of an array of `rank` axes from 0 on, ascending.
    ///
    /// # Errors
    /// A model error where one is not there or is named twice.
    pub fn resolve(&self, rank: usize) -> Result<Vec<usize>> {
        let axes: &[i64] = match self {
            Axes::One(axis) => std::slice::from_ref(axis),
            Axes::Many(axes) => axes,
        };
        let size = i64::try_from(rank).unwrap_or(i64::MAX);
        let wrong = |axis: i64| {
            Error::model("an axis is not there or named twice")
                .expected(format!("different numbers from {} to {}", -size, size - 1))
                .got(axis)
                .at("axis")
        };
        let mut resolved = Vec::with_capacity(axes.len());
        for &axis in axes {
            let counted = if axis < 0 { axis.checked_add(size) } else { Some(axis) };
            let index = counted.and_then(|axis| usize::try_from(axis).ok()).filter(|index| *index < rank);
            let index = index.filter(|index| !resolved.contains(index)).ok_or_else(|| wrong(axis))?;
            resolved.push(index);
        }
        resolved.sort_unstable();
        Ok(resolved)
    }
}

/// A number, or one for each channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a number or a list of numbers")]
pub enum Numbers {
    /// The same everywhere.
    One(f64),
    /// One for each channel.
    Many(Vec<f64>),
}

impl Numbers {
    /// All of them.
    pub fn values(&self) -> &[f64] {
        match self {
            Numbers::One(number) => std::slice::from_ref(number),
            Numbers::Many(numbers) => numbers,
        }
    }
}

/// How many pixels at each side. Keras writes `[[top, bottom], [left, right]]`, and takes one number or `[h, w]` as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "AnySides", into = "[[usize; 2]; 2]")]
pub struct Sides {
    /// Above.
    pub top: usize,
    /// Below.
    pub bottom: usize,
    /// Before the first column.
    pub left: usize,
    /// After the last column.
    pub right: usize,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a whole number, [h, w] or [[top, bottom], [left, right]]")]
enum AnySides {
    One(usize),
    Two([usize; 2]),
    Four([[usize; 2]; 2]),
}

impl From<AnySides> for Sides {
    fn from(sides: AnySides) -> Self {
        let [[top, bottom], [left, right]] = match sides {
            AnySides::One(size) => [[size; 2]; 2],
            AnySides::Two([height, width]) => [[height; 2], [width; 2]],
            AnySides::Four(sides) => sides,
        };
        Sides { top, bottom, left, right }
    }
}

impl From<Sides> for [[usize; 2]; 2] {
    fn from(sides: Sides) -> Self {
        [[sides.top, sides.bottom], [sides.left, sides.right]]
    }
}

/// The bounds of a random number. Keras writes `[low, high]`, and takes one number for `[-x, x]`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a number or a list of two")]
pub enum Bounds {
    /// `[-x, x]`.
    Symmetric(f64),
    /// `[low, high]`.
    Both([f64; 2]),
}

impl Bounds {
    /// The lower and the upper bound.
    pub fn ends(self) -> [f64; 2] {
        match self {
            Bounds::Symmetric(size) => [-size, size],
            Bounds::Both(ends) => ends,
        }
    }
}

#[cfg(test)]
mod tests;
