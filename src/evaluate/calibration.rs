//! Calibration: whether a model that is 90 % sure is right in nine cases of ten, and the temperature that mends it.

use serde::Serialize;

use super::Predictions;
use crate::drawing::{ReliabilityBin, reliability_diagram};
use crate::model::{Calibration, softmax};

/// Bins of confidence between 0 and 1: as in Guo et al., On Calibration of Modern Neural Networks, 2017.
const NUM_BINS: usize = 15;
/// The temperatures that are tried. Beyond, outputs say nothing any more, or only one thing.
const TEMPERATURES: [f64; 2] = [0.05, 20.0];
/// Newton's steps; it takes about six.
const MAX_STEPS: usize = 60;

/// How far confidence and accuracy lie apart.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CalibrationReport {
    /// The expected calibration error: the mean over the images of the distance between their bin's confidence and accuracy.
    pub ece: f64,
    /// The same with the model's temperature, where it has one.
    pub ece_calibrated: Option<f64>,
    /// That temperature.
    pub temperature: Option<f64>,
    /// Bins of equal width from 0 to 1, each with its upper end.
    pub bins: Vec<ReliabilityBin>,
}

impl CalibrationReport {
    /// Of `predictions`, and with the model's `temperature`.
    pub fn new(predictions: &Predictions, temperature: Option<f64>) -> Self {
        let bins =
            bins((0..predictions.len()).map(|index| (predictions.confidence(index), predictions.is_right(index))));
        let temperature = temperature.filter(|_| !predictions.logits.is_empty());
        let ece_calibrated = temperature.map(|temperature| ece(&calibrated_bins(predictions, temperature)));
        CalibrationReport { ece: ece(&bins), ece_calibrated, temperature, bins }
    }

    /// Its reliability diagram, as SVG.
    pub fn diagram(&self, title: &str) -> String {
        reliability_diagram(&self.bins, self.ece, title)
    }
}

/// The bins of the confidences that `temperature` makes.
fn calibrated_bins(predictions: &Predictions, temperature: f64) -> Vec<ReliabilityBin> {
    let confidence = |index: usize| softmax(predictions.logits_of(index), temperature)[predictions.classes[index]];
    bins((0..predictions.len()).map(|index| (confidence(index), predictions.is_right(index))))
}

/// Each image's confidence and whether it is right, in bins.
fn bins(images: impl Iterator<Item = (f32, bool)>) -> Vec<ReliabilityBin> {
    let mut sums = [(0.0f64, 0u64, 0u64); NUM_BINS];
    for (confidence, is_right) in images {
        // a bin has its upper end
        let bin = (f64::from(confidence) * NUM_BINS as f64).ceil() as usize;
        let (confidences, right, count) = &mut sums[bin.clamp(1, NUM_BINS) - 1];
        *confidences += f64::from(confidence);
        *right += u64::from(is_right);
        *count += 1;
    }
    let bin = |(confidences, right, count): (f64, u64, u64)| match count {
        0 => ReliabilityBin { confidence: 0.0, accuracy: 0.0, count },
        _ => ReliabilityBin { confidence: confidences / count as f64, accuracy: right as f64 / count as f64, count },
    };
    sums.into_iter().map(bin).collect()
}

fn ece(bins: &[ReliabilityBin]) -> f64 {
    let total: u64 = bins.iter().map(|bin| bin.count).sum();
    let gaps: f64 = bins.iter().map(|bin| bin.count as f64 * (bin.accuracy - bin.confidence).abs()).sum();
    gaps / total.max(1) as f64
}

/// What is to be stored in a model of its `predictions` on images that it was not trained on; none where it makes no mistake
/// there or ends in several sigmoids: then nothing can be said.
pub fn calibrate(predictions: &Predictions) -> Option<Calibration> {
    let has_mistakes = predictions.classes != predictions.labels;
    if predictions.logits.is_empty() || !has_mistakes {
        return None;
    }
    let images = (0..predictions.len()).map(|index| (predictions.confidence(index), predictions.is_right(index)));
    Some(Calibration::new(fit_temperature(predictions), images.collect()))
}

/// The temperature T at which the mean of `-log softmax(logits / T)[label]` is least: convex in 1/T, found by Newton's method
/// within bounds (temperature scaling, Guo et al. 2017).
pub fn fit_temperature(predictions: &Predictions) -> f64 {
    let [mut low, mut high] = [1.0 / TEMPERATURES[1], 1.0 / TEMPERATURES[0]];
    let mut inverse = 1.0f64;
    for _ in 0..MAX_STEPS {
        let [slope, curvature] = derivatives(predictions, inverse);
        if slope > 0.0 {
            high = inverse
        } else {
            low = inverse
        }
        let newton = inverse - slope / curvature;
        let next = if newton > low && newton < high { newton } else { (low + high) / 2.0 };
        let is_done = (next - inverse).abs() < 1e-9 * inverse;
        inverse = next;
        if is_done {
            break;
        }
    }
    1.0 / inverse
}

/// The first and second derivative by 1/T of the sum of the images' losses.
fn derivatives(predictions: &Predictions, inverse: f64) -> [f64; 2] {
    let mut sums = [0.0, 0.0];
    for (index, &label) in predictions.labels.iter().enumerate() {
        let logits = predictions.logits_of(index);
        let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let (mut weights, mut mean, mut square) = (0.0, 0.0, 0.0);
        for &logit in logits {
            let logit = f64::from(logit) - f64::from(largest); // moved, for exp: no derivative changes
            let weight = (logit * inverse).exp();
            weights += weight;
            mean += weight * logit;
            square += weight * logit * logit;
        }
        let (mean, square) = (mean / weights, square / weights);
        sums[0] += mean - (f64::from(logits[label]) - f64::from(largest));
        sums[1] += square - mean * mean;
    }
    sums
}
