//! What networks end in: outputs, losses and short trainings are those that `scripts/fixtures/heads.py` recorded of Keras.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::program::{convnet, failed, json, succeeded};
use convnet::model::{Model, Spec};
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

/// The largest difference, relative to expected values above 1.
const TOLERANCE: f64 = 3e-5;

struct Case {
    name: String,
    model: Model,
    record: Value,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/heads")
}

fn cases() -> (Vec<Case>, HashMap<String, Tensor>) {
    let arrays: HashMap<String, Tensor> = Tensor::read_npz(folder().join("arrays.npz")).unwrap().into_iter().collect();
    let text = std::fs::read_to_string(folder().join("heads.json")).unwrap();
    let records: Vec<Value> = serde_json::from_str(&text).unwrap();
    let cases = records.into_iter().map(|record| Case::new(record, &arrays)).collect();
    (cases, arrays)
}

impl Case {
    fn new(record: Value, arrays: &HashMap<String, Tensor>) -> Self {
        let name = record["name"].as_str().unwrap().to_owned();
        let spec = Spec::from_json(&record["model"]).unwrap();
        let model = Model::new(spec, 1.0, Device::Cpu, 0).unwrap();
        for (weight, values) in model.weights().iter().zip(keras_weights(&model, &name, "weight", arrays)) {
            tch::no_grad(|| weight.tensor.shallow_clone().copy_(&values));
        }
        Case { name, model, record }
    }

    fn number(&self, key: &str) -> f64 {
        self.record[key].as_f64().unwrap()
    }

    fn labels(&self, arrays: &HashMap<String, Tensor>) -> Tensor {
        arrays[&format!("labels_{}", self.record["classes"])].to_kind(Kind::Int64)
    }
}

/// Keras's weights in this program's shapes.
fn keras_weights(model: &Model, case: &str, which: &str, arrays: &HashMap<String, Tensor>) -> Vec<Tensor> {
    let of = |(index, weight): (usize, &convnet::model::Weight)| {
        let array = &arrays[&format!("{case}/{which}_{index}")];
        let values = Vec::<f32>::try_from(&array.to_kind(Kind::Float).flatten(0, -1)).unwrap();
        Tensor::from_slice(&weight.info.to_torch(&values)).reshape(weight.tensor.size())
    };
    model.weights().iter().enumerate().map(of).collect()
}

fn difference(actual: &Tensor, expected: &Tensor) -> f64 {
    let scale = expected.abs().clamp_min(1.0);
    ((actual.detach() - expected) / scale).abs().max().double_value(&[])
}

fn relative(actual: f64, expected: f64) -> f64 {
    (actual - expected).abs() / expected.abs().max(1.0)
}

/// What of `case` is not Keras's.
fn faults(case: &Case, arrays: &HashMap<String, Tensor>) -> Vec<(String, f64)> {
    use convnet::train::Loss;
    use convnet::train::Targets;
    let (images, labels) = (arrays["input"].to_kind(Kind::Float), case.labels(arrays));
    let outputs = tch::no_grad(|| case.model.forward(&images, false)).unwrap();
    let expected = &arrays[&format!("{}/output", case.name)];
    let mut found = vec![("outputs".to_owned(), difference(&outputs.activated(), expected))];
    let smoothing = case.number("smoothing");
    let loss = outputs.loss(&labels, smoothing).double_value(&[]);
    found.push(("loss".into(), relative(loss, case.number("loss"))));
    let hits = outputs.classes().eq_tensor(&labels).to_kind(Kind::Float).mean(None).double_value(&[]);
    found.push(("accuracy".into(), relative(hits, case.number("accuracy"))));
    let class_weights: Option<Vec<f64>> = serde_json::from_value(case.record["class_weights"].clone()).unwrap();
    let objective = Loss::new(smoothing, class_weights.as_deref(), Device::Cpu);
    let targets = Targets { labels, others: None };
    for (step, expected) in case.record["losses"].as_array().unwrap().iter().enumerate() {
        let loss = objective.loss(&case.model.forward(&images, true).unwrap(), &targets);
        found.push((format!("loss of step {step}"), relative(loss.double_value(&[]), expected.as_f64().unwrap())));
        loss.backward();
        tch::no_grad(|| {
            for weight in case.model.weights() {
                let mut gradient = weight.tensor.grad();
                let _ = weight.tensor.shallow_clone().g_sub_(&(&gradient * 0.1));
                let _ = gradient.zero_();
            }
        });
    }
    let after = keras_weights(&case.model, &case.name, "after", arrays);
    for (weight, expected) in case.model.weights().iter().zip(after) {
        found.push((format!("{} afterwards", weight.name), difference(&weight.tensor, &expected)));
    }
    found.retain(|(_, difference)| difference.is_nan() || *difference > TOLERANCE);
    found
}

