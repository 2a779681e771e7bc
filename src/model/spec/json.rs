//! The JSON of a Sequential network (`model.to_json()`), read from any Keras, written as Keras 3 does.
//!
//! Unknown keys are errors with their path in the document. What is known at a place is what this module itself would
//! write there, plus Keras's bookkeeping keys, which are accepted and ignored.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::checks::{BOOKKEEPING, check_dtype, check_keys, check_numbers, missing, object, string, typed};
use super::compat::{self, Version, check_origin};
use super::{CompiledLoss, Head, Layer, LayerSpec, Spec, input};
use crate::error::{Error, Result};

/// The most layers a document may have.
pub(super) const MAX_LAYERS: usize = 10_000;
/// The longest name a layer may have, in bytes.
const MAX_NAME_BYTES: usize = 1024;
/// How deeply networks may be nested in one another.
const MAX_DEPTH: usize = 16;

impl LayerSpec {
    /// A layer's settings with their types. `config` is in Keras 3's form.
    pub(super) fn from_config(class_name: &str, config: Map<String, Value>) -> Result<Self> {
        let mut spec: LayerSpec = typed(json!({ "class_name": class_name, "config": config }))?;
        match &mut spec {
            LayerSpec::MaxPooling2D(pool) => pool.strides = pool.strides.or(Some(pool.pool_size)),
            LayerSpec::AveragePooling2D(pool) => pool.strides = pool.strides.or(Some(pool.pool_size)),
            _ => {}
        }
        Ok(spec)
    }

    pub(super) fn to_config(&self) -> Map<String, Value> {
        let object = serde_json::to_value(self).expect("settings are plain numbers, strings and lists");
        match object {
            Value::Object(mut object) => match object.remove("config") {
                Some(Value::Object(config)) => config,
                _ => Map::new(),
            },
            other => unreachable!("a layer's settings are an object, not {other}"),
        }
    }
}

impl Spec {
    /// Reads the JSON of a Sequential network that Keras 3, tf.keras, Keras 2 or Keras 1 wrote. Layers without a name get
    /// Keras's: `conv2d`, `conv2d_1` …
    ///
    /// Which Keras wrote it, and with it the meaning of `hard_sigmoid`, is what the key `keras_version` says, or what its
    /// layers look like.
    ///
    /// # Errors
    /// A model error with the path in the document, for anything that is not known or not supported.
    pub fn from_json(document: &Value) -> Result<Self> {
        let wrapped = sequential_config(document);
        let document = object(wrapped.as_ref().unwrap_or(document))?;
        check_keys(document, &["class_name", "config", "convnet"])?;
        match document.get("class_name").and_then(Value::as_str) {
            Some("Sequential") => check_origin(document)?,
            Some(other @ ("Functional" | "Model")) => {
                return Err(Error::model(format!("{other} models are not supported: their layers can have branches"))
                    .expected("a Sequential model")
                    .at("class_name"));
            }
            other => {
                let got = other.unwrap_or("no class_name");
                return Err(Error::model("not a Keras model")
                    .expected("class_name \"Sequential\"")
                    .got(got)
                    .at("class_name")
                    .help("models of classes of your own hold Python code; only Sequential ones can be read"));
            }
        }
        let version = Version::of(document)?;
        let config = document.get("config").ok_or_else(|| missing("config"))?;
        let mut spec = read_sequential(config, version, 0).map_err(|error| error.at("config"))?;
        spec.set_loss(loss_of(document)?);
        Ok(spec)
    }

    /// Keras 3's JSON of the network, as `keras.models.model_from_json` takes it. The loss is noted under `convnet`, where it
    /// says what the outputs are.
    pub fn to_json(&self) -> Value {
        let mut layers = Vec::with_capacity(self.layers.len() + 1);
        let batch_shape = self.input_shape.as_ref().map(|shape| {
            let mut batch_shape = vec![Value::Null];
            batch_shape.extend(shape.iter().map(|&size| json!(size)));
            Value::Array(batch_shape)
        });
        if let Some(batch_shape) = &batch_shape {
            layers.push(json!({
                "module": "keras.layers",
                "class_name": "InputLayer",
                "config": {
                    "batch_shape": batch_shape, "dtype": self.input_dtype, "sparse": false, "ragged": false,
                    "name": "input_layer", "optional": false,
                },
                "registered_name": null,
            }));
        }
        layers.extend(self.layers.iter().map(layer_to_json));
        let mut config = json!({ "name": self.name, "trainable": true, "dtype": dtype(), "layers": layers });
        if let Some(batch_shape) = batch_shape {
            config["build_input_shape"] = batch_shape;
        }
        let mut document =
            json!({ "module": "keras", "class_name": "Sequential", "config": config, "registered_name": null });
        if let Some(loss) = self.noted_loss() {
            document["convnet"] = json!({ "loss": loss });
        }
        document
    }

