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
mod tests {
    use super::*;

    /// `counts[c]` labels of each class c, in turn as long as they last.
    fn labels(counts: &[usize]) -> Vec<i64> {
        let rounds = 0..counts.iter().copied().max().unwrap_or(0);
        let in_round = |round| (0..counts.len()).filter(move |&class| round < counts[class]).map(|class| class as i64);
        rounds.flat_map(in_round).collect()
    }

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|class| format!("c{class}")).collect()
    }

    fn stratified(
        labels: &[i64],
        num_classes: usize,
        num_validation: usize,
        seed: u64,
    ) -> Result<(Vec<usize>, Vec<usize>)> {
        choose(labels, &names(num_classes), num_validation, SplitMode::Stratified, seed)
    }

    fn counts_of(labels: &[i64], indices: &[usize], num_classes: usize) -> Vec<usize> {
        let mut counts = vec![0; num_classes];
        indices.iter().for_each(|&index| counts[labels[index] as usize] += 1);
        counts
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
        let images = labels(&[60, 30, 10]);
        let (train, validation) = stratified(&images, 3, 20, 1).unwrap();
        assert_eq!(counts_of(&images, &validation, 3), [12, 6, 2]);
        assert!(train.is_sorted() && validation.is_sorted());
        let mut all = [train, validation].concat();
        all.sort_unstable();
        assert_eq!(all, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn the_choice_depends_on_the_seed_alone() {
        let images = labels(&[60, 40]);
        let choose = |seed| stratified(&images, 2, 10, seed).unwrap().1;
        assert_eq!(choose(3), choose(3));
        assert_ne!(choose(3), choose(4));
        // computed once: a change would make old runs impossible to repeat
        assert_eq!(choose(0), [3, 6, 20, 45, 61, 66, 72, 77, 87, 92]);
    }

    #[test]
    fn too_many_validation_images_are_an_error_with_both_numbers() {
        let images = labels(&[6, 4]);
        for count in [0, 10, 11, usize::MAX] {
            let error = stratified(&images, 2, count, 0).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            let text = error.to_string();
            assert!(text.contains("there are 10 training images") && text.contains(&format!("got {count}")), "{text}");
        }
        assert_eq!(stratified(&[], 2, 1, 0).unwrap_err().exit_code(), 2);
    }

    #[test]
    fn no_class_vanishes_without_an_error() {
        let images = labels(&[0, 9, 2]);
        let (_, validation) = stratified(&images, 3, 2, 0).unwrap();
        assert_eq!(counts_of(&images, &validation, 3), [0, 1, 1], "class 0 never was there, and class 2 gives one");
        let cases: [(&[usize], usize, SplitMode, &str); 5] = [
            (
                &[0, 9, 1],
                4,
                SplitMode::Stratified,
                "no image of class c2 would be left to validate on: got its only image",
            ),
            (&[4, 4], 7, SplitMode::Stratified, "to train on"),
            (&[4, 4], 1, SplitMode::Stratified, "to validate on"),
            (&[1, 5], 1, SplitMode::Tail, "class c0 would be left to validate on"),
            (&[5, 5], 1, SplitMode::Random, "to validate on"),
        ];
        for (counts, num_validation, mode, part) in cases {
            let error = choose(&labels(counts), &names(counts.len()), num_validation, mode, 0).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(part), "{counts:?} {mode:?}: {error}");
            let advises_mode = error.to_string().contains("`split_mode = 'stratified'`");
            assert_eq!(advises_mode, mode != SplitMode::Stratified, "the mode that is on is no advice: {error}");
        }
    }

    #[test]
    fn the_tail_is_keras_s() {
        // Keras 3.15.1's train_validation_split: int(math.floor(n * (1.0 - split))) come first
        for (count, fraction, validation) in [(10, 0.3, 3), (100, 0.07, 7), (10, 0.05, 1), (7, 0.5, 4), (100, 0.29, 29)]
        {
            assert_eq!(SplitMode::Tail.count(count, fraction), validation, "{count} {fraction}");
        }
        let (train, validation) = choose(&labels(&[5, 5]), &names(2), 4, SplitMode::Tail, 0).unwrap();
        assert_eq!((train, validation), ((0..6).collect(), (6..10).collect()));
    }

    #[test]
    fn at_random_the_seed_decides() {
        let images = labels(&[60, 40]);
        let choose = |seed| choose(&images, &names(2), 30, SplitMode::Random, seed).unwrap();
        assert_eq!(choose(1), choose(1));
        assert_ne!(choose(1), choose(2));
        let mut all = [choose(1).0, choose(1).1].concat();
        all.sort_unstable();
        assert_eq!(all, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn folds_share_nothing_and_are_everything() {
        let images = labels(&[13, 8, 0, 5]);
        let mut all = Vec::new();
        for number in 0..5 {
            let (train, part) = fold(&images, &names(4), 5, number, 3).unwrap();
            assert_eq!(train.len() + part.len(), 26);
            assert!((5..=6).contains(&part.len()) && train.iter().all(|index| !part.contains(index)));
            let counts = counts_of(&images, &part, 4);
            assert!((2..=3).contains(&counts[0]) && (1..=2).contains(&counts[1]) && counts[3] == 1, "{counts:?}");
            all.extend(part);
        }
        all.sort_unstable();
        assert_eq!(all, (0..26).collect::<Vec<_>>());
        for (num_folds, number) in [(1, 0), (5, 5), (6, 0)] {
            let folds: Result<Vec<_>> = (0..num_folds).map(|n| fold(&images, &names(4), num_folds, n, 3)).collect();
            assert!(folds.is_err() || fold(&images, &names(4), num_folds, number, 3).is_err(), "{num_folds} {number}");
        }
    }

    #[test]
    fn a_label_out_of_range_is_an_error() {
        for labels in [[0, 2, 0], [0, -1, 0]] {
            assert!(stratified(&labels, 2, 1, 0).unwrap_err().to_string().contains("label of image 1"));
        }
    }

    #[test]
    fn a_limit_keeps_exactly_so_many_images() {
        let images = labels(&[60, 30, 10]);
        for (limit, counts) in [(100, [60, 30, 10]), (10, [6, 3, 1]), (4, [2, 1, 1]), (3, [1, 1, 1])] {
            let kept = limit_train(&images, 3, limit, 5).unwrap();
            assert!(kept.is_sorted());
            assert_eq!(counts_of(&images, &kept, 3), counts);
        }
        for limit in [0, 2, 101] {
            let error = limit_train(&images, 3, limit, 5).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains("3 to 100, as there are 3 classes"), "{error}");
        }
        let rare = labels(&[50, 0, 1]);
        assert_eq!(counts_of(&rare, &limit_train(&rare, 3, 5, 5).unwrap(), 3), [4, 0, 1], "all of a rare class");
    }
}
