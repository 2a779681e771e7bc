//! Predictions on the disk: `logs/<run>/predictions/{test,validation}.safetensors`, so that runs can be compared image by image
//! and reported on without their data.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::Predictions;
use crate::error::{Error, Result};
use crate::files::{bounded, folder_of, write_atomically};

/// The version of the file's form, under `format_version` in its metadata.
const VERSION: &str = "1";
/// Above so many numbers N·K the probabilities and logits are left out: both together take 8 MiB then.
pub const MAX_STORED_VALUES: usize = 1 << 20;
/// The longest file that is read: 20 million images at 12 bytes.
const MAX_FILE_BYTES: u64 = 256 << 20;
/// How far a stored probability may be beyond 1, for rounding.
const ROUNDING: f32 = 1e-3;

/// What predictions are of: the metadata of the file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PredictionsOrigin {
    /// The fingerprint of the images, as `run.json` has it ([`crate::data::Samples::fingerprint`]).
    pub images: Option<String>,
    /// The SHA-256 of the weights' file.
    pub weights_sha256: Option<String>,
}

/// Predictions that were read, and what they are of.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredPredictions {
    /// The predictions. Probabilities and logits are empty where they were too many to keep: [`MAX_STORED_VALUES`].
    pub predictions: Predictions,
    /// What they are of.
    pub origin: PredictionsOrigin,
}

/// Writes `predictions` to `path`, whole or not at all, and makes its folder: safetensors with `labels` and `classes` (i32
/// `[N]`), `losses` (f32 `[N]`), and `probabilities` and `logits` (f32 `[N, K]`) where they are at most [`MAX_STORED_VALUES`]
/// numbers each.
///
/// # Errors
/// An internal error where the disk does not take it.
pub fn save(path: &Path, predictions: &Predictions, origin: &PredictionsOrigin) -> Result<()> {
    let failed = || Error::internal("cannot keep the predictions").at_path(path);
    let bytes = to_bytes(predictions, origin).map_err(|error| failed().because(error))?;
    let made = fs::create_dir_all(folder_of(path));
    made.and_then(|()| write_atomically(path, |writer| writer.write_all(&bytes)))
        .map_err(|error| failed().because(error))
}

/// The predictions at `path`.
///
/// # Errors
/// A data error where the file cannot be read, is of another form or version, or holds numbers that no predictions have.
pub fn load(path: &Path) -> Result<StoredPredictions> {
    let unreadable = |error| Error::data("cannot read the predictions").because(error);
    let read = File::open(path).and_then(|file| bounded::read_up_to(file, MAX_FILE_BYTES)).map_err(unreadable);
    let checked = read.and_then(|bytes| {
        let too_long = || broken("the file is too long").expected(format!("at most {MAX_FILE_BYTES} bytes"));
        from_bytes(&bytes.ok_or_else(too_long)?)
    });
    checked.map_err(|error| error.at_path(path))
}

fn broken(what: &str) -> Error {
    Error::data(format!("the predictions cannot be used: {what}")).help("evaluate the model again")
}

fn to_bytes(predictions: &Predictions, origin: &PredictionsOrigin) -> Result<Vec<u8>, safetensors::SafeTensorError> {
    let (images, classes) = (predictions.len(), predictions.num_classes);
    let whole = |values: &[usize]| -> Vec<u8> {
        values.iter().flat_map(|&value| i32::try_from(value).unwrap_or(i32::MAX).to_le_bytes()).collect()
    };
    let real = |values: &[f32]| -> Vec<u8> { values.iter().flat_map(|value| value.to_le_bytes()).collect() };
    let mut tensors = vec![
        ("labels", Dtype::I32, vec![images], whole(&predictions.labels)),
        ("classes", Dtype::I32, vec![images], whole(&predictions.classes)),
        ("losses", Dtype::F32, vec![images], real(&predictions.losses)),
    ];
    for (name, values) in [("probabilities", &predictions.probabilities), ("logits", &predictions.logits)] {
        if !values.is_empty() && values.len() <= MAX_STORED_VALUES {
            tensors.push((name, Dtype::F32, vec![images, classes], real(values)));
        }
    }
    let mut metadata: HashMap<String, String> =
        [("format_version", VERSION.to_owned()), ("num_classes", classes.to_string())]
            .map(|(key, value)| (key.to_owned(), value))
            .into();
    let known = [("images", &origin.images), ("weights_sha256", &origin.weights_sha256)];
    metadata.extend(known.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value.clone()?))));
    let mut views = Vec::new();
    for (name, kind, shape, bytes) in &tensors {
        views.push((*name, TensorView::new(*kind, shape.clone(), bytes)?));
    }
    safetensors::serialize(views, Some(metadata))
}

