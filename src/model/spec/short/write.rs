//! The short form of a network that is there.

use serde_json::{Map, Value, json};

use super::super::{Layer, LayerSpec, Spec};
use super::signatures::{self, Signature};
use super::{Activation, ShortForm};
use crate::error::{Error, Result};

impl Spec {
    /// The network's short form, a layer a line. Where `is_open`, it says neither the input's shape nor the last Dense
    /// layer's units: it adapts to the data, as a preset does.
    ///
    /// # Errors
    /// A model error where the short form cannot say the network.
    pub fn to_short(&self, is_open: bool) -> Result<String> {
        if self.graph.is_some() {
            return Err(Error::model("the short form has no branches").help("Keras's JSON can say the network"));
        }
        let last_dense = self.layers.iter().rposition(|layer| matches!(layer.spec, LayerSpec::Dense(_)));
        let mut lines = Vec::new();
        if let (false, Some(shape)) = (is_open, &self.input_shape) {
            let sizes: Vec<String> = shape.iter().map(ToString::to_string).collect();
            let dtype = match self.input_dtype {
                "float32" => String::new(),
                other => format!(" dtype={other}"),
            };
            lines.push(format!("Input {}{dtype}", sizes.join(" ")));
        }
        let names = automatic_names(&self.layers)?;
        for (index, (layer, name)) in self.layers.iter().zip(names).enumerate() {
            let leaves_units_open = is_open && last_dense == Some(index);
            let (class_name, words) = words(layer, &name, leaves_units_open)?;
            lines.push(match layer.spec {
                LayerSpec::Network(_) => format!("{class_name}({})", words.join(", ")),
                _ => std::iter::once(class_name.to_owned()).chain(words).collect::<Vec<_>>().join(" "),
            });
        }
        self.check_outputs()?;
        let text = lines.join("\n") + "\n";
        self.check_same(&text)?;
        Ok(text)
    }

    /// Checks that the layers alone say what the outputs mean: a short form has no loss.
    fn check_outputs(&self) -> Result<()> {
        let layers_alone = Spec { loss: None, ..self.clone() };
        match self.output_kind().ok() == layers_alone.output_kind().ok() {
            true => Ok(()),
            false => Err(Error::model("the short form cannot say the loss that the outputs were made for")
                .got(self.loss.as_ref().map_or("", |loss| &loss.name))
                .help("Keras's JSON can")),
        }
    }

    /// Checks that `text` reads as this network.
    fn check_same(&self, text: &str) -> Result<()> {
        let units = self.layers.iter().rev().find_map(|layer| match &layer.spec {
            LayerSpec::Dense(dense) => Some(dense.units),
            _ => None,
        });
        let read = ShortForm::parse(text, &self.name)?.read(units.unwrap_or(1))?;
        let differs = self.layers.iter().zip(&read.layers).find(|(one, other)| one != other);
        match differs {
            None if self.layers.len() == read.layers.len() => Ok(()),
            _ => {
                let place = differs.map_or("its last layer", |(layer, _)| &layer.name);
                Err(Error::model("the short form cannot say the network").at(place).help("Keras's JSON can"))
            }
        }
    }
}

/// The names that Keras gives to `layers` where none is said.
fn automatic_names(layers: &[Layer]) -> Result<Vec<String>> {
    let mut spec = Spec::empty("");
    let mut reader = super::Reader::of_keras3();
    for (index, layer) in layers.iter().enumerate() {
        let entry = match &layer.spec {
            LayerSpec::Network(_) => {
                json!({ "class_name": "Sequential", "config": { "layers": [{ "class_name": "Flatten" }] } })
            }
            leaf => json!({ "class_name": leaf.class_name(), "config": leaf.to_config() }),
        };
        reader.entry(&entry, index, &mut spec)?;
    }
    Ok(spec.layers.into_iter().map(|layer| layer.name).collect())
}

