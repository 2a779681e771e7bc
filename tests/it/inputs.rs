//! What goes into a network: pixels in the range that it wants, images in the form that it takes, files of every kind.

use std::fs;
use std::path::Path;
use std::process::Output;

use crate::program::{assets, convnet, failed, history, json, succeeded, train};
use serde_json::{Value, json as value};

/// Keras's JSON of `layers` on an input of `config`.
fn network(config: Value, layers: &[Value]) -> Value {
    let mut all = vec![value!({ "class_name": "InputLayer", "config": config })];
    all.extend_from_slice(layers);
    value!({ "class_name": "Sequential", "config": { "name": "net", "layers": all } })
}

fn layer(class_name: &str, config: Value) -> Value {
    value!({ "class_name": class_name, "config": config })
}

/// The end of a classifier of ten classes.
fn head() -> [Value; 2] {
    [layer("Flatten", value!({})), layer("Dense", value!({ "units": 10, "activation": "softmax" }))]
}

fn image() -> Value {
    value!({ "batch_shape": [null, 28, 28, 1] })
}

fn write(at: &Path, name: &str, document: &Value) {
    fs::write(at.join(name), document.to_string()).unwrap();
}

/// `convnet train` on few digits, not quiet.
fn digits(at: &Path, more: &[&str]) -> Output {
    let small = ["train", "--data", "digits:200", "--validation", "50", "--device=cpu", "--progress=none"];
    convnet(at, &[&small[..], if more.contains(&"--epochs") { &[] } else { &["--epochs", "1"] }, more].concat())
}

fn said(output: &Output) -> String {
    succeeded(output);
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn scale(at: &Path, model: &str) -> f64 {
    let document: Value = serde_json::from_slice(&fs::read(at.join(model)).unwrap()).unwrap();
    document.pointer("/convnet/input/scale").unwrap().as_f64().unwrap()
}

#[test]
fn a_network_that_scales_by_itself_gets_pixels_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    write(at, "plain.json", &network(image(), &head()));
    let rescaling = || layer("Rescaling", value!({ "scale": 1.0 / 255.0 }));
    write(at, "own.json", &network(image(), &[&[rescaling()][..], &head()].concat()));
    let block = value!({ "class_name": "Sequential", "config": { "name": "first", "layers": [
        layer("RandomFlip", value!({ "mode": "horizontal", "trainable": true })), rescaling(),
    ] } });
    write(at, "nested.json", &network(image(), &[&[block][..], &head()].concat()));
    let plain = said(&digits(at, &["--model", "plain.json", "--run", "plain", "--name", "plain"]));
    assert!(plain.contains("input: pixels 0 to 255 times 1/255 (the default; --input-scale)"), "{plain}");
    let own = said(&digits(at, &["--model", "own.json", "--run", "own", "--name", "own"]));
    assert!(own.contains("as they are, 0 to 255: layer rescaling (Rescaling) scales them"), "{own}");
    assert_eq!(history(at, "plain"), history(at, "own"), "the same network twice");
    assert_eq!((scale(at, "models/plain.json"), scale(at, "models/own.json")), (1.0 / 255.0, 1.0));
    let nested = said(&convnet(
        at,
        &["train", "--data", "digits:200", "--model", "nested.json", "--folds=2", "--epochs=1", "--progress=none"],
    ));
    assert!(nested.contains("layer rescaling (Rescaling)"), "{nested}");
    let [of_plain, of_own] = ["plain", "own"].map(|name| {
        let evaluated = convnet(at, &["evaluate", &format!("models/{name}"), "--data", "digits:200", "--json"]);
        json(&evaluated)["loss"].as_f64().unwrap()
    });
    assert!((of_plain - of_own).abs() < 1e-6, "{of_plain} {of_own}");
    // export and import keep it; another scale is warned about everywhere
    succeeded(&convnet(at, &["export", "models/own", "--format", "keras", "--out", "own.keras"]));
    succeeded(&convnet(at, &["import", "own.keras", "--name", "back"]));
    assert_eq!(scale(at, "models/back.json"), 1.0);
    let twice = "pixels are multiplied by 1/255, though layer rescaling (Rescaling) scales them";
    assert!(said(&convnet(at, &["import", "own.keras", "--input-scale", "1/255"])).contains(twice));
    assert!(said(&digits(at, &["--model", "own.json", "--input-scale", "1/255"])).contains(twice));
    let found = convnet(
        at,
        &[
            "lr-find",
            "--data",
            "digits:200",
            "--model",
            "own.json",
            "--input-scale=1/255",
            "--steps",
            "20",
            "--device=cpu",
        ],
    );
    assert!(said(&found).contains(twice));
    fs::write(at.join("half.toml"), "input_scale = \"1/2\"\n").unwrap();
    assert!(said(&digits(at, &["--model", "own.json", "--config", "half.toml"])).contains("times 1/2 (--input-scale)"));
    failed(&digits(at, &["--input-scale", "0"]), 2, "above 0");
    fs::write(at.join("none.json"), r#"{"input_scale": -1}"#).unwrap();
    failed(&digits(at, &["--config", "none.json"]), 2, "above 0");
}

#[test]
fn statistics_that_nobody_gave_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let with = |name: &str, config: Value| {
        write(at, name, &network(image(), &[&[layer("Normalization", config)][..], &head()].concat()));
        said(&digits(at, &["--model", name, "--name", name]))
    };
    let given = with("given.json", value!({ "axis": null, "mean": 50.0, "variance": 6000.0 }));
    assert!(given.contains("layer normalization (Normalization) scales them") && !given.contains("warning"), "{given}");
    let not = with("not.json", value!({ "axis": null }));
    assert!(not.contains("warning: layer normalization (Normalization) has no statistics"), "{not}");
    let unit = with("unit.json", value!({ "mean": 0.485, "variance": 0.05 }));
    assert!(unit.contains("those for pixels from 0 to 1: --input-scale 1/255"), "{unit}");
}