    /// Takes the loss that the network was compiled with, unless softmax says what the outputs are.
    pub(crate) fn set_loss(&mut self, loss: Option<CompiledLoss>) {
        self.loss = loss;
        if self.output_kind().is_ok_and(|kind| kind.head == Head::Softmax) {
            self.loss = None;
        }
    }

    /// The loss to note beside the network: where it, not softmax, says what the outputs are.
    pub(crate) fn noted_loss(&self) -> Option<&CompiledLoss> {
        self.loss.as_ref().filter(|_| self.output_kind().is_ok_and(|kind| kind.head != Head::Softmax))
    }
}

/// What the document says of the loss: convnet's own note, else what Keras compiled the network with.
fn loss_of(document: &Map<String, Value>) -> Result<Option<CompiledLoss>> {
    match document.get("convnet").and_then(|key| key.get("loss")) {
        Some(noted) => typed(noted.clone()).map(Some).map_err(|error| error.at("loss").at("convnet")),
        None => Ok(document.get("compile_config").and_then(|compiled| CompiledLoss::from_json(compiled.get("loss")?))),
    }
}

/// What `model.get_config()` gives of a Sequential, its layers without a class around them, as `model.to_json()` has it.
fn sequential_config(document: &Value) -> Option<Value> {
    let is_config = document.get("class_name").is_none() && document.get("layers")?.is_array();
    let has_branches = ["input_layers", "output_layers"].iter().any(|key| document.get(key).is_some());
    let class_name = if has_branches { "Functional" } else { "Sequential" };
    is_config.then(|| json!({ "class_name": class_name, "config": document }))
}

fn dtype() -> Value {
    json!({ "module": "keras", "class_name": "DTypePolicy", "config": { "name": "float32" }, "registered_name": null })
}

fn layer_to_json(layer: &Layer) -> Value {
    if let LayerSpec::Sequential(inner) = &layer.spec {
        return Spec { name: layer.name.clone(), ..inner.clone() }.to_json();
    }
    let mut config = Map::new();
    config.insert("name".into(), json!(layer.name));
    if matches!(layer.spec, LayerSpec::SpatialDropout2D(_)) {
        // Keras 3.15's constructor takes no more of this one
        config.insert("dtype".into(), json!("float32"));
    } else {
        config.insert("trainable".into(), json!(layer.trainable));
        config.insert("dtype".into(), dtype());
    }
    config.extend(layer.spec.to_config());
    json!({
        "module": "keras.layers",
        "class_name": layer.spec.class_name(),
        "config": config,
        "registered_name": null,
    })
}

/// Reads a Sequential's `config`: an object, or up to Keras 2.2.2 only the list of its layers.
fn read_sequential(config: &Value, version: Version, depth: usize) -> Result<Spec> {
    if depth > MAX_DEPTH {
        return Err(Error::model("networks are nested too deeply").expected(format!("at most {MAX_DEPTH} levels")));
    }
    let listed = json!({ "layers": config });
    let config = object(if config.is_array() { &listed } else { config })?;
    check_keys(config, &["name", "trainable", "dtype", "layers"])?;
    check_dtype(config.get("dtype"))?;
    let name = string(config, "name")?.unwrap_or("sequential").to_owned();
    let entries = config.get("layers").and_then(Value::as_array).ok_or_else(|| missing("layers"))?;
    if entries.len() > MAX_LAYERS {
        return Err(Error::model("too many layers")
            .expected(format!("at most {MAX_LAYERS}"))
            .got(entries.len())
            .at("layers"));
    }
    let mut spec = Spec::empty(&name);
    let mut reader = Reader { version, depth, names: Names::default() };
    for (index, entry) in entries.iter().enumerate() {
        reader.entry(entry, index, &mut spec).map_err(|error| error.at(format!("layers[{index}]")))?;
    }
    if spec.layers.is_empty() {
        return Err(Error::model("the network has no layers").at("layers"));
    }
    if spec.input_shape.is_none() {
        spec.input_shape = built_shape(config).or_else(|| match &spec.layers[0].spec {
            LayerSpec::Sequential(inner) => inner.input_shape.clone(),
            _ => None,
        });
    }
    Ok(spec)
}

