//! WebDataset's shards, written and read.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use convnet::data::options::Cache;
use convnet::data::{Dataset, LoadOptions, registry};

use crate::program::{convnet, failed, succeeded};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/web_dataset");

fn fingerprints(dataset: &Dataset) -> Vec<String> {
    dataset.splits().map(|(_, samples)| samples.fingerprint()).collect()
}

fn load(path: &Path) -> Dataset {
    load_with(path, &LoadOptions::default())
}

fn load_with(path: &Path, options: &LoadOptions) -> Dataset {
    registry::load_with(path.to_str().expect("UTF-8"), options).unwrap()
}

#[test]
fn shards_are_written_and_read_again_by_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("shards");
    let path = out.to_str().unwrap();
    let arguments = ["data", "export", "digits:60", "--format", "webdataset", "--out", path];
    assert_eq!(succeeded(&convnet(folder.path(), &arguments)).trim(), path);
    let written = fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let written: BTreeSet<String> = written.collect();
    assert_eq!(written, ["classes.csv", "test-000000.tar", "train-000000.tar"].map(String::from).into());
    let drawn = load(Path::new("digits:60"));
    let again = load(&out);
    assert_eq!((fingerprints(&again), &again.classes), (fingerprints(&drawn), &drawn.classes));
    let streamed = load_with(&out, &LoadOptions { cache: Cache::None, ..LoadOptions::default() }).train;
    let indices: Vec<usize> = (0..drawn.train.len()).collect();
    assert_eq!(streamed.images(&indices).unwrap(), drawn.train.images(&indices).unwrap());
}

#[test]
fn one_shard_and_compressed_shards_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let arguments = ["data", "export", "digits:60", "--format", "webdataset", "--out", "shards"];
    succeeded(&convnet(folder.path(), &arguments));
    let drawn = load(Path::new("digits:60"));
    fs::create_dir(at("packed")).unwrap();
    fs::copy(at("shards/classes.csv"), at("packed/classes.csv")).unwrap();
    for (from, to) in [("train-000000.tar", "train-000000.tar.gz"), ("test-000000.tar", "test-000000.TGZ")] {
        let packed = File::create(at("packed").join(to)).unwrap();
        let mut packed = flate2::write::GzEncoder::new(packed, flate2::Compression::fast());
        packed.write_all(&fs::read(at("shards").join(from)).unwrap()).unwrap();
        packed.finish().unwrap();
    }
    let again = load(&at("packed"));
    assert_eq!((fingerprints(&again), &again.classes), (fingerprints(&drawn), &drawn.classes));
    for name in ["shards/train-000000.tar", "packed/train-000000.tar.gz"] {
        let one = load(&at(name));
        assert_eq!((one.train.fingerprint(), &one.classes), (drawn.train.fingerprint(), &drawn.classes), "{name}");
        assert!(one.test.is_none() && one.name == "train-000000");
    }
    failed(&convnet(folder.path(), &["train", "-d", "shards/test-000000.tar"]), 3, "there are no training images");
    // texts beside the images of class folders are no labels
    succeeded(&convnet(folder.path(), &["data", "export", "digits:60", "--format", "png", "--out", "set"]));
    let images: Vec<_> = fs::read_dir(at("set/train/3")).unwrap().map(|entry| entry.unwrap().path()).collect();
    let mut tar = tar::Builder::new(File::create(at("set.tar")).unwrap());
    for (class, image) in ["a", "b"].iter().zip(&images) {
        tar.append_path_with_name(image, format!("{class}/1.png")).unwrap();
        tar.append_path_with_name(at("set/classes.csv"), format!("{class}/1.txt")).unwrap();
    }
    tar.finish().unwrap();
    assert_eq!(load(&at("set.tar")).classes, ["a", "b"]);
}

/// `scripts/fixtures/web_dataset.py` wrote the shards, and says what is in them.
#[test]
fn shards_of_the_python_package_are_read() {
    let at = |name: &str| Path::new(FIXTURES).join(name);
    let numbers = load(&at("numbers"));
    let names = load(&at("names"));
    assert_eq!(
        (numbers.classes.join(", "), names.classes.join(", ")),
        ("cat, a dog, emu".into(), "a dog, cat, emu".into())
    );
    assert_eq!((numbers.train.labels(), names.train.labels()), (&[0, 1, 2, 0, 1][..], &[1, 0, 2, 1][..]));
    for samples in [&numbers.train, &numbers.validation.unwrap(), &names.train] {
        assert_eq!(samples.shape().to_string(), "3 wide × 2 high, 3 channels");
        for index in 0..samples.len() {
            let expected: Vec<u8> = (0..18).map(|byte| (40 * index + 7 * byte) as u8).collect();
            assert_eq!(samples.image(index).unwrap().to_vec(), expected, "image {index}");
        }
    }
}
