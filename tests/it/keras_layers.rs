//! Every layer against Keras 3.15.1: outputs from the same weights, and one training step. `scripts/fixtures/keras_layers.py`
//! and `keras_inputs.py` made the numbers.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::on_device::device;
use convnet::model::spec::WeightInfo;
use convnet::model::{Model, Precision, Spec};
use serde_json::Value;
use tch::{Device, Kind, Tensor};

/// Outputs differ by rounding, relative to numbers above 1.
const OUTPUT_TOLERANCE: f64 = 1e-5;
/// Losses and weights after a step differ by the rounding of gradients, too.
const STEP_TOLERANCE: f64 = 3e-5;

struct Case {
    name: String,
    model: Model,
    trained: bool,
    augmented: bool,
}

impl Case {
    fn new(document: &Value, arrays: &HashMap<String, Tensor>) -> Self {
        let name = document["name"].as_str().unwrap().to_owned();
        let spec = Spec::from_json(&document["model"]).unwrap_or_else(|error| panic!("{name}: {error}"));
        let written = Spec::from_json(&spec.to_json()).unwrap();
        assert_eq!(written, spec, "{name}");
        let model = Model::new(spec, 1.0, device(), 0).unwrap_or_else(|error| panic!("{name}: {error}"));
        let is = |key: &str| document[key].as_bool().unwrap();
        let case = Case { name, model, trained: is("trained"), augmented: is("augmented") };
        let keras = case.in_keras_order("weight", arrays);
        assert_eq!(Some(keras.len() as u64), document["weights"].as_u64(), "{}", case.name);
        for (weight, values) in case.model.weights().iter().zip(keras) {
            tch::no_grad(|| weight.tensor.shallow_clone().copy_(&values));
        }
        case
    }

    fn in_keras_order(&self, kind: &str, arrays: &HashMap<String, Tensor>) -> Vec<Tensor> {
        in_keras_order(&self.model, &self.name, kind, arrays).collect()
    }

    fn array(&self, name: &str, arrays: &HashMap<String, Tensor>) -> Tensor {
        arrays[&format!("{}/{name}", self.name)].to_device(device())
    }
}

/// Keras's arrays of all weights of the network called `name` in this program's shapes, as far as there are any.
fn in_keras_order(
    model: &Model,
    name: &str,
    kind: &str,
    arrays: &HashMap<String, Tensor>,
) -> impl Iterator<Item = Tensor> {
    let infos: Vec<WeightInfo> =
        model.plan().flat_layers().into_iter().flat_map(|(_, leaf)| leaf.weights.clone()).collect();
    let of = move |(index, info): (usize, WeightInfo)| {
        let array = arrays.get(&format!("{name}/{kind}_{index}"))?;
        let shape: Vec<i64> = info.keras_shape.iter().map(|&size| size as i64).collect();
        assert_eq!(array.size(), shape, "{name}: {}", info.name);
        let values = info.to_torch(&Vec::<f32>::try_from(array.flatten(0, -1)).unwrap());
        let shape: Vec<i64> = info.shape.iter().map(|&size| size as i64).collect();
        Some(Tensor::from_slice(&values).reshape(shape))
    };
    infos.into_iter().enumerate().map_while(of)
}

/// Gives `model`, whose first layers are those of the network called `name`, their weights of Keras.
pub fn weights_of(model: &Model, name: &str, arrays: &HashMap<String, Tensor>) {
    for (weight, values) in model.weights().iter().zip(in_keras_order(model, name, "weight", arrays)) {
        tch::no_grad(|| weight.tensor.shallow_clone().copy_(&values));
    }
}

/// The largest difference, relative to expected values above 1.
fn difference(actual: &Tensor, expected: &Tensor) -> f64 {
    let (actual, expected) = (actual.to_device(Device::Cpu), expected.to_device(Device::Cpu));
    let scale = expected.abs().clamp_min(1.0);
    ((actual.detach() - expected) / scale).abs().max().double_value(&[])
}

fn folders() -> [PathBuf; 2] {
    ["keras_layers", "keras_inputs"].map(|name| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name))
}

/// The networks as Keras's JSON, and all arrays.
pub fn documents_and_arrays() -> (Vec<Value>, HashMap<String, Tensor>) {
    let mut arrays = HashMap::new();
    let mut documents = Vec::new();
    for folder in folders() {
        arrays.extend(Tensor::read_npz(folder.join("arrays.npz")).unwrap());
        let text = std::fs::read_to_string(folder.join("models.json")).unwrap();
        documents.extend(serde_json::from_str::<Vec<Value>>(&text).unwrap());
    }
    (documents, arrays)
}

