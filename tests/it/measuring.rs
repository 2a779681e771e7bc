//! `evaluate` and `predict` on data sets: which images, which classes, and what is said of them.

use std::fs;
use std::path::Path;
use std::process::Output;

use crate::program::{convnet, failed, json, succeeded, train, write_as_before_checksums};

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Class folders below `folder`, each with images of one shade.
fn write_classes(folder: &Path, classes: &[(&str, u8)], count: u8) {
    for (class, shade) in classes {
        fs::create_dir_all(folder.join(class)).unwrap();
        for number in 0..count {
            let image = image::GrayImage::from_pixel(28, 28, image::Luma([shade + number]));
            image.save(folder.join(class).join(format!("{number}.png"))).unwrap();
        }
    }
}

/// `convnet ARGS` on the CPU.
fn on_cpu(folder: &Path, args: &[&str]) -> Output {
    convnet(folder, &[args, &["--device", "cpu"]].concat())
}

#[test]
fn a_model_knows_what_it_was_trained_on() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let report = json(&train(at, &["--run", "a", "--json"]));
    let output = on_cpu(at, &["evaluate", "models/model"]);
    let text = succeeded(&output);
    assert!(text.starts_with("data      digits:600, test split, 100 images\n\n"), "{text}");
    let last: Vec<&str> = text.lines().rev().take(6).map(|line| line.split_whitespace().next().unwrap()).collect();
    assert_eq!(last, ["ECE", "balanced", "top-5", "accuracy", "loss", "images"], "the summary is in view");

    // the last epoch's weights on the images that it was validated on
    for model in ["models/model", "logs/a/checkpoints/last.json"] {
        let validated = json(&on_cpu(at, &["evaluate", model, "--split", "validation", "--json"]));
        assert_eq!(validated["count"], 60);
        let [was, is] = [&report["epochs"][1]["val_loss"], &validated["loss"]].map(|loss| loss.as_f64().unwrap());
        assert!((was - is).abs() < 1e-6, "{model}: {was} {is}");
    }
    json(&on_cpu(at, &["evaluate", "logs/a", "--split", "validation", "--data", "digits:600", "--json"]));
    failed(
        &on_cpu(at, &["evaluate", "models/model", "--data", "digits:700", "--split", "validation"]),
        3,
        "train or test",
    );

    // models and runs from before the key
    for path in ["models/model.json", "logs/a/checkpoints/best.json"] {
        write_as_before_checksums(&at.join(path), |document| {
            document["convnet"].as_object_mut().unwrap().remove("data").unwrap();
        });
    }
    failed(&on_cpu(at, &["evaluate", "models/model"]), 2, "--data");
    let validated = json(&on_cpu(at, &["evaluate", "logs/a", "--split", "validation", "--json"]));
    assert_eq!(validated["count"], 60, "run.json knows");
}

#[test]
fn names_decide_and_numbers_only_where_asked() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    succeeded(&train(at, &["--epochs", "1"]));
    write_classes(&at.join("clothes"), &[("bag", 0), ("boot", 100)], 3);
    let evaluate = |more: &[&str]| on_cpu(at, &[&["evaluate", "models/model", "--data", "clothes"], more].concat());
    failed(&evaluate(&[]), 3, "--match-by-number");
    failed(&on_cpu(at, &["predict", "models/model", "--data", "clothes"]), 3, "\"bag\", \"boot\"");
    let output = evaluate(&["--match-by-number"]);
    assert!(succeeded(&output).starts_with("data      clothes, train split, 6 images"), "the split that is there");
    assert!(stderr(&output).contains("compared by their numbers"));
    failed(&evaluate(&["--top-k", "0"]), 2, "whole number from 1");
    // known by name, a part of the classes, in one split alone, and one class that no image needs
    write_classes(&at.join("part/test"), &[("3", 0), ("7", 100)], 2);
    fs::create_dir(at.join("part/test/none")).unwrap();
    let output = on_cpu(at, &["evaluate", "models/model", "--data", "part"]);
    assert!(succeeded(&output).starts_with("data      part, test split, 4 images"));
    assert!(
        stderr(&output).contains("no test images of the classes \"0\", \"1\", \"2\", \"4\""),
        "{}",
        stderr(&output)
    );
    failed(&on_cpu(at, &["train", "--data", "part"]), 3, "no training images");
}

