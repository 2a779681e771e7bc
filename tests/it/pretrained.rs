//! Presets with PyTorch's weights, against PyTorch's own networks. Needs CONVNET_TEST_PYTHON.

use std::path::Path;
use std::process::Command;

use crate::program::{convnet, failed, python, succeeded};
use convnet::model::preprocess::Preprocess;
use convnet::model::presets::{Dialect, PRESETS, Preset};
use convnet::pytorch::{self, Told};
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
        let (source, preset) = case.split_once('-').unwrap();
        let preset = Preset::find(preset).unwrap();
        let weights = pytorch::read_weights(&folder.path().join(&name)).unwrap();
        // networks of timm whose names do not tell whose conventions they follow
        let dialect = source.split_once('+').map(|(_, dialect)| dialect.parse::<Dialect>().unwrap());
        let (model, _) = pytorch::into_preset(preset, &weights, Told { dialect, preprocess: None }).unwrap();
        let expected = Tensor::read_npy(folder.path().join(format!("{case}.y.npy"))).unwrap().to_kind(Kind::Float);
        let logits = tch::no_grad(|| model.values(&images, false));
        let difference = (&logits - &expected).abs().max().double_value(&[]) / expected.abs().max().double_value(&[]);
        assert!(difference < TOLERANCE, "{case}: {difference}");
        cases += 1;
    }
    assert_eq!(cases, 22);
    // through the program: a file of torchvision's in the older form
    let at = folder.path();
    let imported =
        convnet(at, &["import", "resnet18", "torchvision-resnet18.weights", "--labels", "a,b,c,d,e,f,g,h,i,j"]);
    assert!(succeeded(&imported).contains("classes   a, b, c"));
    let wrong = convnet(at, &["import", "resnet34", "torchvision-resnet18.weights"]);
    failed(&wrong, 4, "layer1.2.conv1.weight");
    let wrong = convnet(at, &["import", "resnet18", "torchvision-resnet34.weights"]);
    failed(&wrong, 4, "that have no place");
    let imported = convnet(at, &["import", "efficientnet-b0", "timm-efficientnet-b0.weights", "--name", "b0"]);
    assert!(String::from_utf8_lossy(&imported.stderr).contains("they are taken as --source tf"));
    let told = convnet(at, &["import", "efficientnet-b0", "timm+timm-efficientnet-b0.weights", "--source", "timm"]);
    assert!(!String::from_utf8_lossy(&told.stderr).contains("--source"));
    published_weights_train_a_new_head(at);
}

/// As if torchvision's file were downloaded: resnet18 with a new head, its backbone as it was.
fn published_weights_train_a_new_head(at: &Path) {
    let cache = at.join("cache/convnet/data/weights");
    std::fs::create_dir_all(&cache).unwrap();
    std::fs::copy(at.join("torchvision-resnet18.weights"), cache.join("resnet18-f37072fd.pth")).unwrap();
    let small =
        ["--data", "digits:120", "--validation", "20", "--channels", "3", "--image-size", "32", "--device", "cpu"];
    let weights = ["train", "--model", "resnet18", "--weights", "imagenet", "--freeze", "backbone", "--epochs", "1"];
    let trained = convnet(at, &[&weights[..], &small, &["--progress", "none", "--name", "head"]].concat());
    succeeded(&trained);
    let said = String::from_utf8_lossy(&trained.stderr).into_owned();
    assert!(said.contains("trainable 5,130 of"), "{said}");
    let backbone = |path: &Path| {
        let weights = pytorch::read_weights(path).unwrap();
        weights.get("conv1.weight").unwrap().shallow_clone()
    };
    let before = backbone(&at.join("torchvision-resnet18.weights"));
    assert!(backbone(&at.join("models/head.safetensors")).equal(&before));
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
    failed(&convnet(at, &["import", "net.keras", "--source", "tf"]), 2, "--source");
    failed(&convnet(at, &["import", "keras-cnn", "imagenet"]), 2, "nobody publishes");
    failed(&convnet(at, &["train", "--weights", "imagenet", "--data", "digits:200"]), 2, "nobody publishes");
    let mut offline = Command::new(env!("CARGO_BIN_EXE_convnet"));
    offline.env("XDG_CACHE_HOME", at.join("cache")).env("CONVNET_MIRROR", "http://127.0.0.1:9").current_dir(at);
    failed(&offline.args(["import", "resnet18", "imagenet"]).output().unwrap(), 3, "resnet18-f37072fd.pth");
    assert!(!at.join("it-ran").exists() && !at.join("models").exists());
}

#[test]
fn every_preset_takes_its_preprocessing_and_other_sizes() {
    for preset in &PRESETS {
        let spec = preset.built(preset.dialect()).0;
        for preprocess in [Preprocess::Torch, Preprocess::Tf, Preprocess::Caffe] {
            let colored = spec.input_shape.as_ref().is_some_and(|shape| shape.last() == Some(&3));
            let with = spec.clone().with_preprocessing(preprocess);
            assert!(with.is_ok() || !colored, "{}: {}", preset.name, with.unwrap_err());
        }
    }
}
