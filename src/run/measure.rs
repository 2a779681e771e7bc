//! What a trained model says about the validation and test images, found out once, at the end of the run.

use super::folder::RunFolder;
use crate::data::Split;
use crate::data::batches::DataLoader;
use crate::error::{Error, Result};
use crate::evaluate::stored::{self, StoredPredictions};
use crate::evaluate::{Evaluation, Predictions, evaluate_images, evaluate_smoothed};
use crate::log::{self, Event, Sinks};
use crate::model::Model;
use crate::model::training_look::TrainingLook;

/// Above so many numbers N·K nothing is kept of the single images: probabilities and logits would take 512 MiB on the device
/// and again in memory.
const MAX_KEPT_VALUES: usize = 1 << 26;

/// What the model with the saved weights says about each image, where there are such images and not too many.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RunPredictions {
    /// The test images.
    pub test: Option<Predictions>,
    /// The validation images; their losses are those without label smoothing.
    pub validation: Option<Predictions>,
}

/// The scores of `model` on the test images, and what it says about each; how far that is, is told.
pub(super) fn test(model: &Model, images: &DataLoader, sinks: &mut Sinks) -> Result<(Evaluation, Option<Predictions>)> {
    let total = images.num_images() as u64;
    let on_batch = |done| sinks.send(&Event::Testing { done, total });
    let tested = match are_kept(model, images) {
        true => evaluate_images(model, images, 1, 0.0, on_batch).map(|(tested, each)| (tested, Some(each))),
        false => evaluate_smoothed(model, images, 1, 0.0, on_batch).map(|tested| (tested, None)),
    };
    sinks.send(&Event::End);
    tested
}

/// What `model` says about each validation image. A failure is told: the model is worth more than this.
pub(super) fn validate(model: &Model, images: &DataLoader, sinks: &mut Sinks) -> Option<Predictions> {
    if !are_kept(model, images) {
        return None;
    }
    match evaluate_images(model, images, 1, 0.0, |_| {}) {
        Ok((_, each)) => Some(each),
        Err(error) => {
            sinks.note(format!("warning: no predictions on the validation images: {}", log::describe(&error)));
            None
        }
    }
}

fn are_kept(model: &Model, images: &DataLoader) -> bool {
    images.num_images().saturating_mul(model.num_classes()) <= MAX_KEPT_VALUES
}

/// What the training images look like; what cannot be found out is worth a warning, not the model.
pub(super) fn look(model: &Model, train: &DataLoader, sinks: &mut Sinks) -> Option<TrainingLook> {
    let look = TrainingLook::of(model, train);
    if let Err(error) = &look {
        let why = log::describe(error);
        sinks.note(format!("warning: the model will not know what its training images look like: {why}"));
    }
    look.ok()
}

/// What the saved model of `folder`'s run says about the images of `split`; or why that is not there, in words.
///
/// # Errors
/// A data error where the file that keeps it cannot be read, or is broken.
pub fn kept_predictions(folder: &RunFolder, split: Split) -> Result<std::result::Result<Predictions, String>> {
    let (name, path, data) = (&folder.name, folder.predictions(split), &folder.record().data);
    let Some(result) = folder.result() else { return Ok(Err(format!("{name} is not finished"))) };
    let (images, fingerprint) = match split {
        Split::Train => (None, &data.fingerprint),
        Split::Validation => (data.validation, &data.validation_fingerprint),
        Split::Test => (data.test, &data.test_fingerprint),
    };
    if images.is_none() {
        return Ok(Err(format!("{name} has no {split} images")));
    }
    if !path.exists() {
        return Ok(Err(format!("{name} has kept no predictions on the {split} images, as older versions did not")));
    }
    let StoredPredictions { predictions, origin } = stored::load(&path)?;
    if predictions.num_classes != data.classes.len() {
        let error = Error::data("the predictions are not the run's: they have another number of classes");
        return Err(error.expected(data.classes.len()).got(predictions.num_classes).at_path(&path));
    }
    let is_of_model = result.weights_sha256.is_some() && origin.weights_sha256 == result.weights_sha256;
    let is_of_images = fingerprint.as_ref().is_none_or(|images| *images == origin.images);
    match is_of_model && is_of_images && !predictions.is_empty() {
        true => Ok(Ok(predictions)),
        false => {
            Ok(Err(format!("the predictions that {name} has kept are not those of its model on its {split} images")))
        }
    }
}
