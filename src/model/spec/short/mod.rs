//! A network in a few lines: `Conv2D 32 3 relu`, one layer a line, in the words of Keras's constructors.
//!
//! Each line becomes what Keras's JSON would have there and is read as that is: what the JSON can say can be said here. What
//! a line leaves out has the constructor's default. The input's size and the number of classes stay open, for the data to
//! give.

mod lex;
mod parse;
mod signatures;
mod write;

use serde_json::{Map, Value, json};

use super::compat::unknown_layer;
use super::reader::{MAX_LAYERS, Reader};
use super::{Activation, LayerSpec, Spec};
use crate::data::ImageShape;
use crate::error::{Error, Result, nearest};
use parse::{Call, Written};
use signatures::{OF_EVERY_LAYER, Signature};

/// What stands for the data's number of classes.
const CLASSES: &str = "classes";

/// A network as its lines say it, with what they leave open.
#[derive(Debug, Clone, PartialEq)]
pub struct ShortForm {
    name: String,
    /// Where it was found, for messages.
    place: Option<String>,
    layers: Vec<Call>,
}

impl ShortForm {
    /// Reads the lines of `text` as the network called `name`.
    ///
    /// # Errors
    /// A model error that names the line and the word in it.
    pub fn parse(text: &str, name: &str) -> Result<Self> {
        let mut short = ShortForm {
            name: name.to_owned(),
            place: None,
            layers: parse::layers(text.trim_start_matches('\u{feff}'))?,
        };
        if let [Call { name, arguments, line }] = &short.layers[..]
            && name == "Sequential"
        {
            let at_line = |error: Error| error.at(format!("line {line}"));
            let (own_name, layers) = sequential(arguments).map_err(at_line)?;
            (short.name, short.layers) = (own_name.unwrap_or(short.name), layers);
        }
        if short.layers.len() > MAX_LAYERS {
            let too_many = Error::model("too many layers").expected(format!("at most {MAX_LAYERS}"));
            return Err(too_many.got(short.layers.len()));
        }
        short.read(10)?;
        Ok(short)
    }

    /// The same, found at `place`: its messages say so.
    #[must_use]
    pub fn found_at(self, place: impl std::fmt::Display) -> Self {
        ShortForm { place: Some(place.to_string()), ..self }
    }

    /// The network for images of `shape` in `num_classes` classes; an Input of the file's own stays as it is.
    ///
    /// # Errors
    /// A model error that names the line, where sizes do not fit together.
    pub fn spec(&self, shape: ImageShape, num_classes: usize) -> Result<Spec> {
        let mut spec = self.read(num_classes)?;
        spec.input_shape.get_or_insert_with(|| vec![shape.height, shape.width, shape.channels]);
        spec.plan().map_err(|error| {
            let line = self.first_that_fails(&spec).map(|line| format!("line {line}"));
            line.into_iter().chain(self.place.clone()).fold(error, Error::at)
        })?;
        Ok(spec)
    }

    /// The layers with their types.
    fn read(&self, num_classes: usize) -> Result<Spec> {
        let mut spec = Spec::empty(&self.name);
        let mut reader = Reader::of_keras3();
        let last_dense = self.layers.iter().rposition(|call| call.name == "Dense");
        for (index, call) in self.layers.iter().enumerate() {
            let values = Values { num_classes, is_output: last_dense == Some(index) };
            let entry = values.layer(call).and_then(|entry| reader.entry(&entry, index, &mut spec));
            entry.map_err(|error| error.at(format!("line {}", call.line)))?;
        }
        match spec.layers.is_empty() {
            true => Err(Error::model("the file has no layers").expected("one layer a line, such as Conv2D 32 3 relu")),
            false => Ok(spec),
        }
    }

    /// The line of the first layer that `spec`'s layers before it do not go together with.
    fn first_that_fails(&self, spec: &Spec) -> Option<usize> {
        let fails = |count: &usize| Spec { layers: spec.layers[..*count].to_vec(), ..spec.clone() }.plan().is_err();
        let count = (1..=spec.layers.len()).find(fails)?;
        let mut layers = self.layers.iter().filter(|call| !is_input(&call.name));
        layers.nth(count - 1).map(|call| call.line)
    }
}

/// The error for a class of layers that the short form has no words for.
fn unsayable(class_name: &str) -> Error {
    match LayerSpec::class_names().contains(&class_name) {
        true => Error::model(format!("the short form has no {class_name}: its layers follow one another"))
            .help("Keras's JSON can say the network"),
        false => unknown_layer(class_name),
    }
}

fn is_input(name: &str) -> bool {
    ["Input", "InputLayer"].contains(&name)
}

