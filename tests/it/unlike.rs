//! `convnet predict` says of images that they are unlike those that the model was trained on.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::program::{convnet, json, succeeded, train, write_as_before_checksums};

/// The digits' test images as `change` makes them, saved as an array of the same kind; and what `predict` says.
fn predicted(at: &Path, name: &str, change: impl Fn(u8) -> u8) -> (Vec<Value>, String) {
    let folder = at.join(name);
    succeeded(&convnet(at, &["data", "export", "digits:600", "--format", "png", "--out", name, "-q"]));
    let mut files = Vec::new();
    for class in fs::read_dir(folder.join("test")).unwrap() {
        files.extend(fs::read_dir(class.unwrap().path()).unwrap().map(|file| file.unwrap().path()));
    }
    for file in &files {
        let mut picture = image::open(file).unwrap().into_luma8();
        picture.pixels_mut().for_each(|pixel| pixel.0[0] = change(pixel.0[0]));
        picture.save(file).unwrap();
    }
    let paths: Vec<&str> = files.iter().map(|file| file.to_str().unwrap()).collect();
    let output = convnet(at, &[&["predict", "models/model", "--json"], &paths[..]].concat());
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    (json(&output)["predictions"].as_array().unwrap().clone(), stderr)
}

fn count(predictions: &[Value], kind: &str) -> usize {
    predictions.iter().filter(|prediction| prediction["unlike"].as_array().is_some_and(|all| all[0] == kind)).count()
}

#[test]
fn pictures_are_said_to_be_inverted_darker_or_scaled() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    succeeded(&train(at, &["--epochs", "1"]));
    let (same, stderr) = predicted(at, "same", |value| value);
    let alarms = same.iter().filter(|prediction| prediction.get("unlike").is_some()).count();
    assert!(same.len() == 100 && alarms <= 1, "{alarms} false alarms: {stderr}");
    let (inverted, stderr) = predicted(at, "inverted", |value| 255 - value);
    assert!(count(&inverted, "inverted") >= 98, "{stderr}");
    let warning = "warning: 100 of 100 images are unlike those that the model was trained on:";
    assert!(stderr.contains(warning), "{stderr}");
    let (darker, stderr) = predicted(at, "darker", |value| value / 3);
    assert!(count(&darker, "darker") >= 98, "{stderr}");
    let (scaled, stderr) = predicted(at, "scaled", |value| value / 255);
    assert!(count(&scaled, "scaled") >= 98, "{stderr}");
}

#[test]
fn one_picture_and_float_arrays_are_told_of_too() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    succeeded(&train(at, &["--epochs", "1"]));
    image::GrayImage::from_fn(28, 28, |x, y| image::Luma([(x * 37 + y * 91) as u8]))
        .save(at.join("noise.png"))
        .unwrap();
    let output = convnet(at, &["predict", "models/model", "noise.png"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        stderr.contains("warning: noise.png is unlike the images that the model was trained on: noisy"),
        "{stderr}"
    );
    succeeded(&convnet(at, &["predict", "models/model", "noise.png", "--out", "noise.csv"]));
    let table = fs::read_to_string(at.join("noise.csv")).unwrap();
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].ends_with(",p_9,unlike") && lines[1].ends_with(",noisy"), "{table}");
    // values from 0 to 255 where the network takes 0 to 1
    convnet::data::npy::write_f32(&at.join("large.npy"), &[1, 28, 28, 1], &[200.0; 784]).unwrap();
    let document = json(&convnet(at, &["predict", "models/model", "large.npy", "--json", "-q"]));
    assert_eq!(document["predictions"][0]["unlike"], serde_json::json!(["scaled"]), "{document}");
}

#[test]
fn a_model_that_does_not_know_its_images_says_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    succeeded(&train(at, &["--epochs", "1"]));
    let path = at.join("models/model.json");
    let document: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let size = document["convnet"]["images"].to_string().len();
    assert!((300..4000).contains(&size), "{size} bytes");
    write_as_before_checksums(&path, |document| drop(document["convnet"].as_object_mut().unwrap().remove("images")));
    image::GrayImage::from_pixel(28, 28, image::Luma([255])).save(at.join("white.png")).unwrap();
    let output = convnet(at, &["predict", "models/model", "white.png", "--json"]);
    assert!(json(&output)["predictions"][0].get("unlike").is_none());
    assert!(!String::from_utf8_lossy(&output.stderr).contains("unlike"));
}
