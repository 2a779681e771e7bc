//! Training: the loop, what it is told, what it needs.
//!
//! A [`Trainer`] is a struct of what the loop uses, [`Trainer::fit`] runs it. What it is told is a [`TrainConfig`]; what it
//! tells are [`crate::log::Event`]s. Order, semantics and defaults of early stopping, the plateau and the recipes are those
//! of Keras's `fit` and its callbacks.

mod batch;
pub mod checkpoint;
mod finite;
mod keep;
mod limits;
mod monitor;
mod objective;
pub mod optimizer;
mod progress;
pub mod range_test;
pub mod schedule;

use std::sync::atomic::{AtomicI32, Ordering};

use tch::Tensor;

use crate::data::augment::AugmentConfig;
use crate::data::batches::{DeviceSamples, Order};
use crate::error::{Error, Result};
use crate::evaluate::{RunningSums, Sums, evaluate_smoothed};
use crate::log::{self, Event, Scores, Sinks};
use crate::model::Model;
use crate::native;
use crate::rng::{Stream, derive};

pub use checkpoint::{Checkpoints, Which, take_over_state};
pub use limits::{SaveEvery, Span};
pub use monitor::{EarlyStopping, Monitor, Plateau, ReduceOnPlateau, Target, Watch};
pub use objective::{ClassWeightRule, ClassWeights, Objective, Targets};
pub use optimizer::{Clip, Optimizer, OptimizerConfig, OptimizerKind, StepOptions};
pub use progress::{Ending, Progress};
pub use schedule::{Schedule, ScheduleKind};

use batch::Place;
use finite::Unseen;
use progress::Clock;

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
    pub train: &'a DeviceSamples,
    /// The images to look at after each epoch.
    pub validation: Option<&'a DeviceSamples>,
    /// Where checkpoints go, if anywhere.
    pub checkpoints: Option<Checkpoints>,
    /// Who listens.
    pub sinks: Sinks,
    /// Asks the loop to stop.
    pub stop: &'a StopSignal,
    /// Where the run stands; the default is its beginning.
    pub progress: Progress,
}

