//! Round trips through real Keras, and exported scripts under real PyTorch. Needs CONVNET_TEST_PYTHON.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::program::python;
use convnet::export::{ExportFormat, export};
use convnet::keras::KerasModel;
use convnet::model::presets::preset;
use convnet::model::{Model, ModelInfo, Spec};
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

fn fixtures() -> PathBuf {
    crate::program::assets().join("fixtures/keras")
}

/// Runs tests/python/exchange.py.
fn exchange(python: &OsString, command: &str, files: &[PathBuf], more: &[&str]) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/exchange.py");
    let output = Command::new(python).arg(script).arg(command).args(files).args(more).output().unwrap();
    assert!(output.status.success(), "{command} {files:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn info(model: &Model) -> ModelInfo {
    ModelInfo { labels: (0..model.num_classes()).map(|class| class.to_string()).collect(), ..ModelInfo::default() }
}

/// The models of Keras 3 that must be taken over, with their tolerance.
fn models(root: &Path) -> Vec<(PathBuf, f64)> {
    let read = |path: PathBuf| serde_json::from_str::<Value>(&std::fs::read_to_string(path).unwrap()).unwrap();
    let index = read(root.join("index.json"));
    let models = index.as_array().unwrap().iter().filter(|entry| entry["kind"] == "model" && entry["expect"] == "ok");
    let folder = |entry: &Value| root.join(entry["name"].as_str().unwrap());
    models.map(|entry| (folder(entry), read(folder(entry).join("meta.json"))["tolerance"].as_f64().unwrap())).collect()
}

#[test]
#[ignore = "needs CONVNET_TEST_ASSETS, CONVNET_TEST_PYTHON"]
fn keras_s_models_come_back_to_keras_bit_for_bit() {
    let (python, root) = (python(), fixtures());
    for (folder, _) in models(&root) {
        let original = folder.join("model.keras");
        let model = KerasModel::open(&original, None).unwrap().build(1.0, Device::Cpu).unwrap();
        let scratch = tempfile::tempdir().unwrap();
        let mut files = vec![original];
        for (format, name) in [
            (ExportFormat::Keras, "a.keras"),
            (ExportFormat::KerasJson, "b.json"),
            (ExportFormat::KerasLegacy, "c.h5"),
            (ExportFormat::Portable, "d.json"),
        ] {
            let out = scratch.path().join(name);
            match export(&model, &info(&model), format, &out) {
                Ok(exported) => {
                    assert_eq!(exported.max_difference, Some(0.0), "{}", folder.display());
                    files.push(out);
                }
                // hard_sigmoid is another function in Keras 2
                Err(error) => assert!(error.to_string().contains("hard_sigmoid"), "{}: {error}", folder.display()),
            }
        }
        let input = folder.join("input.npy");
        exchange(&python, "same", &files, &["--input", input.to_str().unwrap(), "--tolerance", "1e-6"]);
    }
}

#[test]
#[ignore = "needs CONVNET_TEST_PYTHON"]
fn our_models_come_back_from_keras_bit_for_bit() {
    let python = python();
    let model = Model::new(preset("keras-cnn").unwrap(), 1.0 / 255.0, Device::Cpu, 7).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let path = |name: &str| scratch.path().join(name);
    for (format, name) in [
        (ExportFormat::Keras, "ours.keras"),
        (ExportFormat::KerasJson, "ours.json"),
        (ExportFormat::KerasLegacy, "ours.h5"),
        (ExportFormat::Portable, "portable.json"),
    ] {
        export(&model, &info(&model), format, &path(name)).unwrap();
        let saved = ["again.keras", "again.h5", "again.json", "again.weights.h5"].map(path);
        exchange(&python, "resave", &[&[path(name)], &saved[..]].concat(), &[]);
        let [archive, whole, architecture, weights] = &saved;
        for (architecture, weights) in [(archive, None), (whole, None), (architecture, Some(weights.as_path()))] {
            let again = KerasModel::open(architecture, weights).unwrap().build(1.0 / 255.0, Device::Cpu).unwrap();
            assert_eq!(again.spec().plan().unwrap(), model.spec().plan().unwrap());
            for (ours, theirs) in model.weights().iter().zip(again.weights()) {
                assert!(ours.tensor.equal(&theirs.tensor), "{name}, {}: {}", architecture.display(), ours.name);
            }
        }
    }
}