/// A layer's class and what it is given.
fn words(layer: &Layer, automatic_name: &str, leaves_units_open: bool) -> Result<(&'static str, Vec<String>)> {
    let class_name = layer.spec.class_name();
    let mut words = match &layer.spec {
        LayerSpec::Network(inner) => vec![nested(inner)?],
        leaf => {
            let signature = signatures::layer(class_name).ok_or_else(|| super::unsayable(class_name))?;
            settings(signature, leaf, leaves_units_open)?
        }
    };
    if layer.name != automatic_name {
        words.push(format!("name={}", text(&layer.name)));
    }
    if !layer.trainable {
        words.push("trainable=False".to_owned());
    }
    Ok((class_name, words))
}

/// `[Conv2D(32, 3), …]`.
fn nested(inner: &Spec) -> Result<String> {
    if inner.graph.is_some() {
        return Err(Error::model("the short form has no branches").help("Keras's JSON can say the network"));
    }
    let mut layers = Vec::new();
    if let Some(shape) = &inner.input_shape {
        layers.push(format!("Input(shape={shape:?})"));
    }
    for (layer, name) in inner.layers.iter().zip(automatic_names(&inner.layers)?) {
        let (class_name, words) = words(layer, &name, false)?;
        layers.push(format!("{class_name}({})", words.join(", ")));
    }
    Ok(format!("[{}]", layers.join(", ")))
}

/// What a layer is given that is not Keras's default.
fn settings(signature: &'static Signature, spec: &LayerSpec, leaves_units_open: bool) -> Result<Vec<String>> {
    let config = spec.to_config();
    let required: Map<String, Value> = signature
        .parameters()
        .take(signature.required)
        .filter_map(|parameter| Some((parameter.to_owned(), config.get(parameter)?.clone())))
        .collect();
    let defaults = LayerSpec::from_config(signature.class_name, required)?.to_config();
    let mut words = Vec::new();
    for (index, parameter) in signature.parameters().enumerate() {
        let Some(setting) = config.get(parameter) else { continue };
        let is_default = match parameter {
            "strides" if config.contains_key("pool_size") => config.get("pool_size") == Some(setting),
            "pool_size" => false,
            _ => defaults.get(parameter) == Some(setting),
        };
        let is_required = index < signature.required;
        match setting {
            _ if is_required && parameter == "units" && leaves_units_open => {}
            _ if is_required || (index == 0 && !is_default) => words.push(written(parameter, setting)),
            _ if is_default => {}
            Value::String(word) if parameter == "activation" && Activation::names().any(|name| name == word) => {
                words.push(word.clone());
            }
            Value::String(word) if parameter == "padding" => words.push(word.clone()),
            _ => words.push(format!("{parameter}={}", written(parameter, setting))),
        }
    }
    Ok(words)
}

/// A setting as Python writes it, sizes that are the same along both axes as one.
fn written(parameter: &str, setting: &Value) -> String {
    match setting {
        Value::Array(sizes) if is_of_both_axes(parameter) && sizes.windows(2).all(|pair| pair[0] == pair[1]) => {
            sizes.first().map_or_else(|| "[]".to_owned(), |first| written(parameter, first))
        }
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(word) => text(word),
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(|value| written("", value)).collect();
            format!("[{}]", values.join(", "))
        }
        Value::Object(object) => call(object),
    }
}

fn is_of_both_axes(parameter: &str) -> bool {
    ["kernel_size", "strides", "pool_size", "dilation_rate", "size", "padding", "cropping", "output_padding"]
        .contains(&parameter)
}

/// `L2(l2=0.0001)`; only the name where it has no settings.
fn call(object: &Map<String, Value>) -> String {
    let class_name = object.get("class_name").and_then(Value::as_str).unwrap_or_default();
    let config = object.get("config").and_then(Value::as_object).into_iter().flatten();
    let given = config.filter(|(key, value)| !value.is_null() && !["trainable", "dtype"].contains(&key.as_str()));
    let settings: Vec<String> = given.map(|(key, value)| format!("{key}={}", written("", value))).collect();
    if settings.is_empty() { class_name.to_owned() } else { format!("{class_name}({})", settings.join(", ")) }
}

fn text(word: &str) -> String {
    let is_plain = word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && !["True", "true", "False", "false", "None", "null", super::CLASSES].contains(&word);
    match (is_plain, word.contains('"')) {
        (true, _) => word.to_owned(),
        (false, false) => format!("\"{word}\""),
        (false, true) => format!("'{word}'"),
    }
}
