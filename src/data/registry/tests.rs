use std::fs;
use std::io::Write;
use std::sync::atomic::Ordering;

use flate2::Compression;
use flate2::write::GzEncoder;
use md5::{Digest, Md5};
use tempfile::TempDir;

use super::download::tests::{Reply, Server, patient};
use super::known::KnownFile;
use super::*;
use crate::data::{Dataset, ImageShape};
use crate::files::hex;

/// Two 1×1 images of classes 0 and 1: the four published files' bytes, in the table's order.
fn tiny_files() -> [(&'static str, Vec<u8>); 4] {
    let images = gzip(&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 10, 20]);
    let labels = gzip(&[0, 0, 8, 1, 0, 0, 0, 2, 0, 1]);
    let contents = [images.clone(), labels.clone(), images, labels];
    let mut contents = contents.into_iter();
    std::array::from_fn(|index| (KNOWN_SETS[0].files[index].name, contents.next().expect("four contents")))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn write_tiny(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    for (name, bytes) in tiny_files() {
        fs::write(folder.join(name), bytes).unwrap();
    }
}

/// A home with an own folder, `own`, and a cache, `cache`.
fn home(mirror: Option<&str>) -> (TempDir, DataDirs) {
    let home = tempfile::tempdir().unwrap();
    let surroundings = DataDirs {
        folders: vec![home.path().join("missing"), home.path().join("own")],
        cache: Some(home.path().join("cache")),
        mirror: mirror.map(String::from),
        network: patient(),
    };
    (home, surroundings)
}

fn load_here(source: &str, options: &LoadOptions, purpose: Purpose, surroundings: &DataDirs) -> Result<Dataset> {
    load_from(source, options, purpose, surroundings)?.into_dataset()
}

fn load_error(source: &str) -> String {
    let (_home, surroundings) = home(None);
    let error = load_here(source, &LoadOptions::default(), Purpose::Train, &surroundings).unwrap_err();
    assert_eq!(error.exit_code(), 3, "{error}");
    error.to_string()
}

#[test]
fn digits_are_built_in() {
    let (_home, surroundings) = home(None);
    let dataset = load_here("digits:20:7", &LoadOptions::default(), Purpose::Train, &surroundings).unwrap();
    assert_eq!((dataset.name.as_str(), dataset.train.len()), ("digits", 20));
    assert_eq!(
        load_here("digits:many", &LoadOptions::default(), Purpose::Train, &surroundings).unwrap_err().exit_code(),
        2
    );
}

#[test]
fn a_folder_is_read_and_recognised_by_its_name() {
    let (home, surroundings) = home(None);
    for (folder, name, class) in [("pairs", "pairs", "1"), ("Fashion_MNIST", "fashion-mnist", "Trouser")] {
        let folder = home.path().join(folder);
        write_tiny(&folder);
        let dataset =
            load_here(folder.to_str().unwrap(), &LoadOptions::default(), Purpose::Train, &surroundings).unwrap();
        assert_eq!((dataset.name.as_str(), dataset.classes[1].as_str()), (name, class));
    }
}

#[test]
fn a_known_name_is_found_in_the_users_own_folders_first() {
    let (home, surroundings) = home(Some("http://name.invalid"));
    write_tiny(&home.path().join("own/kmnist"));
    fs::create_dir_all(home.path().join("missing/kmnist")).unwrap();
    let dataset = load_here("KMNIST", &LoadOptions::default(), Purpose::Train, &surroundings).unwrap();
    assert_eq!((dataset.name.as_str(), dataset.classes[1].as_str()), ("kmnist", "ki"));
    assert!(!home.path().join("cache").exists());
    fs::remove_file(home.path().join("own/kmnist/train-labels-idx1-ubyte.gz")).unwrap();
    let error = load_here("kmnist", &LoadOptions::default(), Purpose::Train, &surroundings).unwrap_err().to_string();
    assert!(error.contains("own/kmnist") && error.contains("missing"), "{error}");
}

#[test]
fn a_set_that_is_there_is_not_downloaded() {
    let (home, surroundings) = home(Some("http://name.invalid"));
    for (place, name) in [("own/mnist", "mnist"), ("own/FashionMNIST/raw", "fashion-mnist"), ("cache/kmnist", "kmnist")]
    {
        write_tiny(&home.path().join(place));
        assert_eq!(download_to(name, &surroundings).unwrap(), (home.path().join(place), true));
    }
    assert!(download_to("cifar10", &surroundings).is_err());
}

#[test]
fn images_that_hold_columns_first_are_turned_upright() {
    let (home, surroundings) = home(None);
    let folder = home.path().join("emnist");
    fs::create_dir(&folder).unwrap();
    // 2 high, 3 wide
    let images = [0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6];
    fs::write(folder.join("train-images-idx3-ubyte"), images).unwrap();
    fs::write(folder.join("train-labels-idx1-ubyte"), [0, 0, 8, 1, 0, 0, 0, 1, 0]).unwrap();
    let load = |source: &str| load_here(source, &LoadOptions::default(), Purpose::Train, &surroundings);
    let source = format!("{}:upright", folder.display());
    let upright = load(&source).unwrap().train;
    // NumPy: np.arange(1, 7).reshape(2, 3).T.ravel()
    assert_eq!((upright.shape().height, upright.pixels().unwrap()), (3, &[1, 4, 2, 5, 3, 6][..]));
    assert_eq!(load(&folder.display().to_string()).unwrap().train.pixels().unwrap(), [1, 2, 3, 4, 5, 6]);
    assert_eq!(
        (split_upright(&source).1, canonical("EMNIST_letters:upright").as_str()),
        (true, "emnist-letters:upright")
    );
    fs::create_dir_all(home.path().join("set/a")).unwrap();
    let error = load(&format!("{}:upright", home.path().join("set").display())).unwrap_err();
    assert!(error.exit_code() == 2 && error.to_string().contains("IDX files"), "{error}");
}

#[test]
fn files_in_the_cache_are_read_without_a_checksum() {
    let (home, surroundings) = home(Some("http://name.invalid"));
    write_tiny(&home.path().join("cache/mnist"));
    assert_eq!(
        load_here("mnist", &LoadOptions::default(), Purpose::Train, &surroundings).unwrap().train.pixels().unwrap(),
        [10, 20]
    );
}

#[test]
fn a_known_set_is_downloaded_once_from_the_named_mirror() {
    let server = Server::start(|path| {
        let file = tiny_files().into_iter().find(|(name, _)| path == format!("/base/tiny/{name}"));
        file.map_or(Reply::new("404 Not Found", 0, b""), |(_, bytes)| Reply::ok(&bytes))
    });
    let (home, surroundings) = home(Some(&format!("{}base/", server.url)));
    let files =
        tiny_files().map(|(name, bytes)| KnownFile { name, md5: hex(&Md5::digest(bytes)).leak(), members: &[] });
    let tiny = KnownSet {
        name: "tiny",
        torchvision: None,
        classes: &["a", "b"],
        licence: "none",
        mirrors: &["http://name.invalid/"],
        files: Vec::from(files).leak(),
        train_labels_sha256: None,
    };
    for _ in 0..2 {
        let splits = load_known(&tiny, &surroundings).unwrap();
        assert_eq!(
            (splits.classes.clone(), splits.into_dataset().unwrap().train.len()),
            (vec!["a".to_string(), "b".to_string()], 2)
        );
    }
    assert_eq!(server.num_requests.load(Ordering::SeqCst), 4);
    assert!(home.path().join("cache/tiny/t10k-labels-idx1-ubyte.gz").is_file());
}

#[test]
fn published_weights_are_downloaded_once_and_checked() {
    let server = Server::start(|path| match path {
        "/weights/net-9f86d081.pth" => Reply::ok(b"test"),
        "/weights/net-00000000.pth" => Reply::ok(b"other"),
        _ => Reply::new("404 Not Found", 0, b""),
    });
    let (home, surroundings) = home(Some(&server.url));
    for _ in 0..2 {
        // sha256sum: 9f86d081884c7d65… of "test"
        let path = weights_of("https://name.invalid/a/net-9f86d081.pth", "9f86d081", &surroundings).unwrap();
        assert_eq!(fs::read(path).unwrap(), b"test");
    }
    assert_eq!(server.num_requests.load(Ordering::SeqCst), 1);
    let error = weights_of("https://name.invalid/net-00000000.pth", "00000000", &surroundings).unwrap_err().to_string();
    assert!(error.contains("wrong checksum, expected sha256 00000000"), "{error}");
    assert!(!home.path().join("cache/weights/net-00000000.pth").exists());
    let error =
        weights_of("https://name.invalid/none-12345678.pth", "12345678", &surroundings).unwrap_err().to_string();
    assert!(error.contains("put it into"), "{error}");
}

#[test]
fn without_a_network_the_error_tells_the_way_out() {
    let (home, surroundings) = home(Some("http://name.invalid"));
    let error = load_here("fashion-mnist", &LoadOptions::default(), Purpose::Train, &surroundings).unwrap_err();
    assert_eq!(error.exit_code(), 3);
    let folder = home.path().join("cache/fashion-mnist").display().to_string();
    for part in ["http://name.invalid/fashion-mnist/train-images-idx3-ubyte.gz: ", "by hand", &folder] {
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
    assert!(!error.to_string().contains("is kept"), "nothing came: {error}");
}

#[test]
fn without_a_home_there_is_nowhere_to_download_to() {
    let (_home, mut surroundings) = home(None);
    surroundings.cache = None;
    assert_eq!(load_here("mnist", &LoadOptions::default(), Purpose::Train, &surroundings).unwrap_err().exit_code(), 2);
}

#[test]
fn only_published_sets_are_downloaded() {
    for (name, what) in [("digits", "drawn, not downloaded"), ("./x", "no data set to download")] {
        let error = download(name).unwrap_err().to_string();
        assert!(error.contains(what) && error.contains("one of fashion-mnist, mnist"), "{error}");
        assert!(!error.contains("manifest"), "{error}");
    }
}

#[test]
fn what_is_no_data_set_is_told_apart() {
    assert!(load_error("fashon-mnist").contains("did you mean fashion-mnist?"));
    let error = load_error("imagenet");
    assert!(
        error.contains("digits, fashion-mnist, mnist, kmnist, emnist-letters, emnist-balanced, cifar10, cifar100")
            && !error.contains("did you mean"),
        "{error}"
    );
    assert!(load_error("").contains("unknown"));
    for path in ["./nowhere/mnist", "nowhere.npz"] {
        assert!(load_error(path).contains("no such file or folder"));
    }
    let folder = tempfile::tempdir().unwrap();
    assert!(load_error(folder.path().to_str().unwrap()).contains("no images in class folders"));
    let archive = folder.path().join("mnist.npz");
    fs::write(&archive, b"PK").unwrap();
    let error = load_error(archive.to_str().unwrap());
    assert!(error.contains("no .npz") && error.contains("mnist.npz"), "{error}");
    let text = folder.path().join("notes.txt");
    fs::write(&text, "hello").unwrap();
    assert!(load_error(text.to_str().unwrap()).contains("a folder of IDX files"));
    assert!(load_error(archive.join("inside").to_str().unwrap()).contains("cannot look"));
    assert!(load_error("a\0b").contains("cannot look"));
}

#[test]
#[ignore = "needs CONVNET_TEST_ASSETS"]
fn fashion_mnist_is_recognised_by_its_labels() {
    let assets = std::env::var_os("CONVNET_TEST_ASSETS").expect("CONVNET_TEST_ASSETS is set");
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(Path::new(&assets).join("data/fashion-mnist")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    let (_home, surroundings) = home(None);
    let dataset =
        load_here(folder.path().to_str().unwrap(), &LoadOptions::default(), Purpose::Train, &surroundings).unwrap();
    assert_eq!((dataset.name.as_str(), dataset.classes[9].as_str()), ("fashion-mnist", "Ankle boot"));
    assert_eq!(dataset.classes[dataset.test.unwrap().labels()[786] as usize], "Bag");
}

#[test]
fn images_are_shaped_for_training_once_it_is_known_which_are_used() {
    let shape = ImageShape { height: 20, width: 24, channels: 3 };
    let options = LoadOptions::of_model(shape.into());
    let all = load_with("digits:60:1", &options).unwrap();
    let own = load_unshaped("digits:60:1", &options).unwrap();
    assert_eq!((all.train.shape(), own.train.shape()), (shape, load("digits:60:1").unwrap().train.shape()));
    assert_eq!(sources::shaped_for_training(own.clone(), &options).unwrap(), all);
    let some = Dataset { train: own.train.select(&[7, 3]).unwrap(), validation: own.test.clone(), ..own };
    let some = sources::shaped_for_training(some, &options).unwrap();
    assert_eq!((some.train, some.validation), (all.train.select(&[7, 3]).unwrap(), all.test));
    let impossible = LoadOptions::of_model(ImageShape { height: 0, ..shape }.into());
    assert!(load_unshaped("digits:60:1", &impossible).is_err());
}
