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
    Dataset {
        name: "set".to_string(),
        classes,
        train: samples(counts),
        validation: None,
        test: Some(samples(&[1, 1])),
        notes: Vec::new(),
    }
}

#[test]
fn parts_are_disjoint_and_as_large_as_asked() {
    let whole = dataset(&[60, 40]);
    for (validation, count) in [(Validation::Count(20), 20), (Validation::Fraction(0.25), 25)] {
        let parts = split(whole.clone(), &validation, SplitMode::Stratified, Some(30), 9).unwrap();
        let chosen = parts.validation.unwrap();
        assert_eq!((parts.train.len(), chosen.len()), (30, count));
        assert!(parts.train.pixels().unwrap().iter().all(|pixel| !chosen.pixels().unwrap().contains(pixel)));
        assert_eq!((parts.test, parts.name, parts.classes.len()), (whole.test.clone(), "set".to_string(), 2));
    }
}

#[test]
fn without_a_choice_nothing_is_moved_around() {
    let stratified = |dataset, validation| split(dataset, &validation, SplitMode::Stratified, None, 0);
    let whole = dataset(&[6, 4]);
    let none = stratified(whole.clone(), Validation::None).unwrap();
    assert_eq!((none.train, none.validation), (whole.train.clone(), None));
    let test = stratified(whole.clone(), Validation::Test).unwrap();
    assert_eq!((test.train, &test.validation, &test.test), (whole.train.clone(), &whole.test, &whole.test));
    let untested = Dataset { test: None, ..whole };
    assert_eq!(stratified(untested.clone(), Validation::Test).unwrap_err().exit_code(), 2);
    assert_eq!(stratified(untested, Validation::Fraction(0.001)).unwrap_err().exit_code(), 2);
}

#[test]
fn by_itself_a_data_set_uses_its_own_validation_images() {
    let auto = |dataset| split(dataset, &Validation::Auto, SplitMode::Stratified, None, 0).unwrap();
    let own = Some(samples(&[2, 2]));
    let whole = Dataset { validation: own.clone(), ..dataset(&[6, 4]) };
    let parts = auto(whole.clone());
    assert_eq!((parts.train.len(), parts.validation), (10, own));
    let parts = split(whole, &Validation::Count(5), SplitMode::Stratified, None, 0).unwrap();
    assert_eq!((parts.train.len(), parts.validation.unwrap().len()), (5, 5));
    for (counts, validation) in [([20_000, 20_000], 5000), ([5_000, 5_000], 5000), ([5_000, 4_999], 1000), ([6, 4], 2)]
    {
        let parts = auto(dataset(&counts));
        assert_eq!(parts.validation.unwrap().len(), validation, "{counts:?}");
    }
    let by_chance = split(dataset(&[6, 4]), &Validation::Auto, SplitMode::Tail, None, 0);
    assert!(by_chance.unwrap_err().to_string().contains("class 1 would be left to validate on"), "one image");
}
