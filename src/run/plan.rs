//! What a training will cost, from a few of its steps: nothing is written, and nothing is left of them.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use serde::Serialize;

use super::features;
use super::prepare::{self, PreparedNetwork};
use crate::config::RunConfig;
use crate::data::batches::DataLoader;
use crate::data::{Dataset, Samples};
use crate::device::{Selected, peak_memory};
use crate::distributed::Group;
use crate::error::{Error, Result};
use crate::evaluate::evaluate_smoothed;
use crate::log::{Event, Sink, Sinks};
use crate::model::{Model, Summary};
use crate::train::{Optimizer, StopReason, StopSignal, TrainConfig, Trainer};

/// Steps before those that count: libtorch chooses algorithms, and memory is taken, in the first ones.
const WARM_UP: usize = 3;
/// So many steps are timed at least, ...
const MIN_STEPS: usize = 5;
/// ... and until so many seconds have gone by, ...
const MIN_SECONDS: f64 = 5.0;
/// ... or so many steps are done.
const MAX_STEPS: usize = 500;
/// Images of a split whose evaluation is timed.
const EVALUATED: usize = 2000;

/// What a training will cost.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrainingPlan {
    /// The data set's name.
    pub data: String,
    /// Training images.
    pub train: usize,
    /// Validation images.
    pub validation: Option<usize>,
    /// Test images.
    pub test: Option<usize>,
    /// The network's parameters.
    pub parameters: usize,
    /// Those that are trained.
    pub trainable: usize,
    /// Multiplications with additions in a forward pass of one image.
    pub multiply_adds: usize,
    /// The device that computes.
    pub device: String,
    /// CPU threads of an operator.
    pub threads: Option<usize>,
    /// Images in an optimizer step.
    pub images_per_step: usize,
    /// Optimizer steps in an epoch.
    pub steps_per_epoch: usize,
    /// Epochs, where nothing ends the run before.
    pub epochs: u64,
    /// The steps that were timed.
    pub timed_steps: usize,
    /// Their mean time in seconds.
    pub step_seconds: f64,
    /// The time of an epoch's validation, in seconds.
    pub validation_seconds: f64,
    /// The time of an epoch, validation included, in seconds.
    pub epoch_seconds: f64,
    /// The time of all epochs and of the evaluations at the end, in seconds.
    pub total_seconds: f64,
    /// The most memory that the process will take, in bytes, without that of a GPU; null where the system does not say.
    pub peak_memory_bytes: Option<u64>,
}

/// What a few steps took.
struct TimedSteps {
    count: usize,
    mean_seconds: f64,
    /// Whether an epoch's last step, which may be smaller, was among them.
    has_whole_epoch: bool,
}

/// Times a few steps of a training of `config`; what it works with goes to `sinks`.
///
/// # Errors
/// A configuration error where steps differ too much for a few to tell of all, and the errors of [`super::Run::execute`].
pub fn plan(config: &RunConfig, sinks: &mut Sinks) -> Result<TrainingPlan> {
    config.check()?;
    if config.network.freeze_epochs > 0 {
        let error = Error::config("a plan cannot tell how long a run of two stages takes");
        return Err(error.expected("`freeze_epochs = 0`").got(config.network.freeze_epochs));
    }
    let selected = prepare::device(config, &Group::alone(), sinks)?;
    let splits = prepare::splits(config, false, sinks)?;
    let network = prepare::network(config, &splits, None, config.stage(0), &selected, sinks)?;
    let num_images = splits.train.len() + splits.validation.as_ref().map_or(0, Samples::len);
    if features::are_kept(config, &network.model, num_images).is_some() {
        let error = Error::config("a plan cannot tell how long a run takes that computes its features once");
        return Err(error.help("`keep_features = false` computes them in each step"));
    }
    timed(config, &splits, network, &selected)
}

