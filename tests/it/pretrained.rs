//! Presets with PyTorch's weights, against PyTorch's own networks. Needs CONVNET_TEST_PYTHON.

use std::path::Path;
use std::process::Command;

use crate::program::{convnet, failed, python, succeeded};
use convnet::model::preprocess::Preprocess;
use convnet::model::presets::{PRESETS, Preset};
use convnet::pytorch;
use tch::{Kind, Tensor};

/// The largest difference of logits, relative to the largest.
const TOLERANCE: f64 = 1e-5;

#[test]
#[ignore = "needs CONVNET_TEST_PYTHON"]
fn presets_compute_what_pytorch_s_networks_do() {
    let folder = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/pretrained.py");
    let output = Command::new(python()).arg(script).arg(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let images = Tensor::read_npy(folder.path().join("x.npy")).unwrap();
    let mut cases = 0;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(case) = name.strip_suffix(".weights") else { continue };
        let (_, preset) = case.split_once('-').unwrap();
        let preset = Preset::find(preset).unwrap();
        let weights = pytorch::read_weights(&folder.path().join(&name)).unwrap();
        let model = pytorch::into_preset(preset, &weights, preset.preprocess).unwrap();
        let expected = Tensor::read_npy(folder.path().join(format!("{case}.y.npy"))).unwrap().to_kind(Kind::Float);
        let logits = tch::no_grad(|| model.values(&images, false));
        let difference = (&logits - &expected).abs().max().double_value(&[]) / expected.abs().max().double_value(&[]);
        assert!(difference < TOLERANCE, "{case}: {difference}");
        cases += 1;
    }
    assert_eq!(cases, 13);
    // through the program: a file of torchvision's in the older form
    let at = folder.path();
    let imported =
        convnet(at, &["import", "resnet18", "torchvision-resnet18.weights", "--labels", "a,b,c,d,e,f,g,h,i,j"]);
    assert!(succeeded(&imported).contains("classes   a, b, c"));
    let wrong = convnet(at, &["import", "resnet34", "torchvision-resnet18.weights"]);
    failed(&wrong, 4, "layer1.2.conv1.weight");
    let wrong = convnet(at, &["import", "resnet18", "torchvision-resnet34.weights"]);
    failed(&wrong, 4, "that have no place");
}

#[test]
fn weights_that_cannot_be_used_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pytorch");
    let file = |name: &str| fixture.join(name).to_str().unwrap().to_owned();
    failed(&convnet(at, &["import", "resnet18"]), 2, "convnet import resnet18 WEIGHTS");
    failed(&convnet(at, &["import", "resnet18", "nowhere.pth"]), 4, "nowhere.pth");
    failed(&convnet(at, &["import", "resnet18", &file("command.pth")]), 4, "posix.system");
    failed(&convnet(at, &["import", "resnet18", &file("zip.pth")]), 4, "conv1.weight");
    failed(&convnet(at, &["import", "keras-cnn", &file("zip.pth")]), 4, "nobody publishes");
    failed(&convnet(at, &["import", "net.keras", "--preprocess", "tf"]), 2, "--preprocess");
    assert!(!at.join("it-ran").exists() && !at.join("models").exists());
}

#[test]
fn every_preset_takes_its_preprocessing_and_other_sizes() {
    for preset in &PRESETS {
        let spec = preset.built(convnet::model::presets::Dialect::Torch).0;
        for preprocess in [Preprocess::Torch, Preprocess::Tf, Preprocess::Caffe] {
            let colored = spec.input_shape.as_ref().is_some_and(|shape| shape.last() == Some(&3));
            let with = spec.clone().with_preprocessing(preprocess);
            assert!(with.is_ok() || !colored, "{}: {}", preset.name, with.unwrap_err());
        }
    }
}
