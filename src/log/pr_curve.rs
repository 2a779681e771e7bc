//! Precision and recall of one class at evenly spaced thresholds, as `tensorboard.plugins.pr_curve.summary` computes them.

use crate::evaluate::Predictions;

/// Thresholds, evenly spaced from 0 to 1: the plugin's default.
const NUM_THRESHOLDS: usize = 201;
/// What is divided by at least, as in the plugin.
const MIN_COUNT: f64 = 1e-7;

/// The images that have a probability of at least each threshold: those of the class, and the others.
pub(super) struct PrCurve {
    true_positives: Vec<f64>,
    false_positives: Vec<f64>,
}

impl PrCurve {
    /// That of `class` against all others.
    pub fn of_class(predictions: &Predictions, class: usize) -> Self {
        let [mut hits, mut others] = [[0.0; NUM_THRESHOLDS]; 2];
        for (index, &label) in predictions.labels.iter().enumerate() {
            let probability = predictions.probabilities_of(index)[class].clamp(0.0, 1.0);
            let bucket = (probability * (NUM_THRESHOLDS - 1) as f32).floor() as usize;
            if label == class {
                hits[bucket] += 1.0;
            } else {
                others[bucket] += 1.0;
            }
        }
        PrCurve { true_positives: from_the_end(&hits), false_positives: from_the_end(&others) }
    }

    /// True and false positives, true and false negatives, precision and recall at each threshold: `[6, 201]`.
    pub fn rows(&self) -> [Vec<f32>; 6] {
        let PrCurve { true_positives, false_positives } = self;
        let all = [true_positives[0], false_positives[0]]; // at threshold 0
        let pairs = || true_positives.iter().zip(false_positives);
        let row = |value: &dyn Fn(f64, f64) -> f64| pairs().map(|(&tp, &fp)| value(tp, fp) as f32).collect();
        [
            row(&|tp, _| tp),
            row(&|_, fp| fp),
            row(&|_, fp| all[1] - fp),
            row(&|tp, _| all[0] - tp),
            row(&|tp, fp| tp / (tp + fp).max(MIN_COUNT)),
            row(&|tp, _| tp / all[0].max(MIN_COUNT)),
        ]
    }
}

/// At each bucket the sum of it and all behind it.
fn from_the_end(buckets: &[f64]) -> Vec<f64> {
    let mut sums = buckets.to_vec();
    for index in (0..sums.len().saturating_sub(1)).rev() {
        sums[index] += sums[index + 1];
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What TensorBoard's own summary makes of predictions: `scripts/fixtures/pr_curve.py`.
    #[derive(serde::Deserialize)]
    struct Reference {
        labels: Vec<usize>,
        probabilities: Vec<f32>,
        curves: Vec<[Vec<f32>; 6]>,
    }

    #[test]
    fn curves_are_tensorboard_s() {
        let reference: Reference = serde_json::from_str(include_str!("../../tests/fixtures/pr_curve.json")).unwrap();
        let (num_classes, num_images) = (reference.curves.len(), reference.labels.len());
        let predictions = Predictions {
            num_classes,
            classes: vec![0; num_images],
            losses: vec![0.0; num_images],
            labels: reference.labels,
            probabilities: reference.probabilities,
            logits: Vec::new(),
        };
        for (class, expected) in reference.curves.iter().enumerate() {
            let rows = PrCurve::of_class(&predictions, class).rows();
            for (row, (ours, theirs)) in rows.iter().zip(expected).enumerate() {
                assert_eq!(ours, theirs, "class {class}, row {row}");
            }
        }
    }

    #[test]
    fn a_curve_by_hand() {
        let predictions = Predictions {
            num_classes: 2,
            labels: vec![0, 1, 0, 1],
            classes: vec![0; 4],
            losses: vec![0.0; 4],
            probabilities: vec![1.0, 0.0, 0.75, 0.25, 0.5, 0.5, 0.0, 1.0],
            logits: Vec::new(),
        };
        let rows = PrCurve::of_class(&predictions, 0).rows();
        // at 0, 0.5, 0.755 and 1
        let at = [0, 100, 151, 200].map(|threshold| [0, 1, 2, 3, 4, 5].map(|row| rows[row][threshold]));
        assert_eq!(at[0], [2.0, 2.0, 0.0, 0.0, 0.5, 1.0]);
        assert_eq!(at[1], [2.0, 1.0, 1.0, 0.0, 2.0 / 3.0, 1.0]);
        assert_eq!(at[2], [1.0, 0.0, 2.0, 1.0, 1.0, 0.5]);
        assert_eq!(at[3], [1.0, 0.0, 2.0, 1.0, 1.0, 0.5]);
        // no image of the class
        let none = Predictions { labels: vec![1; 4], ..predictions };
        assert!(PrCurve::of_class(&none, 0).rows()[4..].concat().iter().all(|&value| value == 0.0));
    }
}