#[test]
fn outputs_losses_and_trainings_are_keras_s() {
    let (cases, arrays) = cases();
    let wrong = cases.iter().flat_map(|case| {
        let faults = faults(case, &arrays).into_iter();
        faults.map(|(what, difference)| format!("{}: {what} {difference:e}", case.name))
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(cases.len() > 30, "only {} networks", cases.len());
}

fn layer(class_name: &str, config: Value) -> Value {
    json!({ "class_name": class_name, "config": config })
}

fn dense(units: usize, activation: &str) -> Value {
    layer("Dense", json!({ "units": units, "activation": activation }))
}

fn map_of(units: usize, activation: &str) -> Value {
    layer("Conv2D", json!({ "filters": units, "kernel_size": 1, "activation": activation }))
}

/// A network on images of 6 × 6 pixels, compiled with `loss`.
fn network(layers: &[Value], loss: Value) -> Value {
    let input = layer("InputLayer", json!({ "batch_shape": [null, 6, 6, 1] }));
    let layers = [&[input][..], layers].concat();
    json!({
        "class_name": "Sequential", "keras_version": "3.15.1", "config": { "name": "net", "layers": layers },
        "compile_config": { "optimizer": "adam", "loss": loss },
    })
}

fn kind_of(layers: &[Value], loss: Value) -> Result<String, String> {
    let spec = Spec::from_json(&network(layers, loss)).map_err(|error| error.to_string())?;
    spec.output_kind().map(|kind| kind.to_string()).map_err(|error| {
        assert_eq!(error.exit_code(), 4, "{error}");
        error.to_string()
    })
}

#[test]
fn what_is_no_classifier_is_refused_by_name() {
    let flat = layer("Flatten", json!({}));
    let average = layer("GlobalAveragePooling2D", json!({}));
    let of = |units: usize, activation: &str| vec![flat.clone(), dense(units, activation)];
    let then = |mut layers: Vec<Value>, last: Value| {
        layers.push(last);
        layers
    };
    let binary = json!({ "class_name": "BinaryCrossentropy", "config": { "from_logits": false } });
    for (layers, loss, got, at) in [
        (of(1, "linear"), Value::Null, "one output without sigmoid", "layer dense (Dense)"),
        (of(1, "linear"), json!("mse"), "compiled with mse", "layer dense (Dense)"),
        (of(1, "linear"), binary.clone(), "compiled with BinaryCrossentropy", "layer dense (Dense)"),
        (of(4, "linear"), binary, "compiled with BinaryCrossentropy", "layer dense (Dense)"),
        (of(4, "linear"), json!("mean_absolute_error"), "compiled with mean_absolute_error", "layer dense (Dense)"),
        (of(1, "softmax"), Value::Null, "always 1", "layer dense (Dense)"),
        (of(1, "tanh"), Value::Null, "got tanh", "layer dense (Dense)"),
        (of(4, "relu"), Value::Null, "got relu", "layer dense (Dense)"),
        (of(1, "hard_sigmoid"), Value::Null, "got hard_sigmoid", "layer dense (Dense)"),
        (of(4, "softplus"), Value::Null, "got softplus", "layer dense (Dense)"),
        (then(of(4, "linear"), layer("PReLU", json!({}))), Value::Null, "got PReLU", "layer p_re_lu (PReLU)"),
        (then(of(4, "relu"), layer("Dropout", json!({ "rate": 0.5 }))), Value::Null, "got relu", "layer dense (Dense)"),
        (then(of(4, "softmax"), layer("ReLU", json!({}))), Value::Null, "got ReLU", "layer re_lu (ReLU)"),
        (
            then(of(4, "softmax"), layer("LayerNormalization", json!({}))),
            Value::Null,
            "a softmax whose probabilities are changed",
            "layer layer_normalization (LayerNormalization)",
        ),
        (
            then(of(1, "sigmoid"), layer("Rescaling", json!({ "scale": 2.0 }))),
            Value::Null,
            "a sigmoid whose probabilities are changed",
            "layer rescaling (Rescaling)",
        ),
        (vec![map_of(4, "softmax")], Value::Null, "[6, 6, 4]", "layer conv2d (Conv2D)"),
        (vec![map_of(4, "softmax"), flat.clone()], Value::Null, "other values", "layer flatten (Flatten)"),
        (
            vec![map_of(4, "linear"), layer("Softmax", json!({ "axis": 1 })), average.clone()],
            Value::Null,
            "another axis",
            "layer softmax (Softmax)",
        ),
        (
            vec![map_of(4, "softmax"), layer("ZeroPadding2D", json!({ "padding": 1 })), average.clone()],
            Value::Null,
            "other values",
            "layer zero_padding2d (ZeroPadding2D)",
        ),
        (vec![map_of(4, "hard_sigmoid"), average.clone()], Value::Null, "hard_sigmoid", "layer conv2d (Conv2D)"),
    ] {
        let error = kind_of(&layers, loss).unwrap_err();
        let starts = error.starts_with("the network is not a classifier: expected ");
        assert!(starts && error.contains(got) && error.contains(at), "{got}, {at}: {error}");
    }
}

#[test]
fn what_is_one_is_told_apart() {
    let flat = layer("Flatten", json!({}));
    let average = layer("GlobalAveragePooling2D", json!({}));
    let from_logits = |class_name: &str| json!({ "class_name": class_name, "config": { "from_logits": true } });
    let function = json!({ "class_name": "function", "config": "binary_crossentropy" });
    let [logits, probabilities] = ["logits, one for each class", "probabilities, one for each class"];
    for (layers, loss, expected) in [
        (vec![flat.clone(), dense(4, "linear")], Value::Null, logits),
        (vec![flat.clone(), dense(4, "linear")], json!("my_own_loss"), logits),
        (vec![flat.clone(), dense(4, "log_softmax")], Value::Null, logits),
        (vec![flat.clone(), dense(4, "relu"), layer("BatchNormalization", json!({}))], Value::Null, logits),
        (vec![map_of(4, "relu"), average.clone()], Value::Null, logits),
        (vec![map_of(4, "softmax"), flat.clone(), dense(4, "softmax")], Value::Null, probabilities),
        (vec![flat.clone(), dense(4, "softmax")], json!("mse"), probabilities),
        (
            vec![flat.clone(), dense(1, "linear")],
            from_logits("BinaryCrossentropy"),
            "one logit, of the second of two classes",
        ),
        (vec![flat.clone(), dense(1, "sigmoid")], function, "one probability, of the second of two classes"),
        (vec![map_of(1, "sigmoid"), average], Value::Null, "one probability, of the second of two classes"),
        (
            vec![flat, dense(4, "linear")],
            json!({ "dense": from_logits("BinaryCrossentropy") }),
            "logits, one for each class by itself (sigmoid)",
        ),
    ] {
        assert_eq!(kind_of(&layers, loss.clone()), Ok(expected.to_owned()), "{loss}");
    }
}

/// Digits 3 and 7 as class folders; `in_folder` has them all, in `png`.
fn two_classes(in_folder: &Path) {
    succeeded(&convnet(in_folder, &["data", "export", "digits:600", "--format", "png", "--out", "png", "-q"]));
    for split in ["train", "test"] {
        std::fs::create_dir_all(in_folder.join("two").join(split)).unwrap();
        for class in ["3", "7"] {
            std::fs::rename(
                in_folder.join("png").join(split).join(class),
                in_folder.join("two").join(split).join(class),
            )
            .unwrap();
        }
    }
}

fn binary_network(last: &str, loss: Value) -> String {
    let mut document = network(&[layer("Flatten", json!({})), dense(1, last)], loss);
    document["config"]["layers"][0]["config"]["batch_shape"] = json!([null, 28, 28, 1]);
    document.to_string()
}

#[test]
fn one_sigmoid_learns_two_classes() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    two_classes(at);
    let from_logits = json!({ "class_name": "BinaryCrossentropy", "config": { "from_logits": true } });
    std::fs::write(at.join("sigmoid.json"), binary_network("sigmoid", Value::Null)).unwrap();
    std::fs::write(at.join("logit.json"), binary_network("linear", from_logits)).unwrap();
    let common = ["--data", "two", "--device=cpu", "-q", "-b", "16", "--lr", "0.01", "--json"];
    let trained = |more: &[&str]| json(&convnet(at, &[&["train"], &common[..], more].concat()));
    let tested =
        |report: &Value| [report["test"]["loss"].as_f64().unwrap(), report["test"]["accuracy"].as_f64().unwrap()];
    let whole = trained(&["--model", "sigmoid.json", "--name", "m", "--run", "a", "--epochs", "4"]);
    assert!(tested(&whole)[1] >= 0.9 && tested(&whole)[0] < 0.5, "{whole}");
    // the same network, its sigmoid in the loss
    let logit = trained(&["--model", "logit.json", "--name", "logit", "--run", "b", "--epochs", "4"]);
    assert_eq!(tested(&logit), tested(&whole));
    // and the same in two halves
    trained(&["--model", "sigmoid.json", "--name", "half", "--run", "c", "--epochs", "2"]);
    let resumed = json(&convnet(at, &["train", "--resume", "c", "--epochs", "4", "-q", "--json"]));
    assert_eq!(tested(&resumed), tested(&whole));
    let changed = ["--label-smoothing", "0.1", "--class-weights", "balanced", "--augment", "mixup=0.4"];
    let more = ["--init-from", "models/m", "--name", "more", "--run", "d", "--epochs", "1"];
    assert!(tested(&trained(&[&more[..], &changed].concat()))[1] >= 0.9);
    json(&convnet(
        at,
        &["lr-find", "--model", "sigmoid.json", "--data", "two", "--steps", "20", "-b", "16", "-q", "--json"],
    ));

    for model in ["models/m", "models/logit"] {
        let report = json(&convnet(at, &["evaluate", model, "--data", "two", "--device=cpu", "--json"]));
        assert_eq!([report["loss"].as_f64().unwrap(), report["accuracy"].as_f64().unwrap()], tested(&whole));
        assert_eq!(report["confusion"].as_array().unwrap().len(), 2);
        let files = ["two/test/3", "two/test/7"];
        let args = [&["predict", model][..], &files, &["--out", "p.npy", "--json", "--device=cpu", "-q"]].concat();
        let report = json(&convnet(at, &args));
        let outputs = Tensor::read_npy(at.join("p.npy")).unwrap();
        let predictions = report["predictions"].as_array().unwrap();
        assert_eq!(outputs.size(), [predictions.len() as i64, 1]);
        for (index, prediction) in predictions.iter().enumerate() {
            let output = outputs.double_value(&[index as i64, 0]);
            let second = if model == "models/m" { output } else { 1.0 / (1.0 + (-output).exp()) };
            let [p0, p1] = [0, 1].map(|class: usize| prediction["probabilities"][class].as_f64().unwrap());
            assert!((p1 - second).abs() < 1e-6 && (p0 + p1 - 1.0).abs() < 1e-6, "{prediction}");
            assert_eq!(prediction["label"], if second > 0.5 { "7" } else { "3" });
        }
        for (format, file) in [("keras", "e.keras"), ("keras-legacy", "e.h5")] {
            succeeded(&convnet(at, &["export", model, "--format", format, "--out", file]));
            succeeded(&convnet(at, &["import", file, "--name", "back", "-q"]));
            let again = json(&convnet(at, &["evaluate", "models/back", "--data", "two", "--device=cpu", "--json"]));
            assert_eq!(again["loss"].as_f64(), Some(tested(&whole)[0]), "{model} {format}");
        }
        succeeded(&convnet(at, &["export", model, "--format", "pytorch", "--out", "e.py"]));
        let script = std::fs::read_to_string(at.join("e.py")).unwrap();
        assert!(script.contains("[B, 1] out: one ") && script.contains("LABELS = [\"3\",\"7\"]"), "{script}");
    }
    let ten = convnet(at, &["train", "--model", "sigmoid.json", "--data", "digits:100", "--epochs", "1", "-q"]);
    failed(&ten, 4, "expected 2 classes in the data, which the model's one output tells apart, got 10 (sigmoid.json)");
}

#[test]
#[ignore = "needs CONVNET_TEST_ASSETS"]
fn the_given_models_evaluate_and_predict_as_in_keras() {
    let cases = crate::program::assets().join("cases");
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let expected: Value = serde_json::from_str(&std::fs::read_to_string(cases.join("expected.json")).unwrap()).unwrap();
    for name in ["flat", "gap", "sig"] {
        let file = cases.join(name).with_extension("keras");
        let file = file.to_str().unwrap();
        succeeded(&convnet(at, &["import", file, "--input-scale", "1/255", "-q"]));
        let model = format!("models/{name}");
        let expected = &expected[format!("{name}.keras")];
        let data = cases.with_file_name("data").join("fashion-mnist");
        let data = data.to_str().unwrap();
        let report = json(&convnet(at, &["evaluate", &model, "--data", data, "--device=cpu", "--json", "-q"]));
        for key in ["loss", "accuracy"] {
            let keras = expected[format!("fashion_test_{key}")].as_f64().unwrap();
            assert!(relative(report[key].as_f64().unwrap(), keras) < 1e-5, "{name}: {key} {}", report[key]);
        }
        let args = ["predict", &model, "--data", data, "--index", "786", "--out", "p.npy", "--device=cpu", "-q"];
        succeeded(&convnet(at, &args));
        let outputs: Vec<f64> = serde_json::from_value(expected["outputs_of_test_786"].clone()).unwrap();
        let outputs = Tensor::from_slice(&outputs).to_kind(Kind::Float).unsqueeze(0);
        let largest = difference(&Tensor::read_npy(at.join("p.npy")).unwrap(), &outputs);
        assert!(largest < 1e-6, "{name}: {largest}");
    }
}

#[test]
#[ignore = "needs CONVNET_TEST_PYTHON"]
fn exported_scripts_give_keras_s_outputs_in_pytorch() {
    use convnet::export::{ExportFormat, export};
    use convnet::model::ModelInfo;
    let python = crate::program::python();
    let (cases, arrays) = cases();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    arrays["input"].to_kind(Kind::Float).write_npy(path("input.npy")).unwrap();
    for name in ["softmax_average", "log_softmax", "binary", "binary_logit", "sigmoids"] {
        let case = cases.iter().find(|case| case.name == name).unwrap();
        arrays[&format!("{name}/output")].to_kind(Kind::Float).write_npy(path("output.npy")).unwrap();
        let labels = (0..case.model.num_classes()).map(|class| class.to_string()).collect();
        let info = ModelInfo { labels, ..ModelInfo::default() };
        export(&case.model, &info, ExportFormat::Pytorch, &path("e.py")).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/exchange.py");
        let mut command = std::process::Command::new(&python);
        command.arg(script).arg("torch").arg(path("e.py"));
        command.arg("--input").arg(path("input.npy")).arg("--expect").arg(path("output.npy"));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
