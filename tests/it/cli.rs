//! The program as its users run it: files, bits, exit codes.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::program::{
    assets, convnet, failed, json, succeeded, train, wait_for_first_epoch, with_default_signals,
    write_as_before_checksums,
};
use convnet::metrics::Metric;
use serde_json::Value;

#[test]
fn train_evaluate_and_predict() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let report = json(&train(at, &["--run", "a", "--json"]));
    assert_eq!(report["epochs"].as_array().unwrap().len(), 2);
    assert_eq!((report["parameters"].as_u64(), report["run"].as_str()), (Some(34_826), Some("a")));
    for file in ["run.json", "history.csv", "checkpoints/last.json", "checkpoints/best.json"] {
        assert!(at.join("logs/a").join(file).is_file(), "{file}");
    }

    let evaluation = json(&convnet(at, &["evaluate", "models/model", "--data", "digits:600", "--json"]));
    assert_eq!(evaluation["count"], 100);
    let difference = evaluation["loss"].as_f64().unwrap() - report["test"]["loss"].as_f64().unwrap();
    assert!(difference.abs() < 1e-12, "the saved model is the trained one: {difference}");
    json(&convnet(at, &["evaluate", "logs/a", "--data", "digits:600", "--json"]));

    let predict = ["predict", "models/model.json", "--data", "digits:600", "--index", "7", "--json"];
    let first = succeeded(&convnet(at, &predict));
    assert_eq!(first, succeeded(&convnet(at, &predict)), "two processes, the same bits");
    let document: Value = serde_json::from_str(&first).unwrap();
    let probabilities = document["predictions"][0]["probabilities"].as_array().unwrap();
    let sum: f64 = probabilities.iter().map(|p| p.as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-5 && probabilities.len() == 10);
    assert!(document["predictions"][0]["expected"].is_u64());
}

#[test]
fn one_seed_gives_one_model_and_a_resumed_run_is_the_whole_one() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    succeeded(&train(at, &["--run", "whole", "--name", "whole"]));
    succeeded(&train(at, &["--run", "other", "--name", "other", "--seed", "1"]));
    succeeded(&train(at, &["--run", "half", "--name", "half", "--epochs", "1"]));
    succeeded(&convnet(at, &["train", "--resume", "half", "--epochs", "2", "-q"]));
    let bytes = |name: &str| fs::read(at.join(format!("models/{name}.safetensors"))).unwrap();
    assert_eq!(bytes("whole"), bytes("half"));
    assert_ne!(bytes("whole"), bytes("other"));
    let last = |run: &str| fs::read_to_string(at.join(format!("logs/{run}/history.csv"))).unwrap().lines().count();
    assert_eq!((last("whole"), last("half")), (3, 3));
    failed(&convnet(at, &["train", "--resume", "half", "-q"]), 2, "finished");
    failed(&convnet(at, &["train", "--resume", "half", "--seed", "3", "-q"]), 2, "seed cannot change");
}

#[test]
fn a_run_starts_from_a_trained_model_and_frozen_layers_stay() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    succeeded(&train(at, &["--epochs", "1", "--name", "first"]));
    let more = ["--epochs", "1", "--seed", "1", "--name", "second", "--init-from", "models/first"];
    succeeded(&train(at, &[&more[..], &["--freeze", "conv2d*"]].concat()));
    let tensors = |name: &str| {
        let tensors = tch::Tensor::read_safetensors(at.join(format!("models/{name}.safetensors"))).unwrap();
        tensors.into_iter().collect::<std::collections::HashMap<_, _>>()
    };
    let (first, second) = (tensors("first"), tensors("second"));
    for (name, weight) in &first {
        assert_eq!(weight.equal(&second[name]), name.starts_with("conv2d"), "{name}");
    }
    failed(&train(at, &["--init-from", "models/first", "--freeze", "convolution"]), 2, "conv2d_1");
    failed(&train(at, &["--init-from", "models/none"]), 4, "models/none");
}

#[test]
#[cfg(unix)]
fn ctrl_c_saves_and_the_run_goes_on_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let data = ["train", "--data", "digits:3000", "--validation", "none", "--epochs", "3", "-q", "--device=cpu"];
    let args = [&data[..], &["--augment", "strong,mixup=0.2,cutmix=1"]].concat();
    succeeded(&convnet(at, &[&args[..], &["--name", "whole", "--run", "whole"]].concat()));
    let mut child = with_default_signals(&mut Command::new(env!("CARGO_BIN_EXE_convnet")))
        .args(&args)
        .args(["--name", "cut", "--run", "cut"])
        .current_dir(at)
        .spawn()
        .expect("the program starts");
    wait_for_first_epoch(&mut child, at, "cut");
    // SAFETY: the child is ours and not yet waited for.
    unsafe { libc::kill(child.id() as i32, libc::SIGINT) };
    let status = child.wait().unwrap();
    if status.code() == Some(130) {
        assert!(!at.join("models").read_dir().unwrap().any(|file| file.unwrap().file_name() == "cut.json"));
        succeeded(&convnet(at, &["train", "--resume", "cut", "-q"]));
    } else {
        assert!(status.success(), "a fast machine is done before the signal: {status}");
    }
    let bytes = |name: &str| fs::read(at.join(format!("models/{name}.safetensors"))).unwrap();
    assert_eq!(bytes("whole"), bytes("cut"));
}

