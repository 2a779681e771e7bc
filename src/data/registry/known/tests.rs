use super::*;
use crate::data::{ImageShape, Samples};

fn dataset(name: &str, num_classes: usize) -> Splits {
    let shape = ImageShape { height: 1, width: 1, channels: 1 };
    let labels: Vec<i64> = (0..num_classes as i64).collect();
    Splits {
        name: name.to_string(),
        classes: labels.iter().map(i64::to_string).collect(),
        samples: [(Split::Train, Samples::new(shape, vec![0; num_classes], labels, num_classes).unwrap())].into(),
        notes: Vec::new(),
    }
}

#[test]
fn the_table_is_well_formed() {
    for set in &KNOWN_SETS {
        assert!([0, 10, 27, 47].contains(&set.classes.len()), "{}", set.name);
        assert!(set.mirrors.iter().all(|mirror| mirror.starts_with("http") && mirror.ends_with('/')));
        for file in set.files {
            assert!(file.md5.len() == 32 && file.md5.bytes().all(|byte| byte.is_ascii_hexdigit()), "{}", file.md5);
        }
    }
}

#[test]
fn a_folder_is_known_by_its_name_in_any_spelling() {
    for name in ["fashion-mnist", "fashion_mnist", "FashionMNIST", "Fashion MNIST"] {
        let known = recognise(dataset(name, 10)).unwrap();
        assert_eq!((known.name.as_str(), known.classes[8].as_str()), ("fashion-mnist", "Bag"));
    }
    assert_eq!(recognise(dataset("KMNIST", 10)).unwrap().classes[9], "wo");
    assert_eq!(recognise(dataset("mnist", 4)).unwrap().classes.len(), 10, "a part of MNIST has all its classes");
    let other = recognise(dataset("my-mnist", 3)).unwrap();
    assert_eq!((other.name.as_str(), other.classes.len()), ("my-mnist", 3));
}

#[test]
fn a_label_beyond_a_known_set_is_an_error() {
    let error = recognise(dataset("mnist", 11)).unwrap_err();
    assert!(error.to_string().contains("none of mnist's: expected 0 to 9, got 10"), "{error}");
    assert_eq!(error.exit_code(), 3);
}

#[test]
fn emnist_is_named_by_its_number_of_classes() {
    for (num_classes, first, last) in [(10, "0", "9"), (27, "N/A", "z"), (47, "0", "t"), (62, "0", "z")] {
        let known = recognise(dataset("EMNIST", num_classes)).unwrap();
        assert_eq!(known.classes.len(), num_classes);
        assert_eq!((known.classes[0].as_str(), known.classes[num_classes - 1].as_str()), (first, last));
    }
    assert_eq!(recognise(dataset("emnist", 26)).unwrap().classes[25], "25");
}

#[test]
fn the_nearest_name_is_suggested_only_if_it_is_near() {
    let names = ["digits", "fashion-mnist", "mnist", "kmnist"];
    for (typed, meant) in [("fashon-mnist", "fashion-mnist"), ("minst", "mnist"), ("digit", "digits")] {
        assert_eq!(nearest(typed, &names), Some(meant));
    }
    assert_eq!(nearest("kminst", &names), Some("kmnist"));
    for typed in ["cifar10", "imagenet", "", "犬"] {
        assert_eq!(nearest(typed, &names), None, "{typed}");
    }
}
