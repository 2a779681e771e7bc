//! Layers that join several inputs, as Python between modules and as what that computes.

use tch::Tensor;

use crate::error::Result;
use crate::model::spec::{LayerCall, LayerSpec};

/// What makes one tensor of several.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Join {
    Add,
    Subtract,
    Multiply,
    Average,
    Maximum,
    Minimum,
    /// The first plus the second times a number.
    AddScaled(f64),
    /// One after the other along a dimension of PyTorch's.
    Concatenate {
        dim: i64,
    },
}

impl Join {
    /// How `layer`, called as `call`, joins its inputs; `None` where it takes one.
    ///
    /// # Errors
    /// A model error where the layer's axis cannot be used.
    pub fn of(layer: &LayerSpec, call: &LayerCall) -> Result<Option<Self>> {
        Ok(Some(match layer {
            LayerSpec::Add(_) => Join::Add,
            LayerSpec::Subtract(_) => Join::Subtract,
            LayerSpec::Multiply(_) => Join::Multiply,
            LayerSpec::Average(_) => Join::Average,
            LayerSpec::Maximum(_) => Join::Maximum,
            LayerSpec::Minimum(_) => Join::Minimum,
            LayerSpec::CustomScaleLayer(layer) => Join::AddScaled(layer.scale),
            LayerSpec::Concatenate(layer) => {
                let rank = call.input_shapes[0].len() + 1;
                let axis = layer.axis_of(rank)? as i64;
                // images lie [B, C, H, W]
                Join::Concatenate { dim: if rank == 4 { [0, 2, 3, 1][axis as usize] } else { axis } }
            }
            _ => return Ok(None),
        }))
    }

    /// The Python that joins the variables `inputs`.
    pub fn python(&self, inputs: &[String]) -> String {
        let folded = |name: &str| {
            let fold = |joined: String, input: &String| format!("{name}({joined}, {input})");
            inputs[1..].iter().fold(inputs[0].clone(), fold)
        };
        match self {
            Join::Add => inputs.join(" + "),
            Join::Subtract => inputs.join(" - "),
            Join::Multiply => inputs.join(" * "),
            Join::Average => format!("({}) / {}", inputs.join(" + "), inputs.len()),
            Join::Maximum => folded("torch.maximum"),
            Join::Minimum => folded("torch.minimum"),
            Join::AddScaled(scale) => format!("{} + {scale:?} * {}", inputs[0], inputs[1]),
            Join::Concatenate { dim } => format!("torch.cat(({},), {dim})", inputs.join(", ")),
        }
    }

    /// What it makes of `inputs`.
    pub fn forward(&self, inputs: &[Tensor]) -> Tensor {
        let fold = |combine: fn(&Tensor, &Tensor) -> Tensor| {
            inputs[1..].iter().fold(inputs[0].shallow_clone(), |joined, input| combine(&joined, input))
        };
        match self {
            Join::Add => fold(|a, b| a + b),
            Join::Subtract => fold(|a, b| a - b),
            Join::Multiply => fold(|a, b| a * b),
            Join::Average => fold(|a, b| a + b) / inputs.len() as f64,
            Join::Maximum => fold(Tensor::maximum),
            Join::Minimum => fold(Tensor::minimum),
            Join::AddScaled(scale) => &inputs[0] + *scale * &inputs[1],
            Join::Concatenate { dim } => Tensor::cat(inputs, *dim),
        }
    }
}
