//! The JSON of a network (`model.to_json()`), read from any Keras, written as Keras 3 does; `reader.rs` reads its layers, and
//! what only Functional networks have is in `functional/`.
//!
//! Unknown keys are errors with their path in the document. What is known at a place is what this module itself would
//! write there, plus Keras's bookkeeping keys, which are accepted and ignored.

use serde_json::{Map, Value, json};

use super::checks::{check_keys, missing, object, typed};
use super::compat::{Version, check_origin};
use super::parts::{batch_shape, dtype, input_to_json};
use super::reader::{NETWORKS, Reader};
use super::{CompiledLoss, Head, Layer, LayerSpec, Spec, functional};
use crate::error::{Error, Result};

impl Spec {
    /// Reads the JSON of a network that Keras 3, tf.keras, Keras 2 or Keras 1 wrote. Layers without a name get Keras's:
    /// `conv2d`, `conv2d_1` …
    ///
    /// Which Keras wrote it, and with it the meaning of `hard_sigmoid`, is what the key `keras_version` says, or what its
    /// layers look like.
    ///
    /// # Errors
    /// A model error with the path in the document, for anything that is not known or not supported.
    pub fn from_json(document: &Value) -> Result<Self> {
        let wrapped = class_around_config(document);
        let document = object(wrapped.as_ref().unwrap_or(document))?;
        check_keys(document, &["class_name", "config", "convnet"])?;
        let class_name = document.get("class_name").and_then(Value::as_str).unwrap_or("no class_name");
        if !NETWORKS.contains(&class_name) {
            return Err(Error::model("not a Keras model")
                .expected("class_name \"Sequential\" or \"Functional\"")
                .got(class_name)
                .at("class_name")
                .help(
                    "models of classes of your own hold Python code; only Sequential and Functional ones can be read",
                ));
        }
        check_origin(document)?;
        let version = Version::of(document)?;
        let keeps_inference = document.get("convnet").and_then(|key| key.get("inference_calls")) == Some(&json!(true));
        let reader = Reader::new(version, keeps_inference || version != Version::Keras3);
        let config = document.get("config").ok_or_else(|| missing("config"))?;
        let mut spec = reader.network(class_name, config).map_err(|error| error.at("config"))?;
        spec.set_loss(loss_of(document)?);
        Ok(spec)
    }

    /// Keras 3's JSON of the network, as `keras.models.model_from_json` takes it. Under `convnet` is noted what Keras 3 has
    /// no place for: the loss, where it says what the outputs are, and calls that Keras 2 made with `training=False`.
    pub fn to_json(&self) -> Value {
        let config = match self.graph {
            Some(_) => functional::to_config(self, self.layers.iter().map(layer_to_json)),
            None => self.sequential_config(),
        };
        let mut document = json!({
            "module": if self.graph.is_some() { "keras.src.models.functional" } else { "keras" },
            "class_name": self.class_name(), "config": config,
            "registered_name": if self.graph.is_some() { json!("Functional") } else { Value::Null },
        });
        if let Some(loss) = self.noted_loss() {
            document["convnet"]["loss"] = json!(loss);
        }
        if self.has_inference_calls() {
            document["convnet"]["inference_calls"] = json!(true);
        }
        document
    }

    fn sequential_config(&self) -> Value {
        let mut layers = Vec::with_capacity(self.layers.len() + 1);
        layers.extend(self.input_shape.as_ref().map(|shape| input_to_json(shape, self.input_dtype, "input_layer")));
        layers.extend(self.layers.iter().map(layer_to_json));
        let mut config = json!({ "name": self.name, "trainable": true, "dtype": dtype(), "layers": layers });
        if let Some(shape) = &self.input_shape {
            config["build_input_shape"] = batch_shape(shape);
        }
        config
    }

    /// Whether a layer is called as outside training, in a nested network too.
    pub(crate) fn has_inference_calls(&self) -> bool {
        let is_nested = |layer: &Layer| match &layer.spec {
            LayerSpec::Network(inner) => inner.has_inference_calls(),
            _ => false,
        };
        self.calls().iter().any(|call| call.in_inference) || self.layers.iter().any(is_nested)
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

/// What `model.get_config()` gives, its layers without a class around them, as `model.to_json()` has it.
fn class_around_config(document: &Value) -> Option<Value> {
    let is_config = document.get("class_name").is_none() && document.get("layers")?.is_array();
    let has_branches = ["input_layers", "output_layers"].iter().any(|key| document.get(key).is_some());
    let class_name = if has_branches { "Functional" } else { "Sequential" };
    is_config.then(|| json!({ "class_name": class_name, "config": document }))
}

fn layer_to_json(layer: &Layer) -> Value {
    if let LayerSpec::Network(inner) = &layer.spec {
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
    let class_name = layer.spec.class_name();
    let (module, registered_name) = match OF_APPLICATIONS.iter().find(|(name, _)| *name == class_name) {
        Some((name, module)) => (*module, json!(name)),
        None => ("keras.layers", Value::Null),
    };
    json!({ "module": module, "class_name": class_name, "config": config, "registered_name": registered_name })
}

/// Layers that `keras.applications` has for itself, and where Keras 3 finds them.
const OF_APPLICATIONS: [(&str, &str); 3] = [
    ("LayerScale", "keras.src.applications.convnext"),
    ("StochasticDepth", "keras.src.applications.convnext"),
    ("CustomScaleLayer", "keras.src.applications.inception_resnet_v2"),
];
