//! Reads the layers of a network's JSON.

use serde_json::{Map, Value, json};

use super::checks::{BOOKKEEPING, check_dtype, check_keys, check_numbers, missing, object, string};
use super::compat::{self, Version, check_origin};
use super::naming::Names;
use super::{Layer, LayerSpec, Spec, functional, input};
use crate::error::{Error, Result};

/// The most layers a document may have.
pub(super) const MAX_LAYERS: usize = 10_000;
/// The classes of networks: Keras 2 calls Functional ones Model.
pub(super) const NETWORKS: [&str; 3] = ["Sequential", "Functional", "Model"];
/// How deeply networks may be nested in one another.
const MAX_DEPTH: usize = 16;

/// Reads the elements of one `layers` list.
pub(super) struct Reader {
    version: Version,
    /// Whether `training=False` of a call holds in training, too.
    keeps_inference: bool,
    depth: usize,
    names: Names,
}

/// What an element of a `layers` list is.
enum Read {
    /// The InputLayer.
    Input { shape: Vec<usize>, dtype: &'static str },
    /// A layer, and the input's shape with the batch where its own settings have it.
    Layer { layer: Box<Layer>, batch_shape: Option<Value> },
}

impl Reader {
    /// Reads what `version` of Keras wrote, outside of any other network. `keeps_inference`: whether `training=False` of a
    /// call holds in training, too.
    pub fn new(version: Version, keeps_inference: bool) -> Self {
        Reader { version, keeps_inference, depth: 0, names: Names::default() }
    }

    /// Reads what Keras 3 writes, outside of any other network.
    pub fn of_keras3() -> Self {
        Reader::new(Version::Keras3, false)
    }

    /// Reads a network's `config`, with a reader that is new: an object, or up to Keras 2.2.2 only the list of a
    /// Sequential's layers.
    ///
    /// # Errors
    /// A model error with the place in the document.
    pub fn network(self, class_name: &str, config: &Value) -> Result<Spec> {
        if self.depth > MAX_DEPTH {
            return Err(Error::model("networks are nested too deeply").expected(format!("at most {MAX_DEPTH} levels")));
        }
        let listed = json!({ "layers": config });
        let config = object(if config.is_array() { &listed } else { config })?;
        match class_name {
            "Sequential" => self.sequential(config),
            _ => self.functional(config),
        }
    }

    fn sequential(mut self, config: &Map<String, Value>) -> Result<Spec> {
        check_keys(config, &["name", "trainable", "dtype", "layers"])?;
        check_dtype(config.get("dtype"))?;
        let mut spec = Spec::empty(string(config, "name")?.unwrap_or("sequential"));
        for (index, entry) in entries(config)?.iter().enumerate() {
            self.entry(entry, index, &mut spec).map_err(|error| error.at(format!("layers[{index}]")))?;
        }
        if spec.layers.is_empty() {
            return Err(Error::model("the network has no layers").at("layers"));
        }
        if spec.input_shape.is_none() {
            spec.input_shape = built_shape(config).or_else(|| match &spec.layers[0].spec {
                LayerSpec::Network(inner) => inner.input_shape.clone(),
                _ => None,
            });
        }
        Ok(spec)
    }

    /// One element of a Sequential, the `index`th: the InputLayer, which gives the input's shape, or a layer.
    pub fn entry(&mut self, entry: &Value, index: usize, spec: &mut Spec) -> Result<()> {
        if index != 0 && entry.get("class_name").is_some_and(|class_name| class_name == "InputLayer") {
            return Err(Error::model("an InputLayer can only come first"));
        }
        match self.read(object(entry)?)? {
            Read::Input { shape, dtype } => {
                (spec.input_shape, spec.input_dtype) = (Some(shape), dtype);
                Ok(())
            }
            Read::Layer { layer, .. } if layer.spec.rules().is_some_and(|rules| rules.takes_several()) => {
                Err(compat::branching_layer(layer.spec.class_name()))
            }
            Read::Layer { layer, batch_shape } => {
                if let (true, None, Some(shape)) = (spec.layers.is_empty(), &spec.input_shape, &batch_shape) {
                    spec.input_shape =
                        Some(read_batch_shape(shape).map_err(|error| error.at("batch_input_shape").at("config"))?);
                }
                spec.layers.push(*layer);
                Ok(())
            }
        }
    }

    fn functional(mut self, config: &Map<String, Value>) -> Result<Spec> {
        check_keys(config, &["name", "trainable", "dtype", "layers", "input_layers", "output_layers"])?;
        check_dtype(config.get("dtype"))?;
        let mut spec = Spec::empty(string(config, "name")?.unwrap_or("functional"));
        let mut called = Vec::new();
        for (index, entry) in entries(config)?.iter().enumerate() {
            let entry = self.called_entry(entry, &mut spec).map_err(|error| error.at(format!("layers[{index}]")))?;
            called.push(entry);
        }
        functional::assemble(spec, called, config)
    }

    /// One element of a Functional: the InputLayer, which gives the input's shape, or a layer with its calls.
    fn called_entry(&mut self, entry: &Value, spec: &mut Spec) -> Result<functional::Entry> {
        let file_entry = functional::FileEntry::read(object(entry)?, self.keeps_inference)?;
        let layer = match self.read(&file_entry.own)? {
            Read::Input { .. } if spec.input_shape.is_some() => {
                return Err(Error::model("a network with several inputs is not supported").expected("one InputLayer"));
            }
            Read::Input { shape, dtype } => {
                (spec.input_shape, spec.input_dtype) = (Some(shape), dtype);
                None
            }
            Read::Layer { layer, .. } => Some(*layer),
        };
        file_entry.with_layer(layer)
    }

