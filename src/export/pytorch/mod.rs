//! A model for PyTorch: a short script that builds the same network, as an `nn.Sequential` or, where it branches, as a
//! module with a `forward`, and its weights in safetensors.

mod convert;
mod join;
mod module;
mod network;
mod normalization;
mod script;

use std::path::{Path, PathBuf};

use tch::Tensor;

use crate::error::Result;
use crate::model::{Model, ModelInfo};
use network::TorchNetwork;

/// The bytes of the script and of the weights' file beside it, which lie at `paths`.
///
/// # Errors
/// A model error that names the first layer that PyTorch has no module for.
pub(super) fn to_files(model: &Model, info: &ModelInfo, paths: &[PathBuf]) -> Result<Vec<Vec<u8>>> {
    let network = TorchNetwork::new(model)?;
    let weights_file = paths.last().and_then(|path| path.file_name()).unwrap_or_default().to_string_lossy();
    Ok(vec![network.script(model, &info.labels, &weights_file).into_bytes(), network.weights_to_bytes()?])
}

/// The outputs `f32 [B, classes]` of the script's modules, computed by libtorch with the weights' file of `written`, for
/// `images` `f32 [B, H, W, C]`.
///
/// # Errors
/// A check error where the file cannot be read, or a weight is not `model`'s.
pub(super) fn outputs(model: &Model, written: &[&Path], images: &Tensor) -> Result<Tensor> {
    let weights = std::fs::read(written[1]).map_err(|error| super::errors::unreadable().because(error))?;
    TorchNetwork::new(model)?.forward(images, &weights)
}
