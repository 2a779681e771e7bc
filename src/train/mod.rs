//! Trains an image classifier: the training loop, losses, optimizers, schedules, early stopping and checkpoints.
//!
//! [`Trainer::fit`] trains a [`Model`] on a [`DataLoader`] as its [`TrainConfig`] says, and sends [`crate::log::Event`]s to the
//! loggers. Order, semantics and defaults of early stopping, the plateau and the recipes are those
//! of Keras's `fit` and its callbacks.

mod best_epoch;
mod best_weights;
pub mod checkpoint;
mod config;
mod distributions;
mod due;
mod epoch_meter;
mod graph;
mod learning_rate;
mod limits;
mod loss;
mod margins;
mod monitor;
mod nan_check;
pub mod optimizer;
mod profile;
pub mod range_test;
mod same_weights;
pub mod schedule;
mod step;
mod train_state;

use std::sync::Arc;
use std::sync::atomic::AtomicI32;

use tch::Tensor;

use crate::data::batches::DataLoader;
use crate::error::{Error, Result};
use crate::evaluate::{evaluate_images, evaluate_smoothed};
use crate::log::{self, Event, Sinks};
use crate::metrics::{Scores, Sums};
use crate::model::Model;
use crate::native;

pub use best_epoch::BestEpochConfig;
pub use checkpoint::{CheckpointKind, Checkpoints, take_over_state};
pub use config::{GradientCompression, TrainConfig};
pub use learning_rate::LearningRateConfig;
pub use limits::{SaveEvery, Span};
pub use loss::{ClassWeightRule, ClassWeights, Loss, Targets};
pub use margins::{ImageMargins, Margins};
pub use monitor::{EarlyStopping, EarlyStoppingState, EpochScores, Monitor, Plateau, ReduceOnPlateau, Target};
pub use optimizer::{Clip, Optimizer, OptimizerConfig, OptimizerKind, OptimizerSettings, StateOrder, StepOptions};
pub use profile::{Phase, PhaseTime, Profile};
pub use same_weights::weights_hash;
pub use schedule::{Schedule, ScheduleKind};
pub use train_state::{StopReason, TrainState};

use epoch_meter::EpochMeter;
use graph::{Graph, Next};
use profile::timed;
use step::{EpochPlan, Step, StepStart};
use train_state::Stopwatch;

/// The signal that asks training to stop, 0 while there is none. A signal handler sets it; the loop reads it after each
/// step.
pub type StopSignal = AtomicI32;

/// Trains a model: holds the model, its optimizer, the data loaders and the loggers. [`Trainer::fit`] runs the training.
pub struct Trainer<'a> {
    /// Epochs, batch size, schedule and the other settings.
    pub config: TrainConfig,
    /// The model, whose weights are trained in place.
    pub model: &'a Model,
    /// Updates the weights from the gradients.
    pub optimizer: Optimizer,
    /// The training images.
    pub train: &'a DataLoader,
    /// The validation images, evaluated after each epoch.
    pub validation: Option<&'a DataLoader>,
    /// Whether the loggers are told the prediction on each validation image: [`Event::Validated`].
    pub tells_predictions: bool,
    /// The folder of the checkpoints; none are saved where absent.
    pub checkpoints: Option<Checkpoints>,
    /// The margins of each training image, which checkpoints keep; not collected where absent.
    pub margins: Option<Margins>,
    /// The loggers that receive the events: console, history, TensorBoard.
    pub sinks: Sinks,
    /// Stops the training after the current step once it is set.
    pub stop: &'a StopSignal,
    /// Epochs, batches and metrics so far: the default for a new run, a checkpoint's to resume one.
    pub state: TrainState,
    /// Notes how long each part of a step takes, where there is one.
    pub profile: Option<&'a Profile>,
}

/// The result of a training.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The metrics of each epoch that was trained, without those before a resume.
    pub epochs: Vec<log::Epoch>,
    /// Why training stopped.
    pub ending: StopReason,
    /// Whether the last checkpoint was saved.
    pub last_checkpoint: LastCheckpoint,
    /// How many images this process computed, each as often as it did.
    pub images: u64,
}

