//! The same values in another shape or order, more of them, or fewer.

use serde::{Deserialize, Serialize};

use super::super::options::{DataFormat, Pair, Sides};
use super::super::window::MAX_SIZE;
use super::augmentation::Interpolation;
use super::{Effect, Inferred, LayerRules, double, image};
use crate::error::{Error, Result};

const fn frame() -> Sides {
    Sides { top: 1, bottom: 1, left: 1, right: 1 }
}

/// All values of an image as one vector, in height, width, channel order: `[N, H, W, C] → [N, H·W·C]`.
/// <https://keras.io/api/layers/reshaping_layers/flatten/>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Flatten {
    /// Always `channels_last`.
    #[serde(default)]
    pub data_format: DataFormat,
}

impl LayerRules for Flatten {
    fn infer(&self, input: &[usize]) -> Inferred {
        Ok((vec![input.iter().product()], vec![]))
    }

    fn effect(&self, input: &[usize], output: &[usize]) -> Effect {
        Effect::Moves { keeps_classes: input.last() == output.last() }
    }
}

/// The values of each image in another shape, in Keras's order.
/// <https://keras.io/api/layers/reshaping_layers/reshape/>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reshape {
    /// The shape without the batch; one size may be -1, what is left.
    pub target_shape: Vec<i64>,
}

impl LayerRules for Reshape {
    fn infer(&self, input: &[usize]) -> Inferred {
        let wrong = || {
            Error::model("the values do not fill the target shape")
                .expected(format!("a shape of {} values, at most one size -1", input.iter().product::<usize>()))
                .got(format!("{:?}", self.target_shape))
        };
        let total: usize = input.iter().product();
        let mut sizes = self.target_shape.iter().filter(|&&size| size != -1);
        let known = sizes.try_fold(1usize, |product, &size| product.checked_mul(usize::try_from(size).ok()?));
        let known = known.filter(|&known| known > 0 && total.is_multiple_of(known)).ok_or_else(wrong)?;
        let rest = total / known;
        match self.target_shape.iter().filter(|&&size| size == -1).count() {
            0 if rest == 1 => {}
            1 => {}
            _ => return Err(wrong()),
        }
        let size = |&size: &i64| usize::try_from(size).unwrap_or(rest);
        Ok((self.target_shape.iter().map(size).collect(), vec![]))
    }

    fn effect(&self, input: &[usize], output: &[usize]) -> Effect {
        Effect::Moves { keeps_classes: input.last() == output.last() }
    }
}

/// The axes of each image in another order.
/// <https://keras.io/api/layers/reshaping_layers/permute/>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Permute {
    /// For each axis of the output, which of the input's it is, counted from 1.
    pub dims: Vec<usize>,
}

impl LayerRules for Permute {
    fn infer(&self, input: &[usize]) -> Inferred {
        let mut sorted = self.dims.clone();
        sorted.sort_unstable();
        match sorted.iter().copied().eq(1..=input.len()) {
            true => Ok((self.dims.iter().map(|&axis| input[axis - 1]).collect(), vec![])),
            false => Err(Error::model("dims does not name every axis once")
                .expected(format!("1 to {} in any order", input.len()))
                .got(format!("{:?}", self.dims))),
        }
    }

    fn effect(&self, _input: &[usize], _output: &[usize]) -> Effect {
        Effect::Moves { keeps_classes: self.dims.last() == Some(&self.dims.len()) }
    }
}

/// Zeros around an image.
/// <https://keras.io/api/layers/reshaping_layers/zero_padding2d/>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ZeroPadding2D {
    /// How many at each side.
    #[serde(default = "frame")]
    pub padding: Sides,
    /// Always `channels_last`.
    #[serde(default)]
    pub data_format: DataFormat,
}

impl LayerRules for ZeroPadding2D {
    fn infer(&self, input: &[usize]) -> Inferred {
        let [height, width, channels] = image(input)?;
        let Sides { top, bottom, left, right } = self.padding;
        let height = sum(height, top, bottom)?;
        let width = sum(width, left, right)?;
        Ok((vec![height, width, channels], vec![]))
    }

    fn effect(&self, _input: &[usize], _output: &[usize]) -> Effect {
        Effect::Moves { keeps_classes: false } // zeros are no probabilities of classes
    }
}

fn sum(size: usize, before: usize, after: usize) -> Result<usize> {
    let sum = size.checked_add(before).and_then(|sum| sum.checked_add(after));
    let too_large = || Error::model("the padding is too large").expected(format!("sizes up to {MAX_SIZE}"));
    sum.filter(|sum| *sum <= MAX_SIZE).ok_or_else(too_large)
}

/// An image less its border.
/// <https://keras.io/api/layers/reshaping_layers/cropping2d/>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cropping2D {
    /// How much goes at each side.
    #[serde(default)]
    pub cropping: Sides,
    /// Always `channels_last`.
    #[serde(default)]
    pub data_format: DataFormat,
}

impl LayerRules for Cropping2D {
    fn infer(&self, input: &[usize]) -> Inferred {
        let [height, width, channels] = image(input)?;
        let Sides { top, bottom, left, right } = self.cropping;
        let rest = |size: usize, before: usize, after: usize| {
            let rest = size.checked_sub(before).and_then(|rest| rest.checked_sub(after)).filter(|rest| *rest > 0);
            rest.ok_or_else(|| {
                Error::model("the cropping leaves nothing").expected(format!("less than {size} pixels in all"))
            })
        };
        Ok((vec![rest(height, top, bottom)?, rest(width, left, right)?, channels], vec![]))
    }

    fn effect(&self, _input: &[usize], _output: &[usize]) -> Effect {
        Effect::Moves { keeps_classes: true }
    }
}

/// An image made larger by whole factors.
/// <https://keras.io/api/layers/reshaping_layers/up_sampling2d/>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UpSampling2D {
    /// The factors.
    #[serde(default = "double")]
    pub size: Pair,
    /// Always `channels_last`.
    #[serde(default)]
    pub data_format: DataFormat,
    /// Where new values come from.
    #[serde(default = "Interpolation::nearest")]
    pub interpolation: Interpolation,
}

impl LayerRules for UpSampling2D {
    fn infer(&self, input: &[usize]) -> Inferred {
        let [height, width, channels] = image(input)?;
        let product = |size: usize, factor: usize| {
            let product = size.checked_mul(factor).filter(|product| (1..=MAX_SIZE).contains(product));
            product.ok_or_else(|| Error::model("the size is not usable").got(factor).at("size"))
        };
        Ok((vec![product(height, self.size.height)?, product(width, self.size.width)?, channels], vec![]))
    }

    fn effect(&self, _input: &[usize], _output: &[usize]) -> Effect {
        Effect::Moves { keeps_classes: true }
    }
}
