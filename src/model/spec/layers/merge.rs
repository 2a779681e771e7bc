//! Layers that join several inputs. Their axes are Keras's, the batch's counted where an axis is named.

use serde::{Deserialize, Serialize};

use super::{Effect, Inferred, Join, LayerRules};
use crate::error::{Error, Result};

/// The sum of its inputs, which may be broadcast. <https://keras.io/api/layers/merging_layers/add/>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Add {}

/// The first of two inputs less the second. <https://keras.io/api/layers/merging_layers/subtract/>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Subtract {}

/// The product of its inputs, value by value. <https://keras.io/api/layers/merging_layers/multiply/>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Multiply {}

/// The mean of its inputs. <https://keras.io/api/layers/merging_layers/average/>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Average {}

/// The largest of its inputs, value by value. <https://keras.io/api/layers/merging_layers/maximum/>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Maximum {}

/// The smallest of its inputs, value by value. <https://keras.io/api/layers/merging_layers/minimum/>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Minimum {}

/// The first of two inputs plus the second times a number: of InceptionResNetV2 in `keras.applications`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CustomScaleLayer {
    /// What the second is multiplied by.
    pub scale: f64,
}

/// Its inputs one after the other along an axis. <https://keras.io/api/layers/merging_layers/concatenate/>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Concatenate {
    /// The axis, the batch's being 0; from the end where it is negative.
    #[serde(default = "last_axis")]
    pub axis: i64,
}

const fn last_axis() -> i64 {
    -1
}

impl Concatenate {
    /// The axis of inputs with `rank` axes, the batch's counted.
    ///
    /// # Errors
    /// A model error where there is no such axis, or it is the batch's.
    pub fn axis_of(&self, rank: usize) -> Result<usize> {
        let from_end = |axis: i64| if axis < 0 { axis + rank as i64 } else { axis };
        let axis = usize::try_from(from_end(self.axis)).ok().filter(|axis| (1..rank).contains(axis));
        axis.ok_or_else(|| {
            Error::model("inputs cannot be joined along this axis")
                .expected(format!("-1 to -{} or 1 to {}", rank - 1, rank - 1))
                .got(self.axis)
                .at("axis")
        })
    }
}

/// The shape of `inputs` combined value by value: where one has a 1 it takes the size of the others; shapes with fewer axes
/// are filled up with 1 at the front (Keras's `Merge`).
fn broadcast(inputs: &[&[usize]]) -> Result<Vec<usize>> {
    let rank = inputs.iter().map(|shape| shape.len()).max().unwrap_or(0);
    let size = |shape: &[usize], axis: usize| (axis + shape.len()).checked_sub(rank).map_or(1, |axis| shape[axis]);
    let joined = |axis: usize| {
        inputs.iter().map(|shape| size(shape, axis)).try_fold(1, |joined, size| match (joined, size) {
            (1, size) | (size, 1) => Some(size),
            (joined, size) => (joined == size).then_some(size),
        })
    };
    (0..rank)
        .map(joined)
        .collect::<Option<_>>()
        .ok_or_else(|| unequal(inputs, "inputs of one shape, or with sizes of 1"))
}

fn unequal(inputs: &[&[usize]], expected: &str) -> Error {
    let shapes: Vec<String> = inputs.iter().map(|shape| format!("{shape:?}")).collect();
    Error::model("the layer's inputs do not go together").expected(expected).got(shapes.join(" and "))
}

fn combined(inputs: &[&[usize]]) -> Inferred {
    Ok((broadcast(inputs)?, vec![]))
}

fn combined_two(inputs: &[&[usize]]) -> Inferred {
    match inputs.len() {
        2 => combined(inputs),
        count => Err(Error::model("the layer takes two inputs").expected("2").got(count)),
    }
}

impl LayerRules for Add {
    fn infer(&self, input: &[usize]) -> Inferred {
        combined(&[input])
    }

    fn infer_all(&self, inputs: &[&[usize]]) -> Inferred {
        combined(inputs)
    }

    fn takes_several(&self) -> bool {
        true
    }

