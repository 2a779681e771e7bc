//! Takes validation images out of the training images: stratified, from the seed, exactly as many as asked.

mod choose;
mod validation;

pub use choose::{SplitMode, choose, fold, limit_train};
pub use validation::Validation;

use super::{Dataset, Samples};
use crate::error::{Error, Result};

/// How many validation images are taken where nobody says how many, ...
const AUTO_COUNT: usize = 5000;
/// ... where there are so many training images at least, and else what part of them.
const MIN_FOR_AUTO_COUNT: usize = 10_000;
const AUTO_FRACTION: f64 = 0.1;

/// Takes the validation images out of `dataset`, then limits what is left to `limit` training images if given.
///
/// With [`Validation::Test`] the test images serve as both, and are held twice. Other choices than [`Validation::Auto`] leave
/// the data set's own validation images unused.
///
/// # Errors
/// A configuration error where there are not enough images ([`choose`], [`limit_train`]), or no test images for
/// [`Validation::Test`].
pub fn split(
    dataset: Dataset,
    validation: &Validation,
    mode: SplitMode,
    limit: Option<usize>,
    seed: u64,
) -> Result<Dataset> {
    let Dataset { name, classes, train, validation: own, test, notes } = dataset;
    let take = |train: Samples, count| take_validation(&train, &classes, count, mode, seed);
    let (train, validation) = match *validation {
        Validation::Auto if own.is_some() => (train, own),
        Validation::Auto => {
            let count = auto_count(&train, classes.len(), mode);
            take(train, count)?
        }
        Validation::None => (train, None),
        Validation::Test => (train, Some(test.clone().ok_or_else(|| no_test_images(&name))?)),
        Validation::Count(count) => take(train, count)?,
        Validation::Fold { number, of } => {
            let (rest, part) = fold(train.labels(), &classes, of, number - 1, seed)?;
            (train.select(&rest)?, Some(train.select(&part)?))
        }
        Validation::Fraction(fraction) => {
            let count = mode.count(train.len(), fraction);
            take(train, count)?
        }
    };
    let train = match limit {
        Some(limit) => train.select(&limit_train(train.labels(), classes.len(), limit, seed)?)?,
        None => train,
    };
    Ok(Dataset { name, classes, train, validation, test, notes })
}

/// How many validation images are taken where nobody says how many: of each class one, where the mode looks at them.
fn auto_count(train: &Samples, num_classes: usize, mode: SplitMode) -> usize {
    if train.len() >= MIN_FOR_AUTO_COUNT {
        return AUTO_COUNT;
    }
    let least = match mode {
        SplitMode::Stratified => train.class_counts(num_classes).iter().filter(|&&count| count > 0).count(),
        SplitMode::Random | SplitMode::Tail => 1,
    };
    mode.count(train.len(), AUTO_FRACTION).max(least)
}

fn take_validation(
    samples: &Samples,
    classes: &[String],
    num_validation: usize,
    mode: SplitMode,
    seed: u64,
) -> Result<(Samples, Option<Samples>)> {
    let (train, validation) = choose(samples.labels(), classes, num_validation, mode, seed)?;
    Ok((samples.select(&train)?, Some(samples.select(&validation)?)))
}

fn no_test_images(name: &str) -> Error {
    Error::config(format!("{name} has no test images to validate on"))
        .help("take a part of the training images, for example 0.1")
}

#[cfg(test)]
mod tests;
