use super::*;

fn modern(class_name: &str, config: Value, version: Version) -> Result<Modern> {
    modernize(class_name, config.as_object().unwrap(), version)
}

#[test]
fn versions_are_told_apart() {
    let version = |document: Value| Version::of(document.as_object().unwrap()).unwrap();
    assert_eq!(version(json!({ "keras_version": "1.2.2" })), Version::Keras1);
    assert_eq!(version(json!({ "keras_version": "2.3.0-tf" })), Version::Keras2);
    assert_eq!(version(json!({ "keras_version": "3.15.1" })), Version::Keras3);
    let layers = |config: Value| json!({ "config": [{ "class_name": "Dense", "config": config }] });
    assert_eq!(version(layers(json!({ "output_dim": 3 }))), Version::Keras1);
    assert_eq!(version(layers(json!({ "units": 3, "batch_input_shape": [null, 4] }))), Version::Keras2);
    assert_eq!(version(json!({ "module": "keras", "config": { "layers": [] } })), Version::Keras3);
    assert!(Version::of(json!({ "keras_version": "four" }).as_object().unwrap()).is_err());
}

#[test]
fn the_hard_sigmoid_is_that_of_the_document_s_version() {
    for class_name in ["Dense", "Activation"] {
        let config = json!({ "activation": "hard_sigmoid" });
        let kept = modern(class_name, config.clone(), Version::Keras3).unwrap();
        assert_eq!(kept.config["activation"], "hard_sigmoid");
        let changed = modern(class_name, config, Version::Keras2).unwrap();
        assert_eq!(changed.config["activation"]["class_name"], "Sequential");
    }
}

#[test]
fn old_layers_are_brought_into_keras_3_s_form() {
    for (class_name, config, new_name, expected) in [
        ("ThresholdedReLU", json!({ "theta": 0.5 }), "ReLU", json!({ "threshold": 0.5 })),
        ("LeakyReLU", json!({ "alpha": 0.1 }), "LeakyReLU", json!({ "negative_slope": 0.1 })),
        ("BatchNormalizationV1", json!({ "axis": [3] }), "BatchNormalization", json!({ "axis": 3 })),
        ("RandomContrast", json!({ "factor": 0.2 }), "RandomContrast", json!({ "factor": [0.2, 0.2] })),
        ("DepthwiseConv2D", json!({ "groups": 1, "kernel_regularizer": null }), "DepthwiseConv2D", json!({})),
        (
            "RandomFlip",
            json!({ "rng_type": "stateless", "seed": { "class_name": "SeedGenerator" } }),
            "RandomFlip",
            json!({}),
        ),
    ] {
        let modern = modern(class_name, config, Version::Keras2).unwrap();
        assert_eq!((modern.class_name.as_str(), Value::Object(modern.config)), (new_name, expected));
    }
}

#[test]
fn wrapped_values_are_unwrapped() {
    let config = json!({
        "target_shape": { "class_name": "__tuple__", "items": [4, { "type": "ndarray", "value": 2 }] },
        "mean": { "class_name": "__numpy__", "config": { "value": [1.0], "dtype": "float32" } },
    });
    let modern = modern("Reshape", config, Version::Keras2).unwrap();
    assert_eq!(Value::Object(modern.config), json!({ "target_shape": [4, 2], "mean": [1.0] }));
}

#[test]
fn the_other_order_of_axes_is_refused() {
    let config = json!({ "data_format": "channels_first" });
    assert!(modern("Conv2D", config, Version::Keras3).is_err());
    let config = json!({ "dim_ordering": "th" });
    assert!(modern("Convolution2D", config, Version::Keras1).is_err());
}