    /// An element's class and settings.
    fn read(&mut self, entry: &Map<String, Value>) -> Result<Read> {
        check_keys(entry, &["class_name", "config"])?;
        check_origin(entry)?;
        let class_name = string(entry, "class_name")?.ok_or_else(|| missing("class_name"))?;
        let empty = json!({});
        let config = entry.get("config").unwrap_or(&empty);
        if NETWORKS.contains(&class_name) {
            let layer = self.nested(class_name, config).map_err(|error| error.at("config"))?;
            return Ok(Read::Layer { layer: Box::new(layer), batch_shape: None });
        }
        let config = object(config).map_err(|error| error.at("config"))?;
        let modern = compat::modernize(class_name, config, self.version).map_err(|error| error.at("config"))?;
        if class_name == "InputLayer" {
            let input = read_input_layer(&modern.config, modern.batch_shape);
            let (shape, dtype) = input.map_err(|error| error.at("config"))?;
            return Ok(Read::Input { shape, dtype });
        }
        let layer = self.layer(&modern.class_name, &modern.config)?;
        Ok(Read::Layer { layer: Box::new(layer), batch_shape: modern.batch_shape })
    }

    fn nested(&mut self, class_name: &str, config: &Value) -> Result<Layer> {
        let inside = Reader { depth: self.depth + 1, names: Names::default(), ..*self };
        let inner = inside.network(class_name, config)?;
        let given = config.get("name").is_some().then(|| inner.name.clone());
        let name = self.names.take(given, class_name)?;
        Ok(Layer { name, trainable: true, frozen: false, spec: LayerSpec::Network(inner) })
    }

    fn layer(&mut self, class_name: &str, config: &Map<String, Value>) -> Result<Layer> {
        if !LayerSpec::class_names().contains(&class_name) {
            return Err(compat::unknown_layer(class_name));
        }
        let at_config = |error: Error| error.at("config");
        check_dtype(config.get("dtype")).map_err(at_config)?;
        let trainable = match config.get("trainable") {
            None => true,
            Some(Value::Bool(trainable)) => *trainable,
            Some(other) => return Err(Error::model("trainable is not true or false").got(other).at("config")),
        };
        let given = string(config, "name").map_err(at_config)?.map(str::to_owned);
        let mut own = config.clone();
        own.retain(|key, _| {
            !["name", "trainable", "dtype"].contains(&key.as_str()) && !BOOKKEEPING.contains(&key.as_str())
        });
        for (key, value) in &own {
            check_numbers(value).map_err(|error| error.at(key).at("config"))?;
        }
        let spec = LayerSpec::from_config(class_name, own.clone())?;
        let known = spec.to_config();
        let known: Vec<&str> = known.keys().map(String::as_str).collect();
        // a key of a newer Keras that says nothing
        own.retain(|key, value| !value.is_null() || known.contains(&key.as_str()));
        check_keys(&own, &known).map_err(at_config)?;
        let name = self.names.take(given, class_name).map_err(at_config)?;
        Ok(Layer { name, trainable, frozen: false, spec })
    }
}

/// A network's `layers`.
fn entries(config: &Map<String, Value>) -> Result<&[Value]> {
    let entries = config.get("layers").and_then(Value::as_array).ok_or_else(|| missing("layers"))?;
    match entries.len() {
        count if count > MAX_LAYERS => {
            Err(Error::model("too many layers").expected(format!("at most {MAX_LAYERS}")).got(count).at("layers"))
        }
        _ => Ok(entries),
    }
}

/// The shape that a network without an InputLayer was built for, where Keras wrote it.
fn built_shape(config: &Map<String, Value>) -> Option<Vec<usize>> {
    read_batch_shape(config.get("build_input_shape")?).ok()
}

/// The input's shape and its dtype.
fn read_input_layer(
    config: &Map<String, Value>,
    batch_input_shape: Option<Value>,
) -> Result<(Vec<usize>, &'static str)> {
    check_keys(config, &["batch_shape", "shape", "dtype", "sparse", "ragged", "name", "optional"])?;
    let dtype = input::dtype(config.get("dtype"))?;
    for key in ["sparse", "ragged"] {
        if config.get(key).is_some_and(|value| value == true) {
            return Err(Error::model(format!("a {key} input is not supported")).at(key));
        }
    }
    let with_batch = |shape: &Value| match shape {
        Value::Array(sizes) => Value::Array(std::iter::once(&Value::Null).chain(sizes).cloned().collect()),
        other => other.clone(),
    };
    let given = config.get("batch_shape").cloned().or(batch_input_shape);
    let shape = given.or_else(|| config.get("shape").map(with_batch)).unwrap_or_default();
    Ok((read_batch_shape(&shape).map_err(|error| error.at("batch_shape"))?, dtype))
}

/// `[null, H, W, C]` without its batch.
fn read_batch_shape(shape: &Value) -> Result<Vec<usize>> {
    let expected = || {
        Error::model("the input's shape is not usable").expected("[null, H, W, C], every size but the batch a number")
    };
    let sizes = shape.as_array().and_then(|shape| shape.get(1..)).filter(|sizes| !sizes.is_empty());
    let size = |size: &Value| size.as_u64().and_then(|size| usize::try_from(size).ok());
    sizes.ok_or_else(expected)?.iter().map(|value| size(value).ok_or_else(|| expected().got(shape))).collect()
}