/// What came of a training.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The epochs that were done, those before a resume not counted.
    pub epochs: Vec<log::Epoch>,
    /// Why it ended.
    pub ending: Ending,
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
struct Session {
    objective: Objective,
    sums: RunningSums,
    clock: Clock,
    unseen: Vec<Unseen>,
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
    pub fn new(config: TrainConfig, model: &'a Model, optimizer: Optimizer, train: &'a DeviceSamples) -> Self {
        Trainer {
            config,
            model,
            optimizer,
            train,
            validation: None,
            checkpoints: None,
            sinks: Sinks::default(),
            stop: &NEVER,
            progress: Progress::default(),
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
            if let Some(ending) = self.progress.ending(&self.config) {
                break ending;
            }
            session.sums = RunningSums::new(self.progress.sums, self.model.device());
            session.clock = Clock::start(&self.progress);
            let order = match self.config.shuffle {
                true => self.train.shuffled(self.config.seed, self.progress.epochs),
                false => self.train.in_order(),
            };
            while self.progress.batches < self.steps_per_epoch() {
                self.step(&order, &mut session)?;
                self.look(&mut session)?;
                session.clock.note(&mut self.progress);
                if let Some(ending) = self.interruption() {
                    self.save_within_epoch(&mut session)?;
                    break 'training ending;
                }
                if session.clock.save_is_due(self.config.save_every, &self.progress) {
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
            session.last_checkpoint = self.save(Which::Last);
        };
        self.choose_weights(ending, session.best);
        Ok(Outcome { epochs, ending, last_checkpoint: session.last_checkpoint })
    }

    /// One optimizer step: forward and backward for each of its batches, then the update. Nothing here waits for a GPU.
    fn step(&mut self, order: &Order, session: &mut Session) -> Result<()> {
        let (batch_size, first) = (self.config.batch_size, self.progress.batches);
        let end = (first + self.config.accumulate.max(1) as u64).min(self.steps_per_epoch());
        let num_images = self.train.num_images().min(end as usize * batch_size) - first as usize * batch_size;
        let learning_rate = self.learning_rate();
        for batch in first..end {
            let step = self.progress.steps;
            native::manual_seed(derive(self.config.seed, Stream::Step(step)), self.model.device())?; // dropout masks
            let place = Place { epoch: self.progress.epochs, batch, step };
            let (images, targets) = batch::prepare(&self.config, self.train, order, place)?;
            let outputs = self.model.forward(&images, true)?;
            let loss = self.model.regularized(session.objective.loss(&outputs, &targets));
            session.sums.add(&loss, &outputs.classes(), targets.of_most());
            self.optimizer.add_gradient(&loss, images.size()[0] as f64 / num_images as f64);
            self.progress.steps += 1;
            self.note_loss(
                session,
                Unseen { batch: batch + 1, step: step + 1, learning_rate, loss, images: Some(images) },
            )?;
        }
        self.optimizer.apply(learning_rate);
        self.model.apply_constraints();
        self.progress.batches = end;
        self.progress.updates += 1;
        Ok(())
    }

    /// Remembers a batch's loss, to be checked when the device is waited for. On the CPU, where nothing waits, it is checked
    /// at once, before its gradient spoils the weights.
    fn note_loss(&mut self, session: &mut Session, batch: Unseen) -> Result<()> {
        match self.model.device() {
            tch::Device::Cpu => {
                session.unseen.push(batch);
                self.finite_sums(session).map(drop)
            }
            _ => {
                session.unseen.push(batch.without_images());
                Ok(())
            }
        }
    }

    /// Tells how far the epoch is, a few times a second and at every point that the logs keep, and checks the loss: then
    /// it waits for the device.
    fn look(&mut self, session: &mut Session) -> Result<()> {
        let is_recorded = self.is_recorded();
        if !session.clock.report_is_due() && !is_recorded {
            return Ok(());
        }
        let sums = self.finite_sums(session)?;
        self.sinks.send(&Event::Batch(log::Batch {
            epoch: self.progress.epochs + 1,
            batch: self.progress.batches,
            step: self.progress.steps,
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
        let before = (self.progress.batches - 1) / accumulate * accumulate;
        self.progress.batches / interval > before / interval
    }

    /// The epoch's sums so far. Waits for the device.
    fn finite_sums(&self, session: &mut Session) -> Result<Sums> {
        let sums = session.sums.read();
        if !sums.loss.is_finite() {
            return Err(finite::loss_error(self.model, &session.unseen, self.progress.epochs + 1, sums));
        }
        session.unseen.clear();
        Ok(sums)
    }

    /// Takes the sums into the progress; they and the weights are finite then. Waits for the device.
    fn check_numbers(&mut self, session: &mut Session) -> Result<()> {
        self.progress.sums = self.finite_sums(session)?;
        let (epoch, step) = (self.progress.epochs + 1, self.progress.steps);
        finite::weight_error(self.model, epoch, step, self.learning_rate()).map_or(Ok(()), Err)
    }

    fn interruption(&self) -> Option<Ending> {
        let is_over = self.config.time.is_some_and(|limit| self.progress.seconds >= limit.seconds);
        match self.stop.load(Ordering::Relaxed) {
            0 => is_over.then_some(Ending::Time),
            signal => Some(Ending::Signal(signal)),
        }
    }

    /// Closes the epoch in `progress`, validates and describes it.
    fn finish_epoch(&mut self, clock: &Clock) -> Result<log::Epoch> {
        let train = self.progress.sums.scores();
        let images_per_second = clock.images_per_second(self.progress.sums.count);
        self.progress.updates -= 1; // the rate of the epoch's last step
        let learning_rate = self.learning_rate();
        self.progress.updates += 1;
        let validation = self.validate()?;
        clock.note(&mut self.progress);
        let (epochs, seconds) = (self.progress.epochs + 1, self.progress.epoch_seconds);
        let numbers = [Monitor::Loss, Monitor::Accuracy, Monitor::ValLoss, Monitor::ValAccuracy];
        let latest = numbers.map(|number| number.value(train, validation).filter(|value| value.is_finite()));
        let sums = Sums::default();
        self.progress = Progress { epochs, batches: 0, sums, latest, epoch_seconds: 0.0, ..self.progress };
        let step = self.progress.steps;
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
        self.watch(&mut epoch);
        Ok(epoch)
    }

    fn validate(&mut self) -> Result<Option<Scores>> {
        let Some(samples) = self.validation else { return Ok(None) };
        self.sinks.send(&Event::Validating);
        self.optimizer.swap_average();
        let evaluation = evaluate_smoothed(self.model, samples, 1, self.config.label_smoothing, |_| {});
        self.optimizer.swap_average();
        let of_epoch = |error: Error| error.at("validation").at(format!("epoch {}", self.progress.epochs + 1));
        Ok(Some(evaluation.map_err(of_epoch)?.sums.scores()))
    }

    /// What follows from a finished epoch: whether it is the best, patience runs out, the rate falls.
    fn watch(&mut self, epoch: &mut log::Epoch) {
        if let Some(plateau) = self.config.reduce_on_plateau {
            plateau.watch(&mut self.progress.plateau, epoch);
        }
        epoch.is_best = self.config.early_stopping.watch(&mut self.progress.watch, epoch);
    }

    /// Keeps the epoch that is the best so far.
    fn keep_best(&mut self, best: &mut Option<Vec<Tensor>>) {
        self.optimizer.swap_average();
        self.save(Which::Best);
        if self.config.early_stopping.restore_best {
            *best = Some(self.model.weights().iter().map(|weight| weight.tensor.detach().copy()).collect());
        }
        self.optimizer.swap_average();
    }

    fn begin(&mut self) -> Session {
        let classes = self.config.class_weights.as_deref();
        Session {
            objective: Objective::new(self.config.label_smoothing, classes, self.model.device()),
            sums: RunningSums::new(self.progress.sums, self.model.device()),
            clock: Clock::start(&self.progress),
            unseen: Vec::new(),
            best: self.recall_best(),
            last_checkpoint: LastCheckpoint::None,
        }
    }

    fn learning_rate(&self) -> f64 {
        self.config.schedule.learning_rate(self.progress.updates) * self.progress.plateau.scale
    }

    fn steps_per_epoch(&self) -> u64 {
        self.train.num_batches(self.config.batch_size)
    }

    fn start(&self) -> log::Start {
        log::Start {
            run: self.config.run.clone(),
            model_json: self.model.spec().to_json().to_string(),
            epochs: self.config.epochs,
            first_epoch: self.progress.epochs + 1,
            steps_per_epoch: self.steps_per_epoch(),
            num_images: self.train.num_images() as u64,
            first_step: self.progress.steps,
        }
    }
}
