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

fn fixtures() -> PathBuf {
    crate::program::assets().join("fixtures/keras")
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
#[ignore = "needs CONVNET_TEST_ASSETS"]
fn models_are_written_as_keras_writes_them() {
    let folder = fixtures();
    for name in FIXTURES {
        let keras = document(&folder.join(name).join("model.json"));
        let spec = Spec::from_json(&keras).unwrap();
        let written = spec.to_json();
        assert_eq!(Spec::from_json(&written).unwrap(), spec, "{name}");
        assert_eq!(layers(&written).len(), layers(&keras).len(), "{name}");
        for (ours, theirs) in layers(&written).iter().zip(layers(&keras)) {
            let mut theirs = theirs.clone();
            theirs.as_object_mut().unwrap().remove("build_config");
            assert_eq!(as_floats(ours), as_floats(&theirs), "{name}");
        }
    }
}

#[test]
#[ignore = "needs CONVNET_TEST_ASSETS"]
fn the_minimal_file_is_the_same_network() {
    let folder = fixtures();
    let minimal = Spec::from_json(&document(&folder.join("seed_trained/minimal.json"))).unwrap();
    let full = Spec::from_json(&document(&folder.join("seed_trained/model.json"))).unwrap();
    assert_eq!(Spec::from_json(&minimal.to_json()).unwrap(), minimal);
    assert_eq!(minimal.plan().unwrap().layers.len(), full.plan().unwrap().layers.len());
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
    assert_eq!(spec.plan().unwrap().layers[0].output_shape(), [6, 6, 2]);
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
        ("kernel_regularizer", json!({ "class_name": "L2", "config": { "l2": 1e39 } })),
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
fn every_name_that_keras_takes_is_one_of_a_layer() {
    let dense = |name: &str| layer("Dense", json!({ "units": 2, "name": name }));
    assert_refused(&network(vec![dense("a"), dense("a")]), &["two layers have one name", "'a'", "layers[2]"]);
    assert_refused(&network(vec![dense(&"x".repeat(1025))]), &["too long", "1025 bytes", "layers[1]"]);
    let names = ["a.b", "a/b", "", "convnet", "é 猫", "none", "a%2Eb", &"x".repeat(300)];
    let nested = json!({ "class_name": "Sequential", "config": { "name": "a", "layers": [dense("b"), dense("b.c")] } });
    let layers = std::iter::once(nested).chain(names.map(dense)).collect();
    let spec = Spec::from_json(&network(layers)).unwrap();
    assert!(spec.layers[1..].iter().zip(names).all(|(layer, name)| layer.name == name));
    assert_eq!(Spec::from_json(&spec.to_json()).unwrap(), spec);
    let model = convnet::model::Model::new(spec, 1.0, tch::Device::Cpu, 0).unwrap();
    let weights: std::collections::HashSet<&str> = model.weights().iter().map(|weight| &*weight.name).collect();
    assert_eq!(weights.len(), 20, "{weights:?}");
    for name in ["a.b.weight", "a.b/-c.weight", "a/-b.weight", "a//b.weight", ".weight"] {
        assert!(weights.contains(name), "{name} is not in {weights:?}");
    }
}

#[test]
fn policies_whose_weights_are_float32_are_read() {
    let policy = |name: &str| json!({ "module": "keras", "class_name": "DTypePolicy", "config": { "name": name } });
    for dtype in [json!("mixed_bfloat16"), policy("mixed_float16"), policy("float32"), Value::Null] {
        let spec = Spec::from_json(&convolution(json!({ "dtype": dtype }))).unwrap();
        assert_eq!(spec, Spec::from_json(&convolution(json!({}))).unwrap(), "{dtype}");
    }
    for dtype in ["float16", "bfloat16", "float64", "int8", "mixed_float32"] {
        assert_refused(&convolution(json!({ "dtype": policy(dtype) })), &["dtype", dtype, "mixed_float16"]);
    }
}

#[test]
fn keys_of_newer_versions_are_read_where_they_say_nothing() {
    let random = json!({ "seed": { "class_name": "SeedGenerator", "config": { "seed": 3 } }, "rng_type": "stateless" });
    assert_eq!(
        Spec::from_json(&network(vec![layer("RandomFlip", random)])).unwrap(),
        Spec::from_json(&network(vec![layer("RandomFlip", json!({}))])).unwrap(),
    );
    assert!(Spec::from_json(&convolution(json!({ "of_keras_4": null }))).is_ok());
    assert_refused(&convolution(json!({ "of_keras_4": false })), &["unknown key 'of_keras_4'", "layers[1]"]);
    // model.get_config() alone
    let document = convolution(json!({}));
    assert_eq!(Spec::from_json(&document["config"]).unwrap(), Spec::from_json(&document).unwrap());
    assert_refused(&json!({ "layers": [], "input_layers": [], "output_layers": [] }), &["no input", "input_layers"]);
}

#[test]
fn documents_that_are_no_sequential_network_are_refused() {
    let functional = json!({ "class_name": "Functional", "config": { "layers": [] } });
    assert_refused(&functional, &["input_layers is missing"]);
    let subclassed = json!({ "class_name": "MyModel", "config": { "layers": [] } });
    assert_refused(&subclassed, &["MyModel", "Functional", "Sequential"]);
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

#[test]
fn what_cannot_be_computed_is_refused_with_the_reason() {
    let image = |class_name: &str, config: Value| network(vec![layer(class_name, config)]);
    for (document, says) in [
        (image("Lambda", json!({ "function": ["...", null, null] })), ["'Lambda'", "Python code"]),
        (image("LSTM", json!({ "units": 3 })), ["'LSTM'", "recurrent"]),
        (image("Conv1D", json!({ "filters": 3 })), ["'Conv1D'", "two-dimensional"]),
        (image("Functional", json!({ "layers": [] })), ["input_layers is missing", "layers[1]"]),
        (image("MyOwnLayer", json!({})), ["unknown layer 'MyOwnLayer'", "layers[1]"]),
        (image("RandomCrop", json!({ "height": 3, "width": 3 })), ["'RandomCrop'", "versions"]),
        (image("Activation", json!({ "activation": "sparsemax" })), ["'sparsemax'", "activation"]),
        (image("Dropout", json!({ "rate": 0.5, "noise_shape": [null, 1, 1] })), ["noise_shape", "[null, 1, 1]"]),
        (image("Dropout", json!({ "rate": 0.5, "noise_shape": [8, 1, 1, 1] })), ["noise_shape", "the batch"]),
        (image("Add", json!({})), ["'Add'", "only Functional models"]),
        (image("SpatialDropout2D", json!({ "rate": 0.5, "noise_shape": [1] })), ["noise_shape", "layers[1]"]),
        (
            image("Conv2DTranspose", json!({ "filters": 2, "kernel_size": 3, "dilation_rate": 2 })),
            ["conv2d_transpose", "dilated"],
        ),
        (convolution(json!({ "strides": 2, "dilation_rate": 2 })), ["conv2d", "strides and dilation_rate"]),
        (convolution(json!({ "data_format": "channels_first" })), ["channels_first", "channels_last"]),
        (image("BatchNormalization", json!({ "axis": [1, 2] })), ["batch_normalization", "got [1, 2] ("]),
        (image("BatchNormalization", json!({ "axis": 0 })), ["batch_normalization", "expected one axis, got 0 ("]),
        (image("GroupNormalization", json!({ "axis": 4, "groups": 1 })), ["group_normalization", "-4 to 3, got 4 ("]),
        (image("Normalization", json!({ "axis": [0, 3] })), ["normalization", "the batch"]),
        (
            image("Normalization", json!({ "axis": 1, "mean": [1.0, 2.0], "variance": 1.0 })),
            ["normalization", "along the last axis only"],
        ),
        (image("BatchNormalization", json!({ "renorm": true })), ["renorm", "false"]),
        (image("UpSampling2D", json!({ "interpolation": "bicubic" })), ["bicubic", "interpolation"]),
        (image("CenterCrop", json!({ "height": 9, "width": 3 })), ["center_crop", "9"]),
        (image("Resizing", json!({ "height": 9, "width": 3, "antialias": true })), ["antialias", "false"]),
        (image("Reshape", json!({ "target_shape": [5, -1] })), ["reshape", "64"]),
        (image("Permute", json!({ "dims": [1, 1, 2] })), ["permute", "dims"]),
        (image("GroupNormalization", json!({ "groups": 32 })), ["group_normalization", "divides"]),
        (
            image("Dense", json!({ "units": 2, "dtype": { "config": { "name": "int8_from_float32" } } })),
            ["int8_from_float32", "dtype"],
        ),
        (image("Dense", json!({ "units": 2, "bias_initializer": "orthogonal" })), ["bias", "two axes"]),
        (
            image(
                "Dense",
                json!({ "units": 2, "bias_constraint": { "class_name": "UnitNorm", "config": { "axis": 1 } } }),
            ),
            ["bias", "axis"],
        ),
    ] {
        assert_refused(&document, &says);
    }
}

#[test]
fn classes_of_other_origin_are_refused_whatever_their_name() {
    let mut document = convolution(json!({}));
    document["config"]["layers"][1]["registered_name"] = json!("mine>Conv2D");
    assert_refused(&document, &["custom class 'Conv2D'", "mine>Conv2D", "layers[1]"]);
    let mut document = convolution(json!({}));
    document["module"] = json!("my_package.models");
    assert_refused(&document, &["custom class 'Sequential'", "my_package.models"]);
    let mine = json!({ "class_name": "MyModel", "config": {} });
    assert_refused(&mine, &["MyModel", "Sequential"]);
}

#[test]
fn keras_1_is_refused_where_it_is_not_the_same() {
    let keras1 = |config: Value| {
        let mut full = json!({
            "batch_input_shape": [null, 8, 8, 1], "nb_filter": 2, "nb_row": 3, "nb_col": 3, "dim_ordering": "tf",
        });
        full.as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
        json!({ "class_name": "Sequential", "keras_version": "1.2.2", "config": [layer("Convolution2D", full)] })
    };
    let spec = Spec::from_json(&keras1(json!({ "border_mode": "same" }))).unwrap();
    assert_eq!(spec.plan().unwrap().layers[0].output_shape(), [8, 8, 2]);
    assert_refused(&keras1(json!({ "dim_ordering": "th" })), &["Theano", "layers[0]"]);
    assert_refused(&keras1(json!({ "nb_filtre": 2 })), &["unknown key 'nb_filtre'", "layers[0]"]);
}

#[test]
fn nested_networks_keep_their_names_and_shapes() {
    let inner = |layers: Value| json!({ "class_name": "Sequential", "config": { "name": "block", "layers": layers } });
    let dense = layer("Dense", json!({ "units": 3, "name": "dense" }));
    let document =
        network(vec![layer("Flatten", json!({})), inner(json!([dense])), layer("Dense", json!({ "units": 2 }))]);
    let spec = Spec::from_json(&document).unwrap();
    let plan = spec.plan().unwrap().layers;
    assert_eq!(plan[1].name(), "block");
    assert_eq!(plan[1].num_parameters(), 64 * 3 + 3);
    assert_eq!(plan[2].name(), "dense");
    assert_eq!(Spec::from_json(&spec.to_json()).unwrap(), spec);
    let mut frozen = spec.clone();
    frozen.layers[1].freeze();
    assert_eq!(frozen.plan().unwrap().layers[1].num_trainable(), 0);
    assert_eq!(Spec::from_json(&frozen.to_json()).unwrap(), spec, "a run's own");
    let other = layer("InputLayer", json!({ "batch_shape": [null, 65] }));
    let mismatch = network(vec![layer("Flatten", json!({})), inner(json!([other, dense]))]);
    assert_refused(&mismatch, &["block", "[65]", "[64]"]);
    let mut deep = layer("Flatten", json!({}));
    for _ in 0..40 {
        deep = json!({ "class_name": "Sequential", "config": { "layers": [deep] } });
    }
    assert_refused(&network(vec![deep]), &["nested too deeply"]);
}

#[test]
fn training_is_refused_where_only_predicting_is_right() {
    use convnet::data::ImageShape;
    let shape = ImageShape { height: 8, width: 8, channels: 1 };
    let classifier = |first: Value| {
        let layers = vec![first, layer("Flatten", json!({})), layer("Dense", json!({ "units": 2, "name": "out" }))];
        Spec::from_json(&network(layers)).unwrap().check_fits(shape, 2)
    };
    for (first, says) in [
        (layer("ActivityRegularization", json!({ "l2": 0.1 })), "activity_regularization"),
        (layer("Dense", json!({ "units": 2, "activity_regularizer": "l2" })), "layer's output"),
        (layer("RandomZoom", json!({ "height_factor": 0.1, "fill_mode": "wrap" })), "wrap"),
        (
            layer("Conv2D", json!({ "filters": 2, "kernel_size": 1, "kernel_regularizer": "orthogonal_regularizer" })),
            "matrix",
        ),
    ] {
        let error = classifier(first).unwrap_err();
        assert_eq!(error.exit_code(), 4);
        assert!(error.to_string().contains(says), "{error}");
    }
    assert!(classifier(layer("ActivityRegularization", json!({}))).is_ok());
    assert!(classifier(layer("RandomZoom", json!({ "height_factor": 0.1 }))).is_ok());
}
