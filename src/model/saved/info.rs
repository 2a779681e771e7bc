//! What is saved with a network: its classes' names, its metrics, where it came from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::super::calibration::Calibration;
use super::super::trained_on::TrainedOn;
use super::super::training_look::TrainingLook;
use crate::data::ImageShape;
use crate::data::image::{Decode, Preprocessing, Resize};

/// What is known of a model beside its network.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ModelInfo {
    /// The K classes' names, in the order of the outputs.
    pub labels: Vec<String>,
    /// How good it was when it was saved: `val_accuracy` and others.
    pub metrics: BTreeMap<String, f64>,
    /// What Keras compiled it with, where it was imported.
    pub compile: Option<CompileInfo>,
    /// How images of another size come to the network's.
    pub resize: Resize,
    /// How JPEG files are decoded that are much larger than that.
    pub decode: Decode,
    /// What it was trained on; none where it was imported.
    pub data: Option<TrainedOn>,
    /// The name of the run that trained it, where one did.
    pub run: Option<String>,
    /// What its confidence is worth; none where it was not measured.
    pub calibration: Option<Calibration>,
    /// What its training images look like; none where it was imported, or saved by an older version.
    pub images: Option<TrainingLook>,
}

impl ModelInfo {
    /// How images are prepared for the network, which takes those of `shape`.
    pub fn preparation(&self, shape: ImageShape) -> Preprocessing {
        Preprocessing { shape, resize: self.resize, decode: self.decode }
    }

    /// What the network, which takes images of `shape` times `scale`, needs of its input.
    pub fn input(&self, shape: ImageShape, scale: f64) -> InputInfo {
        let ImageShape { height, width, channels } = shape;
        InputInfo { height, width, channels, scale, resize: self.resize, decode: self.decode }
    }
}

/// What a model needs of its input.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputInfo {
    /// H, in pixels.
    pub height: usize,
    /// W, in pixels.
    pub width: usize,
    /// C.
    pub channels: usize,
    /// What stored values 0 to 255 are multiplied by.
    pub scale: f64,
    /// How images of another size come to H and W.
    #[serde(default)]
    pub resize: Resize,
    /// How JPEG files are decoded that are much larger than that.
    #[serde(default, skip_serializing_if = "Decode::is_exact")]
    pub decode: Decode,
}

/// Settings of `model.compile`, by Keras 3's names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompileInfo {
    /// The optimizer's class: `Adam`.
    pub optimizer: String,
    /// Its settings that are not null: `learning_rate` (a number, or a schedule's object), `beta_1` …
    pub optimizer_config: Map<String, Value>,
    /// The loss: its name, or its object with `class_name` and `config`; null where the file has none.
    #[serde(default)]
    pub loss: Value,
    /// The metrics' names.
    #[serde(default)]
    pub metrics: Vec<String>,
}

impl CompileInfo {
    /// The learning rate, where it is a number and no schedule.
    pub fn learning_rate(&self) -> Option<f64> {
        self.optimizer_config.get("learning_rate").and_then(Value::as_f64)
    }
}