fn cases() -> (Vec<Case>, HashMap<String, Tensor>) {
    let (documents, arrays) = documents_and_arrays();
    let cases = documents.iter().map(|document| Case::new(document, &arrays)).collect();
    (cases, arrays)
}

#[test]
fn outputs_are_keras_s() {
    let (cases, arrays) = cases();
    let mut wrong = Vec::new();
    for case in &cases {
        let outputs = tch::no_grad(|| case.model.predict(&case.array("input", &arrays)));
        let expected = case.array("output", &arrays);
        assert_eq!(outputs.size(), expected.size(), "{}", case.name);
        let difference = difference(&outputs, &expected);
        if difference.is_nan() || difference > OUTPUT_TOLERANCE {
            wrong.push(format!("{}: {difference:e}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(cases.len() > 100, "only {} networks", cases.len());
}

#[test]
fn every_layer_computes_in_bfloat16() {
    let (cases, arrays) = cases();
    let mut differences: Vec<(f64, String)> = Vec::new();
    for case in cases {
        let images = case.array("input", &arrays);
        let exact = tch::no_grad(|| case.model.values(&images, false));
        let Case { name, model, .. } = case;
        let model = model.with_precision(Precision::Bf16);
        let logits = tch::no_grad(|| model.values(&images, false));
        assert_eq!((logits.kind(), logits.size()), (Kind::Float, exact.size()), "{name}");
        let rounded = (&logits - &exact).abs().mean(Kind::Double) / exact.abs().mean(Kind::Double).clamp_min(1e-6);
        differences.push((rounded.double_value(&[]), name));
        if model.spec().check_trainable().is_ok() && model.weights().iter().any(|weight| weight.trainable) {
            model.values(&images, true).sum(Kind::Float).backward();
        }
    }
    // bfloat16 has eight bits: 0.4 % a step
    differences.retain(|(difference, _)| difference.is_nan() || *difference > 0.05);
    assert!(differences.is_empty(), "{differences:?}");
}

#[test]
fn images_are_changed_as_keras_does() {
    let (cases, arrays) = cases();
    let mut wrong = Vec::new();
    for case in cases.iter().filter(|case| case.augmented) {
        let changed = tch::no_grad(|| case.model.values(&case.array("input", &arrays), true));
        let difference = difference(&changed, &case.array("changed", &arrays));
        if difference.is_nan() || difference > OUTPUT_TOLERANCE {
            wrong.push(format!("{}: {difference:e}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_training_step_is_keras_s() {
    let (cases, arrays) = cases();
    let mut wrong = Vec::new();
    for case in cases.iter().filter(|case| case.trained) {
        for (what, difference) in step(case, &arrays) {
            if difference.is_nan() || difference > STEP_TOLERANCE {
                wrong.push(format!("{}: {what} {difference:e}", case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// One step of SGD with what the training loop adds, and the differences from Keras's.
fn step(case: &Case, arrays: &HashMap<String, Tensor>) -> Vec<(String, f64)> {
    case.model.spec().check_trainable().unwrap();
    let (images, labels) = (case.array("input", arrays), case.array("labels", arrays).to_kind(Kind::Int64));
    let loss = case.model.with_penalties(case.model.forward(&images, true).unwrap().loss(&labels, 0.0));
    let mut differences = vec![("loss".to_owned(), difference(&loss, &case.array("loss", arrays)))];
    loss.backward();
    tch::no_grad(|| {
        for weight in case.model.weights().iter().filter(|weight| weight.trainable) {
            let _ = weight.tensor.shallow_clone().g_sub_(&(weight.tensor.grad() * 0.1));
        }
    });
    case.model.apply_constraints();
    for (weight, expected) in case.model.weights().iter().zip(case.in_keras_order("after", arrays)) {
        differences.push((weight.name.clone(), difference(&weight.tensor, &expected)));
    }
    let loss =
        tch::no_grad(|| case.model.with_penalties(case.model.forward(&images, false).unwrap().loss(&labels, 0.0)));
    differences.push(("loss afterwards".into(), difference(&loss, &case.array("evaluated", arrays))));
    differences
}
