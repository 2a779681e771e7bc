//! One JSON for all: what Keras 3, Keras 2 and TF 1.15 read alike. Made from Keras 3's by leaving out what older versions do
//! not know and what says nothing, and by the older word where Keras 3 still takes it.

use serde_json::{Map, Value, json};

use crate::model::spec::snake_case;

/// The portable form of Keras 3's JSON of a Sequential network.
pub(super) fn portable(document: &Value) -> Value {
    let mut portable = sequential(document);
    portable["keras_version"] = json!("2.15.0");
    portable["backend"] = json!("tensorflow");
    portable
}

fn sequential(document: &Value) -> Value {
    let layers = document.pointer("/config/layers").and_then(Value::as_array);
    let layers: Vec<Value> = layers.into_iter().flatten().map(layer).collect();
    let mut config = json!({ "name": document["config"]["name"], "layers": layers });
    if document["config"]["trainable"] == json!(false) {
        config["trainable"] = json!(false);
    }
    json!({ "module": "keras", "class_name": "Sequential", "config": config })
}

fn layer(document: &Value) -> Value {
    let class_name = document["class_name"].as_str().unwrap_or_default();
    if class_name == "Sequential" {
        return sequential(document);
    }
    let settings = document["config"].as_object().cloned().unwrap_or_default();
    let kept = settings.into_iter().filter(|(key, value)| !is_unsaid(key, value));
    let config: Map<String, Value> = kept.map(|(key, value)| setting(class_name, key, value)).collect();
    json!({ "class_name": class_name, "config": config })
}

/// Whether a setting is one that older versions refuse, at the value that says nothing.
fn is_unsaid(key: &str, value: &Value) -> bool {
    match key {
        "groups" => *value == json!(1),
        "seed" | "quantization_config" | "renorm_clipping" => value.is_null(),
        "synchronized" | "renorm" | "rms_scaling" | "keepdims" | "ragged" | "optional" => *value == json!(false),
        "renorm_momentum" => true, // without renorm it is not used
        _ => false,
    }
}

fn setting(class_name: &str, key: String, value: Value) -> (String, Value) {
    match (class_name, key.as_str()) {
        (_, "dtype") => (key, json!("float32")),
        ("InputLayer", "batch_shape") => ("batch_input_shape".into(), value),
        ("LeakyReLU", "negative_slope") => ("alpha".into(), value),
        _ if value.get("class_name").is_some() => (key, object(&value)),
        _ => (key, value),
    }
}

/// An initialiser, a regulariser, a constraint or an activation: by its name where that says all.
fn object(value: &Value) -> Value {
    let class_name = value["class_name"].as_str().unwrap_or_default();
    let config = value["config"].as_object().cloned().unwrap_or_default();
    let penalty = |key: &str| config.get(key).cloned().unwrap_or(json!(0.0));
    match class_name {
        // TF 1.15 has this one only
        "L1" | "L2" => json!({ "class_name": "L1L2", "config": { "l1": penalty("l1"), "l2": penalty("l2") } }),
        _ if config.iter().all(|(key, value)| key == "seed" && value.is_null()) => json!(snake_case(class_name)),
        _ => json!({ "class_name": class_name, "config": config }),
    }
}
