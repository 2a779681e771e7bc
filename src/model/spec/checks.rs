//! What a document must be before its values get their types.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::{Error, Result, nearest};

/// Keys that Keras writes for its own use: accepted anywhere, never used.
pub(super) const BOOKKEEPING: [&str; 8] = [
    "module",
    "registered_name",
    "build_config",
    "compile_config",
    "build_input_shape",
    "keras_version",
    "backend",
    "shared_object_id",
];

pub(super) fn check_keys(object: &Map<String, Value>, known: &[&str]) -> Result<()> {
    let is_known = |key: &str| known.contains(&key) || BOOKKEEPING.contains(&key);
    match object.keys().find(|key| !is_known(key)) {
        None => Ok(()),
        Some(key) => Err(Error::model(format!("unknown key '{key}'{}", nearest(key, known))).at(key)),
    }
}

/// Every number is computed with in f32: one beyond it would be infinite.
pub(super) fn check_numbers(value: &Value) -> Result<()> {
    match value {
        Value::Number(number) if number.as_f64().is_none_or(|number| number.abs() > f64::from(f32::MAX)) => {
            Err(Error::model("a number is too large").expected(format!("at most {:e}", f32::MAX)).got(number))
        }
        Value::Array(items) => items.iter().try_for_each(check_numbers),
        Value::Object(object) => object.values().try_for_each(check_numbers),
        _ => Ok(()),
    }
}

/// The policies whose weights are float32, as all weights are here. What a mixed one computes in, `--precision` says.
const POLICIES: [&str; 3] = ["float32", "mixed_float16", "mixed_bfloat16"];

/// A policy's name in a layer's or a network's `dtype`.
pub(super) fn policy_name(dtype: &Value) -> Option<&str> {
    dtype.as_str().or_else(|| dtype.pointer("/config/name")?.as_str())
}

/// Every weight is f32: another kind would be another network, rounded or not.
pub(super) fn check_dtype(dtype: Option<&Value>) -> Result<()> {
    let Some(dtype) = dtype.filter(|dtype| !dtype.is_null()) else { return Ok(()) };
    match policy_name(dtype) {
        Some(name) if POLICIES.contains(&name) => Ok(()),
        other => Err(Error::model("the layer's dtype is not supported")
            .expected(POLICIES.join(", "))
            .got(other.unwrap_or("something else"))
            .help("build the model in Keras with one of these policies and give it the weights: new.set_weights(old.get_weights())")
            .at("dtype")),
    }
}

pub(super) fn object(value: &Value) -> Result<&Map<String, Value>> {
    value.as_object().ok_or_else(|| Error::model("not a JSON object").got(kind_of(value)))
}

pub(super) fn string<'a>(object: &'a Map<String, Value>, key: &str) -> Result<Option<&'a str>> {
    match object.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(Error::model(format!("{key} is not a string")).got(kind_of(other)).at(key)),
    }
}

pub(super) fn missing(key: &str) -> Error {
    Error::model(format!("{key} is missing"))
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Settings from JSON; an error names the key.
pub(super) fn typed<T: DeserializeOwned>(config: Value) -> Result<T> {
    serde_path_to_error::deserialize(config).map_err(|error| {
        let path = error.path().to_string();
        let error = Error::model(error.into_inner().to_string());
        if path == "." { error } else { error.at(path) }
    })
}

/// The mixed precision policy that a Keras document names somewhere, a layer's or the network's.
pub fn mixed_policy(document: &Value) -> Option<&str> {
    match document {
        Value::Object(object) => {
            let own = object.get("dtype").and_then(policy_name).filter(|name| name.starts_with("mixed_"));
            own.or_else(|| object.values().find_map(mixed_policy))
        }
        Value::Array(items) => items.iter().find_map(mixed_policy),
        _ => None,
    }
}
