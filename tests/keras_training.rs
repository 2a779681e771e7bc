//! Training that Keras began and the program goes on with. Needs CONVNET_TEST_PYTHON.

mod program;

use std::path::Path;
use std::process::Command;

use convnet::model::keras::KerasModel;
use convnet::model::saved;
use program::{convnet, succeeded};
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
fn every_optimizer_goes_on_from_its_state_in_keras() {
    let Some(python) = std::env::var_os("CONVNET_TEST_PYTHON") else {
        eprintln!("skipped: CONVNET_TEST_PYTHON is not set");
        return;
    };
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
    ] {
        goes_on_as_keras(folder.path(), name);
    }
}
