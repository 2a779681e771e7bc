//! Takes validation images out of the training images: stratified, from the seed, exactly as many as asked.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Dataset, Samples};
use crate::error::{Error, Result};
use crate::rng::{Stream, derive, generator, shuffle};

/// Where the validation images come from. Written as text: `5000`, `0.1`, `test` or `none`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Validation {
    /// So many training images, at least one.
    Count(usize),
    /// This part of the training images, between 0 and 1, both excluded.
    Fraction(f64),
    /// The test images.
    Test,
    /// There are none.
    None,
}

impl FromStr for Validation {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = || {
            Error::config("no way to choose validation images")
                .expected("a count (5000), a fraction between 0 and 1 (0.1), test or none")
                .got(format!("\"{text}\""))
        };
        match text {
            "test" => return Ok(Validation::Test),
            "none" => return Ok(Validation::None),
            _ => {}
        }
        match text.parse() {
            Ok(0) => return Err(refuse().help("for no validation, write none")),
            Ok(count) => return Ok(Validation::Count(count)),
            Err(_) => {}
        }
        let fraction = text.parse().ok().filter(|fraction: &f64| *fraction > 0.0 && *fraction < 1.0);
        fraction.map(Validation::Fraction).ok_or_else(refuse)
    }
}

impl fmt::Display for Validation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Validation::Count(count) => write!(f, "{count}"),
            Validation::Fraction(fraction) => write!(f, "{fraction}"),
            Validation::Test => f.write_str("test"),
            Validation::None => f.write_str("none"),
        }
    }
}

impl Serialize for Validation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Validation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// A configuration file may leave a number's quotes away.
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Count(i64),
            Fraction(f64),
            Text(String),
        }
        let text = match Written::deserialize(deserializer)? {
            Written::Count(count) => count.to_string(),
            // with its point, or 1.0 would become a count
            Written::Fraction(fraction) => format!("{fraction:?}"),
            Written::Text(text) => text,
        };
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A data set ready for training.
#[derive(Debug, Clone, PartialEq)]
pub struct Parts {
    /// The data set's name.
    pub name: String,
    /// The K classes' names, in label order.
    pub classes: Vec<String>,
    /// The images to train on.
    pub train: Samples,
    /// The images to validate on after each epoch.
    pub validation: Option<Samples>,
    /// The images to test on at the end.
    pub test: Option<Samples>,
}

/// Takes the validation images out of `dataset`, then limits what is left to `limit_train` images if given.
///
/// With [`Validation::Test`] the test images serve as both, and are held twice.
///
/// # Errors
/// A configuration error where there are not enough images ([`stratified`], [`limit_train`]), or no test images for
/// [`Validation::Test`].
pub fn split(dataset: Dataset, validation: &Validation, limit: Option<usize>, seed: u64) -> Result<Parts> {
    let Dataset { name, classes, train, test } = dataset;
    let (train, validation) = match *validation {
        Validation::None => (train, None),
        Validation::Test => (train, Some(test.clone().ok_or_else(|| no_test_images(&name))?)),
        Validation::Count(count) => take_validation(&train, classes.len(), count, seed)?,
        Validation::Fraction(fraction) => {
            let count = (fraction * train.len() as f64).round() as usize;
            take_validation(&train, classes.len(), count, seed)?
        }
    };
    let train = match limit {
        Some(limit) => train.select(&limit_train(train.labels(), classes.len(), limit, seed)?)?,
        None => train,
    };
    Ok(Parts { name, classes, train, validation, test })
}

fn take_validation(
    samples: &Samples,
    num_classes: usize,
    num_validation: usize,
    seed: u64,
) -> Result<(Samples, Option<Samples>)> {
    let (train, validation) = stratified(samples.labels(), num_classes, num_validation, seed)?;
    Ok((samples.select(&train)?, Some(samples.select(&validation)?)))
}

fn no_test_images(name: &str) -> Error {
    Error::config(format!("{name} has no test images to validate on"))
        .help("take a part of the training images, for example 0.1")
}

