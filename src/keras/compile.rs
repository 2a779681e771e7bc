//! What a Keras model was compiled with, so that training on can take it over.

use serde_json::{Map, Value};

use crate::model::CompileInfo;

/// From Keras 3's `compile_config` (key `optimizer`) or an older file's `training_config` (key `optimizer_config`).
/// `None` where it names no optimizer: the model was not compiled.
pub(super) fn info_of(document: &Value) -> Option<CompileInfo> {
    let optimizer = document.get("optimizer").or_else(|| document.get("optimizer_config"))?;
    let (class_name, config) = match optimizer {
        Value::String(name) => (name.as_str(), Map::new()),
        object => {
            let class_name = object.get("class_name").and_then(Value::as_str)?;
            (class_name, object.get("config").and_then(Value::as_object).cloned().unwrap_or_default())
        }
    };
    let class_name = class_name.rsplit('>').next().unwrap_or(class_name); // Keras 2 registers "Custom>Adam"
    let loss = document.get("loss").map_or(Value::Null, simplified);
    let mut metrics = Vec::new();
    collect_names(document.get("metrics").unwrap_or(&Value::Null), &mut metrics);
    Some(CompileInfo { optimizer: class_name.to_owned(), optimizer_config: keras3_names(config), loss, metrics })
}

/// Keras 1 and 2 call the learning rate `lr`; settings that are null say nothing.
fn keras3_names(config: Map<String, Value>) -> Map<String, Value> {
    let renamed = config.into_iter().map(|(key, value)| match key.as_str() {
        "lr" => ("learning_rate".to_owned(), value),
        _ => (key, value),
    });
    renamed.filter(|(_, value)| !value.is_null()).collect()
}

/// A function's object (`{"class_name": "function", "config": "mse"}`) is its name.
fn simplified(value: &Value) -> Value {
    match (value.get("class_name").and_then(Value::as_str), value.get("config")) {
        (Some("function"), Some(name @ Value::String(_))) => name.clone(),
        (Some(class_name), config) => serde_json::json!({ "class_name": class_name, "config": config }),
        (None, _) => value.clone(),
    }
}

/// Keras nests metrics in lists, one for each output, and names them or writes them as objects.
fn collect_names(metrics: &Value, names: &mut Vec<String>) {
    match metrics {
        Value::String(name) => names.push(name.clone()),
        Value::Array(several) => several.iter().for_each(|metric| collect_names(metric, names)),
        object => {
            let config = object.get("config");
            let name = config.and_then(Value::as_str).or_else(|| config?.get("name")?.as_str());
            names.extend(name.or_else(|| object.get("class_name")?.as_str()).map(str::to_owned));
        }
    }
}

#[cfg(test)]
mod tests;