fn timed(config: &RunConfig, splits: &Dataset, network: PreparedNetwork, selected: &Selected) -> Result<TrainingPlan> {
    let PreparedNetwork { model, optimizer, train_config } = network;
    let images_per_step = train_config.batch_size * train_config.accumulate.max(1);
    let train = DataLoader::new(&splits.train, selected.device)?;
    let steps = time_steps(endless(&train_config), &model, optimizer, &train)?;
    let evaluation = |images: &Option<Samples>| {
        images.as_ref().map_or(Ok(0.0), |images| evaluation_seconds(&model, images, selected))
    };
    let (validation_seconds, test_seconds) = (evaluation(&splits.validation)?, evaluation(&splits.test)?);
    let steps_per_epoch = splits.train.len().div_ceil(images_per_step);
    let share = match steps.has_whole_epoch {
        true => steps_per_epoch as f64,
        false => splits.train.len() as f64 / images_per_step as f64,
    };
    let epoch_seconds = share * steps.mean_seconds + validation_seconds;
    let summary = Summary::new(model.spec())?;
    Ok(TrainingPlan {
        data: splits.name.clone(),
        train: splits.train.len(),
        validation: splits.validation.as_ref().map(Samples::len),
        test: splits.test.as_ref().map(Samples::len),
        parameters: model.plan().num_parameters(),
        trainable: model.plan().num_trainable(),
        multiply_adds: summary.multiply_adds,
        device: selected.name.clone(),
        threads: usize::try_from(tch::get_num_threads()).ok(),
        images_per_step,
        steps_per_epoch,
        epochs: config.training.epochs,
        timed_steps: steps.count,
        step_seconds: steps.mean_seconds,
        validation_seconds,
        epoch_seconds,
        // at the end both splits are evaluated once more
        total_seconds: config.training.epochs as f64 * epoch_seconds + validation_seconds + test_seconds,
        peak_memory_bytes: peak_memory(),
    })
}

/// Steps as `config` says, with nothing that ends them or saves.
fn endless(config: &TrainConfig) -> TrainConfig {
    TrainConfig {
        epochs: u64::MAX,
        until: None,
        time: None,
        save_every: None,
        stage_end: None,
        log_every: Some(1),
        ..config.clone()
    }
}

/// Trains until enough steps are timed.
fn time_steps(config: TrainConfig, model: &Model, optimizer: Optimizer, train: &DataLoader) -> Result<TimedSteps> {
    let (times, stop) = (Arc::default(), Arc::new(StopSignal::new(0)));
    let mut trainer = Trainer { stop: &stop, ..Trainer::new(config, model, optimizer, train) };
    trainer.sinks.add(StepClock { times: Arc::clone(&times), stop: Arc::clone(&stop) });
    let outcome = trainer.fit()?;
    debug_assert!(matches!(outcome.ending, StopReason::Signal(_)));
    let times = times.lock().unwrap_or_else(PoisonError::into_inner);
    let counted = times.get(WARM_UP - 1..).unwrap_or_default();
    let count = counted.len().saturating_sub(1).max(1);
    let seconds = counted.last().zip(counted.first()).map_or(0.0, |(last, first)| (*last - *first).as_secs_f64());
    Ok(TimedSteps { count, mean_seconds: seconds / count as f64, has_whole_epoch: !outcome.epochs.is_empty() })
}

/// Notes when each step is done, and ends the training once they are enough.
struct StepClock {
    times: Arc<Mutex<Vec<Instant>>>,
    stop: Arc<StopSignal>,
}

impl Sink for StepClock {
    fn on(&mut self, event: &Event) -> Result<()> {
        let Event::Batch(_) = event else { return Ok(()) };
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        times.push(Instant::now());
        let counted = times.get(WARM_UP - 1..).unwrap_or_default();
        let is_long = counted.first().is_some_and(|first| first.elapsed().as_secs_f64() >= MIN_SECONDS);
        if counted.len() > MAX_STEPS || (counted.len() > MIN_STEPS && is_long) {
            self.stop.store(libc::SIGINT, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// How long the evaluation of `images` takes, from that of some of them, the second time.
fn evaluation_seconds(model: &Model, images: &Samples, selected: &Selected) -> Result<f64> {
    let some: Vec<usize> = (0..images.len().min(EVALUATED)).collect();
    let loader = DataLoader::new(&images.select(&some)?, selected.device)?;
    let mut seconds = 0.0;
    for _ in 0..2 {
        let started = Instant::now();
        evaluate_smoothed(model, &loader, 1, 0.0, |_| {})?;
        seconds = started.elapsed().as_secs_f64();
    }
    Ok(seconds * images.len() as f64 / some.len().max(1) as f64)
}