#[test]
fn wrong_flags_are_refused_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for (args, code, word) in [
        (&["train", "--batch-size", "0"][..], 2, "batch-size"),
        (&["train", "--lr", "NaN"], 2, "finite"),
        (&["train", "--lr", "-1"], 2, "lr"),
        (&["train", "--epochz", "3"], 2, "--epochs"),
        (&["train", "--data", "fashion-mnst"], 3, "fashion-mnist"),
        (&["train", "--data", "./nowhere"], 3, "nowhere"),
        (&["train", "--data", "digits:600", "--validation", "5000"], 2, "5000"),
        (&["train", "--model", "keras-cn"], 4, "keras-cnn"),
        (&["train", "--device", "cuda:99"], 5, "CUDA"),
        (&["train", "--resume", "nothing"], 2, "nothing"),
        (&["evaluate", "models/model"], 4, "models/model"),
        (&["predict", "models/model", "a.png"], 4, "models/model"),
        (&["summary", "nothing"], 4, "nothing"),
    ] {
        failed(&convnet(at, args), code, word);
    }
    assert_eq!(fs::read_dir(at).unwrap().count(), 0, "nothing is written");
}

#[test]
fn damaged_models_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    succeeded(&train(at, &["--epochs", "1"]));
    let [json_path, weights_path] = ["json", "safetensors"].map(|e| at.join(format!("models/model.{e}")));
    let (text, weights) = (fs::read_to_string(&json_path).unwrap(), fs::read(&weights_path).unwrap());
    let evaluate = || convnet(at, &["evaluate", "models/model", "--data", "digits:600"]);
    let mut flipped = weights.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for (bytes, word) in
        [(&flipped[..], "SHA-256"), (&weights[..weights.len() / 2], "safetensors"), (&[], "safetensors")]
    {
        fs::write(&weights_path, bytes).unwrap();
        failed(&evaluate(), 4, word);
    }
    fs::write(&weights_path, &weights).unwrap();
    fs::write(&json_path, text.replacen("\"units\": 10", "\"units\": 11", 1)).unwrap();
    failed(&evaluate(), 4, "not as it was saved");
    // without a checksum, which older versions did not save, what is wrong is found where it is
    fs::write(&json_path, &text).unwrap();
    let text = serde_json::to_string_pretty(&write_as_before_checksums(&json_path, |_| {})).unwrap();
    for (from, to, word) in [
        ("\"Conv2D\"", "\"Konv2D\"", "unknown layer"),
        ("\"use_bias\"", "\"use_bais\"", "did you mean 'use_bias'"),
        ("\"units\": 10", "\"units\": 11", "labels"),
        ("\"version\": 1", "\"version\": 9", "version"),
        ("{", "[", "JSON"),
    ] {
        assert!(text.contains(from), "{from}");
        fs::write(&json_path, text.replacen(from, to, 1)).unwrap();
        failed(&evaluate(), 4, word);
    }
}

#[test]
fn a_corrupt_image_among_good_ones_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    succeeded(&train(at, &["--epochs", "1"]));
    image::GrayImage::from_fn(40, 40, |x, _| image::Luma([x as u8 * 6])).save(at.join("good.png")).unwrap();
    fs::write(at.join("bad.png"), b"not an image").unwrap();
    let output = convnet(at, &["predict", "models/model", "bad.png", "good.png", "--json"]);
    failed(&output, 3, "bad.png");
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["predictions"].as_array().unwrap().len(), 1);
    failed(&convnet(at, &["predict", "models/model", "missing.png"]), 3, "missing.png");
    failed(&convnet(at, &["predict", "models/model", "--data", "digits:600", "--index", "100"]), 3, "100");
}

