use std::fs;

use super::*;

fn make(root: &Path, path: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, b"").unwrap();
}

#[test]
fn a_root_above_the_files_is_enough() {
    for (path, place) in [
        ("MNIST/raw/train-images-idx3-ubyte", "MNIST/raw"),
        ("raw/train-images-idx3-ubyte", "raw"),
        ("fashion-mnist/t10k-images-idx3-ubyte.gz", "fashion-mnist"),
        ("cifar-10-batches-bin/data_batch_1.bin", "cifar-10-batches-bin"),
    ] {
        let root = tempfile::tempdir().unwrap();
        make(root.path(), path);
        make(root.path(), "notes/a.txt");
        assert_eq!(find(root.path()).unwrap().unwrap(), root.path().join(place));
    }
    let root = tempfile::tempdir().unwrap();
    assert_eq!(find(root.path()).unwrap(), None);
    make(root.path(), "cifar-10-batches-py/data_batch_1");
    let error = find(root.path()).unwrap_err().to_string();
    assert!(error.contains("pickles") && error.contains("cifar-10-batches-py"), "{error}");
    make(root.path(), "MNIST/raw/train-images-idx3-ubyte");
    assert!(find(root.path()).unwrap().unwrap().ends_with("MNIST/raw"));
    make(root.path(), "KMNIST/raw/train-images-idx3-ubyte");
    let error = find(root.path()).unwrap_err().to_string();
    assert!(error.contains("several") && error.contains("KMNIST/raw"), "{error}");
}
