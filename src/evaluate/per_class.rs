//! Precision, recall, F1 and areas of each class, and their means.

use rayon::prelude::*;
use serde::Serialize;

use super::Predictions;
use super::curves::{average_precision, roc_auc};
use crate::metrics::wilson_interval;

/// The scores of one class; 0 where nothing was predicted or nothing is there, as scikit-learn has it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassScores {
    /// The class's name.
    pub label: String,
    /// Of the images predicted as this class, the share that is.
    pub precision: f64,
    /// Of the images of this class, the share predicted as it.
    pub recall: f64,
    /// The harmonic mean of both.
    pub f1: f64,
    /// Images of this class.
    pub support: u64,
    /// Wilson's 95 % interval of the recall; none where there are no images of this class.
    pub recall_interval: Option<[f64; 2]>,
    /// The area under precision over recall; none where there are no images of this class.
    pub average_precision: Option<f64>,
    /// The area under the receiver operating characteristic; none where all images are of this class, or none is.
    pub roc_auc: Option<f64>,
}

/// A mean of the classes' scores.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MeanScores {
    /// Of the precisions.
    pub precision: f64,
    /// Of the recalls.
    pub recall: f64,
    /// Of the F1 scores.
    pub f1: f64,
}

/// The scores of all classes.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassReport {
    /// One a class, in the order of the outputs.
    pub classes: Vec<ClassScores>,
    /// The means over the classes that are there or were predicted, as scikit-learn's `average="macro"` has them.
    pub macro_mean: MeanScores,
    /// The means weighted by the images of each class.
    pub weighted_mean: MeanScores,
    /// The mean recall of the classes that are there, as scikit-learn's `balanced_accuracy_score` has it.
    pub balanced_accuracy: f64,
}

impl ClassReport {
    /// Of `predictions`. `labels` are the K classes' names.
    pub fn new(predictions: &Predictions, labels: &[String]) -> Self {
        let confusion = predictions.confusion();
        let predicted = |class: usize| confusion.iter().map(|row| row[class]).sum::<u64>();
        let classes: Vec<ClassScores> = labels
            .par_iter()
            .enumerate()
            .map(|(class, label)| class_scores(&confusion[class], predictions, class, predicted(class), label))
            .collect();
        let is_used = |&(class, scores): &(usize, &ClassScores)| scores.support > 0 || predicted(class) > 0;
        let used = || classes.iter().enumerate().filter(is_used).map(|(_, scores)| (scores, 1.0));
        let by_support = || classes.iter().map(|scores| (scores, scores.support as f64));
        let there = classes.iter().filter(|scores| scores.support > 0);
        let (recalls, count) = there.fold((0.0, 0u64), |(sum, count), scores| (sum + scores.recall, count + 1));
        let (macro_mean, weighted_mean) = (mean_scores(used()), mean_scores(by_support()));
        ClassReport { macro_mean, weighted_mean, balanced_accuracy: recalls / count.max(1) as f64, classes }
    }
}

/// Of `class`, whose row of the confusion matrix is `row` and which was predicted for so many images.
fn class_scores(row: &[u64], predictions: &Predictions, class: usize, predicted: u64, label: &str) -> ClassScores {
    let ratio = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
    let correct = row[class];
    let support: u64 = row.iter().sum();
    let scores = || predictions.scores_of(class);
    ClassScores {
        label: label.to_owned(),
        precision: ratio(correct, predicted),
        recall: ratio(correct, support),
        f1: ratio(2 * correct, predicted + support),
        support,
        recall_interval: (support > 0).then(|| wilson_interval(correct, support)),
        average_precision: average_precision(scores()),
        roc_auc: roc_auc(scores()),
    }
}

fn mean_scores<'a>(weighted: impl Iterator<Item = (&'a ClassScores, f64)>) -> MeanScores {
    let mut sums = [0.0; 4];
    for (scores, weight) in weighted {
        for (sum, value) in sums.iter_mut().zip([scores.precision, scores.recall, scores.f1, 1.0]) {
            *sum += weight * value;
        }
    }
    let [precision, recall, f1, weight] = sums;
    let mean = |sum: f64| if weight == 0.0 { 0.0 } else { sum / weight };
    MeanScores { precision: mean(precision), recall: mean(recall), f1: mean(f1) }
}
