//! Where the time of a run went: the parts of its steps, and the layers of its network.

use serde::Serialize;

use crate::data::batches::DataLoader;
use crate::log::{self, Sinks};
use crate::model::{LayerTime, Model};
use crate::train::{PhaseTime, Profile};

/// Where the time of a run went.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunProfile {
    /// The parts of a training, in the order of a step.
    pub phases: Vec<PhaseTime>,
    /// Each layer's time for one batch, measured after the training; empty where that failed.
    pub layers: Vec<LayerTime>,
}

impl RunProfile {
    /// Of a training that is over, of `model` on `images` in batches of `batch_size`. What fails is told.
    pub(super) fn new(
        profile: &Profile,
        model: &Model,
        images: &DataLoader,
        batch_size: usize,
        sinks: &mut Sinks,
    ) -> Self {
        let layers = images.batch(0, batch_size).and_then(|(images, _)| model.layer_times(&images));
        if let Err(error) = &layers {
            sinks.note(format!("warning: the layers' times are not known: {}", log::describe(error)));
        }
        RunProfile { phases: profile.phases(), layers: layers.unwrap_or_default() }
    }
}
