use super::*;

#[test]
fn a_layer_says_what_every_version_understands() {
    // what Keras 3.15 and 2.15 each loaded to the same outputs
    let group = layer(&json!({ "class_name": "GroupNormalization", "config": { "groups": 1, "epsilon": 0.001 } }));
    assert_eq!(group["config"], json!({ "groups": 1, "epsilon": 0.001 }));
    assert_eq!(layer(&json!({ "class_name": "Conv2D", "config": { "groups": 1 } }))["config"], json!({}));
    let resizing = json!({
        "height": 4, "width": 5, "interpolation": "bilinear", "crop_to_aspect_ratio": false,
        "pad_to_aspect_ratio": false, "fill_mode": "constant", "fill_value": 0.0, "antialias": false,
        "data_format": "channels_last",
    });
    let resizing = layer(&json!({ "class_name": "Resizing", "config": resizing }));
    let kept = json!({ "height": 4, "width": 5, "interpolation": "bilinear", "crop_to_aspect_ratio": false });
    assert_eq!(resizing["config"], kept);
    let module_of = |axis: Value| {
        layer(&json!({ "class_name": "Normalization", "config": { "axis": axis } })).get("module").cloned()
    };
    let layers = Some(json!("keras.layers"));
    let modules = [json!([]), json!(null), json!([1, 2]), json!([-1]), json!(-1)].map(module_of);
    assert_eq!(modules, [layers.clone(), layers.clone(), layers, None, None]);
}

#[test]
fn a_layer_as_an_activation_is_found_by_every_version() {
    for (class_name, written, portable) in [
        ("LeakyReLU", json!({ "negative_slope": 0.3 }), json!({ "alpha": 0.3 })),
        (
            "ReLU",
            json!({ "max_value": 6.0, "negative_slope": 0.1 }),
            json!({ "max_value": 6.0, "negative_slope": 0.1 }),
        ),
        ("ReLU", json!({ "max_value": null }), json!({})),
    ] {
        let document = json!({
            "class_name": "Dense",
            "config": { "activation": { "module": "keras.layers", "class_name": class_name, "config": written } },
        });
        let expected = json!({
            "module": "keras.layers", "class_name": class_name, "config": portable, "registered_name": null
        });
        assert_eq!(layer(&document)["config"]["activation"], expected);
    }
    let named = json!({ "class_name": "Dense", "config": { "activation": "relu" } });
    assert_eq!(layer(&named)["config"]["activation"], "relu");
}
