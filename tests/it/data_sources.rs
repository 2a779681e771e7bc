//! One data set in every form that people have, and what is wrong with the others.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use convnet::data::image::Resize;
use convnet::data::options::{Channels, ImageSize};
use convnet::data::{Dataset, LoadOptions, registry};
use convnet::error::Error;
use tempfile::TempDir;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/images");

fn load(path: &Path, options: &LoadOptions) -> Result<Dataset, Error> {
    registry::load_with(path.to_str().expect("UTF-8"), options)
}

fn failure(path: &Path, options: &LoadOptions) -> String {
    let error = load(path, options).expect_err("it cannot be used");
    assert_eq!(error.exit_code(), 3, "{error}");
    error.to_string()
}

/// Small images of another colour each, at these paths below a new folder.
fn images_at(paths: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (number, path) in paths.iter().enumerate() {
        write_image(&folder.path().join(path), (4, 3), number as u8 + 1);
    }
    folder
}

fn write_image(path: &Path, (width, height): (u32, u32), red: u8) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let image = image::RgbImage::from_fn(width, height, |x, y| image::Rgb([red, (x * 50) as u8, (y * 70) as u8]));
    image.save(path).unwrap();
}

fn cifar_sample() -> PathBuf {
    crate::program::assets().join("data/cifar10-sample")
}

/// Every file below `folder`, relative to it.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path.strip_prefix(folder).unwrap().to_owned()) }
        }
    }
    found
}

fn pack_tar(folder: &Path, to: impl Write) {
    let mut tar = tar::Builder::new(to);
    for file in files_below(folder) {
        tar.append_path_with_name(folder.join(&file), Path::new("set").join(&file)).unwrap();
    }
    tar.finish().unwrap();
}

fn pack_zip(folder: &Path, to: &Path, method: zip::CompressionMethod) {
    let mut zip = zip::ZipWriter::new(File::create(to).unwrap());
    let options = zip::write::SimpleFileOptions::default().compression_method(method);
    for file in files_below(folder) {
        zip.start_file(file.to_str().unwrap(), options).unwrap();
        zip.write_all(&fs::read(folder.join(&file)).unwrap()).unwrap();
    }
    zip.finish().unwrap();
}

/// CIFAR-10's binary form of a data set of 32×32 colour images.
fn write_cifar_binary(dataset: &Dataset, folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    for (name, samples) in [("data_batch_1.bin", &dataset.train), ("test_batch.bin", dataset.test.as_ref().unwrap())] {
        let mut bytes = Vec::new();
        for (index, &label) in samples.labels().iter().enumerate() {
            let image = samples.image(index).unwrap();
            bytes.push(label as u8);
            (0..3).for_each(|channel| bytes.extend(image.iter().skip(channel).step_by(3)));
        }
        fs::write(folder.join(name), bytes).unwrap();
    }
    fs::write(folder.join("batches.meta.txt"), dataset.classes.join("\n")).unwrap();
}

fn fingerprints(dataset: &Dataset) -> Vec<String> {
    dataset.splits().map(|(_, samples)| samples.fingerprint()).collect()
}

#[test]
#[ignore = "needs CONVNET_TEST_ASSETS"]
fn cifar_10_has_one_fingerprint_in_every_form() {
    let sample = cifar_sample();
    let options = LoadOptions::default();
    let folders = load(&sample, &options).unwrap();
    assert_eq!((folders.train.len(), folders.test.as_ref().unwrap().len(), folders.classes.len()), (2000, 500, 10));
    assert_eq!(folders.train.shape().to_string(), "32 wide × 32 high, 3 channels");
    let other = tempfile::tempdir().unwrap();
    let at = |name: &str| other.path().join(name);
    pack_tar(&sample, File::create(at("set.tar")).unwrap());
    let gzip = flate2::write::GzEncoder::new(File::create(at("set.tar.gz")).unwrap(), flate2::Compression::fast());
    pack_tar(&sample, gzip);
    pack_zip(&sample, &at("stored.zip"), zip::CompressionMethod::Stored);
    pack_zip(&sample, &at("deflated.zip"), zip::CompressionMethod::Deflated);
    write_cifar_binary(&folders, &at("binary"));
    for name in ["set.tar", "set.tar.gz", "stored.zip", "deflated.zip", "binary"] {
        let dataset = load(&at(name), &options).unwrap();
        assert_eq!(fingerprints(&dataset), fingerprints(&folders), "{name}");
        assert_eq!(dataset.classes, folders.classes, "{name}");
    }
}

