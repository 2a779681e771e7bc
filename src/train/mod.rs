//! Training: the loop, what it is told, what it needs.
//!
//! A [`Trainer`] is a struct of what the loop uses, [`Trainer::fit`] runs it. What it is told is a [`TrainConfig`]; what it
//! tells are [`crate::log::Event`]s. Order, semantics and defaults of early stopping, the plateau and the recipes are those
//! of Keras's `fit` and its callbacks.

mod batch;
mod best_weights;
pub mod checkpoint;
mod limits;
mod loss;
mod monitor;
mod nan_check;
pub mod optimizer;
pub mod range_test;
pub mod schedule;
mod train_state;

use std::sync::atomic::{AtomicI32, Ordering};

use tch::Tensor;

use crate::data::augment::AugmentConfig;
use crate::data::batches::{DataLoader, Order};
use crate::error::{Error, Result};
use crate::evaluate::{RunningSums, Sums, evaluate_smoothed};
use crate::log::{self, Event, Scores, Sinks};
use crate::model::Model;
use crate::native;
use crate::rng::{Stream, derive};

pub use checkpoint::{CheckpointKind, Checkpoints, take_over_state};
pub use limits::{SaveEvery, Span};
pub use loss::{ClassWeightRule, ClassWeights, Loss, Targets};
pub use monitor::{EarlyStopping, EarlyStoppingState, Monitor, Plateau, ReduceOnPlateau, Target};
pub use optimizer::{Clip, Optimizer, OptimizerConfig, OptimizerKind, StepOptions};
pub use schedule::{Schedule, ScheduleKind};
pub use train_state::{StopReason, TrainState};

use batch::BatchIndex;
use nan_check::PendingLoss;
use train_state::Stopwatch;

/// What the loop needs to know. The default: 10 epochs of batches of 128 at a constant rate, every epoch shuffled.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainConfig {
    /// The run's name.
    pub run: String,
    /// Epochs of the whole run.
    pub epochs: u64,
    /// Images a batch; an epoch's last batch may be smaller.
    pub batch_size: usize,
    /// Batches whose gradients make one optimizer step, weighted by their images; an epoch's last group may be smaller.
    pub accumulate: usize,
    /// Whether every epoch has an order of its own, else that of the images.
    pub shuffle: bool,
    /// The learning rate, optimizer step by optimizer step.
    pub schedule: Schedule,
    /// Where every random number comes from.
    pub seed: u64,
    /// How training images are changed.
    pub augment: AugmentConfig,
    /// ε of `y(1 - ε) + ε/K`, in training and validation.
    pub label_smoothing: f64,
    /// What the images' training losses are multiplied by, class by class: `[K]`.
    pub class_weights: Option<Vec<f64>>,
    /// Which epoch is the best, and when to give up.
    pub early_stopping: EarlyStopping,
    /// When the learning rate is reduced.
    pub reduce_on_plateau: Option<ReduceOnPlateau>,
    /// Training ends after the epoch that reaches this.
    pub until: Option<Target>,
    /// Training ends after the step at which this is over, counted over resumes.
    pub time: Option<Span>,
    /// How often a checkpoint is saved within an epoch; one is saved after each epoch anyway.
    pub save_every: Option<SaveEvery>,
    /// Batches between two points of the logs; a twentieth of an epoch where absent.
    pub log_every: Option<u64>,
}

impl Default for TrainConfig {
    fn default() -> Self {
        TrainConfig {
            run: "run".into(),
            epochs: 10,
            batch_size: 128,
            accumulate: 1,
            shuffle: true,
            schedule: Schedule::default(),
            seed: 0,
            augment: AugmentConfig::default(),
            label_smoothing: 0.0,
            class_weights: None,
            early_stopping: EarlyStopping::default(),
            reduce_on_plateau: None,
            until: None,
            time: None,
            save_every: None,
            log_every: None,
        }
    }
}

/// The signal that asks training to stop, 0 while there is none. A signal handler sets it; the loop reads it after each
/// step.
pub type StopSignal = AtomicI32;

/// A model in training: everything the loop uses.
pub struct Trainer<'a> {
    /// What the loop needs to know.
    pub config: TrainConfig,
    /// The model; its weights change.
    pub model: &'a Model,
    /// Makes the steps.
    pub optimizer: Optimizer,
    /// The images to learn.
    pub train: &'a DataLoader,
    /// The images to look at after each epoch.
    pub validation: Option<&'a DataLoader>,
    /// Where checkpoints go, if anywhere.
    pub checkpoints: Option<Checkpoints>,
    /// Who listens.
    pub sinks: Sinks,
    /// Asks the loop to stop.
    pub stop: &'a StopSignal,
    /// Where the run stands; the default is its beginning.
    pub state: TrainState,
}

