//! Keras's architecture files: read, written as Keras writes them, and refused with a place where they cannot be used.

use std::path::{Path, PathBuf};

use convnet::error::{Error, ErrorKind};
use convnet::model::{Spec, Summary};
use serde_json::{Value, json};

/// Models of Keras 3.15 whose JSON is written again as Keras has it.
const FIXTURES: [&str; 17] = [
    "activations_k2",
    "activations_k3",
    "advanced_activations",
    "batchnorm",
    "conv_dilation_groups",
    "conv_padding_strides",
    "dense_head",
    "depthwise_separable",
    "norms_reshape",
    "pooling_2d",
    "pooling_global",
    "preprocessing",
    "rgb_vgg",
    "seed_trained",
    "trajectory_bn_sgd",
    "trajectory_bn_small_batch",
    "trajectory_seed",
];

fn fixtures() -> Option<PathBuf> {
    let Some(assets) = std::env::var_os("CONVNET_TEST_ASSETS") else {
        eprintln!("skipped: CONVNET_TEST_ASSETS is not set");
        return None;
    };
    Some(Path::new(&assets).join("fixtures/keras"))
}

fn document(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn layers(document: &Value) -> &[Value] {
    document["config"]["layers"].as_array().unwrap()
}

/// `value` with all numbers as f64: Keras writes 6 where this program writes 6.0.
fn as_floats(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(items) => items.iter().map(as_floats).collect(),
        Value::Object(object) => object.iter().map(|(key, value)| (key.clone(), as_floats(value))).collect(),
        other => other.clone(),
    }
}

#[test]
fn models_are_written_as_keras_writes_them() {
    let Some(folder) = fixtures() else { return };
    for name in FIXTURES {
        let keras = document(&folder.join(name).join("model.json"));
        let spec = Spec::from_json(&keras).unwrap();
        let written = spec.to_json();
        assert_eq!(Spec::from_json(&written).unwrap(), spec, "{name}");
        assert_eq!(layers(&written).len(), layers(&keras).len(), "{name}");
        for (ours, theirs) in layers(&written).iter().zip(layers(&keras)) {
            let mut theirs = theirs.clone();
            theirs.as_object_mut().unwrap().remove("build_config");
            if theirs["class_name"] == "SpatialDropout2D" {
                // Keras 3 leaves trainable out of this one
                theirs["config"]["trainable"] = json!(true);
                theirs["config"]["dtype"] = ours["config"]["dtype"].clone();
            }
            assert_eq!(as_floats(ours), as_floats(&theirs), "{name}");
        }
    }
}

#[test]
fn the_minimal_file_is_the_same_network() {
    let Some(folder) = fixtures() else { return };
    let minimal = Spec::from_json(&document(&folder.join("seed_trained/minimal.json"))).unwrap();
    let full = Spec::from_json(&document(&folder.join("seed_trained/model.json"))).unwrap();
    assert_eq!(Spec::from_json(&minimal.to_json()).unwrap(), minimal);
    assert_eq!(minimal.plan().unwrap().len(), full.plan().unwrap().len());
    let totals = |spec: &Spec| {
        let summary = Summary::new(spec).unwrap();
        (summary.total, summary.trainable, summary.non_trainable)
    };
    assert_eq!(totals(&full), (34_826, 34_826, 0)); // Keras's summary.txt beside it
    assert_eq!(totals(&minimal), totals(&full));
}

fn layer(class_name: &str, config: Value) -> Value {
    json!({ "class_name": class_name, "config": config })
}

/// A network of `layers` on images of 8 × 8 pixels in one channel.
fn network(mut layers: Vec<Value>) -> Value {
    layers.insert(0, layer("InputLayer", json!({ "batch_shape": [null, 8, 8, 1] })));
    json!({ "class_name": "Sequential", "config": { "layers": layers } })
}

fn convolution(config: Value) -> Value {
    let mut full = json!({ "filters": 2, "kernel_size": [3, 3] });
    full.as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
    network(vec![layer("Conv2D", full)])
}

/// Reads and plans `document`, which must fail as a model error.
fn refusal(document: &Value) -> String {
    let error: Error = match Spec::from_json(document).and_then(|spec| spec.plan()) {
        Err(error) => error,
        Ok(_) => panic!("accepted: {document}"),
    };
    assert_eq!(error.kind(), ErrorKind::Model, "{error}");
    error.to_string()
}

fn assert_refused(document: &Value, says: &[&str]) {
    let message = refusal(document);
    for part in says {
        assert!(message.contains(part), "'{part}' is not in: {message}");
    }
}

#[test]
fn a_good_document_is_accepted() {
    let spec = Spec::from_json(&convolution(json!({ "activation": "relu" }))).unwrap();
    assert_eq!(spec.plan().unwrap()[0].output_shape, [6, 6, 2]);
}

