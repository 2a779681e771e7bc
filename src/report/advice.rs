//! What to try next: words that follow from the numbers.

use super::split_scores::SplitScores;
use super::story::Story;
use crate::log::history::HistoryRow;

/// Training accuracy above validation accuracy by so much is called overfitting: where dropout, augmentation or weight decay
/// begin to pay in Keras's guide to overfitting and underfitting.
const WIDE_GAP: f64 = 0.04;
/// A validation loss so much above its lowest is rising.
const RISE: f64 = 1.05;
/// A validation accuracy that rose by so much over the last third of the epochs rises still.
const STILL_RISING: f64 = 0.003;
/// A class with a tenth of the largest class's images is rare.
const RARE: usize = 10;
/// An expected calibration error above which probabilities mislead.
const HIGH_ECE: f64 = 0.03;
/// A share of labels above this that are as clearly another class as the median label is its own: noise, and no hard images alone.
/// They are 1.0 % of Fashion-MNIST's after three epochs, and 5.2 % after six where 5 % were made wrong (`flipped_labels.py`).
const MANY_SUSPECTS: f64 = 0.02;
/// An interval so wide says little.
const WIDE_INTERVAL: f64 = 0.06;

/// One thing that the numbers say, and what may be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// In a few words.
    pub title: String,
    /// The numbers, and what to try.
    pub text: String,
}

fn advice(title: &str, text: String) -> Option<Advice> {
    Some(Advice { title: title.to_owned(), text })
}

