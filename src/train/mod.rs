//! Training: the loop, what it is told, what it needs.

pub mod checkpoint;
pub mod optimizer;
pub mod schedule;

use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use crate::data::augment::{AugmentConfig, Mixer, augment};
use crate::data::batches::DeviceSamples;
use crate::error::{Error, Result};
use crate::evaluate::{RunningSums, Sums, cross_entropy, evaluate};
use crate::log::{self, Event, Scores, Sinks};
use crate::model::Model;
use crate::rng::{Stream, derive};

pub use checkpoint::{Checkpoints, Progress, Which};
pub use optimizer::{Optimizer, OptimizerConfig, OptimizerKind};
pub use schedule::{Schedule, ScheduleKind};

/// How often the loop looks at the losses, which waits for the device.
const REPORT_INTERVAL: Duration = Duration::from_millis(250);

/// What the loop needs to know.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainConfig {
    /// The run's name.
    pub run: String,
    /// Epochs of the whole run.
    pub epochs: u64,
    /// Images a batch; an epoch's last batch may be smaller.
    pub batch_size: usize,
    /// The learning rate, step by step.
    pub schedule: Schedule,
    /// Where every random number comes from.
    pub seed: u64,
    /// How training images are changed.
    pub augment: AugmentConfig,
}

/// The signal that asks training to stop, 0 while there is none. A signal handler sets it; the loop reads it after each
/// batch.
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
    /// The signal that ended it early, after a checkpoint was saved.
    pub stopped_by: Option<i32>,
}

impl Trainer<'_> {
    /// Trains until the last epoch is done or a signal comes, and tells the sinks.
    ///
    /// # Errors
    /// A numeric error where the loss stops being finite, a data error where an image's file cannot be read; the last
    /// checkpoint is left as it is.
    pub fn fit(&mut self) -> Result<Outcome> {
        self.sinks.send(&Event::Start(self.start()));
        let outcome = self.run();
        self.sinks.send(&Event::End);
        outcome
    }

    /// The loop.
    fn run(&mut self) -> Result<Outcome> {
        let steps_per_epoch = self.train.num_batches(self.config.batch_size);
        let mut epochs = Vec::new();
        while self.progress.epochs < self.config.epochs {
            let order = self.train.shuffled(self.config.seed, self.progress.epochs);
            let mut sums = RunningSums::new(self.progress.sums, self.model.device());
            let mut clock = Clock::start(self.progress.sums.count);
            while self.progress.batches < steps_per_epoch {
                self.step(&order, &mut sums)?;
                if clock.report_is_due() {
                    self.report(sums.read(), &clock)?; // waits for the device, a few times a second
                }
                let signal = self.stop.load(Ordering::Relaxed);
                if signal != 0 {
                    self.progress.sums = sums.read(); // waits for the device, once
                    check_finite(&self.progress)?;
                    self.save(Which::Last);
                    return Ok(Outcome { epochs, stopped_by: Some(signal) });
                }
            }
            self.progress.sums = sums.read(); // waits for the device, once an epoch
            check_finite(&self.progress)?;
            let images_per_second = clock.images_per_second(self.progress.sums.count);
            let validation = self.validate()?;
            let epoch = self.finish_epoch(validation, &clock, images_per_second);
            self.sinks.send(&Event::Epoch(epoch));
            epochs.push(epoch);
            self.keep_best(validation);
            self.save(Which::Last);
        }
        Ok(Outcome { epochs, stopped_by: None })
    }

    /// One batch: forward, backward, update. Nothing here waits for the device.
    fn step(&mut self, order: &tch::Tensor, sums: &mut RunningSums) -> Result<()> {
        let step = self.progress.steps;
        tch::manual_seed(derive(self.config.seed, Stream::Step(step)) as i64); // dropout masks
        let (images, labels) = self.batch(order)?;
        let logits = self.model.logits(&images, true); // f32 [B, K]
        let loss = self.model.regularized(labels.loss(&logits));
        self.optimizer.step(&loss, self.config.schedule.learning_rate(step));
        self.model.apply_constraints();
        sums.add(&loss, &logits, labels.of_most());
        self.progress.steps += 1;
        self.progress.batches += 1;
        Ok(())
    }

    /// The next batch, augmented: images `u8 [B, H, W, C]` and what they are to be recognised as.
    fn batch(&self, order: &tch::Tensor) -> Result<(tch::Tensor, Targets)> {
        let TrainConfig { batch_size, seed, augment: config, .. } = &self.config;
        let (images, labels) = self.train.batch_of(order, self.progress.batches, *batch_size)?;
        let numbers = self.train.numbers_of(order, self.progress.batches, *batch_size);
        let images = augment(config, &images, &numbers, *seed, self.progress.epochs);
        let mixed = Mixer::new(config).mix(images, &labels, *seed, self.progress.steps);
        Ok((mixed.images, Targets { labels, others: mixed.others }))
    }

    fn report(&mut self, sums: Sums, clock: &Clock) -> Result<()> {
        let progress = Progress { sums, ..self.progress };
        check_finite(&progress)?;
        self.sinks.send(&Event::Batch(log::Batch {
            epoch: progress.epochs + 1,
            batch: progress.batches,
            step: progress.steps,
            scores: sums.scores(),
            images_per_second: clock.images_per_second(sums.count),
        }));
        Ok(())
    }

    fn validate(&mut self) -> Result<Option<Scores>> {
        let Some(samples) = self.validation else { return Ok(None) };
        self.sinks.send(&Event::Validating);
        Ok(Some(evaluate(self.model, samples, 1)?.sums.scores()))
    }

    /// Closes the epoch in `progress` and describes it.
    fn finish_epoch(&mut self, validation: Option<Scores>, clock: &Clock, images_per_second: f64) -> log::Epoch {
        let scores = self.progress.sums.scores();
        self.progress =
            Progress { epochs: self.progress.epochs + 1, batches: 0, sums: Sums::default(), ..self.progress };
        log::Epoch {
            epoch: self.progress.epochs,
            step: self.progress.steps,
            train: scores,
            validation,
            learning_rate: self.config.schedule.learning_rate(self.progress.steps.saturating_sub(1)),
            seconds: clock.started.elapsed().as_secs_f64(),
            images_per_second,
        }
    }

    fn keep_best(&mut self, validation: Option<Scores>) {
        let Some(scores) = validation else { return };
        if self.progress.best.is_none_or(|best| scores.accuracy > best) {
            self.progress.best = Some(scores.accuracy);
            self.save(Which::Best);
        }
    }

    /// Saves a checkpoint. A disk that does not take it is worth a warning, not the training.
    fn save(&mut self, which: Which) {
        let Some(checkpoints) = &self.checkpoints else { return };
        if let Err(error) = checkpoints.save(which, self.model, &self.optimizer, &self.progress) {
            let warning = format!("{}; training goes on, the checkpoint before is kept", log::describe(&error));
            self.sinks.send(&Event::Warning(warning));
        }
    }

    fn start(&self) -> log::Start {
        log::Start {
            run: self.config.run.clone(),
            model_json: self.model.spec().to_json().to_string(),
            epochs: self.config.epochs,
            first_epoch: self.progress.epochs + 1,
            steps_per_epoch: self.train.num_batches(self.config.batch_size),
            num_images: self.train.num_images() as u64,
            first_step: self.progress.steps,
        }
    }
}