/// Whether the last checkpoint of a training was saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LastCheckpoint {
    /// None was saved: the trainer has no place for them, or no step was made.
    #[default]
    None,
    /// It is on the disk.
    Saved,
    /// The disk did not take it, as a warning said. One saved before is whole.
    Failed,
}

/// The state of a running [`Trainer::fit`] that no checkpoint keeps.
struct LoopState {
    loss: Loss,
    graph: Graph,
    meter: EpochMeter,
    clock: Stopwatch,
    /// Whether progress is to be told after the next step.
    report_is_due: bool,
    /// Images that this process computed.
    images: u64,
    /// The best epoch's weights, where training is to end with them.
    best: Option<Vec<Tensor>>,
    /// What became of the last save of the last checkpoint.
    last_checkpoint: LastCheckpoint,
}

/// The stop signal of a trainer that was given none.
static NEVER: StopSignal = StopSignal::new(0);

impl<'a> Trainer<'a> {
    /// Trains `model` on `train` from the beginning, without validation, checkpoints or listeners. Those are fields:
    /// `Trainer { validation: Some(&images), ..Trainer::new(config, &model, optimizer, &train) }`.
    pub fn new(config: TrainConfig, model: &'a Model, optimizer: Optimizer, train: &'a DataLoader) -> Self {
        Trainer {
            config,
            model,
            optimizer,
            train,
            validation: None,
            tells_predictions: false,
            checkpoints: None,
            margins: None,
            sinks: Sinks::default(),
            stop: &NEVER,
            state: TrainState::default(),
            profile: None,
        }
    }
}