    fn effect(&self, _input: &[usize], _output: &[usize]) -> Effect {
        Effect::Joins(Join::Combination)
    }
}

impl LayerRules for Subtract {
    fn infer(&self, input: &[usize]) -> Inferred {
        combined_two(&[input])
    }

    fn infer_all(&self, inputs: &[&[usize]]) -> Inferred {
        combined_two(inputs)
    }

    fn takes_several(&self) -> bool {
        true
    }

    fn effect(&self, _input: &[usize], _output: &[usize]) -> Effect {
        Effect::Joins(Join::Combination)
    }
}

impl LayerRules for Multiply {
    fn infer(&self, input: &[usize]) -> Inferred {
        combined(&[input])
    }

    fn infer_all(&self, inputs: &[&[usize]]) -> Inferred {
        combined(inputs)
    }

    fn takes_several(&self) -> bool {
        true
    }

    fn effect(&self, _input: &[usize], _output: &[usize]) -> Effect {
        Effect::Joins(Join::Combination)
    }
}

impl LayerRules for Average {
    fn infer(&self, input: &[usize]) -> Inferred {
        combined(&[input])
    }

    fn infer_all(&self, inputs: &[&[usize]]) -> Inferred {
        combined(inputs)
    }

    fn takes_several(&self) -> bool {
        true
    }

    fn effect(&self, _input: &[usize], _output: &[usize]) -> Effect {
        Effect::Joins(Join::Mean)
    }
}

impl LayerRules for Maximum {
    fn infer(&self, input: &[usize]) -> Inferred {
        combined(&[input])
    }

    fn infer_all(&self, inputs: &[&[usize]]) -> Inferred {
        combined(inputs)
    }

    fn takes_several(&self) -> bool {
        true
    }

    fn effect(&self, _input: &[usize], _output: &[usize]) -> Effect {
        Effect::Joins(Join::Combination)
    }
}

impl LayerRules for Minimum {
    fn infer(&self, input: &[usize]) -> Inferred {
        combined(&[input])
    }

    fn infer_all(&self, inputs: &[&[usize]]) -> Inferred {
        combined(inputs)
    }

    fn takes_several(&self) -> bool {
        true
    }

    fn effect(&self, _input: &[usize], _output: &[usize]) -> Effect {
        Effect::Joins(Join::Combination)
    }
}

impl LayerRules for CustomScaleLayer {
    fn infer(&self, input: &[usize]) -> Inferred {
        combined_two(&[input])
    }

    fn infer_all(&self, inputs: &[&[usize]]) -> Inferred {
        combined_two(inputs)
    }

    fn takes_several(&self) -> bool {
        true
    }

    fn effect(&self, _input: &[usize], _output: &[usize]) -> Effect {
        Effect::Joins(Join::Combination)
    }
}

impl LayerRules for Concatenate {
    fn infer(&self, input: &[usize]) -> Inferred {
        self.infer_all(&[input])
    }

    fn infer_all(&self, inputs: &[&[usize]]) -> Inferred {
        let axis = self.axis_of(inputs[0].len() + 1)? - 1;
        let is_like_first = |shape: &[usize]| {
            let others = |(at, pair): (usize, (&usize, &usize))| at == axis || pair.0 == pair.1;
            shape.len() == inputs[0].len() && shape.iter().zip(inputs[0]).enumerate().all(others)
        };
        if !inputs.iter().all(|shape| is_like_first(shape)) {
            return Err(unequal(inputs, &format!("shapes that differ along axis {} alone", axis + 1)));
        }
        let mut output = inputs[0].to_vec();
        let sum = inputs.iter().try_fold(0usize, |sum, shape| sum.checked_add(shape[axis]));
        output[axis] = sum.ok_or_else(|| Error::model("the joined inputs are too large"))?;
        Ok((output, vec![]))
    }

    fn takes_several(&self) -> bool {
        true
    }

    fn effect(&self, _input: &[usize], output: &[usize]) -> Effect {
        let is_last = self.axis_of(output.len() + 1).is_ok_and(|axis| axis == output.len());
        Effect::Joins(Join::Concatenation { is_last })
    }
}