#[test]
#[ignore = "needs CONVNET_TEST_PYTHON"]
fn networks_in_networks_cross_both_ways() {
    let python = python();
    let scratch = tempfile::tempdir().unwrap();
    let path = |name: &str| scratch.path().join(name);
    let files = ["a.keras", "a.h5", "a.json", "a.weights.h5"].map(path);
    let (input, expected) = (path("input.npy"), path("output.npy"));
    let (input, expected) = (input.to_str().unwrap(), expected.to_str().unwrap());
    exchange(&python, "nested", &files, &["--input", input, "--expect", expected]);
    let [archive, whole, architecture, weights] = &files;
    for (architecture, weights) in [(archive, None), (whole, None), (architecture, Some(weights.as_path()))] {
        let model = KerasModel::open(architecture, weights).unwrap().build(1.0, Device::Cpu).unwrap();
        let images = Tensor::read_npy(input).unwrap();
        let outputs = tch::no_grad(|| model.predict(&images));
        let difference = (outputs - Tensor::read_npy(expected).unwrap()).abs().max().double_value(&[]);
        assert!(difference < 1e-6, "{}: {difference}", architecture.display());
        let outs = ["b.keras", "c.json", "d.h5", "e.json"].map(path);
        let formats = [ExportFormat::Keras, ExportFormat::KerasJson, ExportFormat::KerasLegacy, ExportFormat::Portable];
        for (format, out) in formats.into_iter().zip(&outs) {
            export(&model, &info(&model), format, out).unwrap();
        }
        let all = [std::slice::from_ref(archive), &outs[..]].concat();
        exchange(&python, "same", &all, &["--input", input, "--tolerance", "1e-6"]);
        let script = path("f.py");
        export(&model, &info(&model), ExportFormat::Pytorch, &script).unwrap();
        exchange(&python, "torch", &[script], &["--input", input, "--expect", expected]);
    }
}

#[test]
#[ignore = "needs CONVNET_TEST_PYTHON"]
fn layers_that_versions_of_keras_write_differently_cross_in_every_form() {
    let python = python();
    let layer = |class_name: &str, config: Value| json!({ "class_name": class_name, "config": config });
    let activation = |class_name: &str, config: Value| json!({ "module": "keras.layers", "class_name": class_name, "config": config, "registered_name": null });
    let leaky = activation("LeakyReLU", json!({ "negative_slope": 0.3 }));
    let relu6 = activation("ReLU", json!({ "max_value": 6.0, "negative_slope": 0.1, "threshold": 0.0 }));
    let layers = json!([
        layer("InputLayer", json!({ "batch_shape": [null, 6, 7, 3], "name": "input" })),
        layer("Normalization", json!({ "name": "scaled", "axis": null })),
        layer("Resizing", json!({ "name": "resized", "height": 5, "width": 5 })),
        layer("Conv2D", json!({ "name": "conv", "filters": 4, "kernel_size": 2, "activation": leaky })),
        layer("GroupNormalization", json!({ "name": "group", "groups": 1 })),
        layer("Activation", json!({ "name": "capped", "activation": relu6 })),
        layer("Flatten", json!({ "name": "flat" })),
        layer("Dense", json!({ "name": "dense", "units": 3, "activation": "softmax" })),
    ]);
    let document = json!({ "class_name": "Sequential", "config": { "name": "forms", "layers": layers } });
    let model = Model::new(Spec::from_json(&document).unwrap(), 1.0, Device::Cpu, 7).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let files = ["a.keras", "b.json", "c.h5", "d.json"].map(|name| scratch.path().join(name));
    let formats = [ExportFormat::Keras, ExportFormat::KerasJson, ExportFormat::KerasLegacy, ExportFormat::Portable];
    for (format, out) in formats.into_iter().zip(&files) {
        export(&model, &info(&model), format, out).unwrap();
    }
    let input = scratch.path().join("input.npy");
    (Tensor::arange(4 * 6 * 7 * 3, (Kind::Float, Device::Cpu)).reshape([4, 6, 7, 3]).sin() * 3.0)
        .write_npy(&input)
        .unwrap();
    exchange(&python, "same", &files, &["--input", input.to_str().unwrap(), "--tolerance", "1e-6"]);
}

#[test]
#[ignore = "needs CONVNET_TEST_ASSETS, CONVNET_TEST_PYTHON"]
fn exported_scripts_compute_the_same_under_pytorch() {
    let (python, root) = (python(), fixtures());
    for (folder, tolerance) in models(&root) {
        let model = KerasModel::open(&folder.join("model.keras"), None).unwrap().build(1.0, Device::Cpu).unwrap();
        let scratch = tempfile::tempdir().unwrap();
        let out = scratch.path().join("model.py");
        let exported = export(&model, &info(&model), ExportFormat::Pytorch, &out);
        let exported = exported.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        assert!(exported.max_difference.unwrap() <= 1e-5);
        let (input, expected) = (folder.join("input.npy"), folder.join("output.npy"));
        let (input, expected) = (input.to_str().unwrap(), expected.to_str().unwrap());
        let tolerance = tolerance.to_string();
        exchange(&python, "torch", &[out], &["--input", input, "--expect", expected, "--tolerance", &tolerance]);
    }
}
