//! What a trained model says about the validation and test images, found out once, at the end of the run.

use crate::data::batches::DataLoader;
use crate::error::Result;
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