/// What the images of a batch are: labels `i64 [B]`, and where images were mixed, the others' labels and share.
struct Targets {
    labels: tch::Tensor,
    others: Option<(tch::Tensor, f64)>,
}

impl Targets {
    /// The cross-entropy with the labels in their shares, as a scalar.
    fn loss(&self, logits: &tch::Tensor) -> tch::Tensor {
        let loss = cross_entropy(logits, &self.labels);
        match &self.others {
            None => loss,
            Some((others, share)) => loss * (1.0 - share) + cross_entropy(logits, others) * *share,
        }
    }

    /// The labels with the larger share, which accuracy counts.
    fn of_most(&self) -> &tch::Tensor {
        match &self.others {
            Some((others, share)) if *share > 0.5 => others,
            _ => &self.labels,
        }
    }
}

/// Time since the epoch began (or was resumed), and when the user last heard of it.
struct Clock {
    started: Instant,
    reported: Instant,
    images_before: u64,
}

impl Clock {
    fn start(images_before: u64) -> Self {
        let now = Instant::now();
        Clock { started: now, reported: now, images_before }
    }

    fn report_is_due(&mut self) -> bool {
        let due = self.reported.elapsed() >= REPORT_INTERVAL;
        if due {
            self.reported = Instant::now();
        }
        due
    }

    fn images_per_second(&self, images: u64) -> f64 {
        (images - self.images_before) as f64 / self.started.elapsed().as_secs_f64().max(1e-9)
    }
}

fn check_finite(progress: &Progress) -> Result<()> {
    if progress.sums.loss.is_finite() {
        return Ok(());
    }
    Err(Error::numeric("the loss is not finite")
        .expected("a number")
        .got(progress.sums.scores().loss)
        .at(format!("step {}", progress.steps))
        .at(format!("epoch {}", progress.epochs + 1))
        .help("a lower --lr often mends this; the checkpoint before is kept"))
}