#[test]
fn manifests_name_files_beside_them() {
    let folder = images_at(&["a/1.png", "b/2.png", "3.png"]);
    let csv = folder.path().join("set.csv");
    fs::write(&csv, "path,label,split\na/1.png,cat,train\nb/2.png,dog,\n3.png,dog,test\n").unwrap();
    let lacking = load(&csv, &LoadOptions::default()).unwrap();
    assert_eq!(lacking.notes, ["there are no test images of the classes \"cat\""], "it is said");
    assert_eq!(lacking.test.unwrap().labels(), [1]);
    fs::write(&csv, "path,label\nb/2.png,dog\na/1.png,cat\n").unwrap();
    let dataset = load(&csv, &LoadOptions::default()).unwrap();
    assert_eq!((dataset.name.as_str(), dataset.classes.join(" ").as_str()), ("set", "cat dog"));
    assert_eq!((dataset.train.labels(), dataset.train.image(0).unwrap()[0]), (&[1, 0][..], 2));
    fs::write(&csv, "path,label\nnone.png,dog\n").unwrap();
    assert!(failure(&csv, &LoadOptions::default()).contains("none.png"));
}

#[test]
fn a_folder_with_metadata_is_read_as_its_lines_say() {
    let folder = images_at(&["train/1.png", "train/b/2.png", "test/3.png"]);
    fs::write(folder.path().join("train/metadata.csv"), "file_name,label\n1.png,cat\nb/2.png,dog\n").unwrap();
    fs::write(folder.path().join("test/metadata.jsonl"), "{\"file_name\": \"3.png\", \"label\": \"dog\"}\n").unwrap();
    let dataset = load(folder.path(), &LoadOptions::default()).unwrap();
    assert_eq!((dataset.classes.join(" "), dataset.train.labels()), ("cat dog".to_owned(), &[0, 1][..]));
    assert_eq!((dataset.train.image(1).unwrap()[0], dataset.test.unwrap().labels()), (2, &[1][..]));
    assert_eq!(dataset.notes, ["there are no test images of the classes \"cat\""]);
    // the file alone is a manifest
    let csv = folder.path().join("train/metadata.csv");
    assert_eq!(load(&csv, &LoadOptions::default()).unwrap().train.fingerprint(), dataset.train.fingerprint());
    fs::write(&csv, "file_name,label\n1.png,cat\nnone.png,dog\n").unwrap();
    assert!(failure(folder.path(), &LoadOptions::default()).contains("none.png"));
    fs::remove_file(folder.path().join("test/metadata.jsonl")).unwrap();
    fs::write(&csv, "file_name,caption\n1.png,a cat\n").unwrap();
    let error = failure(folder.path(), &LoadOptions::default());
    assert!(
        error.contains("train/metadata.csv names the classes where it has the columns file_name and label"),
        "{error}"
    );
}

#[test]
fn the_size_and_the_channels_can_be_chosen() {
    let folder = images_at(&["a/1.png", "b/2.png"]);
    assert_eq!(
        load(folder.path(), &LoadOptions::default()).unwrap().train.shape().to_string(),
        "4 wide × 3 high, 3 channels"
    );
    write_image(&folder.path().join("b/3.png"), (7, 9), 3);
    let error = failure(folder.path(), &LoadOptions::default());
    for part in ["differ in size", "expected 4 wide × 3 high in", "got 7 wide × 9 high in", "b/3.png", "`image_size`"]
    {
        assert!(error.contains(part), "{part}: {error}");
    }
    let image_size = Some(ImageSize { height: 5, width: 6 });
    for (channels, resize, shape) in [
        (Channels::Auto, Resize::Stretch, "6 wide × 5 high, 3 channels"),
        (Channels::Grayscale, Resize::Fit, "6 wide × 5 high, 1 channel"),
        (Channels::Rgb, Resize::Crop, "6 wide × 5 high, 3 channels"),
    ] {
        let options = LoadOptions { image_size, channels, resize, ..LoadOptions::default() };
        assert_eq!(load(folder.path(), &options).unwrap().train.shape().to_string(), shape);
    }
    let grey = tempfile::tempdir().unwrap();
    fs::create_dir(grey.path().join("class")).unwrap();
    fs::copy(Path::new(FIXTURES).join("grey.png"), grey.path().join("class/1.png")).unwrap();
    assert_eq!(load(grey.path(), &LoadOptions::default()).unwrap().train.shape().channels, 1);
}

#[test]
fn arrays_are_resized_too() {
    let options = LoadOptions { image_size: Some("14".parse().unwrap()), ..LoadOptions::default() };
    let digits = registry::load_with("digits:20", &options).unwrap();
    assert_eq!(digits.train.shape().to_string(), "14 wide × 14 high, 1 channel");
    assert_eq!(digits.test.unwrap().shape(), digits.train.shape());
}