/// The name and the layers of a `Sequential([...])`.
fn sequential(arguments: &[(Option<String>, Written)]) -> Result<(Option<String>, Vec<Call>)> {
    let signature = signatures::object("Sequential").expect("it is in the table");
    let (mut name, mut layers) = (None, Vec::new());
    for (parameter, value) in assign(signature, arguments, &[])? {
        match (parameter, value) {
            ("name", Written::Text(text) | Written::Word(text)) => name = Some(text.clone()),
            ("layers", Written::List(values)) => {
                for value in values {
                    layers.push(match value {
                        Written::Call(call) => call.clone(),
                        Written::Word(name) => Call { line: 0, name: name.clone(), arguments: Vec::new() },
                        _ => {
                            return Err(Error::model("not a layer").expected("such as Conv2D(32, 3)").at("Sequential"));
                        }
                    });
                }
            }
            (parameter, _) => return Err(Error::model("it cannot have this value").at(parameter).at("Sequential")),
        }
    }
    Ok((name, layers))
}

/// Makes Keras's JSON of what is written.
#[derive(Clone, Copy)]
struct Values {
    num_classes: usize,
    /// Whether the layer is the network's last Dense, whose units may be left open.
    is_output: bool,
}

impl Values {
    /// `{"class_name", "config"}` of a layer.
    fn layer(self, call: &Call) -> Result<Value> {
        let at_layer = |error: Error| error.at(&call.name);
        if is_input(&call.name) {
            return Ok(json!({ "class_name": "InputLayer", "config": input(&call.arguments).map_err(at_layer)? }));
        }
        if call.name == "Sequential" {
            return self.nested(&call.arguments);
        }
        let signature = signatures::layer(&call.name).ok_or_else(|| unsayable(&call.name))?;
        let config = self.config(signature, &call.arguments, &OF_EVERY_LAYER).map_err(at_layer)?;
        Ok(json!({ "class_name": signature.class_name, "config": config }))
    }

    fn nested(self, arguments: &[(Option<String>, Written)]) -> Result<Value> {
        let (name, layers) = sequential(arguments)?;
        let layers = layers.iter().map(|call| Values { is_output: false, ..self }.layer(call));
        let mut config = json!({ "layers": layers.collect::<Result<Vec<_>>>()? });
        if let Some(name) = name {
            config["name"] = json!(name);
        }
        Ok(json!({ "class_name": "Sequential", "config": config }))
    }

    /// The settings that `arguments` give to `signature`'s class, which takes the parameters `more`, too.
    fn config(
        self,
        signature: &'static Signature,
        arguments: &[(Option<String>, Written)],
        more: &'static [&'static str],
    ) -> Result<Map<String, Value>> {
        let mut config = Map::new();
        for (parameter, value) in assign(signature, arguments, more)? {
            let value = self.value(parameter, value).map_err(|error| error.at(parameter))?;
            if value.is_null() && ["data_format", "name", "dtype", "input_shape"].contains(&parameter) {
                continue; // as if it were left out
            }
            config.insert(parameter.to_owned(), value);
        }
        if signature.class_name == "Dense" && self.is_output {
            config.entry("units").or_insert(json!(self.num_classes));
        }
        let required = signature.parameters().take(signature.required);
        if let Some(missing) = required.into_iter().find(|parameter| !config.contains_key(*parameter)) {
            let all: Vec<&str> = signature.parameters().take(signature.required).collect();
            return Err(Error::model(format!("{missing} is missing")).expected(all.join(", then ")));
        }
        let factor = config.get("factor").and_then(Value::as_f64).map(f64::abs);
        match (signature.class_name, factor) {
            // as Keras 3.15 has it
            ("RandomContrast", Some(factor)) => drop(config.insert("factor".into(), json!([0.0, factor]))),
            ("RandomRotation" | "RandomBrightness", Some(factor)) => {
                drop(config.insert("factor".into(), json!([-factor, factor])));
            }
            _ => {}
        }
        Ok(config)
    }

    fn value(self, parameter: &str, value: &Written) -> Result<Value> {
        match value {
            Written::Plain(value) => Ok(value.clone()),
            Written::Word(word) if word == CLASSES => match parameter {
                "units" | "filters" => Ok(json!(self.num_classes)),
                _ => Err(Error::model("the number of classes has no place here").expected("it as units or filters")),
            },
            Written::Text(word) | Written::Word(word) => Ok(json!(word)),
            Written::List(values) => values.iter().map(|value| self.value(parameter, value)).collect(),
            Written::Call(call) if call.name == "Sequential" => self.nested(&call.arguments),
            Written::Call(call) => {
                let signature = signatures::object(&call.name).ok_or_else(|| {
                    let known: Vec<&str> = signatures::OBJECTS.iter().map(|object| object.class_name).collect();
                    Error::model(format!("unknown '{}'{}", call.name, nearest(&call.name, &known)))
                })?;
                let config = self.config(signature, &call.arguments, &[]).map_err(|error| error.at(&call.name))?;
                Ok(json!({ "class_name": signature.class_name, "config": config }))
            }
        }
    }
}

