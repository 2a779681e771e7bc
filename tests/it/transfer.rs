//! Training on from a model: features of frozen layers, the head first, rates of the backbone.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::branching::residual;
use crate::program::{NO_GPU, convnet, failed, history, succeeded, train};
use convnet::model::saved;
use tch::Device;

/// A training of seconds from a model, whose name comes next.
const GO_ON: [&str; 7] =
    ["train", "--data=digits:600", "--validation=60", "--device=cpu", "--progress=none", "--threads=1", "--init-from"];

/// Trains the model `start` on, in a run called `name`; what it said.
fn go_on(at: &Path, start: &str, name: &str, more: &[&str]) -> String {
    let own = [start, "--name", name, "--run", name];
    let output = convnet(at, &[&GO_ON[..], &own, more].concat());
    succeeded(&output);
    String::from_utf8(output.stderr).unwrap()
}

fn weights(at: &Path, name: &str) -> Vec<u8> {
    std::fs::read(at.join(format!("models/{name}.safetensors"))).unwrap()
}

/// Kills `convnet ARGS` as soon as it says `word`.
fn killed_at(at: &Path, word: &str, args: &[&str]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_convnet"));
    command.args(args).current_dir(at).env(NO_GPU, "").stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let said = BufReader::new(child.stderr.take().unwrap());
    assert!(said.lines().any(|line| line.unwrap().contains(word)), "{word} was not said");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn features_of_a_frozen_backbone_are_computed_once() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::write(at.join("net.json"), residual().to_string()).unwrap();
    for (model, graph) in [("keras-cnn", false), ("net.json", true)] {
        let own = |name: &str| format!("{name}{graph}");
        let start = own("start");
        succeeded(&train(at, &["--model", model, "--name", &start, "--run", &start, "--epochs", "1"]));
        let frozen =
            |name: &str, more: &[&str]| go_on(at, &start, &own(name), &[&["--freeze", "backbone"], more].concat());
        // up to the first dropout
        let layer =
            if graph { "features: the layers up to bn " } else { "features: the layers up to max_pooling2d_1 " };
        let said = frozen("kept", &["--epochs", "3"]);
        assert!(said.contains(layer), "{model}: {said}");
        assert!(!frozen("anew", &["--epochs", "3", "--keep-features", "false"]).contains("features:"), "{model}");
        assert!(!frozen("light", &["--epochs", "1", "--augment", "light"]).contains("features:"), "{model}");
        // computed anew, what the logs say is the same up to rounding
        let last = |name: &str| history(at, &own(name)).pop().unwrap();
        for (kept, anew) in last("kept").iter().zip(&last("anew")) {
            let [kept, anew] = [kept, anew].map(|cell| cell.parse::<f64>().unwrap());
            assert!((kept - anew).abs() <= 1e-4 * anew.abs().max(1.0), "{model}: {kept} {anew}");
        }
        // and a run that goes on comes to the same bits
        frozen("part", &["--epochs", "1"]);
        succeeded(&convnet(at, &["train", "--resume", &own("part"), "--epochs", "3", "-q"]));
        assert_eq!(history(at, &own("part")), history(at, &own("kept")), "{model}");
        assert_eq!(weights(at, &own("part")), weights(at, &own("kept")), "{model}");
    }
    // nothing is kept where a layer before the head is trained, or drops at random
    let output =
        convnet(at, &["train", "--data", "digits:200", "--validation", "50", "--epochs", "1", "--progress=none"]);
    assert!(!String::from_utf8_lossy(&output.stderr).contains("features:"));
}

#[test]
fn the_head_is_trained_first_then_all() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::write(at.join("net.json"), residual().to_string()).unwrap();
    succeeded(&train(at, &["--model", "net.json", "--name", "start", "--run", "start", "--epochs", "1"]));
    let staged = ["--freeze-epochs", "2", "--batch-size", "100", "--restore-best", "--ema", "0.9"];
    let said = go_on(at, "start", "whole", &[&["--epochs", "4"], &staged[..]].concat());
    assert!(said.contains("features: the layers up to bn "), "{said}");
    assert!(said.contains("from epoch 3: ") && said.contains("at 0.1 times the learning rate"), "{said}");
    // the first epochs are those of a frozen backbone, bit for bit
    let frozen = ["--freeze", "backbone", "--epochs", "2", "--batch-size", "100", "--ema", "0.9"];
    go_on(at, "start", "frozen", &frozen);
    assert_eq!(history(at, "whole")[..2], history(at, "frozen")[..]);
    assert_ne!(history(at, "whole")[2][1..], history(at, "whole")[1][1..]);
    // killed between the stages, it comes to the same bits
    killed_at(
        at,
        "from epoch 3",
        &[&GO_ON[..], &["start", "--name", "on", "--run", "on", "--epochs", "4"], &staged].concat(),
    );
    assert_eq!(history(at, "on").len(), 2, "the second stage has come to nothing yet");
    succeeded(&convnet(at, &["train", "--resume", "on", "-q"]));
    assert_eq!(history(at, "on"), history(at, "whole"));
    assert_eq!(weights(at, "on"), weights(at, "whole"));
    // and stopped in either of them
    let verified = ["--verify-resume", "--freeze-epochs", "7", "--epochs", "9", "--backbone-lr-scale", "0.3"];
    succeeded(&convnet(at, &[&GO_ON[..], &["start"], &verified].concat()));
}

#[test]
fn stages_that_cannot_be_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let no_dense = "Conv2D 10 3\nGlobalAveragePooling2D\nActivation softmax\n";
    std::fs::write(at.join("net.txt"), no_dense).unwrap();
    let refused = |more: &[&str], word: &str| failed(&train(at, more), 2, word);
    refused(&["--freeze-epochs", "2"], "leaves no epoch");
    refused(&["--freeze-epochs", "1", "--model", "net.txt"], "--freeze-epochs needs a Dense layer");
    refused(&["--backbone-lr-scale", "0.5", "--model", "net.txt"], "--backbone-lr-scale needs a Dense layer");
    refused(&["--backbone-lr-scale", "0"], "backbone-lr-scale");
    refused(&["--freeze-epochs", "1", "--freeze", "dense"], "nothing is left to train");
    let told =
        ["train", "--data=digits:200", "--validation=50", "--epochs=2", "--freeze-epochs=1", "--freeze=backbone"];
    let told = convnet(at, &told);
    assert!(String::from_utf8_lossy(&told.stderr).contains("--freeze-epochs has no effect"), "{told:?}");
}

#[test]
fn the_backbone_has_a_rate_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let step = |name: &str, scale: &[&str]| {
        let one = ["--optimizer", "sgd", "--epochs", "1", "--limit-train", "64", "--name", name, "--run", name];
        succeeded(&train(at, &[&one[..], scale].concat()));
        saved::load(&at.join(format!("models/{name}.json")), Device::Cpu).unwrap().0
    };
    let [before, whole, tenth] = [("before", "1e-30"), ("whole", "1"), ("tenth", "0.1")]
        .map(|(name, scale)| step(name, &["--backbone-lr-scale", scale]));
    for ((before, whole), tenth) in before.weights().iter().zip(whole.weights()).zip(tenth.weights()) {
        let is_head = before.layer() == "dense";
        let [whole, tenth] = [whole, tenth].map(|weight| &weight.tensor - &before.tensor);
        let expected = if is_head { whole.shallow_clone() } else { whole * 0.1 };
        assert!((tenth - expected).abs().max().double_value(&[]) < 1e-7, "{}", before.name);
    }
}