#[test]
fn a_split_or_a_part_of_it_is_predicted() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    succeeded(&train(at, &["--epochs", "1"]));
    let count = |more: &[&str]| {
        let document = json(&on_cpu(at, &[&["predict", "models/model", "--json"], more].concat()));
        document["predictions"].as_array().unwrap().len()
    };
    assert_eq!(count(&["--data", "digits:600"]), 100);
    assert_eq!(count(&["--index", "all"]), 100);
    assert_eq!(count(&["--data", "digits:600", "--index", "1,5,7-9"]), 5);
    let accuracy = json(&on_cpu(at, &["evaluate", "models/model", "--json"]))["accuracy"].as_f64().unwrap();
    assert_eq!(count(&["--wrong"]) as f64, (100.0 - 100.0 * accuracy).round());
    failed(&on_cpu(at, &["predict", "models/model", "--index", "0..9"]), 2, "7-9");
    failed(&on_cpu(at, &["predict", "models/model", "--index", "100"]), 3, "0 to 99, got 100");
    failed(&on_cpu(at, &["predict", "models/model"]), 2, "INPUT");
    failed(&on_cpu(at, &["predict", "models/model", "a.png", "--wrong"]), 2, "cannot be used with");
    succeeded(&on_cpu(at, &["predict", "models/model", "--wrong", "--out", "wrong.csv"]));
    let table = fs::read_to_string(at.join("wrong.csv")).unwrap();
    assert!(table.starts_with("input,index,label,class,probability,expected,predicted,true,p_0,"), "{table}");
}

#[test]
fn arrays_of_another_scale_are_warned_about() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    succeeded(&train(at, &["--epochs", "1"]));
    let write = |name: &str, value: f32| {
        let values = vec![value; 28 * 28];
        convnet::data::npy::write_f32(&at.join(name), &[1, 28, 28, 1], &values).unwrap();
    };
    write("bytes.npy", 200.0);
    write("unit.npy", 0.8);
    assert!(stderr(&on_cpu(at, &["predict", "models/model", "bytes.npy"])).contains("divide the array by 255"));
    // a plain picture is unlike digits, but its scale is theirs
    let scaled = stderr(&on_cpu(at, &["predict", "models/model", "unit.npy"]));
    assert!(!scaled.contains("the values are from") && !scaled.contains(": scaled"), "{scaled}");
}

#[test]
fn a_data_set_comes_back_from_an_export_under_its_true_names() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    write_classes(&at.join("set"), &[("boot", 0), ("bag", 100)], 4);
    fs::write(at.join("set/classes.csv"), "folder,class\nboot,Boot/high\nbag,Bag\n").unwrap();
    let epochs = ["--epochs", "1", "--device", "cpu", "-q", "--json", "--validation", "2"];
    let first = json(&convnet(at, &[&["train", "--data", "set"], &epochs[..]].concat()));
    succeeded(&convnet(at, &["data", "export", "set", "--format", "png", "--out", "again"]));
    assert!(at.join("again/train/Boot-high").is_dir());
    let again = json(&convnet(at, &[&["train", "--data", "again", "--name", "again"], &epochs[..]].concat()));
    assert_eq!(first["epochs"][0]["loss"], again["epochs"][0]["loss"], "the same images in the same order");
    let model = fs::read_to_string(at.join("models/again.json")).unwrap();
    let document: serde_json::Value = serde_json::from_str(&model).unwrap();
    assert_eq!(document["convnet"]["labels"], serde_json::json!(["Boot/high", "Bag"]));
    json(&on_cpu(at, &["evaluate", "models/model", "--data", "again", "--split", "train", "--json"]));
}

#[test]
fn what_a_folder_leaves_out_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    write_classes(&at.join("set"), &[("a", 0), ("b", 100), ("@eaDir", 50)], 2);
    fs::write(at.join("set/a/1.HEIC"), b"").unwrap();
    fs::write(at.join("set/Thumbs.db"), b"").unwrap();
    let output = convnet(at, &["data", "show", "set", "--json"]);
    assert_eq!(json(&output)["classes"], serde_json::json!(["a", "b"]));
    assert!(stderr(&output).contains("note: left out: 1 .heic; convert"), "{}", stderr(&output));
    fs::create_dir_all(at.join("phone/a")).unwrap();
    fs::write(at.join("phone/a/1.heic"), b"").unwrap();
    failed(&convnet(at, &["data", "show", "phone"]), 3, "got 1 .heic (phone); convert");
}
