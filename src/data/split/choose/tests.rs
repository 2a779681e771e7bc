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
        (&[0, 9, 1], 4, SplitMode::Stratified, "no image of class c2 would be left to validate on: got its only image"),
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
    for (count, fraction, validation) in [(10, 0.3, 3), (100, 0.07, 7), (10, 0.05, 1), (7, 0.5, 4), (100, 0.29, 29)] {
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