#[test]
fn splits_are_folders() {
    let folder = images_at(&["train/a/1.png", "train/b/2.png", "valid/a/3.png", "valid/b/4.png", "test/a/5.png"]);
    fs::create_dir(folder.path().join("test/b")).unwrap();
    let dataset = load(folder.path(), &LoadOptions::default()).unwrap();
    let sizes: Vec<String> = dataset.splits().map(|(split, samples)| format!("{split} {}", samples.len())).collect();
    assert_eq!(sizes, ["train 2", "validation 2", "test 1"]);
    write_image(&folder.path().join("test/c/6.png"), (4, 3), 6);
    let error = failure(folder.path(), &LoadOptions::default());
    assert!(error.contains("missing in test: none; in test alone: \"c\""), "{error}");
}

#[test]
fn images_can_be_left_out() {
    let folder = images_at(&["a/1.png", "a/2.png", "b/3.png", "b/4.png"]);
    fs::write(folder.path().join("a/2.png"), b"damaged").unwrap();
    let error = failure(folder.path(), &LoadOptions::default());
    assert!(error.contains("2.png") && error.contains("data check"), "{error}");
    let list = folder.path().join("list.csv");
    let options = LoadOptions { exclude: Some(list.clone()), ..LoadOptions::default() };
    let path = folder.path().join("a/2.png");
    fs::write(&list, format!("problem,split,index,path\nx,train,1,\"{}\"\nx,train,3,\n", path.display())).unwrap();
    let dataset = load(folder.path(), &options).unwrap();
    assert_eq!((dataset.train.len(), dataset.train.labels()), (2, &[0, 1][..]));
    for (text, part) in [
        ("split,index\ntrain,4\n", "expected 0 to 3, got 4"),
        ("split,index\ntest,0\n", "no such split"),
        ("split,index,path\ntrain,0,other.png\n", "another one"),
        ("split,index\ntrain,0\ntrain,1\ntrain,2\ntrain,3\n", "every image of train"),
        ("split,index\ntrain,0\ntrain,1\n", "every image of a in train"),
        ("index\n0\n", "the list of images to exclude has no column \"split\""),
        ("train,0\n", "a first line with split,index, got \"train\", \"0\""),
        ("split,index\ntrain\n", "expected 2 fields"),
        ("split,index\ntrain,-1\n", "expected 0 to 3, got -1"),
    ] {
        fs::write(&list, text).unwrap();
        assert!(failure(folder.path(), &options).contains(part), "{text}");
    }
}

#[test]
fn a_list_holds_however_the_data_set_is_named() {
    let folder = images_at(&["set/a/1.png", "set/a/2.png", "set/b/3.png", "set/b/4.png"]);
    let at = |name: &str| folder.path().join(name);
    pack_tar(&at("set"), File::create(at("set.tar")).unwrap());
    fs::write(at("set.csv"), "path,label\nset/a/1.png,a\nset/a/2.png,a\nset/b/3.png,b\nset/b/4.png,b\n").unwrap();
    let list = at("list.csv");
    let options = LoadOptions { exclude: Some(list.clone()), ..LoadOptions::default() };
    let kept = |data: &str, path: &str| {
        fs::write(&list, format!("split,index,path\ntrain,1,{path}\n")).unwrap();
        load(&at(data), &options).map(|dataset| dataset.train.len())
    };
    for path in ["set/a/2.png", "./a/2.png", "a/2.png", "/elsewhere/set/a/2.png", "../x/a/2.png"] {
        assert_eq!(kept("set", path).unwrap(), 3, "{path}");
    }
    assert_eq!(kept("set.tar", "old/set.tar/set/a/2.png").unwrap(), 3);
    assert_eq!(kept("set.csv", "x/set/a/2.png").unwrap(), 3);
    for (data, path) in
        [("set", "b/2.png"), ("set", "xa/2.png"), ("set.tar", "set.tar/set/a/1.png"), ("set.csv", "a/2.png")]
    {
        assert!(kept(data, path).unwrap_err().to_string().contains("another one"), "{data} {path}");
    }
}

