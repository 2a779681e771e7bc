use super::*;
use crate::error::ErrorKind;
use sha2::{Digest, Sha256};
use std::collections::HashSet;

fn draw(seed: u64, first_index: u64, num_images: usize) -> Samples {
    draw_samples(seed, first_index, num_images).unwrap()
}

fn images(samples: &Samples) -> impl Iterator<Item = &[u8]> {
    samples.pixels().unwrap().chunks_exact(IMAGE_BYTES)
}

#[test]
fn every_machine_draws_the_same_bytes() {
    let samples = draw(0, 0, 500);
    let mut hash = Sha256::new();
    hash.update(samples.pixels().unwrap());
    samples.labels().iter().for_each(|label| hash.update(label.to_le_bytes()));
    let hex: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "4693d57418f10e44d2633ea47632e94e4054e4fbf354d164b691c255bb264e79");
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let draw_by = |num_threads| threads::build(num_threads).unwrap().install(|| draw(3, 5, 101));
    let alone = draw_by(1);
    for num_threads in [2, 3, 7, 200] {
        assert_eq!(draw_by(num_threads), alone, "{num_threads} threads");
    }
}

#[test]
fn a_larger_set_begins_with_a_smaller_one_and_keeps_its_test_images() {
    let small = generate(&DigitsConfig { num_train: 60, num_test: 20, seed: 9 }).unwrap();
    let large = generate(&DigitsConfig { num_train: 100, num_test: 20, seed: 9 }).unwrap();
    assert_eq!((small.name.as_str(), small.classes.join("").as_str()), ("digits", "0123456789"));
    assert_eq!(large.train.select(&(0..60).collect::<Vec<_>>()).unwrap(), small.train);
    assert_eq!(large.test, small.test);
    let none = generate(&DigitsConfig { num_train: 60, num_test: 0, seed: 9 }).unwrap();
    assert_eq!((none.train, none.test), (small.train, None));
}

#[test]
fn every_ten_images_hold_each_digit_once_in_no_fixed_order() {
    for first_index in [0, FIRST_TEST_INDEX] {
        let samples = draw(0, first_index, 1000);
        let orders: HashSet<&[i64]> = samples.labels().chunks(10).collect();
        assert!(orders.len() > 95, "{} orders", orders.len());
        for order in orders {
            assert_eq!(order.iter().collect::<HashSet<_>>().len(), NUM_CLASSES, "{order:?}");
        }
    }
}

#[test]
fn no_image_comes_twice_in_any_part_or_seed() {
    let parts = [draw(0, 0, 2000), draw(0, FIRST_TEST_INDEX, 500), draw(1, 0, 500)];
    let distinct: HashSet<&[u8]> = parts.iter().flat_map(images).collect();
    assert_eq!(distinct.len(), 3000);
}

#[test]
fn ink_is_there_and_stays_inside_the_frame() {
    for (index, image) in images(&draw(0, 0, 3000)).enumerate() {
        let is_border = |at: usize| [0, SIDE - 1].contains(&(at % SIDE)) || [0, SIDE - 1].contains(&(at / SIDE));
        let border = (0..IMAGE_BYTES).filter(|&at| is_border(at)).map(|at| image[at]).max();
        // noise alone: its largest deviation is 8, and 46 is beyond the most it can reach
        assert!(border < Some(46), "image {index}: {border:?}");
        let num_inked = image.iter().filter(|&&grey| grey > 100).count();
        assert!((12..300).contains(&num_inked), "image {index}: {num_inked} pixels of ink");
    }
}

#[test]
fn images_show_their_labels_but_not_too_plainly() {
    let (train, test) = (draw(0, 0, 2000), draw(0, FIRST_TEST_INDEX, 500));
    let mut sums = [[0f32; IMAGE_BYTES]; NUM_CLASSES];
    for (image, &label) in images(&train).zip(train.labels()) {
        sums[label as usize].iter_mut().zip(image).for_each(|(sum, &grey)| *sum += f32::from(grey) / 200.0);
    }
    let distance = |image: &[u8], sum: &[f32]| -> f32 {
        image.iter().zip(sum).map(|(&grey, &mean)| (f32::from(grey) - mean).powi(2)).sum()
    };
    let nearest = |image| (0..10).min_by(|&a, &b| distance(image, &sums[a]).total_cmp(&distance(image, &sums[b])));
    let right = images(&test).zip(test.labels()).filter(|(image, label)| nearest(image) == Some(**label as usize));
    let accuracy = right.count() as f32 / 500.0;
    assert!((0.5..0.85).contains(&accuracy), "{accuracy}");
}

#[test]
fn names_are_parsed() {
    let config = |num_train, num_test, seed| DigitsConfig { num_train, num_test, seed };
    assert_eq!(parse("digits").unwrap(), config(12_000, 2_000, 0));
    assert_eq!(parse("digits:60000").unwrap(), config(60_000, 10_000, 0));
    assert_eq!(parse("digits:10:7").unwrap(), config(10, 10, 7));
    assert_eq!(parse("digits:10000000:18446744073709551615").unwrap(), config(10_000_000, 1_666_666, u64::MAX));
}

#[test]
fn other_names_are_refused_with_a_way_out() {
    let texts = [
        "",
        "digit",
        "digits:",
        "digits:9",
        "digits:10000001",
        "digits:-5",
        "digits:1e4",
        "digits:99999999999999999999",
        "digits:100:",
        "digits:100:x",
        "digits:100:-1",
        "digits:100:18446744073709551616",
        "digits:100:1:",
        "digits:100:1:2",
    ];
    for text in texts {
        let error = parse(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{text}");
        assert!(error.to_string().contains("digits:60000"), "{error}");
    }
    let message = "bad number of images: expected 10 to 10000000, got \"9\" (digits:9); \
                       write digits, digits:60000 or digits:60000:7 (training images, seed)";
    assert_eq!(parse("digits:9").unwrap_err().to_string(), message);
}

#[test]
fn numbers_out_of_range_are_refused() {
    for (num_train, num_test) in [(0, 10), (MAX_IMAGES + 1, 10), (usize::MAX, 10), (10, MAX_IMAGES + 1)] {
        let error = generate(&DigitsConfig { num_train, num_test, seed: 0 }).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{num_train} {num_test}");
    }
}
