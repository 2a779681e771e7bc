//! The learning rate range test (Smith 2015, arXiv:1506.01186): the rate rises from step to step until the loss explodes.

use crate::data::batches::DeviceSamples;
use crate::error::{Error, Result};
use crate::evaluate::cross_entropy;
use crate::model::Model;
use crate::rng::{Stream, derive};
use crate::train::Optimizer;

/// How much of the smoothed loss a step keeps: fastai's number.
const SMOOTHING: f64 = 0.98;
/// At how many times the lowest smoothed loss the test ends.
const EXPLODED: f64 = 2.0;
/// Steps before the loss is smooth enough to end the test or to suggest a rate.
const FIRST_STEPS: usize = 10;

/// Rates from `start` to `end`, each step's a constant factor above that of the one before.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RangeTest {
    /// The first rate, above 0.
    pub start: f64,
    /// The last rate, above the first.
    pub end: f64,
    /// How many steps there are, at least two.
    pub steps: u64,
    /// Images a batch.
    pub batch_size: usize,
    /// Where every random number comes from.
    pub seed: u64,
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
    pub fn run(&self, model: &Model, optimizer: &mut Optimizer, train: &DeviceSamples) -> Result<Vec<RangePoint>> {
        let steps_per_epoch = train.num_batches(self.batch_size);
        let mut order = train.shuffled(self.seed, 0);
        let (mut points, mut average, mut lowest) = (Vec::new(), 0.0, f64::INFINITY);
        for step in 0..self.steps {
            if step > 0 && step % steps_per_epoch == 0 {
                order = train.shuffled(self.seed, step / steps_per_epoch);
            }
            tch::manual_seed(derive(self.seed, Stream::Step(step)) as i64); // dropout masks
            let (images, labels) = train.batch_of(&order, step % steps_per_epoch, self.batch_size)?;
            let loss = model.regularized(cross_entropy(&model.logits(&images, true), &labels));
            let learning_rate = self.learning_rate(step);
            optimizer.step(&loss, learning_rate);
            model.apply_constraints();
            average = SMOOTHING * average + (1.0 - SMOOTHING) * loss.double_value(&[]); // waits for the device
            let loss = average / (1.0 - SMOOTHING.powf(step as f64 + 1.0));
            if !loss.is_finite() || (points.len() >= FIRST_STEPS && loss > EXPLODED * lowest) {
                break;
            }
            lowest = lowest.min(loss);
            points.push(RangePoint { learning_rate, loss });
        }
        match points.len() > FIRST_STEPS {
            true => Ok(points),
            false => {
                Err(Error::config("the loss explodes at the first rates").got(self.start).help("a lower --start-lr"))
            }
        }
    }
}

/// The rate in the middle of the long fall: half way down the longest falling part of the smoothed losses
/// (their longest decreasing subsequence), where fastai's `valley` puts it. None where the loss falls nowhere.
pub fn suggest(points: &[RangePoint]) -> Option<f64> {
    let points = points.get(FIRST_STEPS..)?;
    // how long the longest falling part is that ends at each point
    let mut lengths: Vec<usize> = Vec::with_capacity(points.len());
    for (index, point) in points.iter().enumerate() {
        let above = points[..index].iter().zip(&lengths).filter(|(before, _)| before.loss > point.loss);
        lengths.push(1 + above.map(|(_, &length)| length).max().unwrap_or(0));
    }
    let longest = *lengths.iter().max()?;
    let end = lengths.iter().position(|&length| length == longest)?;
    // the part's points need not be neighbours: as with fastai, it is taken to begin its length before its end
    let middle = (end + longest / 3 + longest / 6).saturating_sub(longest);
    (longest > points.len() / 10).then(|| points[middle].learning_rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEST: RangeTest = RangeTest { start: 1e-6, end: 1.0, steps: 61, batch_size: 8, seed: 0 };

    #[test]
    fn rates_rise_by_a_factor() {
        assert_eq!(TEST.learning_rate(0), 1e-6);
        assert!((TEST.learning_rate(10) / 1e-5 - 1.0).abs() < 1e-12);
        assert!((TEST.learning_rate(60) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn the_middle_of_the_long_fall_is_suggested() {
        // a smooth step down around 1e-3, and up again near 1
        let loss = |rate: f64| 2.0 - 1.0 / (1.0 + (-4.0 * (rate.log10() + 3.0)).exp()) + rate * rate;
        let points: Vec<RangePoint> = (0..61)
            .map(|step| TEST.learning_rate(step))
            .map(|learning_rate| RangePoint { learning_rate, loss: loss(learning_rate) })
            .collect();
        // fastai's `valley`, run in Python on the points after the tenth, gives the 18th of them
        let suggestion = suggest(&points).unwrap();
        assert!((suggestion / TEST.learning_rate(27) - 1.0).abs() < 1e-9, "{suggestion}");
        let rising: Vec<RangePoint> =
            points.iter().map(|point| RangePoint { loss: point.learning_rate, ..*point }).collect();
        assert_eq!(suggest(&rising), None);
        assert_eq!(suggest(&points[..5]), None);
    }
}