impl Trainer<'_> {
    /// Trains until the run ends or a signal comes, and tells the sinks. Then the model has the weights to use: the last
    /// ones, their moving average, or the best epoch's.
    ///
    /// # Errors
    /// A configuration error where a metric is watched that tells nothing of so few classes, a numeric error where loss or weights stop being finite, a data
    /// error where an image's file cannot be read, a device error where libtorch fails, for want of memory say; the last
    /// checkpoint is left as it is.
    pub fn fit(&mut self) -> Result<Outcome> {
        self.config.check_monitors(self.model.num_classes())?;
        self.sinks.send(&Event::Start(self.start()));
        // the backward pass meets the others within libtorch
        let outcome = native::guarded(|| self.run()).map_err(|error| self.train.group().blamed(error));
        self.sinks.send(&Event::End);
        outcome
    }

    /// Trains epoch by epoch: steps, progress, checkpoints, then validation, until something ends the run.
    fn run(&mut self) -> Result<Outcome> {
        let mut loop_state = self.begin()?;
        let mut epochs = Vec::new();
        let ending = 'training: loop {
            if let Some(ending) = self.ending()? {
                break ending;
            }
            loop_state.meter = EpochMeter::new(self.state.sums, self.model, self.train.group());
            loop_state.clock = Stopwatch::start(&self.state);
            let plan = self.step_of(&loop_state.loss).plan(self.state.epochs);
            while self.state.batches < self.steps_per_epoch() {
                let agreement = self.begin_agreement(&mut loop_state.clock)?;
                self.step(&plan, &mut loop_state)?;
                timed(self.profile, Phase::Logging, || self.log_progress(&mut loop_state))?;
                loop_state.clock.note(&mut self.state);
                let due = self.due(agreement, &mut loop_state.clock)?;
                loop_state.report_is_due = due.report;
                if due.save || due.ending.is_some() {
                    timed(self.profile, Phase::Saving, || self.save_within_epoch(&mut loop_state))?;
                }
                if let Some(ending) = due.ending {
                    break 'training ending;
                }
            }
            self.check_numbers(&mut loop_state)?;
            self.tell_distributions();
            let epoch = self.finish_epoch(&loop_state.clock)?;
            timed(self.profile, Phase::Logging, || self.sinks.send(&Event::Epoch(epoch)));
            epochs.push(epoch);
            if epoch.is_best {
                self.keep_best(&mut loop_state.best);
            }
            loop_state.last_checkpoint = timed(self.profile, Phase::Saving, || self.save_last());
        };
        self.choose_weights(ending, loop_state.best.take());
        let LoopState { last_checkpoint, images, .. } = loop_state;
        Ok(Outcome { epochs, ending, last_checkpoint, images })
    }

    /// One optimizer step, whose batches are counted. Nothing here waits for a GPU.
    fn step(&mut self, plan: &EpochPlan, loop_state: &mut LoopState) -> Result<()> {
        let learning_rate = self.learning_rate();
        let Trainer { config, model, train, profile, state, margins, .. } = self;
        let step = Step { config, model, train, loss: &loop_state.loss, profile: *profile };
        let start = StepStart { epoch: state.epochs, batch: state.batches, batches_seen: state.batches_seen };
        if is_due(config.histograms, start.epoch) && step.batches(start.batch).end == step.num_batches() {
            self.optimizer.keep_next_gradient();
        }
        let LoopState { images, meter, graph, .. } = loop_state;
        let trouble = graph.run(&step, &mut self.optimizer, Next { plan, start, learning_rate }, &mut |batch| {
            *images += batch.targets.labels.size()[0] as u64;
            margins.iter_mut().for_each(|margins| margins.add(batch));
            meter.add(model, start.epoch + 1, batch, learning_rate)
        })?;
        if let Some(sentence) = trouble {
            self.sinks.send(&Event::Warning(sentence));
        }
        let end = step.batches(start.batch).end;
        state.batches_seen += end - start.batch;
        state.batches = end;
        state.optimizer_steps += 1;
        Ok(())
    }

    /// Tells how the weights are distributed after the epoch's last step, and its gradient, in the epochs that are chosen.
    fn tell_distributions(&mut self) {
        let epoch = self.state.epochs;
        if is_due(self.config.histograms, epoch) {
            let histograms = distributions::of_weights(self.model, &self.optimizer.take_gradient()).into();
            self.sinks.send(&Event::Distributions(log::Distributions { epoch: epoch + 1, histograms }));
        }
    }

    /// Tells how far the epoch is, a few times a second and at every point that the logs keep, and checks the loss: then
    /// it waits for the device.
    fn log_progress(&mut self, loop_state: &mut LoopState) -> Result<()> {
        let is_recorded = self.is_recorded();
        if !std::mem::take(&mut loop_state.report_is_due) && !is_recorded {
            return Ok(());
        }
        let sums = loop_state.meter.read(self.model, self.state.epochs + 1)?;
        self.sinks.send(&Event::Batch(log::Batch {
            epoch: self.state.epochs + 1,
            batch: self.state.batches,
            step: self.state.batches_seen,
            scores: sums.scores(),
            images_per_second: loop_state.clock.images_per_second(sums.count),
            learning_rate: self.learning_rate(),
            is_recorded,
        }));
        Ok(())
    }

    /// Whether the logs keep a point at the last step's end: which ones they keep does not depend on the clock.
    fn is_recorded(&self) -> bool {
        let interval = self.config.log_every.unwrap_or_else(|| self.steps_per_epoch().div_ceil(20)).max(1);
        let accumulate = self.config.accumulate.max(1) as u64;
        let before = (self.state.batches - 1) / accumulate * accumulate;
        self.state.batches / interval > before / interval
    }

    /// Takes the sums into the progress; they and the weights are finite then. Waits for the device.
    fn check_numbers(&mut self, loop_state: &mut LoopState) -> Result<()> {
        self.state.sums = loop_state.meter.read(self.model, self.state.epochs + 1)?;
        if let Some(margins) = &mut self.margins {
            margins.count();
            margins.put_together(self.train.group())?;
        }
        let (epoch, step) = (self.state.epochs + 1, self.state.batches_seen);
        nan_check::weight_error(self.model, epoch, step, self.learning_rate()).map_or(Ok(()), Err)?;
        same_weights::check(self.model, self.train.group())
            .map_err(|error| error.at(format!("epoch {epoch}, step {step}")))
    }

    /// Closes the epoch in `progress`, validates and describes it.
    fn finish_epoch(&mut self, clock: &Stopwatch) -> Result<log::Epoch> {
        let train = self.state.sums.scores();
        let images_per_second = clock.images_per_second(self.state.sums.count);
        let learning_rate = self.learning_rate_of(self.state.optimizer_steps.saturating_sub(1)); // the epoch's last step
        let validation = timed(self.profile, Phase::Validation, || self.validate())?;
        clock.note(&mut self.state);
        let (epochs, seconds) = (self.state.epochs + 1, self.state.epoch_seconds);
        let latest = EpochScores { train: train.finite(), validation: validation.map(Scores::finite) };
        let sums = Sums::default();
        self.state = TrainState { epochs, batches: 0, sums, latest, epoch_seconds: 0.0, ..self.state };
        let step = self.state.batches_seen;
        let mut epoch = log::Epoch {
            epoch: epochs,
            step,
            train,
            validation,
            learning_rate,
            seconds,
            images_per_second,
            is_best: false,
        };
        self.update_best(&mut epoch);
        Ok(epoch)
    }

    fn validate(&mut self) -> Result<Option<Scores>> {
        let Some(samples) = self.validation else { return Ok(None) };
        self.sinks.send(&Event::Validating);
        let averaged = self.optimizer.averaged();
        let smoothing = self.config.label_smoothing;
        let evaluation = match self.tells_predictions {
            true => evaluate_images(self.model, samples, 1, smoothing, |_| {}).map(|(all, each)| (all, Some(each))),
            false => evaluate_smoothed(self.model, samples, 1, smoothing, |_| {}).map(|all| (all, None)),
        };
        drop(averaged);
        let epoch = self.state.epochs + 1;
        let (evaluation, predictions) =
            evaluation.map_err(|error: Error| error.at("validation").at(format!("epoch {epoch}")))?;
        if let Some(predictions) = predictions.map(Arc::new) {
            self.sinks.send(&Event::Validated(log::Validated { epoch, predictions }));
        }
        Ok(Some(evaluation.sums.scores()))
    }

    /// What follows from a finished epoch: whether it is the best, patience runs out, the rate falls.
    fn update_best(&mut self, epoch: &mut log::Epoch) {
        if let Some(plateau) = self.config.reduce_on_plateau {
            plateau.update(&mut self.state.plateau, epoch);
        }
        epoch.is_best = self.config.early_stopping.update(&mut self.state.watch, epoch);
    }

    fn begin(&mut self) -> Result<LoopState> {
        let group = self.train.group();
        let is_bf16 = self.config.gradient_compression == GradientCompression::Bf16;
        self.optimizer.share_with(group, is_bf16)?;
        let loss = Loss::of(self.config.label_smoothing, self.config.class_weights.as_ref(), self.model.device())?;
        let (graph, trouble) = Graph::new(&self.step_of(&loss));
        if let Some(sentence) = trouble {
            self.sinks.send(&Event::Warning(sentence));
        }
        Ok(LoopState {
            loss,
            graph,
            meter: EpochMeter::new(self.state.sums, self.model, group),
            report_is_due: false,
            images: 0,
            clock: Stopwatch::start(&self.state),
            best: self.recall_best(),
            last_checkpoint: LastCheckpoint::None,
        })
    }

    fn step_of<'a>(&'a self, loss: &'a Loss) -> Step<'a> {
        Step { config: &self.config, model: self.model, train: self.train, loss, profile: self.profile }
    }

    /// Of the next optimizer step.
    fn learning_rate(&self) -> f64 {
        self.learning_rate_of(self.state.optimizer_steps)
    }

    /// Of optimizer step `step`, from 0.
    fn learning_rate_of(&self, step: u64) -> f64 {
        self.config.schedule.learning_rate(step) * self.state.plateau.scale
    }

    fn steps_per_epoch(&self) -> u64 {
        self.train.num_batches(self.config.batch_size)
    }

    fn start(&self) -> log::Start {
        log::Start {
            run: self.config.run.clone(),
            model_json: self.model.spec().to_json().to_string(),
            epochs: self.config.epochs,
            first_epoch: self.state.epochs + 1,
            steps_per_epoch: self.steps_per_epoch(),
            num_images: self.train.num_images() as u64,
            first_step: self.state.batches_seen,
        }
    }
}

/// Whether epoch `epoch`, from 0, is one of those that are `interval` apart, as Keras's `histogram_freq` has it; none is for 0.
fn is_due(interval: u64, epoch: u64) -> bool {
    interval > 0 && epoch.is_multiple_of(interval)
}
