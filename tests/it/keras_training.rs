//! Training that Keras began and the program goes on with. Needs CONVNET_TEST_PYTHON.

use std::path::Path;
use std::process::Command;

use crate::program::{convnet, failed, json, succeeded, train};
use convnet::keras::KerasModel;
use convnet::model::saved;
use serde_json::{Value, json};
use tch::Device;

/// Trains `<name>.keras` and `<name>.h5` on as Keras did, and compares the weights with Keras's.
fn goes_on_as_keras(at: &Path, name: &str) {
    for suffix in ["keras", "h5"] {
        let file = format!("{name}.{suffix}");
        succeeded(&convnet(at, &["import", &file, "--name", "warm", "--input-scale", "1/255"]));
        let train = "train --init-from models/warm --data data.npz --validation none --shuffle false --no-check \
                     --epochs 2 --batch-size 32 --name on --device cpu --threads 1 -q";
        succeeded(&convnet(at, &train.split_whitespace().collect::<Vec<_>>()));
        let (ours, _) = saved::load(&at.join("models/on.json"), Device::Cpu).unwrap();
        let after = at.join(format!("{name}.after.keras"));
        let theirs = KerasModel::open(&after, None).unwrap().build(1.0 / 255.0, Device::Cpu).unwrap();
        for (our, their) in ours.weights().iter().zip(theirs.weights()) {
            let difference = (&our.tensor - &their.tensor).abs().max().double_value(&[]);
            assert!(difference < 1e-5, "{file}: {} differs by {difference:e}", our.name);
        }
    }
}

#[test]
#[ignore = "needs CONVNET_TEST_PYTHON"]
fn every_optimizer_goes_on_from_its_state_in_keras() {
    let python = crate::program::python();
    let folder = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/exchange.py");
    let made = Command::new(python).arg(script).arg("warm").arg(folder.path()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    for name in [
        "adam",
        "adam_in_parts",
        "adam_averaged",
        "adamw",
        "nadam",
        "sgd",
        "rmsprop",
        "rmsprop_momentum",
        "rmsprop_centered",
        "rmsprop_both",
        "lion",
        "logits",
    ] {
        goes_on_as_keras(folder.path(), name);
    }
}

/// A network for the digits of 28×28 pixels whose last layer has this activation, with `more` layers after it.
fn network(activation: &str, more: &[Value]) -> String {
    let layer = |class_name: &str, config: Value| json!({ "class_name": class_name, "config": config });
    let mut layers = vec![
        layer("InputLayer", json!({ "batch_shape": [null, 28, 28, 1], "name": "input" })),
        layer("Flatten", json!({ "name": "flat" })),
        layer("Dense", json!({ "name": "scores", "units": 10, "activation": activation })),
    ];
    layers.extend_from_slice(more);
    json!({ "class_name": "Sequential", "config": { "name": "net", "layers": layers } }).to_string()
}

#[test]
fn a_network_that_ends_in_logits_is_a_classifier() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::write(at.join("softmax.json"), network("softmax", &[])).unwrap();
    std::fs::write(at.join("linear.json"), network("linear", &[])).unwrap();
    let losses = ["softmax.json", "linear.json"].map(|model| {
        let report = json(&train(at, &["--model", model, "--epochs", "1", "--name", "net", "--json"]));
        let evaluated = json(&convnet(at, &["evaluate", "models/net", "--data", "digits:600", "--json"]));
        assert_eq!(evaluated["loss"], report["test"]["loss"], "{model}");
        evaluated["loss"].as_f64().unwrap()
    });
    assert_eq!(losses[0], losses[1], "the loss is that of the softmax of the logits");
    let predict = ["predict", "models/net", "--data", "digits:600", "--index", "3", "--json"];
    let probabilities = json(&convnet(at, &predict))["predictions"][0]["probabilities"].clone();
    let sum: f64 = probabilities.as_array().unwrap().iter().map(|probability| probability.as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-5, "{probabilities}");
    json(&train(at, &["--init-from", "models/net", "--epochs", "1", "--json"]));
}

#[test]
fn a_network_with_another_last_activation_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for activation in ["relu", "tanh"] {
        std::fs::write(at.join("other.json"), network(activation, &[])).unwrap();
        let output = train(at, &["--model", "other.json"]);
        failed(&output, 4, &format!("got {activation} (other.json, layer scores (Dense))"));
    }
    // sigmoids, and values that only pass on what softmax made, are classifiers: tests/heads.rs has Keras's numbers
    let after = [json!({ "class_name": "Reshape", "config": { "name": "same", "target_shape": [10] } })];
    for (activation, more) in [("sigmoid", &[][..]), ("softmax", &after)] {
        std::fs::write(at.join("other.json"), network(activation, more)).unwrap();
        json(&train(at, &["--model", "other.json", "--epochs", "1", "--name", "other", "--json"]));
    }
}
