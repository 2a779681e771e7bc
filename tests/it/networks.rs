//! Networks of one's own, as a user writes them.

use std::fs;
use std::process::Command;

use crate::program::{convnet, failed, json, succeeded, train};
use serde_json::json as value;

#[test]
fn a_preset_is_written_edited_and_trained_on_other_data() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let short = succeeded(&convnet(at, &["summary", "keras-cnn", "--short"]));
    fs::write(at.join("net.txt"), short.replace("Dropout 0.2", "Dropout 0.5  # more")).unwrap();
    let report = json(&train(at, &["--epochs", "1", "--model", "net.txt", "--json"]));
    assert_eq!(report["parameters"], 34_826);
    let of_others = json(&convnet(at, &["summary", "net.txt", "--input-shape", "32,32,3", "--classes", "7", "--json"]));
    let ends = ["/layers/0/output_shape", "/layers/6/output_shape"].map(|place| of_others.pointer(place).unwrap());
    assert_eq!(ends, [&value!([null, 30, 30, 32]), &value!([null, 7])]);
    // what training saved is the network as the data made it, and reads back as such
    let saved = succeeded(&convnet(at, &["summary", "models/model", "--short"]));
    assert!(saved.starts_with("Input 28 28 1\n") && saved.ends_with("Dense 10 softmax\n"), "{saved}");
    failed(&convnet(at, &["train", "--model", "nets.txt"]), 4, "there is no network 'nets.txt'");
    fs::write(at.join("net.txt"), "Conv2D 32 3 relu\nDens 10\n").unwrap();
    failed(
        &convnet(at, &["train", "--model", "net.txt", "--data", "digits:600"]),
        4,
        "did you mean 'Dense'? (net.txt, line 2",
    );
    fs::write(at.join("page.txt"), "<!DOCTYPE html>").unwrap();
    failed(&convnet(at, &["summary", "page.txt"]), 4, "an HTML or XML page");
    failed(&convnet(at, &["summary", "models/model", "--classes", "7"]), 2, "the network says its classes itself");
}

const LAYERS: &str = "RandomFlip horizontal\nConv2D 8 3 2 same gelu kernel_regularizer=l2(1e-4)\nGroupNormalization 4\nFlatten\n\
                      Dense 32 activation=LeakyReLU(0.1)\nDense softmax\n";

#[test]
fn a_network_is_written_for_keras_and_not_over_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::write(at.join("net.txt"), LAYERS).unwrap();
    succeeded(&convnet(at, &["summary", "net.txt", "--write", "net.json"]));
    failed(&convnet(at, &["summary", "net.txt", "--write", "net.json"]), 2, "the file is there already");
    failed(&convnet(at, &["summary", "net.txt", "--write", "net.svg"]), 2, "expected .json");
    let table = succeeded(&convnet(at, &["summary", "net.txt", "--json"]));
    assert_eq!(succeeded(&convnet(at, &["summary", "net.json", "--json"])), table);
}

#[test]
#[ignore = "needs CONVNET_TEST_PYTHON"]
fn a_written_network_has_keras_s_configuration() {
    let python = crate::program::python();
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::write(at.join("net.txt"), LAYERS).unwrap();
    succeeded(&convnet(at, &["summary", "net.txt", "--write", "net.json"]));
    let table = succeeded(&convnet(at, &["summary", "net.txt", "--json"]));
    let script = "import keras, sys; from keras import layers, regularizers as r\n\
                  read = keras.models.model_from_json(open('net.json').read())\n\
                  made = [layers.RandomFlip('horizontal'), layers.Conv2D(8, 3, 2, 'same', activation='gelu', \
                  kernel_regularizer=r.l2(1e-4)), layers.GroupNormalization(4), layers.Flatten(), \
                  layers.Dense(32, activation=layers.LeakyReLU(0.1)), layers.Dense(10, 'softmax')]\n\
                  bare = lambda c: str({k: v for k, v in c.items() if k != 'name'}).replace('leaky_re_lu_1', 'leaky_re_lu')\n\
                  for one, other in zip(read.layers, made, strict=True):\n  \
                  a, b = bare(one.get_config()), bare(other.get_config())\n  assert a == b, (a, b)\n\
                  print(read.count_params())";
    let mut command = Command::new(python);
    command.env("KERAS_BACKEND", "torch").args(["-c", script]).current_dir(at);
    let counted = succeeded(&command.output().unwrap());
    let total = serde_json::from_str::<serde_json::Value>(&table).unwrap()["total"].clone();
    assert_eq!(counted.trim(), total.to_string());
}