/// The InputLayer's settings: `Input 28 28 1`, `Input(shape=(28, 28, 1))`.
fn input(arguments: &[(Option<String>, Written)]) -> Result<Value> {
    let plain = Values { num_classes: 0, is_output: false };
    let value = |value: &Written| plain.value("shape", value);
    let usual = || Error::model("the input's shape cannot be read").expected("height, width, channels: Input 28 28 1");
    let mut config = Map::new();
    let mut sizes: Vec<Value> = Vec::new();
    for (parameter, written) in arguments {
        match (parameter.as_deref(), written) {
            (None, Written::List(list)) if arguments.len() == 1 => {
                sizes = list.iter().map(value).collect::<Result<_>>()?;
            }
            (None, Written::Plain(size)) => sizes.push(size.clone()),
            (Some(key @ ("shape" | "batch_shape" | "name" | "dtype")), _) => {
                config.insert(key.to_owned(), value(written)?);
            }
            (Some(other), _) => {
                let known = nearest(other, &["shape", "batch_shape", "name", "dtype"]);
                return Err(Error::model(format!("unknown parameter '{other}'{known}")));
            }
            (None, _) => return Err(usual()),
        }
    }
    match (sizes.is_empty(), config.contains_key("shape") || config.contains_key("batch_shape")) {
        (false, false) => config.insert("shape".into(), json!(sizes)),
        (true, true) => None,
        _ => return Err(usual()),
    };
    Ok(Value::Object(config))
}

/// Which parameter each argument is for. Words find their place by their meaning, everything else stands in Keras's order.
fn assign<'a>(
    signature: &'static Signature,
    arguments: &'a [(Option<String>, Written)],
    more: &'static [&'static str],
) -> Result<Vec<(&'static str, &'a Written)>> {
    let mut found: Vec<(&'static str, &Written)> = Vec::new();
    for (name, value) in arguments {
        let is_free = |parameter: &&str| !found.iter().any(|(taken, _)| taken == parameter);
        let parameter = match name {
            Some(name) => {
                let known: Vec<&'static str> = signature.parameters().chain(more.iter().copied()).collect();
                let parameter = known.iter().copied().find(|known| known == name);
                let unknown = || {
                    let known = if known.is_empty() { String::new() } else { nearest(name, &known) };
                    Error::model(format!("{} has no parameter '{name}'{known}", signature.class_name))
                };
                parameter.ok_or_else(unknown)?
            }
            None => match place_of_word(signature, value).filter(is_free) {
                Some(parameter) => parameter,
                None => {
                    let next = signature.parameters().find(is_free);
                    check_place(signature, next, value)?
                }
            },
        };
        if !is_free(&parameter) {
            return Err(Error::model(format!("{parameter} is given twice")));
        }
        found.push((parameter, value));
    }
    Ok(found)
}

/// Where a word belongs that means one thing only: an activation's name, `same`, `valid`.
fn place_of_word(signature: &Signature, value: &Written) -> Option<&'static str> {
    let (Written::Word(word) | Written::Text(word)) = value else { return None };
    let is_activation = Activation::names().any(|name| name == word);
    match word.as_str() {
        "same" | "valid" if signature.has("padding") && signature.has("strides") => Some("padding"),
        _ if is_activation && signature.has("activation") => Some("activation"),
        _ => None,
    }
}

/// Checks that `value` can be the one of `parameter`, the next in Keras's order, as far as words go.
fn check_place(
    signature: &'static Signature,
    parameter: Option<&'static str>,
    value: &Written,
) -> Result<&'static str> {
    let Some(parameter) = parameter else {
        let parameters: Vec<&str> = signature.parameters().collect();
        let known = if parameters.is_empty() { "none".to_owned() } else { parameters.join(", ") };
        return Err(Error::model("too many values").expected(format!("at most {}: {known}", parameters.len())));
    };
    let takes_words = ["initializer", "regularizer", "constraint", "activation", "padding", "mode", "interpolation"]
        .iter()
        .any(|end| parameter.ends_with(end))
        || ["data_format", "name", "dtype"].contains(&parameter);
    match value {
        Written::Word(word) | Written::Text(word) if !takes_words && word != CLASSES => {
            let mut known: Vec<&str> = Vec::new();
            if signature.has("activation") {
                known.extend(Activation::names());
            }
            if signature.has("strides") {
                known.extend(["same", "valid"]);
            }
            let hint = if known.is_empty() { String::new() } else { nearest(word, &known) };
            let words = if known.is_empty() { "" } else { ", or a word that is known" };
            Err(Error::model(format!("unknown word '{word}'{hint}")).expected(format!("{parameter}{words}")))
        }
        _ => Ok(parameter),
    }
}

#[cfg(test)]
mod tests;