#[test]
fn a_run_of_before_the_setting_goes_on_with_its_own_scale() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    write(at, "own.json", &network(image(), &[&[layer("Rescaling", value!({ "scale": 0.01 }))][..], &head()].concat()));
    let more = ["--model", "own.json", "--input-scale", "1/255"];
    succeeded(&digits(at, &[&more[..], &["--run", "whole", "--epochs", "2"]].concat()));
    succeeded(&digits(at, &[&more[..], &["--run", "old"]].concat()));
    let path = at.join("logs/old/run.json");
    let mut run: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    run["config"].as_object_mut().unwrap().remove("input_scale").unwrap();
    fs::write(&path, run.to_string()).unwrap();
    succeeded(&convnet(at, &["reproduce", "old", "-q"]));
    let resumed = convnet(at, &["train", "--resume", "old", "--epochs", "2", "--progress=none"]);
    assert!(said(&resumed).contains("times 1/255 (the model's own)"));
    assert_eq!(history(at, "old"), history(at, "whole"));
    failed(&convnet(at, &["train", "--resume", "old", "--input-scale", "1"]), 2, "input-scale cannot change");
}

#[test]
fn images_go_in_without_a_channel_axis_and_flat() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    write(at, "grey.json", &network(value!({ "batch_shape": [null, 28, 28] }), &head()));
    write(at, "flat.json", &network(value!({ "batch_shape": [8, 784] }), &head()[1..]));
    write(at, "image.json", &network(image(), &head()));
    for (name, shape) in [("image", value!([28, 28, 1])), ("grey", value!([28, 28])), ("flat", value!([784]))] {
        succeeded(&digits(at, &["--model", &format!("{name}.json"), "--run", name, "--name", name]));
        // the same network in three forms
        assert_eq!(history(at, name), history(at, "image"), "{name}");
        let model = format!("models/{name}");
        let key: Value = serde_json::from_slice(&fs::read(at.join(format!("{model}.json"))).unwrap()).unwrap();
        let sides = ["height", "width", "channels"].map(|side| key["convnet"]["input"][side].as_u64().unwrap());
        assert_eq!(sides, [28, 28, 1]);
        let evaluated = json(&convnet(at, &["evaluate", &model, "--data", "digits:200", "--json"]));
        let of_image = json(&convnet(at, &["evaluate", "models/image", "--data", "digits:200", "--json"]));
        assert_eq!(evaluated["loss"], of_image["loss"], "{name}");
        let predicted = succeeded(&convnet(at, &["predict", &model, "--data", "digits:200", "--index", "0", "--json"]));
        assert!(predicted.contains("probabilities"), "{predicted}");
        for format in ["keras", "keras-legacy", "pytorch"] {
            let out = format!("{name}-{format}.{}", if format == "pytorch" { "py" } else { "keras" });
            let out = if format == "keras-legacy" { format!("{name}.h5") } else { out };
            succeeded(&convnet(at, &["export", &model, "--format", format, "--out", &out]));
        }
        succeeded(&convnet(at, &["import", &format!("{name}-keras.keras"), "--name", "back"]));
        let back: Value = serde_json::from_slice(&fs::read(at.join("models/back.json")).unwrap()).unwrap();
        let batch_shape = back.pointer("/config/layers/0/config/batch_shape").unwrap().as_array().unwrap();
        assert_eq!(Value::from(batch_shape[1..].to_vec()), shape);
        assert_eq!(back["convnet"]["input"], key["convnet"]["input"]);
        succeeded(&convnet(at, &["summary", &model]));
    }
    for (name, says) in [("grey", "grey images of 28×28"), ("flat", "784 values")] {
        let colour = digits(at, &["--model", &format!("{name}.json"), "--channels", "3"]);
        failed(&colour, 4, says);
    }
    // another size of images: the form stays
    let larger = ["--init-from", "models/flat", "--image-size", "20"];
    failed(&digits(at, &larger), 4, "the model to start from does not fit");
    write(at, "rows.json", &network(value!({ "batch_shape": [null, 28, 28] }), &[layer("Conv1D", value!({}))]));
    failed(&digits(at, &["--model", "rows.json"]), 4, "'Conv1D'");
}

