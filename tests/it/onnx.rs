//! Exports that go from stored images to probabilities, run by real runtimes: what they give is what `predict` says of the same
//! images. Needs CONVNET_TEST_PYTHON.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::keras_layers::{documents_and_arrays, weights_of};
use crate::program::{NO_GPU, convnet, failed, json, python, succeeded, train};
use crate::random_networks::{self, Random};
use convnet::data::ImageShape;
use convnet::export::{ExportFormat, ExportInput, export, export_taking};
use convnet::model::presets::{PRESETS, preset};
use convnet::model::saved::{self, Destination};
use convnet::model::{Model, ModelInfo, Spec};
use convnet::predict::Predictor;
use serde_json::{Value, json as value};
use tch::{Device, Kind, Tensor};

fn info(model: &Model) -> ModelInfo {
    ModelInfo { labels: (0..model.num_classes()).map(|class| class.to_string()).collect(), ..ModelInfo::default() }
}

/// Runs every export in `folder` in Python.
fn run_all(folder: &Path, count: usize) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/probabilities.py");
    let output = Command::new(python()).arg(script).arg(folder).env(NO_GPU, "").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.starts_with(&format!("{count} files")), "{text}");
    println!("{text}");
}

fn write_npy(path: PathBuf, tensor: &Tensor) {
    tensor.write_npy(path).unwrap();
}

/// Statistics and factors as if something had been learnt.
fn stir(model: &Model, random: &mut Random) {
    for weight in model.weights() {
        let between = |low: f64, high: f64, random: &mut Random| low + (high - low) * random.unit();
        let range = match weight.info.keras_name {
            "moving_variance" | "variance" | "gamma" => [0.5, 1.5],
            "moving_mean" | "mean" | "beta" | "bias" | "alpha" => [-0.3, 0.3],
            _ => continue,
        };
        let values: Vec<f32> = (0..weight.tensor.numel()).map(|_| between(range[0], range[1], random) as f32).collect();
        let values = Tensor::from_slice(&values).reshape(weight.tensor.size());
        tch::no_grad(|| weight.tensor.shallow_clone().copy_(&values));
    }
}

/// Exports `model` as every format, with pictures and what `predict` says of their pixels.
fn export_all(model: &Model, folder: &Path, name: &str, random: &mut Random, predict: impl FnOnce(&[u8]) -> Vec<f32>) {
    let shape = model.image_shape().unwrap();
    let ImageShape { height, width, channels } = shape;
    let mut all = Vec::new();
    for number in 0..3 {
        let path = folder.join(format!("{name}.{number}.png"));
        let pixels: Vec<u8> = (0..height * width * channels).map(|_| random.below(256) as u8).collect();
        let color = if channels == 1 { image::ColorType::L8 } else { image::ColorType::Rgb8 };
        image::save_buffer(&path, &pixels, width as u32, height as u32, color).unwrap();
        all.extend(convnet::data::image::decode(&path, shape).unwrap());
    }
    let rows = Tensor::from_slice(&predict(&all)).reshape([3, -1]);
    write_npy(folder.join(format!("{name}.probabilities.npy")), &rows);
    for format in FORMATS {
        let exported = export(model, &info(model), format, &out(folder, name, format));
        exported.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

/// As [`export_all`], of the model as it comes back from its files.
fn save_and_export(model: &Model, folder: &Path, name: &str, random: &mut Random) {
    let saved = tempfile::tempdir().unwrap();
    let stem = saved.path().join("model");
    saved::save(model, &info(model), &Destination::pair(&stem)).unwrap();
    let predictor = Predictor::load(stem.to_str().unwrap(), Device::Cpu).unwrap();
    export_all(model, folder, name, random, |pixels| {
        let predictions = predictor.predict_u8(pixels, 3).unwrap();
        predictions.into_iter().flat_map(|image| image.probabilities).collect()
    });
}

fn out(folder: &Path, name: &str, format: ExportFormat) -> PathBuf {
    folder.join(format!("{name}.{}", if format == ExportFormat::Onnx { "onnx" } else { "pt" }))
}

const FORMATS: [ExportFormat; 2] = [ExportFormat::Onnx, ExportFormat::Torchscript];

#[test]
#[ignore = "needs CONVNET_TEST_PYTHON"]
fn every_preset_gives_the_same_probabilities_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let random = &mut Random::new(1);
    for row in &PRESETS {
        let mut spec = preset(row.name).unwrap();
        let channels = spec.image_shape().unwrap().channels;
        let size = spec.image_shape().unwrap().height.min(32);
        spec.adapt(ImageShape { height: size, width: size, channels }, 10);
        let model = Model::new(spec, 1.0 / 255.0, Device::Cpu, 3).unwrap();
        stir(&model, random);
        export_all(&model, folder.path(), row.name, random, |images| {
            let images = Tensor::from_slice(images).reshape([3, size as i64, size as i64, channels as i64]);
            Vec::try_from(tch::no_grad(|| model.forward(&images, false).unwrap().probabilities()).reshape([-1]))
                .unwrap()
        });
    }
    run_all(folder.path(), PRESETS.len() * FORMATS.len());
}

#[test]
#[ignore = "needs CONVNET_TEST_PYTHON"]
fn a_hundred_random_networks_give_the_same_probabilities_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let random = &mut Random::new(2);
    let mut classes: HashMap<&str, usize> = HashMap::new();
    for seed in 0..100 {
        let network = random_networks::network(seed);
        for layer in &network.spec.layers {
            *classes.entry(layer.spec.class_name()).or_default() += 1;
        }
        let [height, width, channels] = network.shape;
        let scale = [1.0, 1.0 / 255.0][random.below(2)];
        let model = Model::new(network.spec, scale, Device::Cpu, seed).unwrap();
        let model = model.with_image_shape(ImageShape { height, width, channels }).unwrap();
        stir(&model, random);
        save_and_export(&model, folder.path(), &format!("network_{seed:03}"), random);
    }
    assert!(classes.len() > 30, "{classes:?}");
    run_all(folder.path(), 100 * FORMATS.len());
}

