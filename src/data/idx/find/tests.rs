use std::fs;

use super::*;

fn folder_with(names: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in names {
        fs::write(folder.path().join(name), b"").unwrap();
    }
    folder
}

fn find_in(names: &[&str]) -> Result<IdxFiles, String> {
    let folder = folder_with(names);
    find(folder.path()).map_err(|error| {
        assert!(error.to_string().contains(&folder.path().display().to_string()), "{error}");
        error.to_string()
    })
}

#[test]
fn what_macos_writes_beside_the_files_is_none_of_them() {
    let names = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"];
    let found = find_in(&[names[0], names[1], "._train-images-idx3-ubyte", ".train-labels.idx1-ubyte"]).unwrap();
    assert!(found.train.unwrap().images.ends_with(names[0]) && found.test.is_none());
    assert!(find_in(&["._train-images-idx3-ubyte"]).unwrap_err().contains("an empty folder"));
}

#[test]
fn every_usual_name_is_found() {
    let spellings = [
        ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"],
        ["train-images.idx3-ubyte", "train-labels.idx1-ubyte", "t10k-images.idx3-ubyte", "t10k-labels.idx1-ubyte"],
        [
            "train-images-idx3-ubyte.gz",
            "train-labels-idx1-ubyte.gz",
            "test-images-idx3-ubyte.gz",
            "test-labels-idx1-ubyte.gz",
        ],
        [
            "train-images.idx3-ubyte.gz",
            "train-labels.idx1-ubyte.gz",
            "test-images.idx3-ubyte",
            "test-labels.idx1-ubyte",
        ],
        ["train-images-idx4-ubyte", "train-labels-idx1-ubyte", "test-images-idx4-ubyte", "test-labels-idx1-ubyte"],
        ["train_images.idx", "train_labels.idx", "test_images.idx", "test_labels.idx"],
        ["TRAIN-IMAGES-IDX3-UBYTE.GZ", "Train-Labels.Idx1-Ubyte", "T10K-images-idx3-ubyte", "t10k-labels-idx1-ubyte"],
        [
            "emnist-letters-train-images-idx3-ubyte.gz",
            "emnist-letters-train-labels-idx1-ubyte.gz",
            "emnist-letters-test-images-idx3-ubyte.gz",
            "emnist-letters-test-labels-idx1-ubyte.gz",
        ],
    ];
    for names in spellings {
        let files = find_in(&names).unwrap();
        let [train, test] = [files.train, files.test].map(|pair| pair.expect("both are found"));
        let found = [train.images, train.labels, test.images, test.labels];
        assert_eq!(found.map(|path| name_of(&path)), names.map(String::from));
    }
}

#[test]
fn other_files_and_folders_are_passed_over() {
    let folder = folder_with(&[
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
        "train-labels.csv",
        "train-images-idx3-ubyte.md5",
        "t10k-images.png",
        "emnist-letters-mapping.txt",
        "test-batch-idx3-ubyte",
    ]);
    fs::create_dir(folder.path().join("t10k-images-idx3-ubyte")).unwrap();
    assert_eq!(find(folder.path()).unwrap().test, None);
}

#[test]
fn a_plain_file_wins_over_its_compressed_copy() {
    let names = ["train-images-idx3-ubyte", "train-images.idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"];
    let train = find_in(&names).unwrap().train.unwrap();
    assert_eq!(name_of(&train.images), "train-images-idx3-ubyte");
    assert_eq!(name_of(&train.labels), "train-labels-idx1-ubyte.gz");
}

#[test]
fn two_data_sets_in_one_folder_are_an_error() {
    let error = find_in(&[
        "emnist-digits-train-images-idx3-ubyte",
        "emnist-letters-train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
    ])
    .unwrap_err();
    assert!(error.contains("emnist-digits-train") && error.contains("emnist-letters-train"), "{error}");
    let error = find_in(&[
        "t10k-images-idx3-ubyte",
        "test-images-idx3-ubyte",
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
    ]);
    assert!(error.unwrap_err().contains("t10k-images-idx3-ubyte and test-images-idx3-ubyte"));
}

#[test]
fn a_missing_part_is_named() {
    let train = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"];
    let cases: [(&[&str], &str); 4] = [
        (&train[..1], "expected train-labels-idx1-ubyte"),
        (&train[1..], "expected train-images-idx3-ubyte"),
        (&[train[0], train[1], "t10k-images.idx3-ubyte.gz"], "expected t10k-labels-idx1-ubyte"),
        (&[train[0], train[1], "test-labels-idx1-ubyte"], "expected test-images-idx3-ubyte"),
    ];
    for (names, part) in cases {
        let error = find_in(names).unwrap_err();
        assert!(error.contains(part), "{error}");
    }
    let files = find_in(&["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]).unwrap();
    assert!(files.train.is_none() && files.test.is_some(), "enough to measure a model");
}

#[test]
fn a_folder_without_idx_files_says_what_is_there() {
    assert!(find_in(&[]).unwrap_err().contains("got an empty folder"));
    let names: Vec<String> = (0..20).map(|number| format!("{number:02}.png")).collect();
    let error = find_in(&names.iter().map(String::as_str).collect::<Vec<_>>()).unwrap_err();
    assert!(error.contains("train-images-idx3-ubyte") && error.contains("00.png, 01.png"), "{error}");
    assert!(error.contains("07.png, 12 more") && !error.contains("08.png"), "{error}");
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("raw")).unwrap();
    assert!(find(folder.path()).unwrap_err().to_string().contains("got raw/"));
    assert_eq!(find(&folder.path().join("nowhere")).unwrap_err().exit_code(), 3);
    assert!(!has_files(folder.path()).unwrap() && !has_files(&folder.path().join("nowhere")).unwrap());
}
