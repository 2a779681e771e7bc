//! What goes into a network: its shape as an image's, its kind of number, and whether pixels reach it as they are.

use serde_json::Value;

use super::checks::policy_name;
use super::layers::{Effect, Join};
use super::{Activation, LayerSpec, Plan, Source, Spec};
use crate::data::ImageShape;
use crate::error::{Error, Result};

/// The kinds of number that pixels 0 to 255 are in without loss, by Keras's names.
pub(super) const DTYPES: [&str; 11] =
    ["float32", "float16", "bfloat16", "float64", "uint8", "uint16", "uint32", "uint64", "int16", "int32", "int64"];

/// An InputLayer's dtype.
pub(super) fn dtype(value: Option<&Value>) -> Result<&'static str> {
    let Some(value) = value.filter(|value| !value.is_null()) else { return Ok(DTYPES[0]) };
    let name = policy_name(value).unwrap_or_default();
    DTYPES.into_iter().find(|known| *known == name).ok_or_else(|| {
        Error::model("the input's dtype is not one of images").expected(DTYPES.join(", ")).got(value).at("dtype")
    })
}

/// Images of `shape` as an input of `rank` axes: `[H, W, C]`, `[H, W]` or `[H·W·C]`.
pub(super) fn shape_of(shape: ImageShape, rank: usize) -> Vec<usize> {
    let ImageShape { height, width, channels } = shape;
    match rank {
        1 => vec![height.saturating_mul(width).saturating_mul(channels)],
        2 if channels == 1 => vec![height, width],
        _ => vec![height, width, channels],
    }
}

impl Spec {
    /// The input as an image's shape. `[H, W]` is a grey image; `[features]` says no height and width: a square is taken
    /// for them, grey, or in colour where there are three times as many values.
    ///
    /// # Errors
    /// A model error where the network does not take images, or of a size that its input does not say.
    pub fn image_shape(&self) -> Result<ImageShape> {
        match *self.check_input()? {
            [height, width, channels] => Ok(ImageShape { height, width, channels }),
            [height, width] => Ok(ImageShape { height, width, channels: 1 }),
            ref flat => {
                let values = flat.iter().product::<usize>();
                square(values).ok_or_else(|| {
                    Error::model("the network's input does not say how large its images are")
                        .expected("a square number of values, or three times one")
                        .got(format!("{values} values"))
                        .help("say it with `image_size` HxW and `channels` 1 or 3")
                })
            }
        }
    }

    /// Whether images of `shape` go into the network as its input has it.
    pub fn takes(&self, shape: ImageShape) -> bool {
        self.input_shape.as_deref().is_some_and(|input| input == shape_of(shape, input.len()))
    }

    /// Checks that images of `shape` are what the network takes.
    ///
    /// # Errors
    /// A model error that names both.
    pub fn check_takes(&self, shape: ImageShape) -> Result<()> {
        let input = self.check_input()?;
        if self.takes(shape) {
            return Ok(());
        }
        let (wanted, help) = match *input {
            [values] => (format!("images of {values} values together, the model's input {input:?}"), IMAGE_SIZE),
            [height, width] if shape.channels != 1 && (height, width) == (shape.height, shape.width) => (
                format!("grey images of {height}×{width}, the model's input {input:?}"),
                "`channels = 1` makes them grey",
            ),
            [height, width] => (format!("grey images of {height}×{width}, the model's input {input:?}"), IMAGE_SIZE),
            _ => (format!("images of {}, the model's input", self.image_shape()?), IMAGE_SIZE),
        };
        Err(Error::model("the model and the data do not go together")
            .expected(wanted)
            .got(format!("images of {shape} in the data"))
            .help(help))
    }

    /// The input's shape, where it may be an image's.
    pub(super) fn check_input(&self) -> Result<&[usize]> {
        match self.input_shape.as_deref() {
            Some(shape @ ([_] | [_, _] | [_, _, _])) => Ok(shape),
            Some(other) => Err(Error::model("the network does not take images")
                .expected("an input of shape [H, W, C], [H, W] or [H·W·C]")
                .got(format!("{other:?}"))),
            None => Err(Error::model("the network's input shape is not known").help("add an InputLayer to its JSON")),
        }
    }

    /// What makes the network take pixels as they are, 0 to 255, in words: an input of whole numbers, or a Rescaling or
    /// Normalization layer before any layer that looks at them. Layers before it that only change which pixels there are,
    /// and where, are looked through.
    pub fn own_scaling(&self) -> Option<String> {
        if self.input_dtype.contains("int") {
            return Some(format!("the network's input is {}", self.input_dtype));
        }
        let plan = self.plan().ok()?;
        let (_, layer) = plan.flat_layers().swap_remove(plan.scaling_leaf()?);
        Some(format!("layer {} ({}) scales them", layer.name(), layer.class_name()))
    }
}

impl Plan {
    /// The number of the first layer that scales pixels as they are: a Rescaling or Normalization. Where the network
    /// branches, one of the branches is enough.
    pub(in super::super) fn scaling_leaf(&self) -> Option<usize> {
        let leaves = self.flat_layers();
        let mut are_pixels = Vec::with_capacity(self.calls.len());
        for call in &self.calls {
            let is_pixel = |input: &Source| match *input {
                Source::Input => true,
                Source::Call(call) => are_pixels[call],
            };
            let spec = &leaves[call.leaf].1.layer.spec;
            let scales = matches!(spec, LayerSpec::Rescaling(_) | LayerSpec::Normalization(_));
            if scales && call.inputs.iter().all(is_pixel) {
                return Some(call.leaf);
            }
            are_pixels.push(call.inputs.iter().all(is_pixel) && keeps_range(spec));
        }
        None
    }
}

const IMAGE_SIZE: &str = "choose other data, bring it to that size with `image_size`, or change the model's InputLayer";

/// Height and width of a grey square of `values` values, or of one in three colours.
fn square(values: usize) -> Option<ImageShape> {
    let of = |channels: usize| {
        let side = (values / channels).isqrt();
        (values > 0 && side * side * channels == values).then_some(ImageShape { height: side, width: side, channels })
    };
    of(1).or_else(|| of(3))
}

/// Whether a layer's output is in its input's range: pixels chosen, moved, mixed or changed at random.
fn keeps_range(layer: &LayerSpec) -> bool {
    let Some(rules) = layer.rules() else { return false };
    match rules.effect(&[], &[]) {
        Effect::Moves { .. } | Effect::Pools | Effect::Noise { .. } | Effect::Augments => true,
        Effect::Keeps => rules.activation() == Activation::Linear,
        Effect::Joins(Join::Mean | Join::Concatenation { .. }) => true,
        Effect::Joins(Join::Combination) | Effect::Mixes | Effect::Bends(_) | Effect::Scales => false,
    }
}

#[cfg(test)]
mod tests;