/// What came of a training.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The epochs that were done, those before a resume not counted.
    pub epochs: Vec<log::Epoch>,
    /// Why it ended.
    pub ending: StopReason,
    /// What became of the last checkpoint.
    pub last_checkpoint: LastCheckpoint,
}

/// What became of a training's last checkpoint.
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

/// What the loop has beside its parts, while it runs.
struct LoopState {
    objective: Loss,
    sums: RunningSums,
    clock: Stopwatch,
    pending: Vec<PendingLoss>,
    /// The best epoch's weights, where training is to end with them.
    best: Option<Vec<Tensor>>,
    /// What became of the last save of the last checkpoint.
    last_checkpoint: LastCheckpoint,
}

/// What a trainer reads that nobody can ask to stop.
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
            checkpoints: None,
            sinks: Sinks::default(),
            stop: &NEVER,
            state: TrainState::default(),
        }
    }
}

impl Trainer<'_> {
    /// Trains until the run ends or a signal comes, and tells the sinks. Then the model has the weights to use: the last
    /// ones, their moving average, or the best epoch's.
    ///
    /// # Errors
    /// A model error where the network is not a classifier, a numeric error where loss or weights stop being finite, a data
    /// error where an image's file cannot be read, a device error where libtorch fails, for want of memory say; the last
    /// checkpoint is left as it is.
    pub fn fit(&mut self) -> Result<Outcome> {
        self.sinks.send(&Event::Start(self.start()));
        let outcome = native::guarded(|| self.run());
        self.sinks.send(&Event::End);
        outcome
    }

    /// The loop.
    fn run(&mut self) -> Result<Outcome> {
        let mut session = self.begin();
        let mut epochs = Vec::new();
        let ending = 'training: loop {
            if let Some(ending) = self.state.ending(&self.config) {
                break ending;
            }
            session.sums = RunningSums::new(self.state.sums, self.model.device());
            session.clock = Stopwatch::start(&self.state);
            let order = match self.config.shuffle {
                true => self.train.shuffled(self.config.seed, self.state.epochs),
                false => self.train.in_order(),
            };
            while self.state.batches < self.steps_per_epoch() {
                self.step(&order, &mut session)?;
                self.log_progress(&mut session)?;
                session.clock.note(&mut self.state);
                if let Some(ending) = self.interruption() {
                    self.save_within_epoch(&mut session)?;
                    break 'training ending;
                }
                if session.clock.save_is_due(self.config.save_every, &self.state) {
                    self.save_within_epoch(&mut session)?;
                }
            }
            self.check_numbers(&mut session)?;
            let epoch = self.finish_epoch(&session.clock)?;
            self.sinks.send(&Event::Epoch(epoch));
            epochs.push(epoch);
            if epoch.is_best {
                self.keep_best(&mut session.best);
            }
            session.last_checkpoint = self.save(CheckpointKind::Last);
        };
        self.choose_weights(ending, session.best);
        Ok(Outcome { epochs, ending, last_checkpoint: session.last_checkpoint })
    }

    /// One optimizer step: forward and backward for each of its batches, then the update. Nothing here waits for a GPU.
    fn step(&mut self, order: &Order, session: &mut LoopState) -> Result<()> {
        let (batch_size, first) = (self.config.batch_size, self.state.batches);
        let end = (first + self.config.accumulate.max(1) as u64).min(self.steps_per_epoch());
        let num_images = self.train.num_images().min(end as usize * batch_size) - first as usize * batch_size;
        let learning_rate = self.learning_rate();
        for batch in first..end {
            let step = self.state.batches_seen;
            native::manual_seed(derive(self.config.seed, Stream::Step(step)), self.model.device())?; // dropout masks
            let place = BatchIndex { epoch: self.state.epochs, batch, step };
            let (images, targets) = batch::prepare(&self.config, self.train, order, place)?;
            let outputs = self.model.forward(&images, true)?;
            let loss = self.model.with_penalties(session.objective.loss(&outputs, &targets));
            session.sums.add(&loss, &outputs.classes(), targets.dominant());
            self.optimizer.add_gradient(&loss, images.size()[0] as f64 / num_images as f64);
            self.state.batches_seen += 1;
            self.record_loss(
                session,
                PendingLoss { batch: batch + 1, step: step + 1, learning_rate, loss, images: Some(images) },
            )?;
        }
        self.optimizer.apply(learning_rate);
        self.model.apply_constraints();
        self.state.batches = end;
        self.state.optimizer_steps += 1;
        Ok(())
    }

    /// Remembers a batch's loss, to be checked when the device is waited for. On the CPU, where nothing waits, it is checked
    /// at once, before its gradient spoils the weights.
    fn record_loss(&mut self, session: &mut LoopState, batch: PendingLoss) -> Result<()> {
        match self.model.device() {
            tch::Device::Cpu => {
                session.pending.push(batch);
                self.finite_sums(session).map(drop)
            }
            _ => {
                session.pending.push(batch.without_images());
                Ok(())
            }
        }
    }

    /// Tells how far the epoch is, a few times a second and at every point that the logs keep, and checks the loss: then
    /// it waits for the device.
    fn log_progress(&mut self, session: &mut LoopState) -> Result<()> {
        let is_recorded = self.is_recorded();
        if !session.clock.report_is_due() && !is_recorded {
            return Ok(());
        }
        let sums = self.finite_sums(session)?;
        self.sinks.send(&Event::Batch(log::Batch {
            epoch: self.state.epochs + 1,
            batch: self.state.batches,
            step: self.state.batches_seen,
            scores: sums.scores(),
            images_per_second: session.clock.images_per_second(sums.count),
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

    /// The epoch's sums so far. Waits for the device.
    fn finite_sums(&self, session: &mut LoopState) -> Result<Sums> {
        let sums = session.sums.read();
        if !sums.loss.is_finite() {
            return Err(nan_check::loss_error(self.model, &session.pending, self.state.epochs + 1, sums));
        }
        session.pending.clear();
        Ok(sums)
    }

    /// Takes the sums into the progress; they and the weights are finite then. Waits for the device.
    fn check_numbers(&mut self, session: &mut LoopState) -> Result<()> {
        self.state.sums = self.finite_sums(session)?;
        let (epoch, step) = (self.state.epochs + 1, self.state.batches_seen);
        nan_check::weight_error(self.model, epoch, step, self.learning_rate()).map_or(Ok(()), Err)
    }

    fn interruption(&self) -> Option<StopReason> {
        let is_over = self.config.time.is_some_and(|limit| self.state.seconds >= limit.seconds);
        match self.stop.load(Ordering::Relaxed) {
            0 => is_over.then_some(StopReason::Time),
            signal => Some(StopReason::Signal(signal)),
        }
    }

    /// Closes the epoch in `progress`, validates and describes it.
    fn finish_epoch(&mut self, clock: &Stopwatch) -> Result<log::Epoch> {
        let train = self.state.sums.scores();
        let images_per_second = clock.images_per_second(self.state.sums.count);
        self.state.optimizer_steps -= 1; // the rate of the epoch's last step
        let learning_rate = self.learning_rate();
        self.state.optimizer_steps += 1;
        let validation = self.validate()?;
        clock.note(&mut self.state);
        let (epochs, seconds) = (self.state.epochs + 1, self.state.epoch_seconds);
        let numbers = [Monitor::Loss, Monitor::Accuracy, Monitor::ValLoss, Monitor::ValAccuracy];
        let latest = numbers.map(|number| number.value(train, validation).filter(|value| value.is_finite()));
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
        self.optimizer.swap_average();
        let evaluation = evaluate_smoothed(self.model, samples, 1, self.config.label_smoothing, |_| {});
        self.optimizer.swap_average();
        let of_epoch = |error: Error| error.at("validation").at(format!("epoch {}", self.state.epochs + 1));
        Ok(Some(evaluation.map_err(of_epoch)?.sums.scores()))
    }

    /// What follows from a finished epoch: whether it is the best, patience runs out, the rate falls.
    fn update_best(&mut self, epoch: &mut log::Epoch) {
        if let Some(plateau) = self.config.reduce_on_plateau {
            plateau.watch(&mut self.state.plateau, epoch);
        }
        epoch.is_best = self.config.early_stopping.watch(&mut self.state.watch, epoch);
    }

    /// Keeps the epoch that is the best so far.
    fn keep_best(&mut self, best: &mut Option<Vec<Tensor>>) {
        self.optimizer.swap_average();
        self.save(CheckpointKind::Best);
        if self.config.early_stopping.restore_best {
            *best = Some(self.model.weights().iter().map(|weight| weight.tensor.detach().copy()).collect());
        }
        self.optimizer.swap_average();
    }

    fn begin(&mut self) -> LoopState {
        let classes = self.config.class_weights.as_deref();
        LoopState {
            objective: Loss::new(self.config.label_smoothing, classes, self.model.device()),
            sums: RunningSums::new(self.state.sums, self.model.device()),
            clock: Stopwatch::start(&self.state),
            pending: Vec::new(),
            best: self.recall_best(),
            last_checkpoint: LastCheckpoint::None,
        }
    }

    fn learning_rate(&self) -> f64 {
        self.config.schedule.learning_rate(self.state.optimizer_steps) * self.state.plateau.scale
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
