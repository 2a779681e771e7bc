//! Training on images from files: the same numbers from every form of a data set and from every way to feed it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::program::{convnet, failed, json, succeeded};
use convnet::data::registry;
use serde_json::Value;

const SOME: [&str; 2] = ["--validation", "100"];

fn train(at: &Path, data: &Path, run: &str, more: &[&str]) -> Value {
    let epochs: &[&str] = if more.contains(&"--epochs") { &[] } else { &["--epochs", "1"] };
    let fixed = ["--device", "cpu", "--progress", "none", "--json"];
    let args =
        [&["train", "--data", data.to_str().unwrap(), "--run", run, "--name", run], epochs, &fixed, more].concat();
    json(&convnet(at, &args))
}

fn fingerprint(at: &Path, run: &str) -> Value {
    let text = fs::read_to_string(at.join("logs").join(run).join("run.json")).unwrap();
    serde_json::from_str::<Value>(&text).unwrap()["data"]["fingerprint"].clone()
}

/// CIFAR-10's sample, as an archive and as CIFAR's binary files beside it.
fn forms(sample: &Path, at: &Path) -> [PathBuf; 2] {
    let tar = at.join("sample.tar");
    let mut builder = tar::Builder::new(fs::File::create(&tar).unwrap());
    builder.append_dir_all("sample", sample).unwrap();
    builder.finish().unwrap();
    let dataset = registry::load(sample.to_str().unwrap()).unwrap();
    let binary = at.join("binary");
    fs::create_dir(&binary).unwrap();
    for (name, samples) in [("data_batch_1.bin", &dataset.train), ("test_batch.bin", dataset.test.as_ref().unwrap())] {
        let mut bytes = Vec::new();
        for (index, &label) in samples.labels().iter().enumerate() {
            let image = samples.image(index).unwrap();
            bytes.push(label as u8);
            (0..3).for_each(|channel| bytes.extend(image.iter().skip(channel).step_by(3)));
        }
        fs::write(binary.join(name), bytes).unwrap();
    }
    fs::write(binary.join("batches.meta.txt"), dataset.classes.join("\n")).unwrap();
    [tar, binary]
}

#[test]
#[ignore = "needs CONVNET_TEST_ASSETS"]
fn one_data_set_gives_one_loss_in_every_form_and_however_it_is_fed() {
    let assets = crate::program::assets();
    let sample = Path::new(&assets).join("data/cifar10-sample");
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let [tar, binary] = forms(&sample, at);
    let folders = train(at, &sample, "folders", &SOME);
    for (data, run) in [(&tar, "tar"), (&binary, "binary")] {
        let other = train(at, data, run, &SOME);
        assert_eq!(fingerprint(at, run), fingerprint(at, "folders"));
        for key in ["loss", "val_loss"] {
            assert_eq!(other["epochs"][0][key], folders["epochs"][0][key], "{run} {key}");
        }
        assert_eq!(other["test"], folders["test"], "{run}");
    }
    for (run, cache) in [("none", "none"), ("ram", "ram"), ("disk", "disk"), ("again", "disk")] {
        let other = train(at, &sample, run, &[&SOME[..], &["--cache", cache]].concat());
        for key in ["loss", "val_loss"] {
            assert_eq!(other["epochs"][0][key], folders["epochs"][0][key], "{run} {key}");
        }
        assert_eq!(other["test"], folders["test"], "{run}");
        let weights = |run: &str| fs::read(at.join(format!("models/{run}.safetensors"))).unwrap();
        assert!(weights(run) == weights("folders"), "the same bits after an epoch with --cache {cache}");
    }
    let decoded = fs::read_dir(at.join("cache/convnet/decoded")).unwrap();
    assert_eq!(decoded.count(), 2, "train and test are decoded once");
}

#[test]
fn what_was_done_to_the_images_is_kept_in_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for class in 0..2u8 {
        fs::create_dir_all(at.join(format!("set/{class}"))).unwrap();
        for number in 0..20 {
            // bright in the middle or at the sides
            let image = image::GrayImage::from_fn(24, 12, |x, _| {
                image::Luma([if (6..18).contains(&x) == (class == 0) { 250 } else { number }])
            });
            image.save(at.join(format!("set/{class}/{number}.png"))).unwrap();
        }
    }
    let options = ["--image-size", "12", "--resize", "crop", "--validation", "4", "--no-check"];
    train(at, &at.join("set"), "crop", &options);
    let model: Value = serde_json::from_str(&fs::read_to_string(at.join("models/crop.json")).unwrap()).unwrap();
    assert_eq!(model["convnet"]["input"]["resize"], "crop");
    assert_eq!(model["convnet"]["input"]["width"], 12);
    let predict = |image: &str| json(&convnet(at, &["predict", "models/crop", image, "--json", "--device", "cpu"]));
    let whole = predict("set/0/3.png");
    // what the crop leaves, as an image of its own
    let middle = image::open(at.join("set/0/3.png")).unwrap().crop_imm(6, 0, 12, 12);
    middle.save(at.join("middle.png")).unwrap();
    let probabilities = |document: &Value| document["predictions"][0]["probabilities"].clone();
    assert_eq!(probabilities(&whole), probabilities(&predict("middle.png")));
    let evaluated = json(&convnet(
        at,
        &["evaluate", "models/crop", "--data", "set", "--split", "train", "--json", "--device", "cpu"],
    ));
    assert_eq!(evaluated["count"], 40);
}

