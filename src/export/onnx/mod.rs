//! A model as one file of ONNX, from stored images to probabilities, for onnxruntime and what else reads it.

mod activation;
mod convolution;
mod graph;
mod joins;
mod layers;
mod network;
mod normalization;
mod proto;
mod runtime;
mod shapes;

use std::collections::HashMap;
use std::path::Path;

use prost::Message;

use self::proto::{ModelProto, TensorProto};
use self::runtime::{LIBRARY_VARIABLE, Runtime};
use super::errors::{not_the_model, unreadable};
use super::input::{Checked, Probes, Subject};
use crate::error::{Error, Result};
use crate::model::saved::bytes_of;

/// No message of Protocol Buffers is longer: <https://protobuf.dev/programming-guides/proto-limits/>.
const MAX_BYTES: usize = i32::MAX as usize;

/// The bytes of the file.
///
/// # Errors
/// A model error where the network is no classifier of images, has a layer that ONNX has nothing for, or is too large.
pub(super) fn to_file(subject: &Subject) -> Result<Vec<u8>> {
    let model = subject.model;
    check_size(model.plan().num_parameters().saturating_mul(size_of::<f32>()), MAX_BYTES)?; // before anything is copied
    let file = network::file(subject)?;
    check_size(file.encoded_len(), MAX_BYTES)?;
    Ok(file.encode_to_vec())
}

fn check_size(num_bytes: usize, max_bytes: usize) -> Result<()> {
    match num_bytes <= max_bytes {
        true => Ok(()),
        false => Err(Error::model("the network is too large for a file of ONNX")
            .expected(format!("at most {max_bytes} bytes"))
            .got(num_bytes)
            .help("use another `format`: pytorch, or torchscript")),
    }
}

/// Reads the file back, compares every weight bit for bit, and runs it in onnxruntime where that is found.
///
/// # Errors
/// A check error where the file cannot be read, holds another weight or gives other probabilities; a configuration error where
/// an onnxruntime is named that cannot be loaded.
pub(super) fn check(subject: &Subject, written: &Path) -> Result<Checked> {
    let bytes = std::fs::read(written).map_err(|error| unreadable().because(error))?;
    let file = ModelProto::decode(&*bytes).map_err(|error| unreadable().because(error))?;
    check_weights(subject, file)?;
    let read_back = "weights read back: every one the same";
    let Some(runtime) = Runtime::find()? else {
        let how = format!(
            "{read_back}; not run, as no onnxruntime was found: {LIBRARY_VARIABLE} can name a libonnxruntime.so"
        );
        return Ok(Checked { how, max_difference: None });
    };
    let probes = Probes::new(subject)?;
    let agreement = probes.compare(&runtime.run(&bytes, &probes.batches())?)?;
    let how = format!("{read_back}; run by onnxruntime {}: {agreement}", runtime.version);
    Ok(Checked { how, max_difference: Some(agreement.max_difference) })
}

fn check_weights(subject: &Subject, file: ModelProto) -> Result<()> {
    let tensors = file.graph.unwrap_or_default().initializer;
    let by_name: HashMap<&str, &TensorProto> = tensors.iter().map(|tensor| (&*tensor.name, tensor)).collect();
    for weight in subject.model.weights() {
        let Some(found) = by_name.get(&*weight.name) else {
            match weight.info.name {
                "count" => continue, // of a Normalization's images: nothing is computed with it
                _ => return Err(not_the_model().got(format!("no {}", weight.name))),
            }
        };
        if found.dims != weight.tensor.size() || found.raw_data.as_ref() != Some(&bytes_of(&weight.tensor)) {
            return Err(not_the_model().got(format!("another {}", weight.name)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