#[test]
fn a_run_freezes_what_it_is_told_to_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let frozen = said(&digits(at, &["--freeze", "conv2d*", "--name", "frozen", "--run", "frozen"]));
    assert!(frozen.contains("trainable 16,010 of 34,826 parameters: --freeze keeps the others"), "{frozen}");
    for more in [&["--init-from", "models/frozen"][..], &["--model", "models/frozen.json"]] {
        let thawed = said(&digits(at, more));
        assert!(!thawed.contains("trainable"), "{thawed}");
    }
    let resumed = said(&convnet(at, &["train", "--resume", "frozen", "--epochs", "2", "--progress=none"]));
    assert!(resumed.contains("trainable 16,010 of 34,826"), "{resumed}");
    succeeded(&convnet(at, &["reproduce", "frozen", "-q"]));
    // what a file keeps is the user's own
    let dense = layer("Dense", value!({ "units": 4, "trainable": false, "name": "base" }));
    write(at, "own.json", &network(image(), &[head()[0].clone(), dense, head()[1].clone()]));
    let own = said(&digits(at, &["--model", "own.json", "--name", "own"]));
    assert!(own.contains("trainable 50 of 3,190 parameters: the model's file keeps base (trainable: false"), "{own}");
    assert!(said(&digits(at, &["--init-from", "models/own"])).contains("the model's file keeps base"));
    let all = said(&digits(at, &["--init-from", "models/own", "--freeze", "none"]));
    assert!(!all.contains("trainable"), "{all}");
    failed(&digits(at, &["--freeze", "none,conv2d"]), 2, "none alone");
}

#[test]
fn the_last_layer_is_new_where_the_classes_are_called_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let labels = "zero,one,two,three,four,five,six,seven,eight,nine";
    succeeded(&digits(at, &["--name", "first"]));
    let same = said(&digits(at, &["--init-from", "models/first"]));
    assert!(!same.contains("starts anew"), "{same}");
    succeeded(&convnet(at, &["export", "models/first", "--format", "keras", "--out", "first.keras"]));
    succeeded(&convnet(at, &["import", "first.keras", "--name", "named", "--labels", labels]));
    let named = said(&digits(at, &["--init-from", "models/named"]));
    assert!(named.contains("layer dense starts anew"), "{named}");
}

#[test]
fn files_are_read_in_every_form_or_called_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let text = network(image(), &head()).to_string();
    let utf16: Vec<u8> = format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    fs::write(at.join("bom.json"), format!("\u{feff}{text}\r\n")).unwrap();
    fs::write(at.join("twice.json"), serde_json::to_string(&text).unwrap()).unwrap();
    fs::write(at.join("utf16.json"), utf16).unwrap();
    for name in ["bom.json", "twice.json", "utf16.json"] {
        succeeded(&digits(at, &["--model", name]));
    }
    fs::create_dir_all(at.join("saved/variables")).unwrap();
    fs::write(at.join("saved/saved_model.pb"), b"\x08\x01").unwrap();
    fs::write(at.join("a.onnx"), b"\x08\x08\x12\x07pytorch").unwrap();
    fs::write(at.join("a.tflite"), b"\x1c\0\0\0TFL3").unwrap();
    fs::write(at.join("a.pth"), b"PK\x03\x04\0\0\0\0\0\0\0\0a/data.pkl").unwrap();
    for (name, says) in [
        ("saved", "a SavedModel of TensorFlow"),
        ("a.onnx", "an ONNX model"),
        ("a.tflite", "a TensorFlow Lite model"),
        ("a.pth", "a file of PyTorch"),
    ] {
        failed(&digits(at, &["--model", name]), 4, says);
        failed(&convnet(at, &["import", name, "--input-scale", "1"]), 4, says);
    }
}

#[test]
#[ignore = "needs CONVNET_TEST_ASSETS"]
fn starter_files_train() {
    let assets = assets();
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for (name, says) in [
        ("quickstart", "times 1/255"),
        ("flat784", "times 1/255"),
        ("strjson", "times 1/255"),
        ("mixed", "the network's policy is mixed_float16; it computes in fp32"),
    ] {
        let path = assets.join(format!("cases/{name}.json"));
        let notes = said(&digits(at, &["--model", path.to_str().unwrap(), "--name", name]));
        assert!(notes.contains(says), "{name}: {notes}");
    }
    succeeded(&train(at, &["--epochs", "1", "--model", assets.join("cases/quickstart.json").to_str().unwrap()]));
}
