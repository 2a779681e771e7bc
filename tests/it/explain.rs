//! `convnet explain`: Grad-CAM and nearest training images, against PyTorch (needs CONVNET_TEST_PYTHON), and what cannot be explained.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::program::{convnet, failed, json, python, succeeded, train};

const INDEX: &str = "3";

/// What PyTorch says of image [`INDEX`] with the exported model.
fn pytorch(folder: &Path, explained: &Value, [module, side, last]: [&str; 3]) -> Value {
    let class = explained["gradcam"]["class"].to_string();
    succeeded(&convnet(folder, &["export", "models/model", "--format", "pytorch", "--out", "model.py", "-q"]));
    if !folder.join("data.npz").exists() {
        succeeded(&convnet(folder, &["data", "export", "digits:600", "--format", "npz", "--out", "data.npz", "-q"]));
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/explain.py");
    let mut command = Command::new(python());
    command.arg(script).args(["model.py", "data.npz", INDEX, &class, module, side, last]).current_dir(folder);
    let output = command.output().unwrap();
    serde_json::from_str(&succeeded(&output)).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().flat_map(numbers).collect(),
        number => vec![number.as_f64().unwrap()],
    }
}

/// Every place of the map and every distance is PyTorch's.
fn check(folder: &Path, model: &str, layer: Option<&str>, modules: [&str; 3]) {
    let more: &[&str] = &["--model", model, "--epochs", "1", "--limit-train", "200", "--validation", "60"];
    let small = ["train", "--data", "digits:600", "-q", "--device=cpu"];
    succeeded(&convnet(folder, &[&small, more].concat()));
    let ask = ["explain", "models/model", "--index", INDEX, "--json", "-q", "--neighbours", "600", "--device", "cpu"];
    let layer: Vec<&str> = layer.into_iter().flat_map(|name| ["--layer", name]).collect();
    let explained = json(&convnet(folder, &[&ask[..], &layer].concat()));
    let expected = pytorch(folder, &explained, modules);
    let (ours, theirs) = (numbers(&explained["gradcam"]["values"]), numbers(&expected["values"]));
    let largest = theirs.iter().copied().fold(0.0, f64::max);
    assert!(largest > 0.0 && ours.len() == theirs.len(), "{model}: {} and {} places", ours.len(), theirs.len());
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert!((ours - theirs).abs() <= 1e-4 * largest, "{model}: {ours}, not {theirs}");
    }
    let distances = numbers(&expected["distances"]);
    let images = explained["neighbours"]["images"].as_array().unwrap();
    assert_eq!(images.len(), distances.len(), "every training image");
    for image in images {
        let (ours, theirs) =
            (image["distance"].as_f64().unwrap(), distances[image["index"].as_u64().unwrap() as usize]);
        assert!((ours - theirs).abs() < 1e-5, "{model}: {ours}, not {theirs}");
    }
    let sorted: Vec<f64> = images.iter().map(|image| image["distance"].as_f64().unwrap()).collect();
    assert!(sorted.is_sorted(), "the nearest first");
}

#[test]
#[ignore = "needs CONVNET_TEST_PYTHON"]
fn a_chain_is_explained_as_pytorch_explains_it() {
    let folder = tempfile::tempdir().unwrap();
    check(folder.path(), "keras-cnn", None, ["conv2d_1_activation", "out", "dense"]);
    check(folder.path(), "keras-cnn", Some("conv2d"), ["conv2d_activation", "out", "dense"]);
}

#[test]
#[ignore = "needs CONVNET_TEST_PYTHON"]
fn a_network_that_branches_is_explained_as_pytorch_explains_it() {
    let folder = tempfile::tempdir().unwrap();
    check(folder.path(), "resnet9", None, ["pool", "in", "predictions"]);
}

#[test]
fn a_picture_shows_the_image_the_map_and_the_neighbours() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    succeeded(&train(at, &["--epochs", "1"]));
    let text =
        succeeded(&convnet(at, &["explain", "models/model", "--index", "3", "--out", "why.png", "--neighbours", "3"]));
    assert!(text.contains("Grad-CAM of") && text.contains("in layer conv2d_1 (11 × 11)"), "{text}");
    assert_eq!(text.lines().filter(|line| line.contains("  train ")).count(), 3, "{text}");
    assert!(fs::read(at.join("why.png")).unwrap().starts_with(b"\x89PNG"));
    // an image that is a training image is not its own neighbour
    let own = json(&convnet(at, &["explain", "models/model", "--split", "train", "--index", "5", "--json"]));
    let images = own["neighbours"]["images"].as_array().unwrap();
    assert!(images.len() == 8 && images.iter().all(|image| image["index"] != 5), "{images:?}");
    let class = json(&convnet(at, &["explain", "models/model", "--index", "3", "--class", "7", "--json"]));
    assert_eq!((&class["gradcam"]["class"], &class["gradcam"]["label"]), (&7.into(), &"7".into()));
}

#[test]
fn what_cannot_be_explained_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    succeeded(&train(at, &["--epochs", "1", "--model", "mlp"]));
    let text = succeeded(&convnet(at, &["explain", "models/model", "--index", "3"]));
    assert!(text.contains("has no convolution, which Grad-CAM needs") && text.contains("  train "), "{text}");
    let document = json(&convnet(at, &["explain", "models/model", "--index", "3", "--json"]));
    assert!(document["gradcam"].is_null() && document["neighbours"]["images"].is_array(), "{document}");
    let explain = |more: &[&str]| convnet(at, &[&["explain", "models/model"], more].concat());
    failed(&explain(&["--index", "3", "--layer", "dense"]), 4, "no convolution");
    failed(&explain(&["--index", "3", "--class", "cat"]), 2, "no class 'cat'");
    failed(&explain(&["--index", "100"]), 3, "no such image");
    failed(&explain(&["missing.png"]), 3, "missing.png");
    failed(&explain(&[]), 2, "IMAGE");
    failed(&explain(&["--index", "3", "--out", "why.jpg"]), 2, ".png");
    failed(&convnet(at, &["explain", "models/none", "--index", "3"]), 4, "models/none");
    // two convolutions, and nothing Dense: no features to compare
    let form = "Conv2D 8 3 relu\nConv2D 10 3\nGlobalAveragePooling2D\nSoftmax\n";
    fs::write(at.join("net.txt"), form).unwrap();
    let trained = train(at, &["--epochs", "1", "--model", "net.txt"]);
    if trained.status.success() {
        let text = succeeded(&explain(&["--index", "3"]));
        assert!(text.contains("no Dense layer") && text.contains("Grad-CAM of"), "{text}");
    }
}