/// What follows from `story`, the most important first.
pub fn advise(story: &Story) -> Vec<Advice> {
    let rows = &story.history;
    let of_run = [leaked(story), diverging(rows), overfitting(rows), still_rising(story), underfitting(rows)];
    let of_scores = story.scores().into_iter().flat_map(|scores| {
        let labels = &story.record.data.classes;
        [confused(scores, labels), weak_class(scores), overconfident(scores, story), few_images(scores)]
    });
    let others = [lucky_validation(story), noisy_labels(story), imbalanced(story)];
    of_run.into_iter().chain(of_scores).chain(others).flatten().collect()
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// `[train, validation]` of a row.
fn accuracies(row: &HistoryRow) -> Option<[f64; 2]> {
    Some([row.train.accuracy(), row.validation?.accuracy()])
}

fn leaked(story: &Story) -> Option<Advice> {
    let leaks = story.data.as_ref()?.leaks?;
    // a few images among thousands show in the second decimal
    let percent = |share: f64| format!("{:.2} %", 100.0 * share);
    let [low, high] = leaks.interval_without.map(percent);
    let are = if leaks.count == 1 { "1 test image is" } else { &format!("{} test images are", leaks.count) };
    advice(
        "Test images among the training images",
        format!(
            "{are}, or nearly {is}, in the training images too. The accuracy is {with} with them and {without} without \
             (95 % interval {low} to {high}). `convnet data check` lists them, and `exclude` leaves them out.",
            is = if leaks.count == 1 { "is" } else { "are" },
            with = percent(leaks.accuracy),
            without = percent(leaks.accuracy_without),
        ),
    )
}

/// The training loss rises in many epochs, or is no lower at the end than at the beginning.
fn diverging(rows: &[HistoryRow]) -> Option<Advice> {
    let losses: Vec<f64> = rows.iter().map(|row| row.train.loss()).filter(|loss| loss.is_finite()).collect();
    let rises = losses.windows(2).filter(|pair| pair[1] > pair[0] * 1.02).count();
    let (first, last) = (losses.first()?, losses.last()?);
    if losses.len() < 3 || (rises * 3 < losses.len() && last < first) {
        return None;
    }
    advice(
        "The learning rate may be too high",
        format!(
            "The training loss rose in {rises} of {} epochs, from {first:.3} to {last:.3} in all. Try a third of the rate, or \
             `convnet lr-find`; `schedule = 'cosine'` and `warmup_epochs` calm the beginning and the end.",
            losses.len()
        ),
    )
}

fn overfitting(rows: &[HistoryRow]) -> Option<Advice> {
    let last = rows.last()?;
    let [train, validation] = accuracies(last)?;
    let losses = rows.iter().filter_map(|row| Some((row.epoch, row.validation?.loss())));
    let (best_epoch, lowest) = losses.min_by(|(_, a), (_, b)| a.total_cmp(b))?;
    let last_loss = last.validation?.loss();
    let is_rising = last_loss > lowest * RISE && last.epoch > best_epoch;
    if train - validation < WIDE_GAP && !(is_rising && train > validation) {
        return None;
    }
    let rising = match is_rising {
        true => {
            format!(" The validation loss was lowest in epoch {best_epoch} ({lowest:.3}) and is {last_loss:.3} now.")
        }
        false => String::new(),
    };
    advice(
        "Overfitting",
        format!(
            "{} of the training images are right, but {} of the validation images.{rising} More images help most; else \
             augmentation (`augment = 'light'` or `'strong'`), dropout, weight decay, or `restore_best` and `patience`.",
            percent(train),
            percent(validation)
        ),
    )
}

fn still_rising(story: &Story) -> Option<Advice> {
    let rows = &story.history;
    let last = rows.last()?;
    let before = rows.iter().rev().find(|row| row.epoch * 3 <= last.epoch * 2)?;
    let ([_, now], [_, then]) = (accuracies(last)?, accuracies(before)?);
    let is_whole = last.epoch >= story.record.config.training.epochs && rows.len() >= 3;
    if !is_whole || now - then < STILL_RISING || overfitting(rows).is_some() {
        return None;
    }
    advice(
        "Not finished learning",
        format!(
            "The validation accuracy rose from {} in epoch {} to {} in epoch {}, the last one. Train longer: \
             `epochs = {}`, with `patience` to stop where it is of no use any more.",
            percent(then),
            before.epoch,
            percent(now),
            last.epoch,
            2 * story.record.config.training.epochs
        ),
    )
}

/// Not even the training images are recognised, and it does not get better.
fn underfitting(rows: &[HistoryRow]) -> Option<Advice> {
    let last = rows.last()?;
    let before = rows.iter().rev().find(|row| row.epoch * 3 <= last.epoch * 2)?;
    let (now, then) = (last.train.accuracy(), before.train.accuracy());
    if rows.len() < 5 || now > 0.9 || now - then > STILL_RISING * 3.0 {
        return None;
    }
    advice(
        "Underfitting",
        format!(
            "Only {} of the training images are right, and it no longer rises ({} in epoch {}). A larger network, less \
             regularization or augmentation, or another learning rate may fit better.",
            percent(now),
            percent(then),
            before.epoch
        ),
    )
}

/// The pair of classes that is most often confused.
fn confused(scores: &SplitScores, labels: &[String]) -> Option<Advice> {
    let confusion = scores.predictions.confusion();
    let wrong = scores.predictions.len() as u64 - scores.predictions.num_right();
    let pairs = (0..labels.len()).flat_map(|a| (0..a).map(move |b| (a, b)));
    let both = |&(a, b): &(usize, usize)| confusion[a][b] + confusion[b][a];
    let (a, b) = pairs.max_by_key(both)?;
    let count = both(&(a, b));
    if wrong < 10 || count * 5 < wrong || labels.len() < 3 {
        return None;
    }
    advice(
        "Two classes are confused",
        format!(
            "{count} of {wrong} mistakes are between {} and {}. Look at them (`convnet evaluate --mistakes`): where people \
             cannot tell them apart either, the labels or the classes are the matter, and not the network.",
            labels[a], labels[b]
        ),
    )
}

fn weak_class(scores: &SplitScores) -> Option<Advice> {
    let there = scores.classes.classes.iter().filter(|class| class.support > 0);
    let weakest = there.min_by(|a, b| a.recall.total_cmp(&b.recall))?;
    let mean = scores.classes.balanced_accuracy;
    if weakest.recall > mean - 0.15 {
        return None;
    }
    let [low, high] = weakest.recall_interval.unwrap_or_default().map(percent);
    advice(
        "One class is much weaker than the others",
        format!(
            "{} of {} are recognised (95 % interval {low} to {high}), where the classes' mean is {}. More images of it, or \
             `class_weights`, shift that.",
            percent(weakest.recall),
            weakest.label,
            percent(mean)
        ),
    )
}

fn overconfident(scores: &SplitScores, story: &Story) -> Option<Advice> {
    let calibration = scores.calibration.as_ref()?;
    if calibration.ece < HIGH_ECE {
        return None;
    }
    let with = match (calibration.ece_calibrated, &story.calibration) {
        (Some(calibrated), Some(kept)) => format!(
            " With the temperature {:.2} that the model keeps it is {calibrated:.3}: `convnet predict --calibrated`.",
            kept.temperature
        ),
        _ => String::new(),
    };
    advice(
        "Probabilities that mislead",
        format!(
            "The model's confidence and its accuracy are {} apart in the mean (expected calibration error).{with} \
             `label_smoothing` and less overfitting make that smaller.",
            percent(calibration.ece)
        ),
    )
}

fn few_images(scores: &SplitScores) -> Option<Advice> {
    let [low, high] = scores.interval;
    if high - low < WIDE_INTERVAL {
        return None;
    }
    advice(
        "Few images to measure on",
        format!(
            "{} {} images tell the accuracy to {} to {}: smaller differences between two runs are noise.",
            scores.predictions.len(),
            scores.split,
            percent(low),
            percent(high)
        ),
    )
}

/// The validation accuracy, by which the epoch was chosen, is above what the test images say.
fn lucky_validation(story: &Story) -> Option<Advice> {
    let test = story.test.as_ref()?;
    let validation = story.validation.as_ref()?;
    if validation.interval[0] <= test.interval[1] {
        return None;
    }
    advice(
        "Better on validation than on test images",
        format!(
            "{} of the validation images are right and {} of the test images: more than chance. The test images differ from \
             the others, validation images have near duplicates among the training images, or settings were chosen by them.",
            percent(validation.accuracy),
            percent(test.accuracy)
        ),
    )
}

fn noisy_labels(story: &Story) -> Option<Advice> {
    let suspects = story.suspects.as_ref()?;
    let median = suspects.ranking.get(suspects.ranking.len() / 2)?.score;
    let count = suspects.ranking.iter().take_while(|suspect| suspect.score < -median).count();
    let share = count as f64 / suspects.ranking.len() as f64;
    // an image that was seen a few times only says little
    if median <= 0.0 || share < MANY_SUSPECTS || suspects.epochs < 3 {
        return None;
    }
    let first = suspects.ranking.first()?;
    advice(
        "Labels that look wrong",
        format!(
            "{count} training images ({}) looked as clearly like another class as most look like their own, first among them number \
             {} ({}, or rather {}). `convnet data suspects {}` shows them; `exclude` leaves them out.",
            percent(share),
            first.index,
            first.label,
            first.suggested,
            suspects.run
        ),
    )
}

fn imbalanced(story: &Story) -> Option<Advice> {
    let (_, counts) = story.data.as_ref()?.counts.first()?;
    let (largest, smallest) = (counts.iter().max()?, counts.iter().min()?);
    if smallest * RARE >= *largest {
        return None;
    }
    let name = &story.record.data.classes[counts.iter().position(|count| count == smallest)?];
    advice(
        "Unequal classes",
        format!(
            "There are {smallest} training images of {name} and {largest} of the largest class. `class_weights = 'balanced'` \
             counts rare ones more; the balanced accuracy says what the accuracy hides.",
        ),
    )
}

#[cfg(test)]
mod tests;