/// Chooses `num_validation` of the images with these labels, `i64 [N]`: the indices of the rest (to train on) and of the
/// chosen, each ascending. Each class gives in proportion to its size, rounded by the largest remainder.
///
/// # Errors
/// A configuration error where `num_validation` is not in `1..N`, or where nothing of a class would be left to train on.
pub fn stratified(
    labels: &[i64],
    num_classes: usize,
    num_validation: usize,
    seed: u64,
) -> Result<(Vec<usize>, Vec<usize>)> {
    if !(1..labels.len()).contains(&num_validation) {
        return Err(Error::config("bad number of validation images")
            .expected(format!("1 to {}, as there are {} training images", labels.len().saturating_sub(1), labels.len()))
            .got(num_validation));
    }
    let (validation, train) = draw(labels, num_classes, num_validation, seed)?;
    let mut is_left = vec![false; num_classes];
    train.iter().for_each(|&index| is_left[labels[index] as usize] = true);
    match validation.iter().map(|&index| labels[index]).find(|&label| !is_left[label as usize]) {
        None => Ok((train, validation)),
        Some(class) => Err(Error::config(format!("no image of class {class} would be left to train on"))
            .got(format!("{num_validation} of {} images for validation", labels.len()))
            .help("ask for fewer validation images, or for none")),
    }
}

/// Chooses `limit` of the images with these labels, `i64 [N]`: their indices, ascending. Each class gives in proportion to
/// its size, rounded by the largest remainder: with fewer images than classes some give none.
///
/// # Errors
/// A configuration error where `limit` is not in `1..=N`.
pub fn limit_train(labels: &[i64], num_classes: usize, limit: usize, seed: u64) -> Result<Vec<usize>> {
    if !(1..=labels.len()).contains(&limit) {
        return Err(Error::config("bad limit of training images")
            .expected(format!("1 to {}, as there are {0} training images", labels.len()))
            .got(limit));
    }
    // a seed of its own: the validation images were drawn with the first
    let (chosen, _) = draw(labels, num_classes, limit, derive(seed, Stream::Split))?;
    Ok(chosen)
}

/// `num_drawn` (at most N) indices and the others, each ascending.
fn draw(labels: &[i64], num_classes: usize, num_drawn: usize, seed: u64) -> Result<(Vec<usize>, Vec<usize>)> {
    let mut classes = indices_by_class(labels, num_classes)?;
    let sizes: Vec<usize> = classes.iter().map(Vec::len).collect();
    let shares = largest_remainder(&sizes, num_drawn);
    let mut rng = generator(seed, Stream::Split);
    let (mut drawn, mut rest) = (Vec::with_capacity(num_drawn), Vec::with_capacity(labels.len() - num_drawn));
    for (indices, share) in classes.iter_mut().zip(shares) {
        shuffle(&mut rng, indices);
        drawn.extend_from_slice(&indices[..share]);
        rest.extend_from_slice(&indices[share..]);
    }
    drawn.sort_unstable();
    rest.sort_unstable();
    Ok((drawn, rest))
}

fn indices_by_class(labels: &[i64], num_classes: usize) -> Result<Vec<Vec<usize>>> {
    let mut classes = vec![Vec::new(); num_classes];
    for (index, &label) in labels.iter().enumerate() {
        let class = usize::try_from(label).ok().and_then(|label| classes.get_mut(label));
        let class = class.ok_or_else(|| {
            Error::data(format!("label of image {index} is out of range"))
                .expected(format!("0 to {}", num_classes.saturating_sub(1)))
                .got(label)
        })?;
        class.push(index);
    }
    Ok(classes)
}