#[test]
#[ignore = "needs CONVNET_TEST_PYTHON"]
fn real_tensorboard_pytorch_and_keras_read_what_was_written() {
    let python = crate::program::python();
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    succeeded(&train(at, &["--run", "a", "--histograms", "2"]));
    // images as the network sees them, and what we say of them
    let count = 8usize;
    let values: Vec<f32> = (0..count * 784).map(|i| (i * 37 % 256) as f32 / 255.0).collect();
    convnet::data::npy::write_f32(&at.join("input.npy"), &[count, 28, 28, 1], &values).unwrap();
    succeeded(&convnet(at, &["predict", "models/model", "input.npy", "--out", "output.npy"]));
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python");
    let script = |name: &str, args: &[&str]| {
        let output = Command::new(&python).arg(scripts.join(name)).args(args).current_dir(at).output().unwrap();
        assert!(output.status.success(), "{name}: {output:?}");
    };
    // 540 training images in batches of 128
    let metrics = Metric::of(10).map(Metric::name).collect::<Vec<_>>().join(",");
    let told = ["--classes", "0,1,2,3,4,5,6,7,8,9", "--histograms", "2"];
    let run = ["logs/a", "--epochs", "2", "--steps-per-epoch", "5", "--metrics", &metrics, "--http"];
    script("check_tensorboard.py", &[&run[..], &told].concat());
    // what Keras's callback writes, and no more
    succeeded(&train(at, &["--run", "b", "--tensorboard", "scalars"]));
    let run = ["logs/b", "--epochs", "2", "--steps-per-epoch", "5", "--metrics", &metrics];
    script("check_tensorboard.py", &run);
    succeeded(&train(at, &["--run", "c", "--tensorboard", "none"]));
    assert!(!at.join("logs/c/train").exists() && at.join("logs/c/history.csv").exists());
    script("read_weights.py", &["models/model", "input.npy", "--expect", "output.npy"]);
    script("read_keras.py", &["models/model", "input.npy", "--expect", "output.npy", "--parameters", "34826"]);
}

#[test]
#[ignore = "needs CONVNET_TEST_ASSETS"]
fn fashion_mnist_s_image_786_is_a_bag() {
    let assets = assets();
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let data = assets.join("data/fashion-mnist");
    let data = data.to_str().unwrap();
    let limits = ["--limit-train", "6000", "--epochs", "2", "-q", "--device=cpu"];
    succeeded(&convnet(at, &[&["train", "--data", data][..], &limits].concat()));
    let predict =
        convnet(at, &["predict", "models/model", "--data", data, "--split", "test", "--index", "786", "--json"]);
    let prediction = &json(&predict)["predictions"][0];
    assert_eq!((prediction["class"].as_u64(), prediction["label"].as_str()), (Some(8), Some("Bag")));
    assert_eq!(prediction["expected"], 8);
}

#[test]
#[ignore = "needs CONVNET_TEST_ASSETS"]
fn training_goes_on_as_keras_compiled_the_model() {
    let assets = assets();
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let source = assets.join("fixtures/keras/seed_trained/model.keras");
    let import = ["import", source.to_str().unwrap(), "--name", "seed", "--input-scale", "1/255"];
    succeeded(&convnet(at, &import));
    let from = ["--init-from", "models/seed", "--beta1", "0.8"];
    let settings = json(&train(at, &[&from[..], &["--print-config", "--json"]].concat()));
    let setting = |key: &str| (settings[key]["value"].as_f64(), settings[key]["origin"].as_str().unwrap().to_owned());
    assert_eq!(setting("lr"), (Some(0.002), "trained-model".to_owned()));
    assert_eq!(setting("beta1"), (Some(0.8), "flag".to_owned()));
    let args = ["train", "--data", "digits:600", "--validation", "60", "--epochs", "1", "--device=cpu"];
    let notes = |more: &[&str]| {
        let output = convnet(at, &[&args[..], &from, more].concat());
        succeeded(&output);
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(notes(&[]).contains("goes on after its 16 steps"));
    assert!(
        notes(&["--ema", "0.9"]).contains("goes on after its 16 steps"),
        "averages, which the file lacks, begin here"
    );
    assert!(!notes(&["--optimizer", "sgd"]).contains("after its"));
    assert!(notes(&["--freeze", "conv2d"]).contains("goes on"), "what is left to train has its state");
}

#[test]
fn cross_validation_reports_every_fold_and_their_mean() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let args = ["train", "--data", "digits:300", "--epochs", "1", "-q", "--device=cpu", "--folds", "3", "--run", "cv"];
    let report = json(&convnet(at, &[&args[..], &["--json"]].concat()));
    let folds = report["folds"].as_array().unwrap();
    let accuracies: Vec<f64> = folds.iter().map(|fold| fold["epochs"][0]["val_accuracy"].as_f64().unwrap()).collect();
    assert_eq!(accuracies.len(), 3);
    let mean = accuracies.iter().sum::<f64>() / 3.0;
    assert!((report["val_accuracy"]["mean"].as_f64().unwrap() - mean).abs() < 1e-12);
    assert!(report["test_accuracy"]["sd"].is_f64());
    for number in 1..=3 {
        assert!(at.join(format!("models/model-fold{number}.json")).is_file());
        let run = fs::read_to_string(at.join(format!("logs/cv-fold{number}/run.json"))).unwrap();
        assert!(run.contains(&format!("\"validation\": \"{number}/3\"")));
    }
    failed(&convnet(at, &["train", "--folds", "1"]), 2, "at least 2");
}
