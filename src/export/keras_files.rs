//! Exports in Keras's own files, read back as any Keras model is.

use std::path::Path;

use tch::{Device, Tensor};

use super::errors::{not_the_model, unreadable};
use crate::error::Result;
use crate::keras::{self, KerasFormat, KerasModel};
use crate::model::{Model, ModelInfo};

/// The bytes of the files of `format`.
///
/// # Errors
/// A model error where the network cannot be said in it.
pub(super) fn to_files(model: &Model, info: &ModelInfo, format: KerasFormat) -> Result<Vec<Vec<u8>>> {
    keras::to_files(model, &info.labels, format)
}

/// The outputs `f32 [B, classes]` of the model in the files `written`, for `images` `f32 [B, …]`.
///
/// # Errors
/// A check error where they cannot be read, or a weight is not `model`'s.
pub(super) fn outputs(model: &Model, written: &[&Path], images: &Tensor) -> Result<Tensor> {
    let read = KerasModel::open(written[0], written.get(1).copied()).map_err(|error| unreadable().because(error))?;
    let read = read.build(model.input_scale(), Device::Cpu).map_err(|error| unreadable().because(error))?;
    for (ours, theirs) in model.weights().iter().zip(read.weights()) {
        if !ours.tensor.to_device(Device::Cpu).equal(&theirs.tensor) {
            return Err(not_the_model().got(format!("another {}", ours.name)));
        }
    }
    Ok(read.predict(images))
}