/// Arrays as NumPy would write them: `name.npy` with a header of this kind and shape.
fn write_npz(path: &Path, arrays: &[(&str, &str, &str, Vec<u8>)]) {
    let mut zip = zip::ZipWriter::new(File::create(path).unwrap());
    for (name, kind, shape, bytes) in arrays {
        zip.start_file(format!("{name}.npy"), zip::write::SimpleFileOptions::default()).unwrap();
        let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n");
        zip.write_all(b"\x93NUMPY\x01\x00").unwrap();
        zip.write_all(&(header.len() as u16).to_le_bytes()).unwrap();
        zip.write_all(header.as_bytes()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
}

#[test]
fn a_keras_npz_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.npz");
    let images = |count: u8| (0..count * 4).collect::<Vec<u8>>();
    let long = |labels: &[i64]| labels.iter().flat_map(|label| label.to_le_bytes()).collect::<Vec<u8>>();
    write_npz(
        &path,
        &[
            ("x_test", "|u1", "(1, 2, 2)", images(1)),
            ("x_train", "|u1", "(3, 2, 2)", images(3)),
            ("y_train", "<i8", "(3,)", long(&[0, 2, 1])),
            ("y_test", ">i2", "(1, 1)", vec![0, 3]),
        ],
    );
    let dataset = load(&path, &LoadOptions::default()).unwrap();
    assert_eq!((dataset.name.as_str(), dataset.classes.len()), ("tiny", 4));
    assert_eq!(
        (dataset.train.labels(), dataset.train.image(2).unwrap().to_vec()),
        (&[0, 2, 1][..], vec![8, 9, 10, 11])
    );
    assert_eq!(
        (dataset.test.unwrap().labels(), dataset.train.shape().to_string().as_str()),
        (&[3][..], "2 wide × 2 high, 1 channel")
    );
}

#[test]
fn an_npz_that_is_no_data_set_is_refused_with_a_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.npz");
    let images = |count: u8| (0..count * 4).collect::<Vec<u8>>();
    let long = |labels: &[i64]| labels.iter().flat_map(|label| label.to_le_bytes()).collect::<Vec<u8>>();
    let train = ("x_train", "|u1", "(3, 2, 2)", images(3));
    for (arrays, part) in [
        (vec![train.clone()], "y_train"),
        (vec![train.clone(), ("y_train", "<i8", "(2,)", long(&[0, 1]))], "expected 3 in y_train, got 2"),
        (vec![train.clone(), ("y_train", "<f4", "(3,)", vec![0; 12])], "not whole numbers"),
        (vec![train.clone(), ("y_train", "<i8", "(3,)", long(&[0, -1, 1]))], "label of image 1"),
        (vec![train.clone(), ("y_train", "<u8", "(3,)", vec![0xff; 24])], "not whole numbers"),
        (vec![train.clone(), ("y_train", "<i8", "(3,)", long(&[0, 1, i64::MAX]))], "out of range"),
        (
            vec![("x_train", "<f4", "(3, 2, 2)", vec![0; 48]), ("y_train", "|u1", "(3,)", vec![0; 3])],
            "(array * 255).round().astype('uint8')",
        ),
        (
            vec![("x_train", "<f4", "(3, 2, 2)", [0, 0, 0, 64].repeat(12)), ("y_train", "|u1", "(3,)", vec![0; 3])],
            "with array.astype('uint8')",
        ),
        (
            vec![("x_train", "<u2", "(3, 2, 2)", vec![0; 24]), ("y_train", "|u1", "(3,)", vec![0; 3])],
            "(array // 257).astype('uint8')",
        ),
        (vec![train.clone(), ("y_train", "<f4", "(3, 2)", vec![0; 24])], "array.argmax(1)"),
        (vec![train.clone(), ("y_train", "<f8", "(3,)", vec![0; 24])], "array.astype('int64')"),
        (vec![train.clone(), ("y_train", "<U1", "(3,)", vec![0; 12])], "np.unique(array, return_inverse=True)[1]"),
        (
            vec![("x_train", "|u1", "(3, 2, 3)", images(3)), ("y_train", "|u1", "(3,)", vec![0; 3])],
            "18 bytes of numbers",
        ),
        (
            vec![("x_train", "|u1", "(3, 1, 2, 2)", images(3)), ("y_train", "|u1", "(3,)", vec![0; 3])],
            "got images of 2 wide × 1 high, 2 channels (",
        ),
        (
            vec![("x_train", "|u1", "(3, 1, 1, 4)", images(3)), ("y_train", "|u1", "(3,)", vec![0; 3])],
            "without alpha: array[..., :3]",
        ),
        (vec![("other", "|u1", "(1,)", vec![0])], "got other.npy"),
    ] {
        write_npz(&path, &arrays);
        assert!(
            failure(&path, &LoadOptions::default()).contains(part),
            "{part}: {}",
            failure(&path, &LoadOptions::default())
        );
    }
}