/// Shares `total`, at most the sizes' sum, in proportion to the sizes: each gets its exact quota rounded down, and those
/// with the largest remainders one more (the first of equals). No share is larger than its size.
fn largest_remainder(sizes: &[usize], total: usize) -> Vec<usize> {
    let sum = sizes.iter().sum::<usize>().max(1) as u128;
    let quotas: Vec<u128> = sizes.iter().map(|&size| size as u128 * total as u128).collect();
    let mut shares: Vec<usize> = quotas.iter().map(|quota| (quota / sum) as usize).collect();
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|&class| std::cmp::Reverse(quotas[class] % sum)); // stable
    let num_left = total - shares.iter().sum::<usize>();
    order[..num_left].iter().for_each(|&class| shares[class] += 1);
    shares
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::ImageShape;

    /// `counts[c]` images of each class c, in turn as long as they last; image i is one pixel of value i.
    fn samples(counts: &[usize]) -> Samples {
        let rounds = 0..counts.iter().copied().max().unwrap_or(0);
        let in_round = |round| (0..counts.len()).filter(move |&class| round < counts[class]).map(|class| class as i64);
        let labels: Vec<i64> = rounds.flat_map(in_round).collect();
        let pixels = (0..labels.len()).map(|index| index as u8).collect();
        Samples::new(ImageShape { height: 1, width: 1, channels: 1 }, pixels, labels, counts.len()).unwrap()
    }

    fn dataset(counts: &[usize]) -> Dataset {
        let classes = (0..counts.len()).map(|class| class.to_string()).collect();
        Dataset { name: "set".to_string(), classes, train: samples(counts), test: Some(samples(&[1, 1])) }
    }

    fn counts_of(labels: &[i64], indices: &[usize], num_classes: usize) -> Vec<usize> {
        let mut counts = vec![0; num_classes];
        indices.iter().for_each(|&index| counts[labels[index] as usize] += 1);
        counts
    }

    #[test]
    fn validation_is_text_there_and_back() {
        let cases = [
            ("5000", Validation::Count(5000)),
            ("1", Validation::Count(1)),
            ("0.1", Validation::Fraction(0.1)),
            ("0.0000001", Validation::Fraction(1e-7)),
            ("test", Validation::Test),
            ("none", Validation::None),
        ];
        for (text, validation) in cases {
            assert_eq!(text.parse::<Validation>().unwrap(), validation);
            assert_eq!(validation.to_string(), text);
            let json = serde_json::to_string(&validation).unwrap();
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<Validation>(&json).unwrap(), validation);
        }
        assert_eq!("1e-1".parse::<Validation>().unwrap(), Validation::Fraction(0.1));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let wrong = ["0", "0.0", "1.0", "1.5", "-1", "-0.1", "NaN", "nan", "inf", "", "Test", "10%", "1e23", "5e3"];
        for text in wrong.into_iter().chain(["99999999999999999999999"]) {
            let error = text.parse::<Validation>().unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(&format!("got \"{text}\"")), "{error}");
        }
        assert!("0".parse::<Validation>().unwrap_err().to_string().contains("write none"));
    }

    #[test]
    fn a_configuration_file_may_write_numbers() {
        let read = |text| serde_json::from_str::<Validation>(text);
        assert_eq!(read("5000").unwrap(), Validation::Count(5000));
        assert_eq!(read("0.25").unwrap(), Validation::Fraction(0.25));
        for wrong in ["1.0", "0", "-5", "0.0", "true", "null", "[1]"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn shares_are_in_proportion_and_sum_exactly() {
        assert_eq!(largest_remainder(&[6000; 10], 5000), [500; 10]);
        assert_eq!(largest_remainder(&[10, 10, 10], 10), [4, 3, 3]);
        assert_eq!(largest_remainder(&[50, 30, 20], 5), [3, 1, 1]); // quotas 2.5, 1.5, 1.0
        assert_eq!(largest_remainder(&[1, 0, 99], 100), [1, 0, 99]);
        assert_eq!(largest_remainder(&[usize::MAX / 2, 1], 3), [3, 0]);
        for total in 0..=74 {
            let sizes = [3, 50, 0, 1, 20];
            let shares = largest_remainder(&sizes, total);
            assert_eq!(shares.iter().sum::<usize>(), total);
            for (size, share) in sizes.iter().zip(&shares) {
                let quota = *size as f64 * total as f64 / 74.0;
                assert!((*share as f64 - quota).abs() < 1.0 && share <= size, "{total}: {shares:?}");
            }
        }
    }

    #[test]
    fn every_index_is_in_one_part_and_classes_keep_their_proportions() {
        let images = samples(&[60, 30, 10]);
        let (train, validation) = stratified(images.labels(), 3, 20, 1).unwrap();
        assert_eq!(counts_of(images.labels(), &validation, 3), [12, 6, 2]);
        assert!(train.is_sorted() && validation.is_sorted());
        let mut all = [train, validation].concat();
        all.sort_unstable();
        assert_eq!(all, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn the_choice_depends_on_the_seed_alone() {
        let images = samples(&[60, 40]);
        let choose = |seed| stratified(images.labels(), 2, 10, seed).unwrap().1;
        assert_eq!(choose(3), choose(3));
        assert_ne!(choose(3), choose(4));
        // computed once: a change would make old runs impossible to repeat
        assert_eq!(choose(0), [3, 6, 20, 45, 61, 66, 72, 77, 87, 92]);
    }

    #[test]
    fn too_many_validation_images_are_an_error_with_both_numbers() {
        let images = samples(&[6, 4]);
        for count in [0, 10, 11, usize::MAX] {
            let error = stratified(images.labels(), 2, count, 0).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            let text = error.to_string();
            assert!(text.contains("there are 10 training images") && text.contains(&format!("got {count}")), "{text}");
        }
        assert_eq!(stratified(&[], 2, 1, 0).unwrap_err().exit_code(), 2);
    }

    #[test]
    fn no_class_vanishes_from_the_training_images() {
        let images = samples(&[0, 9, 1]);
        assert_eq!(stratified(images.labels(), 3, 4, 0).unwrap().0.len(), 6, "class 0 never was there");
        let error = stratified(images.labels(), 3, 9, 0).unwrap_err().to_string();
        assert!(error.contains("class 2"), "{error}");
    }

    #[test]
    fn a_label_out_of_range_is_an_error() {
        for labels in [[0, 2, 0], [0, -1, 0]] {
            assert!(stratified(&labels, 2, 1, 0).unwrap_err().to_string().contains("label of image 1"));
        }
    }

    #[test]
    fn a_limit_keeps_exactly_so_many_images() {
        let images = samples(&[60, 30, 10]);
        for (limit, counts) in [(100, [60, 30, 10]), (10, [6, 3, 1]), (1, [1, 0, 0])] {
            let kept = limit_train(images.labels(), 3, limit, 5).unwrap();
            assert!(kept.is_sorted());
            assert_eq!(counts_of(images.labels(), &kept, 3), counts);
        }
        for limit in [0, 101] {
            assert_eq!(limit_train(images.labels(), 3, limit, 5).unwrap_err().exit_code(), 2);
        }
    }

    #[test]
    fn parts_are_disjoint_and_as_large_as_asked() {
        let whole = dataset(&[60, 40]);
        for (validation, count) in [(Validation::Count(20), 20), (Validation::Fraction(0.25), 25)] {
            let parts = split(whole.clone(), &validation, Some(30), 9).unwrap();
            let chosen = parts.validation.unwrap();
            assert_eq!((parts.train.len(), chosen.len()), (30, count));
            assert!(parts.train.pixels().iter().all(|pixel| !chosen.pixels().contains(pixel)));
            assert_eq!((parts.test, parts.name, parts.classes.len()), (whole.test.clone(), "set".to_string(), 2));
        }
    }

    #[test]
    fn without_a_choice_nothing_is_moved_around() {
        let whole = dataset(&[6, 4]);
        let none = split(whole.clone(), &Validation::None, None, 0).unwrap();
        assert_eq!((none.train, none.validation), (whole.train.clone(), None));
        let test = split(whole.clone(), &Validation::Test, None, 0).unwrap();
        assert_eq!((test.train, &test.validation, &test.test), (whole.train.clone(), &whole.test, &whole.test));
        let untested = Dataset { test: None, ..whole };
        assert_eq!(split(untested.clone(), &Validation::Test, None, 0).unwrap_err().exit_code(), 2);
        assert_eq!(split(untested, &Validation::Fraction(0.001), None, 0).unwrap_err().exit_code(), 2);
    }
}
