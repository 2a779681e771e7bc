//! Logs a training: to the console, to `history.csv`, to TensorBoard.
//!
//! The training loop sends [`Event`]s to its [`Sink`]s, as Keras calls its callbacks. A sink cannot change the training.

pub mod console;
mod event_fields;
pub mod event_file;
mod event_records;
mod event_values;
mod histogram;
pub mod history;
mod level;
mod pr_curve;
pub mod tensorboard;

use std::sync::Arc;

use crate::error::Result;
use crate::evaluate::Predictions;
use crate::metrics::Scores;

pub use histogram::Histogram;
pub use level::TensorBoardLevel;

/// A run's settings, sent before its first step.
#[derive(Debug, Clone)]
pub struct Start {
    /// The run's name: its folder in `logs/`.
    pub run: String,
    /// The model's Keras JSON.
    pub model_json: String,
    /// The last epoch's number, from 1.
    pub epochs: u64,
    /// The first epoch's number, from 1: above 1 where a run is resumed.
    pub first_epoch: u64,
    /// Batches an epoch.
    pub steps_per_epoch: u64,
    /// Training images.
    pub num_images: u64,
    /// Batches done before (a resumed run).
    pub first_step: u64,
}

/// The metrics and speed within an epoch. Sent a few times a second at most: making one waits for the device.
#[derive(Debug, Clone, Copy)]
pub struct Batch {
    /// From 1.
    pub epoch: u64,
    /// Batches done in this epoch, from 1.
    pub batch: u64,
    /// Batches done in the whole run, from 1.
    pub step: u64,
    /// Running means over this epoch's images so far.
    pub scores: Scores,
    /// Training images a second, over this epoch so far.
    pub images_per_second: f64,
    /// The learning rate of the next step.
    pub learning_rate: f64,
    /// Whether logs keep it: at the same batches in every run of one configuration, whatever the clock says.
    pub is_recorded: bool,
}

/// A finished epoch.
#[derive(Debug, Clone, Copy)]
pub struct Epoch {
    /// From 1.
    pub epoch: u64,
    /// Batches done in the whole run, from 1.
    pub step: u64,
    /// Over the epoch's training images, as they were trained on.
    pub train: Scores,
    /// Over the validation images after the epoch, where there are any.
    pub validation: Option<Scores>,
    /// The learning rate of the epoch's last step.
    pub learning_rate: f64,
    /// Wall time of the epoch in seconds, validation included.
    pub seconds: f64,
    /// Training images a second, validation not included.
    pub images_per_second: f64,
    /// Whether it is better than every epoch before, by what the run watches (validation accuracy unless told otherwise).
    pub is_best: bool,
}

/// What the model says about each validation image after an epoch.
#[derive(Debug, Clone)]
pub struct Validated {
    /// From 1.
    pub epoch: u64,
    /// In the order of the validation images.
    pub predictions: Arc<Predictions>,
}

/// How weights, and the gradients of the last step, are distributed after an epoch.
#[derive(Debug, Clone)]
pub struct Distributions {
    /// From 1.
    pub epoch: u64,
    /// One each.
    pub histograms: Arc<[Histogram]>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Its model is saved.
    Success,
    /// A signal came; it can be resumed.
    Interrupted,
    /// By an error.
    Failure,
}

/// Something that happened in a run.
#[derive(Debug, Clone)]
pub enum Event {
    /// The run begins.
    Start(Start),
    /// Some batches were trained on.
    Batch(Batch),
    /// All of an epoch's batches are done; validation begins (where there is any).
    Validating,
    /// The validation is done: sent where the trainer is to tell each image's prediction.
    Validated(Validated),
    /// Weights and gradients were counted: sent after every so many epochs where that is asked for.
    Distributions(Distributions),
    /// An epoch and its validation are done.
    Epoch(Epoch),
    /// A checkpoint is about to be saved: what was told so far has to be on the disk first.
    Saving,
    /// So many of the test images are evaluated, after the training.
    Testing {
        /// Images that are done.
        done: u64,
        /// All test images.
        total: u64,
    },
    /// A line that tells the user what the run works with: its device, images, network.
    Note(String),
    /// As a note, for users who ask for more.
    Detail(String),
    /// Something that the user should know and that does not stop training.
    Warning(String),
    /// The training, or the test after it, is over: by its end, an error, or a signal.
    End,
    /// The run is over, with everything that belongs to it.
    Over {
        /// How it ended.
        ending: Ending,
        /// The scores on the test images, where there are any.
        test: Option<Scores>,
    },
}

/// A logger: receives the events of a run.
pub trait Sink {
    /// Logs `event`.
    ///
    /// # Errors
    /// What stops the sink from working. The caller says it once and does not call the sink again; training goes on.
    fn on(&mut self, event: &Event) -> Result<()>;
}

/// The loggers of a run.
#[derive(Default)]
pub struct Sinks(Vec<Box<dyn Sink>>);

impl Sinks {
    /// Adds a logger.
    pub fn add(&mut self, sink: impl Sink + 'static) {
        self.0.push(Box::new(sink));
    }

    /// Sends [`Event::Note`] to all loggers.
    pub fn note(&mut self, line: impl Into<String>) {
        self.send(&Event::Note(line.into()));
    }

    /// Sends [`Event::Detail`] to all loggers.
    pub fn detail(&mut self, line: impl Into<String>) {
        self.send(&Event::Detail(line.into()));
    }

    /// Sends `event` to all loggers. One that fails is removed, and the others get a warning: a full disk must not end a training.
    pub fn send(&mut self, event: &Event) {
        let mut warnings = Vec::new();
        self.0.retain_mut(|sink| match sink.on(event) {
            Ok(()) => true,
            Err(error) => {
                warnings.push(describe(&error));
                false
            }
        });
        for warning in warnings {
            self.send(&Event::Warning(format!("{warning}; training goes on without this log")));
        }
    }
}

pub use crate::error::describe;
