use serde_json::json;

use super::*;

fn spec(input: Value, layers: Value) -> Spec {
    let mut all = vec![json!({ "class_name": "InputLayer", "config": input })];
    all.extend(layers.as_array().unwrap().iter().cloned());
    Spec::from_json(&json!({ "class_name": "Sequential", "config": { "layers": all } })).unwrap()
}

fn shaped(shape: Value) -> Spec {
    spec(json!({ "batch_shape": shape }), json!([{ "class_name": "Flatten" }]))
}

fn image(height: usize, width: usize, channels: usize) -> ImageShape {
    ImageShape { height, width, channels }
}

#[test]
fn an_input_of_any_form_is_an_image() {
    for (shape, expected) in [
        (json!([null, 28, 30, 3]), image(28, 30, 3)),
        (json!([32, 28, 28]), image(28, 28, 1)),
        (json!([null, 784]), image(28, 28, 1)),
        (json!([null, 3072]), image(32, 32, 3)),
        (json!([null, 1]), image(1, 1, 1)),
    ] {
        let spec = shaped(shape.clone());
        assert_eq!(spec.image_shape().unwrap(), expected, "{shape}");
        assert!(spec.takes(expected) && spec.check_takes(expected).is_ok());
    }
    assert!(shaped(json!([null, 60])).image_shape().unwrap_err().to_string().contains("`image_size`"));
    assert!(shaped(json!([null, 60])).takes(image(4, 5, 3)));
    assert!(shaped(json!([null, 2, 3, 4, 5])).image_shape().is_err());
}

#[test]
fn images_that_do_not_go_in_are_refused_by_what_the_input_is() {
    for (shape, images, says) in [
        (json!([null, 28, 28]), image(28, 28, 3), "grey images of 28×28"),
        (json!([null, 28, 28]), image(28, 28, 3), "`channels = 1`"),
        (json!([null, 28, 28]), image(32, 32, 1), "`image_size`"),
        (json!([null, 784]), image(28, 28, 3), "784 values"),
        (json!([null, 28, 28, 1]), image(28, 28, 3), "the model's input"),
    ] {
        let error = shaped(shape).check_takes(images).unwrap_err();
        assert_eq!(error.exit_code(), 4);
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[test]
fn a_form_is_kept_when_the_images_change() {
    for (shape, images, expected) in [
        (json!([null, 8, 8]), image(9, 7, 1), vec![9, 7]),
        (json!([null, 8, 8]), image(9, 7, 3), vec![9, 7, 3]),
        (json!([null, 64]), image(9, 7, 3), vec![189]),
        (json!([null, 8, 8, 1]), image(9, 7, 3), vec![9, 7, 3]),
    ] {
        let mut spec = shaped(shape);
        spec.adapt(images, 10);
        assert_eq!(spec.input_shape.unwrap(), expected);
    }
}

#[test]
fn a_network_that_begins_with_its_own_scaling_is_known() {
    let layer = |class_name: &str, config: Value| json!({ "class_name": class_name, "config": config });
    let rescaling = || layer("Rescaling", json!({ "scale": 0.1 }));
    let scaling = |before: Vec<Value>, last: Value| {
        let mut layers = before;
        layers.push(last);
        layers.push(layer("Flatten", json!({})));
        spec(json!({ "batch_shape": [null, 8, 8, 1] }), Value::Array(layers)).own_scaling()
    };
    let nested = json!({ "class_name": "Sequential", "config": { "name": "augment", "layers": [
            layer("RandomFlip", json!({})), rescaling(),
        ] } });
    for (before, last, expected) in [
        (vec![], rescaling(), Some("layer rescaling (Rescaling) scales them")),
        (vec![], layer("Normalization", json!({})), Some("layer normalization (Normalization) scales them")),
        (vec![layer("RandomFlip", json!({}))], rescaling(), Some("layer rescaling (Rescaling) scales them")),
        (vec![layer("ZeroPadding2D", json!({}))], rescaling(), Some("layer rescaling (Rescaling) scales them")),
        (vec![layer("Identity", json!({}))], nested, Some("layer rescaling (Rescaling) scales them")),
        (vec![], layer("BatchNormalization", json!({})), None),
        (vec![layer("Activation", json!({ "activation": "relu" }))], rescaling(), None),
        (vec![layer("BatchNormalization", json!({}))], rescaling(), None),
        (vec![], layer("Flatten", json!({})), None),
    ] {
        assert_eq!(scaling(before, last).as_deref(), expected);
    }
}

#[test]
fn an_input_of_whole_numbers_is_one_of_pixels_as_they_are() {
    let of = |dtype: &str| {
        spec(json!({ "batch_shape": [16, 8, 8, 1], "dtype": dtype }), json!([{ "class_name": "Flatten" }]))
    };
    assert_eq!(of("uint8").own_scaling().as_deref(), Some("the network's input is uint8"));
    assert!(of("int32").own_scaling().is_some() && of("float16").own_scaling().is_none());
    assert_eq!(Spec::from_json(&of("uint8").to_json()).unwrap(), of("uint8"));
    for refused in ["int8", "bool", "string", "complex64"] {
        let input = json!({ "class_name": "InputLayer", "config": { "batch_shape": [null, 4], "dtype": refused } });
        let document = json!({ "class_name": "Sequential", "config": { "layers": [input] } });
        assert!(Spec::from_json(&document).unwrap_err().to_string().contains("dtype"), "{refused}");
    }
}