#[test]
#[ignore = "needs CONVNET_TEST_PYTHON"]
fn names_clash_with_nothing() {
    let conv = |filters: usize| value!({ "filters": filters, "kernel_size": 3, "activation": "relu" });
    let block =
        |layers: Value| value!({ "class_name": "Sequential", "config": { "name": "conv2d", "layers": layers } });
    let named = |class_name: &str, name: &str, mut config: Value| {
        config["name"] = value!(name);
        value!({ "class_name": class_name, "config": config })
    };
    let mut inner = block(value!([named("Conv2D", "weight", conv(3)), named("Conv2D", "größe/x.y", conv(3))]));
    inner["config"]["layers"][0]["config"]["batch_input_shape"] = value!([null, 10, 10, 4]);
    let layers = value!([
        { "class_name": "InputLayer", "config": { "batch_shape": [null, 12, 12, 3], "name": "images_" } },
        named("Conv2D", "images", conv(4)),
        inner,
        named("BatchNormalization", "input", value!({})),
        named("Flatten", "1 training forward", value!({})),
        named("Dense", "probabilities", value!({ "units": 3 })),
        named("Softmax", "softmax", value!({})),
    ]);
    let document = value!({ "class_name": "Sequential", "config": { "name": "", "layers": layers } });
    let model = Model::new(Spec::from_json(&document).unwrap(), 1.0 / 255.0, Device::Cpu, 0).unwrap();
    let folder = tempfile::tempdir().unwrap();
    save_and_export(&model, folder.path(), "names", &mut Random::new(4));
    run_all(folder.path(), FORMATS.len());
}

/// `document`'s network as a classifier: one that it is, or with a classifier's end behind it.
fn classifier(document: &Value) -> Spec {
    let spec = Spec::from_json(&document["model"]).unwrap();
    if spec.check_classifies().is_ok() {
        return spec;
    }
    let mut longer = document["model"].clone();
    let layers = longer["config"]["layers"].as_array_mut().unwrap();
    let end = [
        ("Flatten", value!({ "name": "end_flat" })),
        ("Dense", value!({ "name": "end", "units": 4, "activation": "softmax" })),
    ];
    layers.extend(end.map(|(class_name, config)| value!({ "class_name": class_name, "config": config })));
    Spec::from_json(&longer).unwrap()
}

