//! The calls of a layer as files have them: Keras 3's `{"args", "kwargs"}`, Keras 2's lists of `[layer, node, tensor,
//! kwargs]`.

use serde_json::{Map, Value};

use super::super::checks::{check_keys, object};
use crate::error::{Error, Result};

/// How deeply the lists of arguments may be nested.
const MAX_DEPTH: usize = 4;

/// One call of a layer.
#[derive(Debug, Default)]
pub(super) struct FileCall {
    /// What is given without a name, and, in Keras 2's calls of functions, by a name; in order.
    pub arguments: Vec<Argument>,
    /// What is said by name otherwise.
    pub settings: Map<String, Value>,
    /// Whether the call says `training=False`: Keras 2 keeps to it in training, Keras 3's `fit` does not.
    pub in_inference: bool,
}

/// An argument of a call.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Argument {
    /// Another layer's output.
    Tensor(History),
    /// A number, a list of numbers …
    Constant(Value),
}

/// Which call's output it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct History {
    /// The layer's name.
    pub layer: String,
    /// Which of its calls.
    pub call: usize,
}

impl FileCall {
    /// Reads an element of `inbound_nodes`.
    ///
    /// # Errors
    /// A model error where it is none.
    pub fn read(node: &Value) -> Result<Self> {
        let mut call = FileCall::default();
        match node {
            Value::Object(node) => call.read_keras3(node)?,
            Value::Array(node) => call.read_keras2(node)?,
            _ => return Err(unreadable(node)),
        }
        Ok(call)
    }

    /// What goes in, in order.
    pub fn tensors(&self) -> Vec<&History> {
        let mut tensors = Vec::new();
        for argument in &self.arguments {
            match argument {
                Argument::Tensor(history) => tensors.push(history),
                Argument::Constant(_) => {}
            }
        }
        tensors
    }

    /// Checks that nothing but other layers' outputs goes in: what a layer can be given beside them.
    ///
    /// # Errors
    /// A model error that says what does.
    pub fn check_layer(&self) -> Result<()> {
        let constant = self.arguments.iter().find_map(|argument| match argument {
            Argument::Constant(value) if !value.is_null() => Some(value),
            _ => None,
        });
        match (constant, self.settings.iter().next()) {
            (Some(constant), _) => Err(Error::model("a layer's call with a constant is not supported").got(constant)),
            (None, Some((key, value))) => {
                Err(Error::model(format!("a layer's call with '{key}' is not supported")).got(value))
            }
            (None, None) => Ok(()),
        }
    }

    fn read_keras3(&mut self, node: &Map<String, Value>) -> Result<()> {
        check_keys(node, &["args", "kwargs"])?;
        let args = node.get("args").and_then(Value::as_array).ok_or_else(|| unreadable(&Value::Null))?;
        for argument in args {
            self.add(argument, 0).map_err(|error| error.at("args"))?;
        }
        let empty = Map::new();
        let settings = node.get("kwargs").map_or(Ok(&empty), object).map_err(|error| error.at("kwargs"))?;
        for (key, value) in settings {
            match (key.as_str(), value) {
                ("inputs" | "x", value) if holds_tensor(value, 0) => self.add(value, 0)?,
                _ => self.set(key, value).map_err(|error| error.at(key).at("kwargs"))?,
            }
        }
        Ok(())
    }

    /// `[[layer, node, tensor, kwargs], …]`, or one of these alone.
    fn read_keras2(&mut self, node: &[Value]) -> Result<()> {
        if let Some(Value::String(_)) = node.first() {
            return self.read_keras2_input(node);
        }
        node.iter().try_for_each(|input| self.read_keras2_input(input.as_array().ok_or_else(|| unreadable(input))?))
    }

    fn read_keras2_input(&mut self, input: &[Value]) -> Result<()> {
        let settings = match input.get(3) {
            None | Some(Value::Null) => Map::new(),
            Some(settings) => object(settings)?.clone(),
        };
        self.arguments.push(match input {
            // of a function with a constant in front
            [Value::String(name), _, constant, ..] if name == "_CONSTANT_VALUE" => Argument::Constant(constant.clone()),
            _ => Argument::Tensor(history(&input[..input.len().min(3)])?),
        });
        for (key, value) in &settings {
            match value {
                // the name that a function's result was to have
                _ if key == "name" => {}
                Value::Array(items) if is_history(items) => self.arguments.push(Argument::Tensor(history(items)?)),
                _ if ["x", "y"].contains(&key.as_str()) => self.arguments.push(Argument::Constant(value.clone())),
                _ => self.set(key, value).map_err(|error| error.at(key))?,
            }
        }
        Ok(())
    }

    fn add(&mut self, argument: &Value, depth: usize) -> Result<()> {
        if depth > MAX_DEPTH {
            return Err(unreadable(argument));
        }
        match argument {
            Value::Object(object) if is_tensor(object) => {
                let items =
                    object.get("config").and_then(|config| config.get("keras_history")).and_then(Value::as_array);
                self.arguments.push(Argument::Tensor(history(items.map_or(&[], Vec::as_slice))?));
            }
            Value::Array(items) if holds_tensor(argument, depth) => {
                items.iter().try_for_each(|item| self.add(item, depth + 1))?;
            }
            Value::Null => {}
            constant => self.arguments.push(Argument::Constant(constant.clone())),
        }
        Ok(())
    }

    fn set(&mut self, key: &str, value: &Value) -> Result<()> {
        match (key, value) {
            ("training", Value::Bool(false)) => self.in_inference = true,
            ("training", Value::Bool(true)) => {
                return Err(Error::model("a layer that works as in training always is not supported")
                    .expected("a call without training=True"));
            }
            ("training" | "mask", Value::Null) => {}
            (_, value) if holds_tensor(value, 0) => {
                return Err(Error::model("a layer that takes another layer's output by name is not supported"));
            }
            _ => {
                self.settings.insert(key.to_owned(), value.clone());
            }
        }
        Ok(())
    }
}

fn is_tensor(object: &Map<String, Value>) -> bool {
    object.get("class_name").is_some_and(|name| name == "__keras_tensor__")
}

fn holds_tensor(value: &Value, depth: usize) -> bool {
    match value {
        Value::Object(object) => is_tensor(object),
        Value::Array(items) if depth <= MAX_DEPTH => items.iter().any(|item| holds_tensor(item, depth + 1)),
        _ => false,
    }
}

fn is_history(items: &[Value]) -> bool {
    matches!(items, [Value::String(_), Value::Number(_), Value::Number(_)])
}

/// `[layer, call, tensor]`.
///
/// # Errors
/// A model error where it is none, or not the layer's only output.
pub(super) fn history(items: &[Value]) -> Result<History> {
    let number = |value: &Value| value.as_u64().and_then(|number| usize::try_from(number).ok());
    match items {
        [Value::String(layer), call, tensor] => match (number(call), number(tensor)) {
            (Some(call), Some(0)) => Ok(History { layer: layer.clone(), call }),
            (Some(_), Some(_)) => {
                Err(Error::model(format!("layer {layer} has several outputs, which is not supported")))
            }
            _ => Err(unreadable(&Value::Array(items.to_vec()))),
        },
        _ => Err(unreadable(&Value::Array(items.to_vec()))),
    }
}

fn unreadable(node: &Value) -> Error {
    let shown: String = node.to_string().chars().take(80).collect();
    Error::model("the call of a layer cannot be read")
        .expected("Keras 3's {\"args\": [...], \"kwargs\": {...}} or Keras 2's [[\"layer\", 0, 0, {}]]")
        .got(shown)
}
