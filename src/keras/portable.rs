//! One JSON for all: what Keras 3, Keras 2 and TF 1.15 read alike. Made from Keras 3's by leaving out what older versions do
//! not know and what says nothing, and by the older word where Keras 3 still takes it.

use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::model::spec::{Activation, LayerSpec, Spec, snake_case};

/// The portable form of a network.
///
/// # Errors
/// A model error that names a layer which means another thing in Keras 2, or is lost there.
pub(super) fn portable(spec: &Spec) -> Result<Value> {
    check(spec)?;
    let mut portable = network(&spec.to_json());
    portable["keras_version"] = json!("2.15.0");
    portable["backend"] = json!("tensorflow");
    Ok(portable)
}

fn check(spec: &Spec) -> Result<()> {
    for layer in &spec.layers {
        let refused = |what: &str| {
            Err(Error::model(what)
                .at(format!("layer {}", layer.name))
                .help("export for Keras 3 alone: `format` keras or keras-json"))
        };
        if let Activation::HardSigmoid | Activation::Keras2HardSigmoid = layer.spec.activation() {
            return refused("hard_sigmoid is another function in Keras 2 than in Keras 3");
        }
        if let LayerSpec::Network(inner) = &layer.spec {
            if !layer.trainable {
                return refused("Keras 2 does not keep that a nested network is frozen");
            }
            if spec.graph.is_some() {
                return refused("Keras 2 and Keras 3 count a nested network's calls differently");
            }
            check(inner)?;
        }
    }
    Ok(())
}

fn network(document: &Value) -> Value {
    let layers = document.pointer("/config/layers").and_then(Value::as_array);
    let layers: Vec<Value> = layers.into_iter().flatten().map(layer).collect();
    let mut config = json!({ "name": document["config"]["name"], "layers": layers });
    if document["config"]["trainable"] == json!(false) {
        config["trainable"] = json!(false);
    }
    for key in ["input_layers", "output_layers"] {
        if let Some(ends) = document["config"].get(key) {
            config[key] = ends.clone();
        }
    }
    json!({ "module": document["module"], "class_name": document["class_name"], "config": config })
}

/// A call's inputs as Keras 2 lists them: layer, call, output, and what else the first one is given.
fn node(node: &Value) -> Value {
    let mut tensors = Vec::new();
    collect_histories(&node["args"], &mut tensors);
    let kwargs = |index: usize| if index == 0 { node["kwargs"].clone() } else { json!({}) };
    let with_kwargs = |(index, history): (usize, &Value)| json!([history[0], history[1], history[2], kwargs(index)]);
    tensors.into_iter().enumerate().map(with_kwargs).collect()
}

fn collect_histories<'a>(arguments: &'a Value, found: &mut Vec<&'a Value>) {
    match arguments.pointer("/config/keras_history") {
        Some(history) => found.push(history),
        None => arguments.as_array().into_iter().flatten().for_each(|argument| collect_histories(argument, found)),
    }
}

fn layer(document: &Value) -> Value {
    let class_name = document["class_name"].as_str().unwrap_or_default();
    let is_network = class_name == "Sequential" || class_name == "Functional";
    let mut layer = if is_network { network(document) } else { plain_layer(document, class_name) };
    if let Some(nodes) = document["inbound_nodes"].as_array() {
        layer["name"] = document["name"].clone();
        layer["inbound_nodes"] = nodes.iter().map(node).collect();
    }
    layer
}

fn plain_layer(document: &Value, class_name: &str) -> Value {
    let settings = document["config"].as_object().cloned().unwrap_or_default();
    let is_augmentation = class_name.starts_with("Random") || class_name == "CenterCrop" || class_name == "Resizing";
    let kept = settings.into_iter().filter(|(key, value)| {
        // augmentation has no orders of axes in Keras 2, and knows pixels from 0 to 255 only
        !(is_unsaid(class_name, key, value)
            || is_augmentation && ["data_format", "value_range"].contains(&key.as_str()))
    });
    let config: Map<String, Value> = kept.map(|(key, value)| setting(class_name, key, value)).collect();
    let mut layer = json!({ "class_name": class_name, "config": config });
    let axis = layer["config"].get("axis");
    if axis.is_some_and(|axis| !axis.is_i64() && axis.as_array().is_none_or(|axes| axes.len() != 1)) {
        layer["module"] = json!("keras.layers"); // without it, Keras 3.15 reads one axis or a list of one only
    }
    layer
}

/// Whether a setting is one that older versions refuse, at the value that says nothing.
fn is_unsaid(class_name: &str, key: &str, value: &Value) -> bool {
    match key {
        "groups" => class_name != "GroupNormalization" && *value == json!(1), // whose default is 32
        "seed" | "quantization_config" | "renorm_clipping" => value.is_null(),
        "synchronized" | "renorm" | "rms_scaling" | "keepdims" | "ragged" | "optional" => *value == json!(false),
        "renorm_momentum" => true, // without renorm it is not used
        // Keras 2 neither pads nor smooths, which is all that is supported here
        "pad_to_aspect_ratio" | "fill_mode" | "fill_value" | "antialias" => class_name == "Resizing",
        _ => false,
    }
}

fn setting(class_name: &str, key: String, value: Value) -> (String, Value) {
    match (class_name, key.as_str()) {
        (_, "dtype") => (key, json!("float32")),
        ("InputLayer", "batch_shape") => ("batch_input_shape".into(), value),
        ("LeakyReLU", "negative_slope") => ("alpha".into(), value),
        (_, "activation") if value.is_object() => (key, activation(&value)),
        _ if value.get("class_name").is_some() => (key, object(&value)),
        _ => (key, value),
    }
}

/// A layer in the place of an activation's name: Keras 3 looks for it among the layers only where the module says so.
fn activation(value: &Value) -> Value {
    let class_name = value["class_name"].as_str().unwrap_or_default();
    let settings = value["config"].as_object().cloned().unwrap_or_default().into_iter();
    let config: Map<String, Value> =
        settings.filter(|(_, value)| !value.is_null()).map(|(key, value)| setting(class_name, key, value)).collect();
    json!({ "module": "keras.layers", "class_name": class_name, "config": config, "registered_name": null })
}

/// An initialiser, a regulariser or a constraint: by its name where that says all.
fn object(value: &Value) -> Value {
    let class_name = value["class_name"].as_str().unwrap_or_default();
    let mut config = value["config"].as_object().cloned().unwrap_or_default();
    config.retain(|_, value| !value.is_null());
    let penalty = |key: &str| config.get(key).cloned().unwrap_or(json!(0.0));
    match class_name {
        // TF 1.15 has this one only
        "L1" | "L2" => json!({ "class_name": "L1L2", "config": { "l1": penalty("l1"), "l2": penalty("l2") } }),
        _ if config.is_empty() => json!(snake_case(class_name)),
        _ => json!({ "class_name": class_name, "config": config }),
    }
}

#[cfg(test)]
mod tests;
