//! Areas under the curves of one class against the others: how well a score orders images.

/// Images with the same score, from high scores to low: how many there are, and of the class.
struct Step {
    images: u64,
    positives: u64,
}

/// The images by their score, those with equal scores together.
fn steps(scores: impl Iterator<Item = (f32, bool)>) -> Vec<Step> {
    let mut sorted: Vec<(f32, bool)> = scores.collect();
    sorted.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let equal = sorted.chunk_by(|(a, _), (b, _)| a == b);
    equal
        .map(|chunk| Step {
            images: chunk.len() as u64,
            positives: chunk.iter().filter(|(_, is_positive)| *is_positive).count() as u64,
        })
        .collect()
}

/// The precision and recall at each threshold, from the highest score to the lowest: `[recall, precision]`. Empty where no
/// image is of the class. `scores`: each image's score and whether it is of the class.
pub fn precision_recall(scores: impl Iterator<Item = (f32, bool)>) -> Vec<[f64; 2]> {
    let steps = steps(scores);
    let total: u64 = steps.iter().map(|step| step.positives).sum();
    if total == 0 {
        return Vec::new();
    }
    let (mut images, mut positives) = (0, 0);
    let point = |step: &Step| {
        images += step.images;
        positives += step.positives;
        [positives as f64 / total as f64, positives as f64 / images as f64]
    };
    steps.iter().map(point).collect()
}

/// The area under the curve of precision over recall in steps, as scikit-learn's `average_precision_score` has it:
/// `Σ (R_n - R_{n-1}) P_n`. None where no image is of the class.
pub fn average_precision(scores: impl Iterator<Item = (f32, bool)>) -> Option<f64> {
    let points = precision_recall(scores);
    let mut before = 0.0;
    let mut area = |[recall, precision]: &[f64; 2]| {
        let width = recall - before;
        before = *recall;
        width * precision
    };
    (!points.is_empty()).then(|| points.iter().map(&mut area).sum())
}

/// The area under the receiver operating characteristic, as scikit-learn's `roc_auc_score` has it: the share of pairs of an
/// image of the class and another that the score orders right, ties counting half. None where there are no such pairs.
pub fn roc_auc(scores: impl Iterator<Item = (f32, bool)>) -> Option<f64> {
    let steps = steps(scores);
    let positives: u64 = steps.iter().map(|step| step.positives).sum();
    let negatives: u64 = steps.iter().map(|step| step.images - step.positives).sum();
    let mut positives_above = 0u64;
    let mut doubled = 0f64; // whole numbers: exact below 2^53
    for step in &steps {
        let negatives = step.images - step.positives;
        doubled += (negatives * (2 * positives_above + step.positives)) as f64;
        positives_above += step.positives;
    }
    (positives > 0 && negatives > 0).then(|| doubled / 2.0 / positives as f64 / negatives as f64)
}
