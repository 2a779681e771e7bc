//! What is in a run's images, and what is wrong with them.

use super::split_scores::SplitScores;
use crate::data::check::{Counts, check};
use crate::data::{Dataset, Split};
use crate::error::Result;
use crate::metrics::wilson_interval;

/// What is in a run's images.
#[derive(Debug, Clone)]
pub struct DataFacts {
    /// Each split's images of each class.
    pub counts: Vec<(Split, Vec<usize>)>,
    /// What was found; none where the images are not in memory, which it takes too long to look at.
    pub found: Option<Counts>,
    /// The test images that are training images, too.
    pub leaks: Option<Leaks>,
}

/// Test images that are, or nearly are, training images too.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Leaks {
    /// How many there are.
    pub count: usize,
    /// The accuracy on all test images.
    pub accuracy: f64,
    /// The accuracy without them.
    pub accuracy_without: f64,
    /// Wilson's 95 % interval of that.
    pub interval_without: [f64; 2],
}

impl DataFacts {
    /// Of `images`, with the scores on their test images where they were measured.
    ///
    /// # Errors
    /// A data error where an image cannot be read.
    pub fn find(images: &Dataset, test: Option<&SplitScores>) -> Result<Self> {
        let num_classes = images.classes.len();
        let counts = images.splits().map(|(split, samples)| (split, samples.class_counts(num_classes))).collect();
        if images.splits().any(|(_, samples)| samples.pixels().is_none()) {
            return Ok(DataFacts { counts, found: None, leaks: None });
        }
        let report = check(images)?;
        let leaked =
            report.leaks.iter().filter_map(|leak| leak.other.as_ref()).filter(|other| other.split == Split::Test);
        let numbers: Vec<usize> = leaked.map(|other| other.index).collect();
        let leaks = test.zip(images.test.as_ref()).filter(|_| !numbers.is_empty()).map(|(scores, samples)| {
            let is_leaked = |index: &usize| numbers.contains(&samples.number(*index));
            without(scores, &(0..samples.len()).filter(is_leaked).collect::<Vec<_>>())
        });
        Ok(DataFacts { counts, found: Some(report.counts()), leaks })
    }
}

/// The accuracy without the images in `leaked`.
fn without(scores: &SplitScores, leaked: &[usize]) -> Leaks {
    let predictions = &scores.predictions;
    let right_leaked = leaked.iter().filter(|&&index| predictions.is_right(index)).count() as u64;
    let (right, count) = (predictions.num_right() - right_leaked, (predictions.len() - leaked.len()) as u64);
    Leaks {
        count: leaked.len(),
        accuracy: scores.accuracy,
        accuracy_without: right as f64 / count.max(1) as f64,
        interval_without: wilson_interval(right, count.max(1)),
    }
}
