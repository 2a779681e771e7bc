use std::fs;

use super::*;

fn write_images(folder: &Path, name: &str, sizes: [u32; 3], pixels: &[u8]) {
    let header = [0x0803].iter().chain(&sizes).flat_map(|word: &u32| word.to_be_bytes()).collect::<Vec<u8>>();
    fs::write(folder.join(name), [&header, pixels].concat()).unwrap();
}

fn write_labels(folder: &Path, name: &str, labels: &[u8]) {
    let header = [0x0801, labels.len() as u32].iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
    fs::write(folder.join(name), [&header, labels].concat()).unwrap();
}

fn small_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_images(folder.path(), "train-images-idx3-ubyte", [3, 1, 2], &[1, 2, 3, 4, 5, 6]);
    write_labels(folder.path(), "train-labels-idx1-ubyte", &[0, 2, 1]);
    write_images(folder.path(), "t10k-images-idx3-ubyte", [1, 1, 2], &[7, 8]);
    write_labels(folder.path(), "t10k-labels-idx1-ubyte", &[4]);
    folder
}

#[test]
fn a_folder_is_read_and_its_classes_counted_over_both_splits() {
    let folder = small_folder();
    let dataset = read_folder(folder.path()).unwrap();
    assert_eq!(dataset.name, folder.path().file_name().unwrap().to_str().unwrap());
    assert_eq!(dataset.classes, ["0", "1", "2", "3", "4"]);
    assert_eq!((dataset.train.pixels().unwrap(), dataset.train.labels()), (&[1, 2, 3, 4, 5, 6][..], &[0, 2, 1][..]));
    let test = dataset.test.unwrap();
    assert_eq!((test.pixels().unwrap(), test.labels()), (&[7, 8][..], &[4][..]));
}

#[test]
fn test_files_are_optional() {
    let folder = small_folder();
    for name in ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"] {
        fs::remove_file(folder.path().join(name)).unwrap();
    }
    let dataset = read_folder(folder.path()).unwrap();
    assert_eq!((dataset.classes.len(), dataset.test), (3, None));
}

#[test]
fn counts_that_differ_name_both_files_and_both_counts() {
    let folder = small_folder();
    write_labels(folder.path(), "train-labels-idx1-ubyte", &[0, 1]);
    let error = read_folder(folder.path()).unwrap_err().to_string();
    for part in ["3 labels for", "train-images-idx3-ubyte", "2 labels in", "train-labels-idx1-ubyte"] {
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[test]
fn splits_of_two_shapes_are_refused() {
    let folder = small_folder();
    write_images(folder.path(), "t10k-images-idx3-ubyte", [1, 2, 1], &[7, 8]);
    let error = read_folder(folder.path()).unwrap_err().to_string();
    for part in [
        "2 wide × 1 high, 1 channel as",
        "1 wide × 2 high, 1 channel in",
        "train-images-idx3-ubyte",
        "t10k-images-idx3-ubyte",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[test]
fn a_folder_named_raw_is_named_after_its_parent() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("FashionMNIST/raw")).unwrap();
    assert_eq!(folder_name(&folder.path().join("FashionMNIST/raw")), "FashionMNIST");
    assert_eq!(folder_name(&folder.path().join("FashionMNIST/raw/..")), "FashionMNIST");
}

#[test]
#[ignore = "needs CONVNET_TEST_ASSETS"]
fn fashion_mnist_is_read_whole() {
    let assets = std::env::var_os("CONVNET_TEST_ASSETS").expect("CONVNET_TEST_ASSETS is set");
    let dataset = read_folder(&Path::new(&assets).join("data/fashion-mnist")).unwrap();
    let test = dataset.test.as_ref().unwrap();
    assert_eq!((dataset.train.len(), test.len(), dataset.classes.len()), (60_000, 10_000, 10));
    assert_eq!(dataset.train.class_counts(10), [6_000; 10]);
    assert_eq!(test.class_counts(10), [1_000; 10]);
    assert_eq!(test.labels()[786], 8);
}
