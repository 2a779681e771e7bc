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

/// Everything is computed in f32; mixed precision is a flag of training, not of the file.
pub(super) fn check_dtype(dtype: Option<&Value>) -> Result<()> {
    let name = match dtype {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::String(name)) => Some(name.as_str()),
        Some(policy) => policy.pointer("/config/name").and_then(Value::as_str),
    };
    match name {
        Some("float32") => Ok(()),
        other => Err(Error::model("the layer's dtype is not supported")
            .expected("float32")
            .got(other.unwrap_or("something else"))
            .help("build the model in Keras with dtype float32 and copy its weights")
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
