//! A layer's settings, key by key as Keras 3 writes them, and its rule: what comes out and which weights it has. One struct
//! per class: what Keras calls `config`, less the keys that every layer has (`name`, `trainable`, `dtype`).

mod activation;
mod augmentation;
mod convolution;
mod core;
mod dropout;
mod merge;
mod normalization;
mod pooling;
mod preprocessing;
mod reshaping;
mod separable;

pub use self::core::{ActivationLayer, ActivityRegularization, Dense, Identity};
pub use activation::*;
pub use augmentation::*;
pub use convolution::*;
pub use dropout::*;
pub use merge::*;
pub use normalization::*;
pub use pooling::*;
pub use preprocessing::*;
pub use reshaping::*;
pub use separable::*;

use super::info::{WeightInfo, WeightOrder};
use super::options::{Activation, Initializer, Pair, Regularizer};
pub use super::options::{ELU, LeakyReLU, ReLU, Softmax};
use crate::error::{Error, Result};

/// A layer's output shape and its weights, or why the input does not fit.
pub(super) type Inferred = Result<(Vec<usize>, Vec<WeightInfo>)>;

/// What is to be known of a class of layers, without libtorch. Shapes are without the batch's axis.
pub(super) trait LayerRules {
    /// The output's shape and the weights, for an input of this shape.
    ///
    /// # Errors
    /// A model error that says why the input does not fit, or which setting cannot be used.
    fn infer(&self, input: &[usize]) -> Inferred;

    /// As [`LayerRules::infer`], of every input, at least one.
    ///
    /// # Errors
    /// As there; and where the layer takes one input and gets several.
    fn infer_all(&self, inputs: &[&[usize]]) -> Inferred {
        match inputs {
            [input] => self.infer(input),
            several => Err(one_input(several.len())),
        }
    }

    /// Whether it joins several inputs, which Keras's files have in a list.
    fn takes_several(&self) -> bool {
        false
    }

    /// What it makes of its input's values, its activation left out.
    fn effect(&self, input: &[usize], output: &[usize]) -> Effect;

    /// The activation that it ends in.
    fn activation(&self) -> Activation {
        Activation::Linear
    }

    /// The loss on its output.
    fn activity_regularizer(&self) -> Option<Regularizer> {
        None
    }
}

/// What a layer makes of its input's values, its activation left out: whether pixels are pixels behind it, and
/// probabilities of the classes still such.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Effect {
    /// New numbers from many of them, by weights.
    Mixes,
    /// Nothing.
    Keeps,
    /// Another function than softmax or sigmoid, with weights, and unbounded; its name.
    Bends(&'static str),
    /// Random numbers in training, nothing otherwise or where the amount is 0.
    Noise {
        /// How much.
        amount: f64,
    },
    /// The same values elsewhere, fewer of them, or others between them.
    Moves {
        /// Whether the last axis has the same values as before, place by place.
        keeps_classes: bool,
    },
    /// Means or maxima of them.
    Pools,
    /// A factor and an offset.
    Scales,
    /// Images changed at random in training.
    Augments,
    /// One from several inputs.
    Joins(Join),
}

/// How a layer makes one from several inputs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Join {
    /// Their mean.
    Mean,
    /// Sums, products and the like.
    Combination,
    /// One after the other.
    Concatenation {
        /// Along the last axis.
        is_last: bool,
    },
}

/// The error of a layer that takes one input and gets `several`.
pub(super) fn one_input(several: usize) -> Error {
    Error::model("the layer takes one input").expected("1").got(several)
}

const fn glorot_uniform() -> Initializer {
    Initializer::GlorotUniform
}
const fn zeros() -> Initializer {
    Initializer::Zeros
}
const fn ones() -> Initializer {
    Initializer::Ones
}
const fn yes() -> bool {
    true
}
const fn one() -> usize {
    1
}
const fn single() -> Pair {
    Pair::square(1)
}
const fn double() -> Pair {
    Pair::square(2)
}
const fn thousandth() -> f64 {
    1e-3
}

/// A layer without weights that leaves the shape as it is.
fn unchanged(input: &[usize]) -> Inferred {
    Ok((input.to_vec(), vec![]))
}

/// A weight of one value a channel, called `names` here and in Keras.
fn vector(names: [&'static str; 2], size: usize, initializer: Initializer) -> WeightInfo {
    WeightInfo::new(names, vec![size], WeightOrder::Same, initializer)
}

fn image(input: &[usize]) -> Result<[usize; 3]> {
    <[usize; 3]>::try_from(input).map_err(|_| {
        Error::model("the layer needs an image").expected("an input of shape [H, W, C]").got(format!("{input:?}"))
    })
}

fn last(input: &[usize]) -> Result<usize> {
    input.last().copied().ok_or_else(|| Error::model("the layer needs at least one axis").got("none"))
}

fn positive(key: &str, value: usize) -> Result<()> {
    if value == 0 { Err(Error::model(format!("{key} must not be 0"))) } else { Ok(()) }
}

/// Checks a number that is a probability below 1.
fn share(key: &str, value: f64) -> Result<()> {
    match (0.0..1.0).contains(&value) {
        true => Ok(()),
        false => Err(Error::model(format!("the {key} is out of range")).expected("0 to below 1").got(value)),
    }
}

/// The one axis that `axis` names, counted with the batch, which it is not.
fn one_axis(axis: &super::options::Axes, input: &[usize]) -> Result<usize> {
    match axis.resolve(input.len() + 1)?[..] {
        [one] if one > 0 => Ok(one),
        _ => Err(Error::model("the axis cannot be the batch or several").expected("one axis").got(axis).at("axis")),
    }
}
