//! The learning rate range test (Smith 2015, arXiv:1506.01186): the rate rises from step to step until the loss explodes.

use super::step::{EpochPlan, Step, StepStart};
use super::{Loss, Optimizer, TrainConfig};
use crate::data::batches::DataLoader;
use crate::error::{Error, Result};
use crate::model::Model;
use crate::native;

/// How much of the smoothed loss a step keeps: fastai's number.
const SMOOTHING: f64 = 0.98;
/// At how many times the lowest smoothed loss the test ends.
const EXPLODED: f64 = 2.0;
/// Steps before the loss is smooth enough to end the test or to suggest a rate.
const FIRST_STEPS: usize = 10;
/// A smaller part of the loss is noise: where nothing is learned, batches of 128 make it wander by some 0.3 %.
const LEAST_FALL: f64 = 0.01;

/// Rates from `start` to `end`, each step's a constant factor above that of the one before.
#[derive(Debug, Clone, PartialEq)]
pub struct RangeTest {
    /// The first rate, above 0.
    pub start: f64,
    /// The last rate, above the first.
    pub end: f64,
    /// How many steps there are, at least two.
    pub steps: u64,
    /// How steps are taken, as in a training: batch size, accumulation, shuffling, augmentation, smoothing, class weights and
    /// seed. The rest has no say here.
    pub config: TrainConfig,
}

/// A step of the test.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct RangePoint {
    /// Its rate.
    pub learning_rate: f64,
    /// The smoothed loss at that rate.
    pub loss: f64,
}

impl RangeTest {
    /// The rate of `step` (from 0).
    pub fn learning_rate(&self, step: u64) -> f64 {
        self.start * (self.end / self.start).powf(step as f64 / (self.steps - 1).max(1) as f64)
    }

    /// Trains `model`, which is of no other use then, until the last step or until the loss explodes. Waits for the
    /// device in each step.
    ///
    /// # Errors
    /// A data error where an image's file cannot be read; a configuration error where even the first rates make the loss
    /// explode.
    pub fn run(&self, model: &Model, optimizer: &mut Optimizer, train: &DataLoader) -> Result<Vec<RangePoint>> {
        self.run_with(model, optimizer, train, |_, _| {})
    }

    /// As [`RangeTest::run`]; `listen` hears of each step, counted from 1.
    ///
    /// # Errors
    /// As [`RangeTest::run`].
    pub fn run_with(
        &self,
        model: &Model,
        optimizer: &mut Optimizer,
        train: &DataLoader,
        listen: impl FnMut(u64, RangePoint),
    ) -> Result<Vec<RangePoint>> {
        native::guarded(|| self.steps(model, optimizer, train, listen))
    }

    fn steps(
        &self,
        model: &Model,
        optimizer: &mut Optimizer,
        train: &DataLoader,
        mut listen: impl FnMut(u64, RangePoint),
    ) -> Result<Vec<RangePoint>> {
        let mut steps = RangeSteps::new(&self.config, model, train)?;
        let (mut points, mut average, mut lowest) = (Vec::new(), 0.0, f64::INFINITY);
        for step in 0..self.steps {
            let learning_rate = self.learning_rate(step);
            let loss = steps.step(optimizer, learning_rate)?;
            average = SMOOTHING * average + (1.0 - SMOOTHING) * loss;
            let loss = average / (1.0 - SMOOTHING.powf(step as f64 + 1.0));
            if !loss.is_finite() || (points.len() >= FIRST_STEPS && loss > EXPLODED * lowest) {
                break;
            }
            lowest = lowest.min(loss);
            points.push(RangePoint { learning_rate, loss });
            listen(step + 1, RangePoint { learning_rate, loss });
        }
        match points.len() > FIRST_STEPS {
            true => Ok(points),
            false => {
                Err(Error::config("the loss explodes at the first rates").got(self.start).help("a lower `start_lr`"))
            }
        }
    }
}

/// The optimizer steps of a training, one after the other, at rates of their own.
struct RangeSteps<'a> {
    config: &'a TrainConfig,
    model: &'a Model,
    train: &'a DataLoader,
    loss: Loss,
    /// The epoch's.
    plan: EpochPlan,
    next: StepStart,
}

impl<'a> RangeSteps<'a> {
    fn new(config: &'a TrainConfig, model: &'a Model, train: &'a DataLoader) -> Result<Self> {
        let loss = Loss::of(config.label_smoothing, config.class_weights.as_ref(), model.device())?;
        let next = StepStart { epoch: 0, batch: 0, batches_seen: 0 };
        let plan = Step { config, model, train, loss: &loss, profile: None }.plan(next.epoch);
        Ok(RangeSteps { config, model, train, loss, plan, next })
    }

    /// Takes one step; the mean loss of its images before the update. Waits for the device.
    fn step(&mut self, optimizer: &mut Optimizer, learning_rate: f64) -> Result<f64> {
        let RangeSteps { config, model, train, loss, plan, next } = self;
        let step = Step { config, model, train, loss, profile: None };
        let mut mean = 0.0;
        step.run(optimizer, plan, *next, learning_rate, |batch| {
            mean += batch.share * batch.loss.double_value(&[]);
            Ok(())
        })?;
        let batches = step.batches(next.batch);
        next.batches_seen += batches.end - batches.start;
        next.batch = batches.end;
        if next.batch == train.num_batches(config.batch_size) {
            (next.epoch, next.batch) = (next.epoch + 1, 0);
            *plan = step.plan(next.epoch);
        }
        Ok(mean)
    }
}

/// The rate in the middle of the fall: the first at which the smoothed loss has done half of its fall from the highest loss
/// before the lowest. None where it falls by less than `LEAST_FALL` of its height.
///
/// fastai's `valley`, half way in steps down the longest falling part, counts the flat beginning, where a smoothed loss falls
/// a little too, and comes out at a third to a tenth of this; Lightning's steepest point depends on the noise of a few batches.
pub fn suggest(points: &[RangePoint]) -> Option<f64> {
    let points = points.get(FIRST_STEPS..)?;
    let by_loss = |a: &(usize, &RangePoint), b: &(usize, &RangePoint)| a.1.loss.total_cmp(&b.1.loss);
    let (end, lowest) = points.iter().enumerate().min_by(by_loss)?;
    let (start, highest) = points[..=end].iter().enumerate().max_by(by_loss)?;
    let fall = highest.loss - lowest.loss;
    let middle = points[start..=end].iter().find(|point| point.loss <= highest.loss - fall / 2.0)?;
    (fall > LEAST_FALL * highest.loss.abs()).then_some(middle.learning_rate)
}

#[cfg(test)]
mod tests;
