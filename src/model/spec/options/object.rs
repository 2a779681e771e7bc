//! Keras's serialised objects: `{"module", "class_name", "config", "registered_name"}`, or only a name.

use serde_json::{Map, Value, json};

use super::super::compat::check_origin;
use crate::error::nearest;

/// Settings that Keras writes beside an object's own and that change nothing here.
const IGNORED: [&str; 5] = ["seed", "dtype", "input_axes", "output_axes", "name"];

/// A serialised object while it is read: settings are taken out one by one, none may be left over.
pub(super) struct Object {
    /// What it is, for messages: `initializer`, `regularizer` …
    what: &'static str,
    /// Keras's class name, or the older function's name.
    pub class_name: String,
    config: Map<String, Value>,
    known: Vec<&'static str>,
}

impl Object {
    /// Reads a name or an object.
    pub fn new(what: &'static str, value: &Value) -> Result<Self, String> {
        let (class_name, config) = match value {
            Value::String(name) => (name.as_str(), None),
            Value::Object(object) => {
                check_origin(object).map_err(|error| error.to_string())?;
                (object.get("class_name").and_then(Value::as_str).unwrap_or_default(), object.get("config"))
            }
            other => return Err(format!("expected the name or the object of a known {what}, got {other}")),
        };
        if class_name.is_empty() {
            return Err(format!("the {what} has no class_name"));
        }
        let mut config = match config {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(config)) => config.clone(),
            Some(other) => return Err(format!("the config of {class_name} is not an object: {other}")),
        };
        config.retain(|key, value| !IGNORED.contains(&key.as_str()) || key.ends_with("_axes") && !value.is_null());
        Ok(Object { what, class_name: class_name.to_owned(), config, known: Vec::new() })
    }

    /// A setting that is a number.
    pub fn number(&mut self, key: &'static str, default: f64) -> Result<f64, String> {
        self.known.push(key);
        let Some(value) = self.config.remove(key) else { return Ok(default) };
        value.as_f64().ok_or_else(|| self.wrong(key, "a number", &value))
    }

    /// A setting that is one of some words.
    pub fn word<T: Copy>(&mut self, key: &'static str, words: &[(&'static str, T)], default: T) -> Result<T, String> {
        self.known.push(key);
        let Some(value) = self.config.remove(key) else { return Ok(default) };
        let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
        let found = words.iter().find(|(name, _)| value.as_str().is_some_and(|word| word.eq_ignore_ascii_case(name)));
        found.map(|(_, word)| *word).ok_or_else(|| self.wrong(key, &format!("one of {}", names.join(", ")), &value))
    }

    /// A setting of any other kind.
    pub fn take(&mut self, key: &'static str) -> Option<Value> {
        self.known.push(key);
        self.config.remove(key)
    }

    /// Checks that every setting was known.
    pub fn finish(self) -> Result<(), String> {
        match self.config.keys().next() {
            None => Ok(()),
            Some(key) if self.known.is_empty() => Err(format!("{} has no setting '{key}'", self.class_name)),
            Some(key) => {
                Err(format!("unknown key '{key}' in the config of {}{}", self.class_name, nearest(key, &self.known)))
            }
        }
    }

    /// What to say where the class is not among `known`.
    pub fn unknown(&self, known: &[&str]) -> String {
        format!("unknown {} '{}'{}", self.what, self.class_name, nearest(&self.class_name, known))
    }

    fn wrong(&self, key: &str, expected: &str, value: &Value) -> String {
        format!("{}'s {key} is not usable: expected {expected}, got {value}", self.class_name)
    }
}

/// Keras 3's form of an object.
pub(super) fn to_json(module: &str, class_name: &str, config: Value) -> Value {
    json!({ "module": module, "class_name": class_name, "config": config, "registered_name": null })
}