/// The shape that a network without an InputLayer was built for, where Keras wrote it.
fn built_shape(config: &Map<String, Value>) -> Option<Vec<usize>> {
    read_batch_shape(config.get("build_input_shape")?).ok()
}

/// Reads the elements of one `layers` list.
pub(super) struct Reader {
    version: Version,
    depth: usize,
    names: Names,
}

impl Reader {
    /// Reads what Keras 3 writes, outside of any other network.
    pub fn new() -> Self {
        Reader { version: Version::Keras3, depth: 0, names: Names::default() }
    }

    /// One element, the `index`th: the InputLayer, which gives the input's shape, or a layer.
    pub fn entry(&mut self, entry: &Value, index: usize, spec: &mut Spec) -> Result<()> {
        let entry = object(entry)?;
        check_keys(entry, &["class_name", "config"])?;
        check_origin(entry)?;
        let class_name = string(entry, "class_name")?.ok_or_else(|| missing("class_name"))?;
        let empty = json!({});
        let config = entry.get("config").unwrap_or(&empty);
        if class_name == "Sequential" {
            spec.layers.push(self.nested(config).map_err(|error| error.at("config"))?);
            return Ok(());
        }
        let config = object(config).map_err(|error| error.at("config"))?;
        let modern = compat::modernize(class_name, config, self.version).map_err(|error| error.at("config"))?;
        if class_name == "InputLayer" {
            if index != 0 {
                return Err(Error::model("an InputLayer can only come first"));
            }
            let input = read_input_layer(&modern.config, modern.batch_shape);
            let (shape, dtype) = input.map_err(|error| error.at("config"))?;
            (spec.input_shape, spec.input_dtype) = (Some(shape), dtype);
            return Ok(());
        }
        if let (true, None, Some(shape)) = (spec.layers.is_empty(), &spec.input_shape, &modern.batch_shape) {
            spec.input_shape =
                Some(read_batch_shape(shape).map_err(|error| error.at("batch_input_shape").at("config"))?);
        }
        spec.layers.push(self.layer(&modern.class_name, &modern.config)?);
        Ok(())
    }

    fn nested(&mut self, config: &Value) -> Result<Layer> {
        let inner = read_sequential(config, self.version, self.depth + 1)?;
        let given = config.get("name").is_some().then(|| inner.name.clone());
        let name = self.names.take(given, "Sequential")?;
        Ok(Layer { name, trainable: true, frozen: false, spec: LayerSpec::Sequential(inner) })
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

/// The names given so far: unique, and Keras's own where the file says none.
#[derive(Default)]
struct Names {
    taken: HashMap<String, ()>,
    per_class: HashMap<String, usize>,
}

impl Names {
    fn take(&mut self, given: Option<String>, class_name: &str) -> Result<String> {
        let base = snake_case(class_name);
        let count = self.per_class.entry(base.clone()).or_default();
        let automatic = if *count == 0 { base } else { format!("{base}_{count}") };
        *count += 1;
        let name = given.unwrap_or(automatic);
        if name.len() > MAX_NAME_BYTES {
            return Err(Error::model("a layer's name is too long")
                .expected(format!("at most {MAX_NAME_BYTES} bytes"))
                .got(format!("{} bytes", name.len()))
                .at("name"));
        }
        match self.taken.insert(name.clone(), ()) {
            None => Ok(name),
            Some(()) => Err(Error::model("two layers have one name").got(format!("'{name}' twice")).at("name")),
        }
    }
}

/// Keras's automatic layer name for a class: `MaxPooling2D` → `max_pooling2d`, `PReLU` → `p_re_lu`.
pub(crate) fn snake_case(class_name: &str) -> String {
    let characters: Vec<char> = class_name.chars().collect();
    let mut name = String::new();
    for (index, &character) in characters.iter().enumerate() {
        let before = index.checked_sub(1).map(|before| characters[before]);
        let after_is_lower = characters.get(index + 1).is_some_and(char::is_ascii_lowercase);
        if character.is_ascii_uppercase() && before.is_some_and(|before| after_is_lower || before.is_ascii_lowercase())
        {
            name.push('_');
        }
        name.push(character.to_ascii_lowercase());
    }
    name
}

#[cfg(test)]
mod tests;
