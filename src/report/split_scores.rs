//! What a run's model is worth on the images of one split.

use crate::data::Split;
use crate::evaluate::{CalibrationReport, ClassReport, Predictions};
use crate::metrics::wilson_interval;

/// What the saved model is worth on the images of one split.
#[derive(Debug, Clone)]
pub struct SplitScores {
    /// Which images.
    pub split: Split,
    /// What the model says about each.
    pub predictions: Predictions,
    /// The share that is right.
    pub accuracy: f64,
    /// Wilson's 95 % interval of it.
    pub interval: [f64; 2],
    /// Of each class, and the means.
    pub classes: ClassReport,
    /// Whether it is as often right as it is sure; none where no probabilities were kept.
    pub calibration: Option<CalibrationReport>,
}

impl SplitScores {
    /// Of `predictions` on the images of `split`. `labels` are the K names.
    pub fn new(split: Split, predictions: Predictions, labels: &[String], temperature: Option<f64>) -> Self {
        let right = predictions.num_right();
        let accuracy = right as f64 / predictions.len() as f64;
        let interval = wilson_interval(right, predictions.len() as u64);
        let classes = ClassReport::new(&predictions, labels);
        let calibration = predictions.has_probabilities().then(|| CalibrationReport::new(&predictions, temperature));
        SplitScores { split, predictions, accuracy, interval, classes, calibration }
    }
}