fn from_bytes(bytes: &[u8]) -> Result<StoredPredictions> {
    let no_file = |error| broken("it is no safetensors file").because(error);
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(no_file)?;
    let file = SafeTensors::deserialize(bytes).map_err(no_file)?;
    let metadata = header.metadata().clone().unwrap_or_default();
    match metadata.get("format_version") {
        Some(version) if version == VERSION => {}
        other => return Err(broken("its version is another").expected(VERSION).got(format!("{other:?}"))),
    }
    let num_classes = metadata.get("num_classes").and_then(|text| text.parse().ok()).filter(|count| *count > 0);
    let num_classes = num_classes.ok_or_else(|| broken("num_classes is no count of at least 1"))?;
    let images = file.tensor("labels").map_err(|_| broken("it has no labels"))?.shape().first().copied().unwrap_or(0);
    let predictions = Predictions {
        num_classes,
        labels: class_numbers(&file, "labels", images, num_classes)?,
        classes: class_numbers(&file, "classes", images, num_classes)?,
        losses: numbers(&file, "losses", &[images])?,
        probabilities: numbers_of_classes(&file, "probabilities", [images, num_classes])?,
        logits: numbers_of_classes(&file, "logits", [images, num_classes])?,
    };
    if let Some(value) = predictions.probabilities.iter().find(|value| !(0.0..=1.0 + ROUNDING).contains(*value)) {
        return Err(broken("a probability is none").expected("0 to 1").got(value));
    }
    let text = |key: &str| metadata.get(key).cloned();
    let origin = PredictionsOrigin { images: text("images"), weights_sha256: text("weights_sha256") };
    Ok(StoredPredictions { predictions, origin })
}

/// The bytes of the tensor `name`, whose kind and shape are checked: four for each number.
fn four_bytes<'a>(file: &SafeTensors<'a>, name: &str, kind: Dtype, shape: &[usize]) -> Result<&'a [[u8; 4]]> {
    let view = file.tensor(name).map_err(|_| broken(&format!("it has no {name}")))?;
    let got = (view.dtype(), view.shape());
    match got == (kind, shape) {
        true => Ok(view.data().as_chunks::<4>().0),
        false => {
            let wanted = format!("{kind:?} {shape:?}");
            let error = broken(&format!("{name} have another shape or kind"));
            Err(error.expected(wanted).got(format!("{:?} {:?}", got.0, got.1)))
        }
    }
}

/// The classes in the i32 `[N]` tensor `name`, each below K.
fn class_numbers(file: &SafeTensors, name: &str, images: usize, num_classes: usize) -> Result<Vec<usize>> {
    let class = |bytes: &[u8; 4]| {
        let number = i32::from_le_bytes(*bytes);
        let class = usize::try_from(number).ok().filter(|class| *class < num_classes);
        class.ok_or_else(|| {
            let error = broken(&format!("{name} has a class that is none"));
            error.expected(format!("0 to {}", num_classes - 1)).got(number)
        })
    };
    four_bytes(file, name, Dtype::I32, &[images])?.iter().map(class).collect()
}

/// The finite numbers in the f32 tensor `name`.
fn numbers(file: &SafeTensors, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
    let number = |bytes: &[u8; 4]| {
        let value = f32::from_le_bytes(*bytes);
        let error = || broken(&format!("{name} has a number that is not finite")).got(value);
        value.is_finite().then_some(value).ok_or_else(error)
    };
    four_bytes(file, name, Dtype::F32, shape)?.iter().map(number).collect()
}

/// As [`numbers`] of shape `[N, K]`; none where the file does not have them.
fn numbers_of_classes(file: &SafeTensors, name: &str, shape: [usize; 2]) -> Result<Vec<f32>> {
    match file.names().contains(&name) {
        true => numbers(file, name, &shape),
        false => Ok(Vec::new()),
    }
}

#[cfg(test)]
mod tests;
