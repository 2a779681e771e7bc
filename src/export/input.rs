//! What exports that take stored images and give probabilities have in common: their input and output, what is told beside the
//! network, and how they are compared with the model.

use std::fmt;

use serde_json::{Map, Value, json};
use strum::{Display, EnumMessage, EnumString, VariantArray};
use tch::{Device, Kind, Tensor};

use super::errors::not_the_model;
use crate::data::ImageShape;
use crate::error::Result;
use crate::model::{Model, ModelInfo};
use crate::rng::{Stream, generator, uniform};

/// The name of the input.
pub(super) const INPUT: &str = "images";
/// The name of the output.
pub(super) const OUTPUT: &str = "probabilities";
/// How many images the export and the model are compared on.
const NUM_PROBES: i64 = 4;
/// The largest difference of a probability …
const TOLERANCE: f64 = 1e-5;
/// … and, where that is more, of one whose logits are large, as a share of the largest: f32 rounds those by 6e-8 of it, several
/// times over, and a probability moves by up to a quarter of what its logit does.
const LOGIT_TOLERANCE: f64 = 1e-6;

/// What an export takes that gives probabilities: `[N, H, W, C]`, red first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Display, EnumMessage, EnumString, VariantArray)]
#[strum(serialize_all = "lowercase")]
pub enum ExportInput {
    /// Pixels 0 to 255, as images are stored; scaling is part of the export
    #[default]
    Uint8,
    /// float32 as predict takes it from an array: pixels times the model's input scale
    Float,
}

/// What is told beside the network.
///
/// # Errors
/// A model error where the network takes no images.
pub(super) fn metadata(subject: &Subject) -> Result<Map<String, Value>> {
    let Subject { model, info, input } = *subject;
    let size = info.input(model.image_shape()?, model.input_scale());
    let mut size = serde_json::to_value(size).expect("numbers and a word");
    size["kind"] = json!(input.to_string());
    let version = json!(env!("CARGO_PKG_VERSION"));
    let told = [("convnet", version), ("labels", json!(info.labels)), ("input", size)];
    Ok(told.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

/// What is exported.
pub(super) struct Subject<'a> {
    pub model: &'a Model,
    pub info: &'a ModelInfo,
    /// What a format takes that takes stored images.
    pub input: ExportInput,
}

/// What came of reading an export back.
pub(super) struct Checked {
    /// How it was compared with the model, and how well it agrees, for the user.
    pub how: String,
    /// The largest difference of an output; none where it was not run.
    pub max_difference: Option<f64>,
}

/// Images and what the model says of them.
pub(super) struct Probes {
    /// `u8` or `f32 [NUM_PROBES, H, W, C]`, the same every time.
    pub images: Tensor,
    /// `f32 [NUM_PROBES, K]`.
    probabilities: Tensor,
    /// The largest difference that rounding makes.
    tolerance: f64,
}

/// How well an export agrees with the model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Agreement {
    /// The largest difference of a probability.
    pub max_difference: f64,
    /// For how many images the most probable class is the same.
    num_same: i64,
}

impl fmt::Display for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Agreement { max_difference, num_same } = self;
        write!(f, "probabilities within {max_difference:.1e}, argmax the same for {num_same} of {NUM_PROBES} images")
    }
}

impl Probes {
    /// Images of noise.
    ///
    /// # Errors
    /// A model error where the network is no classifier of images.
    pub fn new(subject: &Subject) -> Result<Self> {
        let Subject { model, input, .. } = *subject;
        let ImageShape { height, width, channels } = model.image_shape()?;
        let mut random = generator(0, Stream::Show);
        let count = NUM_PROBES as usize * height * width * channels;
        let pixels: Vec<u8> = (0..count).map(|_| uniform(&mut random, 0.0, 255.0) as u8).collect();
        let sizes = [NUM_PROBES, height as i64, width as i64, channels as i64];
        let pixels = Tensor::from_slice(&pixels).reshape(sizes);
        let images = match input {
            ExportInput::Uint8 => pixels,
            ExportInput::Float => pixels.to_kind(Kind::Float) * model.input_scale(),
        };
        let outputs = tch::no_grad(|| model.forward(&images.to_device(model.device()), false))?;
        let largest = outputs.class_logits().nan_to_num(0.0, 0.0, 0.0).abs().max().double_value(&[]);
        let tolerance = TOLERANCE.max(LOGIT_TOLERANCE * largest);
        Ok(Probes { probabilities: outputs.probabilities().to_device(Device::Cpu), images, tolerance })
    }

    /// In batches of two sizes: an export takes any.
    pub fn batches(&self) -> [Tensor; 2] {
        [self.images.narrow(0, 0, 1), self.images.narrow(0, 1, NUM_PROBES - 1)]
    }

    /// Compares what the export made of [`Probes::batches`], `f32 [_, K]` each.
    ///
    /// # Errors
    /// A check error where a probability is another, or the shape.
    pub fn compare(&self, got: &[Tensor]) -> Result<Agreement> {
        let num_classes = self.probabilities.size()[1];
        for (got, images) in got.iter().zip(self.batches()) {
            let expected = [images.size()[0], num_classes];
            if got.size() != expected {
                let wrong = not_the_model().expected(format!("probabilities {expected:?}"));
                return Err(wrong.got(format!("{:?}", got.size())));
            }
        }
        let got = Tensor::cat(got, 0);
        // what is no number in both is the same
        let same = got.isnan().logical_and(&self.probabilities.isnan());
        let difference = (&got - &self.probabilities).abs().masked_fill(&same, 0.0);
        let max_difference = difference.max().double_value(&[]);
        let is_same = got.argmax(1, false).eq_tensor(&self.probabilities.argmax(1, false));
        let num_same = is_same.sum(Kind::Int64).int64_value(&[]);
        match max_difference <= self.tolerance {
            true => Ok(Agreement { max_difference, num_same }),
            // NaN too
            false => Err(not_the_model()
                .expected(format!("probabilities within {:.1e}", self.tolerance))
                .got(max_difference)),
        }
    }
}
