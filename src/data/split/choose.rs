//! Which images become validation images: exactly as many as asked, from the seed.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumMessage, EnumString, VariantArray};

use crate::error::{Error, Result};
use crate::rng::{Stream, derive, generator, shuffle};

/// How validation images are chosen.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, Display, EnumMessage, EnumString, VariantArray,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum SplitMode {
    /// At random, and each class gives in proportion to its size, rounded by the largest remainder, but at least one.
    #[default]
    Stratified,
    /// At random.
    Random,
    /// The last ones, as Keras's `validation_split` takes them.
    Tail,
}

impl SplitMode {
    /// How many of `count` images the part `fraction` is: rounded; [`SplitMode::Tail`] leaves ⌊n·(1 − f)⌋, as Keras does.
    pub fn count(self, count: usize, fraction: f64) -> usize {
        match self {
            SplitMode::Tail => count - (count as f64 * (1.0 - fraction)).floor() as usize,
            SplitMode::Stratified | SplitMode::Random => (fraction * count as f64).round() as usize,
        }
    }
}

/// Chooses `num_validation` of the images with these labels, `i64 [N]`, of `classes`: the indices of the rest (to train on)
/// and of the chosen, each ascending.
///
/// # Errors
/// A configuration error where `num_validation` is not in `1..N`, or where a class would vanish from either part.
pub fn choose(
    labels: &[i64],
    classes: &[String],
    num_validation: usize,
    mode: SplitMode,
    seed: u64,
) -> Result<(Vec<usize>, Vec<usize>)> {
    let count = labels.len();
    if !(1..count).contains(&num_validation) {
        return Err(Error::config("bad number of validation images")
            .expected(format!("1 to {}, as there are {count} training images", count.saturating_sub(1)))
            .got(num_validation));
    }
    let (validation, train) = match mode {
        SplitMode::Stratified => draw(labels, classes.len(), num_validation, seed, Least { each: 1, left: 1 })?,
        SplitMode::Random => {
            let mut order: Vec<usize> = (0..count).collect();
            shuffle(&mut generator(seed, Stream::Split), &mut order);
            let mut train = order.split_off(num_validation);
            order.sort_unstable();
            train.sort_unstable();
            (order, train)
        }
        SplitMode::Tail => ((count - num_validation..count).collect(), (0..count - num_validation).collect()),
    };
    let help = match mode {
        SplitMode::Stratified => "choose another number of validation images, or `validation = 'none'`",
        SplitMode::Random | SplitMode::Tail => {
            "choose another number of validation images or `split_mode = 'stratified'`, or `validation = 'none'`"
        }
    };
    check_no_class_vanishes(labels, classes, &train, &validation).map_err(|error| error.help(help))?;
    Ok((train, validation))
}

/// Part `number` (from 0) of `num_folds` stratified parts of the images with these labels, `i64 [N]`: the indices of the rest
/// (to train on) and of the part, each ascending. The parts share nothing and are everything together; their sizes, and
/// those of a class in them, differ by at most 1 a class.
///
/// # Errors
/// A configuration error where there are fewer than 2 parts, `number` is none of them, or a class has fewer images than
/// there are parts.
pub fn fold(
    labels: &[i64],
    classes: &[String],
    num_folds: usize,
    number: usize,
    seed: u64,
) -> Result<(Vec<usize>, Vec<usize>)> {
    if num_folds < 2 || number >= num_folds {
        let expected = format!("a part from 0 to {}", num_folds.saturating_sub(1));
        return Err(Error::config("bad number of folds, at least 2 are needed").expected(expected).got(number));
    }
    let mut by_class = indices_by_class(labels, classes.len())?;
    let mut rng = generator(seed, Stream::Split);
    let (mut train, mut part) = (Vec::new(), Vec::new());
    for indices in &mut by_class {
        shuffle(&mut rng, indices);
    }
    // dealt out like cards, on and on over the classes, so that the parts' sizes differ by at most 1
    for (position, index) in by_class.concat().into_iter().enumerate() {
        if position % num_folds == number { part.push(index) } else { train.push(index) }
    }
    train.sort_unstable();
    part.sort_unstable();
    let vanishes = check_no_class_vanishes(labels, classes, &train, &part);
    vanishes.map_err(|error| error.help("choose fewer folds, or add images of the class"))?;
    Ok((train, part))
}

fn check_no_class_vanishes(labels: &[i64], classes: &[String], train: &[usize], validation: &[usize]) -> Result<()> {
    let counts = |indices: &[usize]| {
        let mut counts = vec![0; classes.len()];
        indices.iter().for_each(|&index| counts[labels[index] as usize] += 1);
        counts
    };
    let (train, validation): (Vec<usize>, Vec<usize>) = (counts(train), counts(validation));
    for (class, (&train, &validation)) in classes.iter().zip(train.iter().zip(&validation)) {
        let (part, count) = match (train, validation) {
            (0, 1..) => ("train", validation),
            (1.., 0) => ("validate", train),
            _ => continue,
        };
        let images = if count == 1 { "its only image" } else { &format!("its {count} images") };
        return Err(Error::config(format!("no image of class {class} would be left to {part} on"))
            .got(format!("{images} on the other side")));
    }
    Ok(())
}

/// Chooses `limit` of the images with these labels, `i64 [N]`: their indices, ascending. Each class gives in proportion to
/// its size, rounded by the largest remainder, but at least one.
///
/// # Errors
/// A configuration error where `limit` is not in `1..=N`, or less than the classes that have images.
pub fn limit_train(labels: &[i64], num_classes: usize, limit: usize, seed: u64) -> Result<Vec<usize>> {
    let num_present = indices_by_class(labels, num_classes)?.iter().filter(|indices| !indices.is_empty()).count();
    if !(num_present.max(1)..=labels.len()).contains(&limit) {
        return Err(Error::config("bad limit of training images")
            .expected(format!(
                "{num_present} to {count}, as there are {num_present} classes and {count} training images",
                count = labels.len()
            ))
            .got(limit));
    }
    // a seed of its own: the validation images were drawn with the first
    let (chosen, _) = draw(labels, num_classes, limit, derive(seed, Stream::Split), Least { each: 1, left: 0 })?;
    Ok(chosen)
}

/// What each class gives at least, as far as there are enough.
#[derive(Clone, Copy)]
struct Least {
    each: usize,
    /// What it keeps at least: a class with no more than both together gives what its share is.
    left: usize,
}

/// `num_drawn` (at most N) indices and the others, each ascending. Where there are enough, each class with images left to
/// give gives at least so many as `least` says.
fn draw(
    labels: &[i64],
    num_classes: usize,
    num_drawn: usize,
    seed: u64,
    least: Least,
) -> Result<(Vec<usize>, Vec<usize>)> {
    let mut classes = indices_by_class(labels, num_classes)?;
    let sizes: Vec<usize> = classes.iter().map(Vec::len).collect();
    let mut shares = largest_remainder(&sizes, num_drawn);
    raise(&mut shares, &sizes, least);
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

/// Takes from the largest shares until each class that can gives what `least` says, as far as that goes.
fn raise(shares: &mut [usize], sizes: &[usize], least: Least) {
    let Least { each, left } = least;
    while let Some(poor) = (0..shares.len()).find(|&class| shares[class] < each && sizes[class] >= each + left) {
        let rich = (0..shares.len()).max_by_key(|&class| shares[class]).expect("there is a class");
        if shares[rich] <= each {
            return;
        }
        shares[rich] -= 1;
        shares[poor] += 1;
    }
}

#[cfg(test)]
mod tests;