#[test]
fn misspelt_words_are_refused_with_their_place() {
    assert_refused(
        &convolution(json!({ "kernel_sise": 3 })),
        &["unknown key 'kernel_sise'", "did you mean 'kernel_size'?", "layers[1]", "config"],
    );
    assert_refused(
        &convolution(json!({ "activation": "rellu" })),
        &["rellu", "did you mean 'relu'?", "layers[1]", "activation"],
    );
    assert_refused(&network(vec![layer("Conv2d", json!({}))]), &["unknown layer 'Conv2d'", "did you mean 'Conv2D'?"]);
    assert_refused(&convolution(json!({ "padding": "full" })), &["full", "padding"]);
}

#[test]
fn values_of_another_type_are_refused() {
    for (key, value) in [
        ("filters", json!("many")),
        ("filters", json!(-1)),
        ("filters", json!(1.5)),
        ("filters", Value::Null),
        ("kernel_size", json!([3, -3])),
        ("kernel_size", json!([3, 3, 3])),
        ("kernel_size", json!({})),
        ("strides", json!([])),
        ("use_bias", json!("yes")),
        ("activation", json!(7)),
        ("kernel_initializer", json!(0)),
        ("kernel_regularizer", json!("l3")),
        ("kernel_constraint", json!({ "class_name": "MaxNorm", "config": { "max": 1 } })),
        ("data_format", json!("channels_first")),
        ("name", json!(3)),
        ("trainable", json!("no")),
        ("dtype", json!("float16")),
    ] {
        let mut config = json!({});
        config[key] = value;
        assert_refused(&convolution(config), &["layers[1]", key]);
    }
}

#[test]
fn sizes_that_cannot_be_are_refused() {
    for (config, says) in [
        (json!({ "filters": 0 }), "conv2d"),
        (json!({ "kernel_size": [9, 3] }), "height"),
        (json!({ "kernel_size": [3, 9] }), "width"),
        (json!({ "kernel_size": 0 }), "conv2d"),
        (json!({ "strides": 0 }), "conv2d"),
        (json!({ "dilation_rate": 0 }), "conv2d"),
        (json!({ "groups": 0 }), "conv2d"),
        (json!({ "groups": 3 }), "groups"),
        (json!({ "filters": u64::MAX }), "conv2d"),
        (json!({ "kernel_size": [u64::MAX, u64::MAX] }), "conv2d"),
        (json!({ "dilation_rate": u64::MAX }), "conv2d"),
    ] {
        assert_refused(&convolution(config), &[says]);
    }
    let shaped = |shape: Value| {
        let mut document = convolution(json!({}));
        document["config"]["layers"][0]["config"]["batch_shape"] = shape;
        document
    };
    for shape in [json!([null, -8, 8, 1]), json!([null]), json!([]), json!("8x8"), json!([null, null, null, 1])] {
        assert_refused(&shaped(shape), &["batch_shape"]);
    }
    for shape in [json!([null, 0, 8, 1]), json!([null, u64::MAX, u64::MAX, 1]), json!([null, 64])] {
        refusal(&shaped(shape));
    }
    assert_refused(&network(vec![layer("Dropout", json!({ "rate": 1.5 }))]), &["dropout"]);
    assert_refused(&network(vec![layer("Dense", json!({ "units": 0 }))]), &["dense"]);
}

#[test]
fn names_that_weight_files_cannot_hold_are_refused() {
    let dense = |name: &str| layer("Dense", json!({ "units": 2, "name": name }));
    assert_refused(&network(vec![dense("a"), dense("a")]), &["two layers have one name", "'a'", "layers[2]"]);
    for name in ["a.b", "a/b", ""] {
        assert_refused(&network(vec![dense(name)]), &["name is not usable", "layers[1]"]);
    }
}

#[test]
fn documents_that_are_no_sequential_network_are_refused() {
    let functional = json!({ "class_name": "Functional", "config": { "layers": [] } });
    assert_refused(&functional, &["Functional", "Sequential"]);
    assert_refused(&network(vec![]), &["no layers"]);
    assert_refused(&json!({ "class_name": "Sequential", "config": { "layers": [] } }), &["no layers"]);
    assert_refused(&json!({ "class_name": "Sequential", "config": { "layers": {} } }), &["layers"]);
    assert_refused(&json!({ "class_name": "Sequential", "config": [] }), &["config"]);
    assert_refused(&json!({ "class_name": "Sequential" }), &["config"]);
    for other in [json!({}), json!([]), Value::Null, json!("Sequential"), json!({ "class_name": 3 })] {
        refusal(&other);
    }
    assert_refused(&network(vec![json!("Dense")]), &["layers[1]"]);
    assert_refused(&network(vec![layer("InputLayer", json!({}))]), &["InputLayer"]);
    let no_input = json!({ "class_name": "Sequential", "config": { "layers": [layer("Flatten", json!({}))] } });
    assert_refused(&no_input, &["input shape"]);
}