#[test]
fn a_small_set_is_trained_on_and_its_classes_counted_without_a_flag() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for (class, count) in [("cat", 23u8), ("dog", 2)] {
        fs::create_dir_all(at.join("set").join(class)).unwrap();
        for number in 0..count {
            let image = image::GrayImage::from_fn(12, 12, |x, y| image::Luma([(x * y) as u8 + number]));
            image.save(at.join(format!("set/{class}/{number}.png"))).unwrap();
        }
    }
    let fixed = ["--epochs", "1", "--device", "cpu", "--progress", "none", "--cache", "none"];
    let args = |more: &[&'static str]| [&["train", "--data", "set"], &fixed[..], more].concat();
    let output = convnet(at, &args(&["--run", "a"]));
    succeeded(&output);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("data: 1 rare class"), "{stderr}");
    let run: Value = serde_json::from_str(&fs::read_to_string(at.join("logs/a/run.json")).unwrap()).unwrap();
    assert_eq!((&run["data"]["train"], &run["data"]["validation"]), (&22.into(), &3.into()));
    failed(&convnet(at, &args(&["--run", "b", "--limit-train", "1"])), 2, "as there are 2 classes");
    fs::write(at.join("set/cat/7.png"), b"no image").unwrap();
    failed(
        &convnet(at, &args(&["--run", "c", "--image-size", "12", "--channels", "1"])),
        3,
        "--exclude leaves them out",
    );
}

/// Ten images of one shade for each class, in `train` and in `test`.
fn write_shades(folder: &Path, classes: &[(&str, u8)]) {
    for split in ["train", "test"] {
        for (class, shade) in classes {
            let place = folder.join(split).join(class);
            fs::create_dir_all(&place).unwrap();
            for number in 0..10 {
                let image = image::GrayImage::from_pixel(12, 12, image::Luma([shade + number]));
                image.save(place.join(format!("{number}.png"))).unwrap();
            }
        }
    }
}

#[test]
fn classes_are_matched_by_name_with_the_model_s() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    write_shades(&at.join("d"), &[("ash", 0), ("bone", 120), ("chalk", 240)]);
    train(at, &at.join("d"), "shades", &["--validation", "test", "--epochs", "60", "--lr", "0.01", "-b", "10"]);
    let evaluate =
        |data: &str| convnet(at, &["evaluate", "models/shades", "--data", data, "--device", "cpu", "--json"]);
    assert_eq!(json(&evaluate("d"))["accuracy"], 1.0);
    // fewer classes, numbered otherwise
    write_shades(&at.join("few"), &[("bone", 120), ("chalk", 240)]);
    let report = json(&evaluate("few"));
    assert_eq!((&report["accuracy"], &report["count"]), (&1.0.into(), &20.into()));
    let index = ["--data", "few", "--index", "0", "--device", "cpu", "--json"];
    let report = json(&convnet(at, &[&["predict", "models/shades"], &index[..]].concat()));
    assert_eq!(report["predictions"][0]["expected"], 1);
    write_shades(&at.join("more"), &[("bone", 120), ("dust", 60)]);
    failed(&evaluate("more"), 3, "dust");
    failed(&convnet(at, &["evaluate", "models/shades", "--data", "few", "--split", "val"]), 3, "--split train or test");
    // of the data that the model was trained on it is known
    let validated = json(&convnet(at, &["evaluate", "models/shades", "--split", "val", "--device", "cpu", "--json"]));
    assert_eq!((&validated["accuracy"], &validated["count"]), (&1.0.into(), &30.into()));
}

/// The most threads called `images-N` that a training had at a time.
#[cfg(target_os = "linux")]
fn num_image_threads(at: &Path, num_threads: &str) -> usize {
    let mut command = Command::new(env!("CARGO_BIN_EXE_convnet"));
    let args =
        [&["train", "--threads", num_threads, "--epochs", "3", "--cache", "ram"], &crate::program::SMALL[..]].concat();
    command.env("XDG_CACHE_HOME", at).args(args).current_dir(at).stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    let tasks = format!("/proc/{}/task", child.id());
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        let tasks = fs::read_dir(&tasks).into_iter().flatten().flatten();
        let names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
        most = most.max(names.filter(|name| name.starts_with("images-")).count());
        std::thread::yield_now();
    }
    assert!(child.wait().unwrap().success());
    most
}

#[test]
#[cfg(target_os = "linux")]
fn as_many_threads_decode_as_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    for num_threads in ["1", "3"] {
        assert_eq!(num_image_threads(folder.path(), num_threads).to_string(), num_threads);
    }
}

#[test]
fn a_model_keeps_how_large_its_jpegs_are_decoded() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let drafts = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/drafts"));
    for (class, names) in [("straight", ["colour", "half_colour"]), ("other", ["grey", "turned"])] {
        fs::create_dir_all(at.join("photos").join(class)).unwrap();
        for name in names {
            let file = format!("{name}.jpg");
            fs::copy(drafts.join(&file), at.join("photos").join(class).join(&file)).unwrap();
        }
    }
    let size = ["--image-size", "12x19", "--channels", "3", "--validation", "none", "--no-check", "--model", "mlp"];
    let mut fingerprints = Vec::new();
    for decode in ["exact", "fast"] {
        train(at, Path::new("photos"), decode, &[&size[..], &["--decode", decode]].concat());
        let model = format!("models/{decode}");
        let saved: Value =
            serde_json::from_str(&fs::read_to_string(at.join(&model).with_extension("json")).unwrap()).unwrap();
        assert_eq!(saved["convnet"]["input"]["decode"], if decode == "fast" { "fast".into() } else { Value::Null });
        // the pixels that it was trained on, decoded anew as the model says
        let verified = succeeded(&convnet(at, &["verify", &model, "--data", "photos"]));
        assert!(verified.contains("data      holds"), "{verified}");
        fingerprints.push(fingerprint(at, decode));
    }
    assert_ne!(fingerprints[0], fingerprints[1]);
    failed(&convnet(at, &["train", "photos", "--decode", "quick"]), 2, "exact, fast");
}
