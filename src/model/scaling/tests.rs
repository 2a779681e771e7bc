use serde_json::{Value, json};
use tch::Device;

use super::*;

fn spec(layers: &[Value]) -> Spec {
    let mut all = vec![json!({ "class_name": "InputLayer", "config": { "batch_shape": [null, 4, 4, 1] } })];
    all.extend(layers.iter().cloned());
    all.push(json!({ "class_name": "Flatten" }));
    Spec::from_json(&json!({ "class_name": "Sequential", "config": { "layers": all } })).unwrap()
}

fn layer(class_name: &str, config: Value) -> Value {
    json!({ "class_name": class_name, "config": config })
}

#[test]
fn scales_are_numbers_or_fractions() {
    for (text, scale, shown) in [
        ("1/255", 1.0 / 255.0, "1/255"),
        ("1", 1.0, "1"),
        ("0.5", 0.5, "1/2"),
        (" 2 / 4", 0.5, "1/2"),
        ("0.3", 0.3, "0.3"),
        ("2", 2.0, "2"),
        ("0.00392156862745098", 1.0 / 255.0, "1/255"),
    ] {
        let parsed: InputScale = text.parse().unwrap();
        assert_eq!((parsed.factor(), parsed.to_string().as_str()), (scale, shown));
        let json = serde_json::to_string(&parsed).unwrap();
        assert_eq!(serde_json::from_str::<InputScale>(&json).unwrap(), parsed);
        assert_eq!(serde_json::from_value::<InputScale>(json!(text)).unwrap(), parsed);
    }
    for text in ["", "0", "-1", "1/0", "0/0", "x", "1/2/3", "inf", "NaN"] {
        assert!(text.parse::<InputScale>().is_err(), "{text}");
    }
    assert!(serde_json::from_value::<InputScale>(json!(0)).is_err());
    assert!(serde_json::from_value::<InputScale>(json!([1])).is_err());
}

#[test]
fn what_is_told_wins_then_the_model_then_the_network() {
    let (plain, own) = (spec(&[]), spec(&[layer("Rescaling", json!({ "scale": 0.1 }))]));
    let half = InputScale::new(0.5);
    assert_eq!(plain.input_scale(None, None), (InputScale::UNIT, ScaleOrigin::Default));
    assert_eq!(own.input_scale(None, None).0, InputScale::NONE);
    for spec in [&plain, &own] {
        assert_eq!(spec.input_scale(None, half), (half.unwrap(), ScaleOrigin::Model));
        assert_eq!(spec.input_scale(half, Some(InputScale::UNIT)), (half.unwrap(), ScaleOrigin::Told));
    }
    let (scale, origin) = own.input_scale(None, None);
    assert_eq!(origin.describe(scale), "pixels go in as they are, 0 to 255: layer rescaling (Rescaling) scales them");
    assert_eq!(ScaleOrigin::Told.describe(InputScale::UNIT), "pixels 0 to 255 times 1/255 (`input_scale`)");
}

#[test]
fn pixels_that_are_scaled_twice_or_not_at_all_are_warned_about() {
    let normalization =
        |mean: f64, variance: f64| layer("Normalization", json!({ "mean": mean, "variance": variance }));
    for (first, scale, says) in [
        (layer("Rescaling", json!({ "scale": 0.1 })), 1.0, None),
        (layer("Rescaling", json!({ "scale": 0.1 })), 0.5, Some("multiplied by 1/2")),
        (layer("Rescaling", json!({ "scale": 2.0, "offset": -1.0 })), 1.0, Some("from 0 to 1")),
        (normalization(120.0, 4000.0), 1.0, None),
        (normalization(0.48, 0.05), 1.0, Some("from 0 to 1")),
        (layer("Normalization", json!({})), 1.0, Some("no statistics")),
        (layer("Dropout", json!({ "rate": 0.5 })), 0.5, None),
    ] {
        let model = Model::new(spec(std::slice::from_ref(&first)), scale, Device::Cpu, 0).unwrap();
        let warnings = model.scaling_warnings();
        assert_eq!(warnings.len(), usize::from(says.is_some()), "{first} {warnings:?}");
        assert!(warnings.iter().all(|warning| warning.contains(says.unwrap())), "{warnings:?}");
    }
}
