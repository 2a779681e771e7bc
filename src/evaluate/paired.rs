//! Whether two models differ on the same images by more than chance: McNemar's exact test, a paired bootstrap of the loss,
//! Holm's correction, and Student's interval of a mean.

use rayon::iter::{IntoParallelIterator, ParallelIterator};
use statrs::distribution::{Binomial, ContinuousCDF, DiscreteCDF, StudentsT};

use super::Predictions;
use crate::error::{Error, Result};
use crate::rng::{Stream, below, generator};

/// The samples that a bootstrap draws: the ends of its interval are then steady to about 2 % of its width.
pub const NUM_RESAMPLES: u64 = 2000;
/// Above this probability a difference passes for noise.
pub const SIGNIFICANCE: f64 = 0.05;

/// How the predictions of two models on the same N images compare.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairedTest {
    /// Images that only the first model gets right.
    pub only_first_right: u64,
    /// Images that only the second model gets right.
    pub only_second_right: u64,
    /// McNemar's exact probability of counts as unequal as these, or more, where the models are equally good: [`mcnemar`].
    pub p_value: f64,
    /// The second model's mean loss less the first's, in nats.
    pub loss_difference: f64,
    /// Its 95 % interval: [`bootstrap_interval`].
    pub loss_interval: [f64; 2],
}

/// Compares what two models say about the same images; the bootstrap draws from `seed`.
///
/// # Errors
/// A data error where they are not about the same images: other numbers, labels or classes; where there are none.
pub fn paired_test(first: &Predictions, second: &Predictions, seed: u64) -> Result<PairedTest> {
    if first.num_classes != second.num_classes {
        let error = Error::data("the models have different numbers of classes");
        return Err(error.expected(first.num_classes).got(second.num_classes));
    }
    if first.labels != second.labels || first.is_empty() {
        let images = |of: &Predictions| format!("{} images", of.len());
        let error = Error::data("the predictions are not about the same images, with the same labels");
        return Err(error.expected(images(first)).got(images(second)));
    }
    let (mut only_first_right, mut only_second_right) = (0, 0);
    for index in 0..first.len() {
        match (first.is_right(index), second.is_right(index)) {
            (true, false) => only_first_right += 1,
            (false, true) => only_second_right += 1,
            (true, true) | (false, false) => {}
        }
    }
    let differences: Vec<f64> =
        first.losses.iter().zip(&second.losses).map(|(&first, &second)| f64::from(second) - f64::from(first)).collect();
    Ok(PairedTest {
        only_first_right,
        only_second_right,
        p_value: mcnemar(only_first_right, only_second_right),
        loss_difference: mean(&differences),
        loss_interval: bootstrap_interval(&differences, seed),
    })
}

/// McNemar's exact test (Psychometrika 1947): of the images that one of two models alone gets right, each is either model's
/// with probability ½ where they are equally good. The two-sided binomial probability of `first` and `second` such images,
/// or a more unequal split: `min(1, 2 P(X ≤ min))`.
pub fn mcnemar(first: u64, second: u64) -> f64 {
    let (least, all) = (first.min(second), first + second);
    if first == second {
        return 1.0;
    }
    let fair = Binomial::new(0.5, all).expect("a half is a probability");
    (2.0 * fair.cdf(least)).min(1.0)
}

/// The 95 % percentile interval of the mean of `differences` over [`NUM_RESAMPLES`] samples of them, drawn with replacement from
/// `seed` (Efron, Annals of Statistics 1979): images are drawn, and with each both models' losses.
pub fn bootstrap_interval(differences: &[f64], seed: u64) -> [f64; 2] {
    let count = differences.len();
    let resampled = |number: u64| {
        let mut rng = generator(seed, Stream::Resample(number));
        let drawn: f64 = (0..count).map(|_| differences[below(&mut rng, count as u64) as usize]).sum();
        drawn / count as f64
    };
    let mut means: Vec<f64> = (0..NUM_RESAMPLES).into_par_iter().map(resampled).collect();
    means.sort_by(f64::total_cmp);
    [0.025, 0.975].map(|share| quantile(&means, share))
}

/// The quantile of sorted numbers, linear between two of them, as NumPy's `quantile` has it. There is at least one.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * (place - below as f64)
}

/// Holm's correction of several tests (Scandinavian Journal of Statistics 1979): the k-th smallest of m probabilities counts
/// m - k + 1 times, and none is smaller than one before it.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut corrected = vec![0.0; p_values.len()];
    let mut least = 0.0f64;
    for (rank, &index) in order.iter().enumerate() {
        least = least.max(p_values[index] * (p_values.len() - rank) as f64).min(1.0);
        corrected[index] = least;
    }
    corrected
}

/// Mean, standard deviation (of a sample: divided by n - 1) and Student's 95 % interval of the mean of at least two numbers.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct SampleSummary {
    /// The mean.
    pub mean: f64,
    /// The standard deviation.
    pub sd: f64,
    /// The interval that holds the mean of all such runs in 95 of 100 cases, where they are normally distributed.
    pub interval: [f64; 2],
}

impl SampleSummary {
    /// Of `values`; none of fewer than two.
    pub fn of(values: &[f64]) -> Option<Self> {
        let count = values.len() as f64;
        if values.len() < 2 {
            return None;
        }
        let mean = mean(values);
        let sd = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0)).sqrt();
        let half = student_975(count - 1.0) * sd / count.sqrt();
        Some(SampleSummary { mean, sd, interval: [mean - half, mean + half] })
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The 97.5 % point of Student's t with `freedom` degrees of freedom, at least 1.
pub fn student_975(freedom: f64) -> f64 {
    StudentsT::new(0.0, 1.0, freedom).expect("there is at least one degree of freedom").inverse_cdf(0.975)
}

#[cfg(test)]
mod tests;