#[test]
#[ignore = "needs CONVNET_TEST_PYTHON"]
fn every_layer_gives_the_same_probabilities_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let (documents, arrays) = documents_and_arrays();
    let mut count = 0;
    for document in &documents {
        let name = document["name"].as_str().unwrap();
        let model = Model::new(classifier(document), 1.0, Device::Cpu, 5).unwrap();
        let shape = model.spec().input_shape.clone().unwrap();
        let [height, width, channels] = match shape[..] {
            [height, width, channels] => [height, width, channels],
            [height, width] => [height, width, 1],
            [values] => [1, values, 1],
            _ => panic!("{name}: {shape:?}"),
        };
        let model = model.with_image_shape(ImageShape { height, width, channels });
        let model = model.unwrap_or_else(|error| panic!("{name}: {error}"));
        weights_of(&model, name, &arrays);
        let images = &arrays[&format!("{name}/input")];
        let images = images.to_kind(Kind::Float).reshape([-1, height as i64, width as i64, channels as i64]);
        let probabilities = tch::no_grad(|| model.forward(&images, false).unwrap().probabilities());
        write_npy(folder.path().join(format!("{name}.images.npy")), &images);
        write_npy(folder.path().join(format!("{name}.probabilities.npy")), &probabilities.contiguous());
        for format in FORMATS {
            let out =
                folder.path().join(format!("{name}.{}", if format == ExportFormat::Onnx { "onnx" } else { "pt" }));
            export_taking(ExportInput::Float, &model, &info(&model), format, &out)
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            count += 1;
        }
    }
    assert!(count > 150, "{count}");
    run_all(folder.path(), count);
}

/// onnxruntime's shared library in the tests' Python.
fn library() -> PathBuf {
    let code = "import glob, os, importlib.util as u\n\
                folder = os.path.dirname(u.find_spec('onnxruntime').origin)\n\
                print(glob.glob(folder + '/capi/libonnxruntime.so.*')[0])";
    let output = Command::new(python()).arg("-c").arg(code).output().unwrap();
    PathBuf::from(succeeded(&output).trim())
}

fn export_with(folder: &Path, library: &Path, args: &[&str]) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_convnet"));
    command.env("ORT_DYLIB_PATH", library).env(NO_GPU, "").arg("export").args(args).current_dir(folder);
    command.output().unwrap()
}

#[test]
#[ignore = "needs CONVNET_TEST_PYTHON"]
fn an_onnxruntime_that_is_there_runs_the_export() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    train(at, &["--epochs", "1"]);
    let export = ["models/model", "--format", "onnx", "--out", "m.onnx"];
    let said = succeeded(&export_with(at, &library(), &export));
    assert!(said.contains("run by onnxruntime 1.") && said.contains("argmax the same for 4 of 4 images"), "{said}");
    let report = json(&export_with(at, &library(), &[&export[..], &["--input", "float", "--json"]].concat()));
    assert!(report["max_difference"].as_f64().unwrap() <= 1e-5, "{report}");
    failed(&export_with(at, Path::new("/nowhere/libonnxruntime.so"), &export), 2, "ORT_DYLIB_PATH");
    std::fs::write(at.join("text.so"), "no library").unwrap();
    failed(&export_with(at, Path::new("text.so"), &export), 2, "ORT_DYLIB_PATH");
}

#[test]
fn what_does_not_go_together_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    train(at, &["--epochs", "1"]);
    let export = |more: &[&str]| convnet(at, &[&["export", "models/model"], more].concat());
    failed(&export(&["--format", "keras", "--out", "m.keras", "--input", "float"]), 2, "--input");
    failed(&export(&["--format", "onnx", "--out", "m.keras"]), 2, ".onnx");
    failed(&export(&["--format", "keras", "--out", "m.onnx"]), 2, ".keras");
    // the commands that scripts/check_converters runs and docs/export.md names
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = std::fs::read_to_string(root.join("docs/export.md")).unwrap();
    let script = std::fs::read_to_string(root.join("scripts/check_converters")).unwrap();
    for (format, command) in [
        ("openvino", "ovc model.onnx --compress_to_fp16=False"),
        ("tflite", "onnx2tf -i model.onnx -o model -kat images"),
    ] {
        failed(&export(&["--format", format, "--out", "m.xml"]), 2, command);
        let words: Vec<String> = command.split(' ').map(|word| format!("\"{word}\"")).collect();
        assert!(document.contains(command) && script.contains(&format!("[{}]", words.join(", "))), "{command}");
    }
    assert!(!at.join("m.keras").exists() && !at.join("m.onnx").exists());
}
