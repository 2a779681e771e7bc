use super::*;
use crate::data::sources::LabelledImage;
use crate::data::stored::ImageSource;

fn labelled(images: &[(Split, &str)]) -> ImageList {
    let image = |&(split, class): &(Split, &str)| LabelledImage {
        split,
        class: class.to_owned(),
        image: ImageSource::File("none.png".into()),
    };
    ImageList { name: "set".into(), images: images.iter().map(image).collect(), ..ImageList::default() }
}

#[test]
fn classes_are_matched_by_name_and_a_difference_is_named() {
    let classes = |images: &[(Split, &str)], purpose| {
        let mut labelled = labelled(images);
        labelled.classes(purpose).map(|classes| (classes.join(" "), labelled.notes.join("; ")))
    };
    let same = [(Split::Train, "10"), (Split::Train, "9"), (Split::Test, "9"), (Split::Test, "10")];
    let (names, notes) = classes(&same, Purpose::Train).unwrap();
    assert_eq!(names, "9 10");
    assert!(notes.contains("(\"9\", \"10\")") && notes.contains("as text (\"10\", \"9\")"), "{notes}");
    let other = [(Split::Train, "cat"), (Split::Train, "dog"), (Split::Test, "cat"), (Split::Test, "owl")];
    let error = classes(&other, Purpose::Train).unwrap_err().to_string();
    assert!(error.contains("missing in test: \"dog\"; in test alone: \"owl\""), "{error}");
    for purpose in [Purpose::Inspect, Purpose::Measure] {
        assert_eq!(classes(&other, purpose).unwrap(), ("cat dog owl".into(), String::new()));
    }
    let (names, notes) = classes(&other[..3], Purpose::Train).unwrap();
    assert_eq!((&*names, &*notes), ("cat dog", "there are no test images of the classes \"dog\""));
    let mut folders = labelled(&other[..3]);
    folders.class_folders.push((Split::Test, "dog".into()));
    assert_eq!(folders.classes(Purpose::Train).unwrap(), ["cat", "dog"], "a folder without images is a class");
    assert!(folders.notes.is_empty());
    assert!(classes(&other[..1], Purpose::Train).unwrap().1.contains("only one class, \"cat\""));
}

#[test]
fn a_file_s_order_wins() {
    let order = ["b", "c", "a"].map(String::from).to_vec();
    let mut labelled = ImageList { order: Some(order.clone()), ..labelled(&[(Split::Train, "a")]) };
    assert_eq!(labelled.classes(Purpose::Train).unwrap(), order);
}

#[test]
fn names_and_numbers_have_one_order() {
    let mut names = ["b", "10", "2", "a", "02"];
    names.sort_by(|a, b| compare(a, b));
    assert_eq!(names, ["02", "2", "10", "a", "b"]);
}
