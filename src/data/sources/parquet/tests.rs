use std::fs;

use super::*;
use crate::data::export::{DatasetFormat, export};
use crate::data::{Dataset, ImageShape, Samples};

/// A folder `data` of Parquet files: `train` images of `classes` and 1 test image, all in one pixel.
fn exported(folder: &Path, classes: &[&str], train: usize) {
    let shape = ImageShape { height: 1, width: 1, channels: 1 };
    let samples = |count: usize| {
        let labels = (0..count).map(|at| (at % classes.len()) as i64).collect();
        Samples::new(shape, (0..count).map(|at| at as u8).collect(), labels, classes.len()).unwrap()
    };
    let classes = classes.iter().map(ToString::to_string).collect();
    let (train, test) = (samples(train), Some(samples(1)));
    let set = Dataset { name: "set".into(), classes, train, validation: None, test, notes: Vec::new() };
    export(&set, DatasetFormat::Parquet, folder).unwrap();
}

fn told(list: &ImageList) -> Vec<String> {
    let tell = |image: LabelledImage| {
        format!("{} {} {}", image.split, image.class, image.image.to_string().rsplit('/').next().unwrap())
    };
    list.images.iter().map(tell).collect()
}

fn failure(folder: &Path) -> String {
    let error = read_folder(folder).unwrap_err();
    assert_eq!(error.exit_code(), 3, "{error}");
    error.to_string()
}

#[test]
fn splits_are_those_of_folders_and_names_and_files_are_read_from_where_they_lie() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    exported(&at("set"), &["a dog", "cat"], 3);
    let expected = ["test a dog row 0", "train a dog row 0", "train cat row 1", "train a dog row 2"];
    for place in ["set", "set/data"] {
        assert!(has_files(&at(place)).unwrap());
        let list = read_folder(&at(place)).unwrap();
        assert_eq!(told(&list), expected);
        assert_eq!(list.order.unwrap(), ["a dog", "cat"]);
    }
    // as the hub's conversions lie
    for (from, to) in [("train", "hub/default/train/0000.parquet"), ("test", "hub/default/validation/0000.parquet")] {
        fs::create_dir_all(at(to).parent().unwrap()).unwrap();
        fs::copy(at(&format!("set/data/{from}-00000-of-00001.parquet")), at(to)).unwrap();
    }
    for place in ["hub", "hub/default"] {
        let list = read_folder(&at(place)).unwrap();
        let splits = ["train a dog row 0", "train cat row 1", "train a dog row 2", "validation a dog row 0"];
        assert_eq!(told(&list), splits);
    }
    let notes = read_folder(&at("hub")).unwrap().notes;
    assert!(notes[0].starts_with("read from ") && notes[0].ends_with("default"), "{notes:?}");
    let list = read_file(&at("set/data/test-00000-of-00001.parquet")).unwrap();
    assert_eq!((told(&list), list.notes), (vec!["test a dog row 0".to_owned()], vec![]));
    exported(&at("other"), &["a dog", "emu"], 2);
    fs::rename(at("other/data"), at("set/two")).unwrap();
    assert!(failure(&at("set")).contains("several data sets"));
}

#[test]
fn a_missing_file_and_files_of_other_classes_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    exported(&at("set"), &["a dog", "cat"], 2);
    exported(&at("other"), &["cat", "a dog"], 2);
    let [train, other] = ["set", "other"].map(|set| at(set).join("data/train-00000-of-00001.parquet"));
    fs::create_dir(at("two")).unwrap();
    fs::copy(&train, at("two/train-00001-of-00003.parquet")).unwrap();
    fs::copy(&train, at("two/train-00000-of-00003.parquet")).unwrap();
    assert!(failure(&at("two")).contains("expected 3 files, as their names say, got 2, without number 2"));
    let one = read_file(&at("two/train-00001-of-00003.parquet")).unwrap();
    assert_eq!(one.notes, ["read from one file of 3, number 1: name the folder to read all"]);
    fs::copy(&other, at("two/train-00002-of-00003.parquet")).unwrap();
    let error = failure(&at("two"));
    assert!(error.contains("name other classes") && error.contains("train-00002-of-00003"), "{error}");
    fs::copy(&train, at("two/extra.parquet")).unwrap();
    assert!(failure(&at("two")).contains("says no split"));
}

#[test]
fn other_folders_are_no_sign() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("cat")).unwrap();
    fs::write(at("cat/1.png"), b"").unwrap();
    fs::write(at("table.parquet"), b"PAR1 and more").unwrap();
    assert!(!has_files(folder.path()).unwrap(), "class folders beside a table without images");
    fs::remove_dir_all(at("cat")).unwrap();
    assert!(has_files(folder.path()).unwrap(), "it is refused by name");
    assert!(failure(folder.path()).contains("table.parquet"));
    fs::write(at("table.parquet"), b"").unwrap();
    assert!(!has_files(folder.path()).unwrap());
}
