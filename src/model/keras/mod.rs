//! Models that Keras saved: `.keras`, whole-model `.h5`, or JSON with `.weights.h5` or legacy `.h5` weights.
//!
//! Every file is read as if a stranger had written it: sizes are checked against the file's length before anything is
//! allocated, and each array's shape against the network's before it is read.

mod archive;
mod compile;
mod hdf5;
mod keras3;
mod legacy;
mod names;
mod optimizer;
mod portable;
mod weight_mapping;
mod write;

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde_json::{Value, json};
use tch::{Device, Tensor};

use super::foreign;
use super::json_file::{parse_json, read_json};
use super::saved::{self, CompileInfo};
use super::spec::{CompiledLoss, LayerPlan, Spec, WeightInfo, flat_layers, mixed_policy};
use super::{InputScale, Model};
use crate::data::ImageShape;
use crate::error::{Error, Result};
use hdf5::{Array, Hdf5, Node};
use weight_mapping::FoundLayer;

/// A network that Keras saved, found complete: its architecture, and an array of the right shape for every weight.
pub struct KerasModel {
    spec: Spec,
    plan: Vec<LayerPlan>,
    layers: Vec<FoundLayer>,
    file: Hdf5,
    compile: Option<CompileInfo>,
    remembered: Remembered,
    mixed_policy: Option<String>,
}

/// What convnet wrote into a file beside Keras's own keys, for the way back.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Remembered {
    /// The classes' names.
    pub labels: Option<Vec<String>>,
    /// What stored pixels are multiplied by.
    pub input_scale: Option<InputScale>,
    /// H, W, C of the images.
    pub image_shape: Option<ImageShape>,
}

/// An optimizer's state, ready for [`crate::model::saved::Destination::state`].
pub struct OptimizerState {
    /// Steps taken.
    pub steps: u64,
    /// A safetensors file: `<weight>.momentum` and the like, each in its weight's shape, `steps` in the metadata.
    pub bytes: Vec<u8>,
}

impl KerasModel {
    /// Opens what Keras saved: `model` is a `.keras` archive, packed or not, a whole-model `.h5` or a JSON; `weights`, which only a JSON
    /// needs, a `.weights.h5` or a legacy `.h5`.
    ///
    /// # Errors
    /// A model error that names the file and the layer, key or array in it that cannot be used.
    pub fn open(model: &Path, weights: Option<&Path>) -> Result<Self> {
        let (document, own_weights) = read_model(model)?;
        let (file, weights_path) = match (weights, own_weights) {
            (Some(weights), _) => (Hdf5::open(weights).map_err(|error| error.at_path(weights))?, weights),
            (None, Some(file)) => (file, model),
            (None, None) => {
                return Err(Error::config("a JSON holds no weights")
                    .expected("a second file: .weights.h5 or .h5")
                    .at_path(model));
            }
        };
        let at_model = |error: Error| error.at_path(model);
        let mut spec = Spec::from_json(&document).map_err(at_model)?;
        let plan = spec.plan().map_err(at_model)?;
        let at_weights = |error: Error| error.at_path(weights_path);
        let layers = find_weights(&file, &plan).map_err(at_weights)?;
        let training = file.root().text("training_config").map_err(at_weights)?;
        let training = training.and_then(|text| serde_json::from_str::<Value>(&text).ok());
        let compile = document.get("compile_config").or(training.as_ref()).and_then(compile::info_of);
        if spec.loss.is_none() {
            spec.set_loss(compile.as_ref().and_then(|compile| CompiledLoss::from_json(&compile.loss)));
        }
        let remembered = Remembered::from_json(&document);
        let mixed_policy = mixed_policy(&document).map(str::to_owned);
        Ok(KerasModel { spec, plan, layers, file, compile, remembered, mixed_policy })
    }

    /// The architecture.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// What the model was compiled with, where the file says it.
    pub fn compile(&self) -> Option<&CompileInfo> {
        self.compile.as_ref()
    }

    /// The mixed precision that the model was trained in, where the file names one: `mixed_float16`, say.
    pub fn mixed_policy(&self) -> Option<&str> {
        self.mixed_policy.as_deref()
    }

    /// What convnet wrote into the file when it made it.
    pub fn remembered(&self) -> &Remembered {
        &self.remembered
    }

    /// The network with the file's weights on `device`. Stored pixels are multiplied by `input_scale` before they enter it.
    ///
    /// # Errors
    /// A model error where an array cannot be read.
    pub fn build(&self, input_scale: f64, device: Device) -> Result<Model> {
        let model = Model::new(self.spec.clone(), input_scale, device, 0)?;
        let arrays = self.layers.iter().flatten();
        for ((weight, (_, info)), array) in model.weights().iter().zip(weights_of(&self.plan)).zip(arrays) {
            let values = to_tensor(info, array)?;
            tch::no_grad(|| weight.tensor.shallow_clone().copy_(&values));
        }
        Ok(model)
    }

    /// The state of the optimizer that the model was trained with. `None` where the file has none.
    ///
    /// # Errors
    /// A model error where the state is there but is not one that is known here.
    pub fn optimizer_state(&self) -> Result<Option<OptimizerState>> {
        let Some(compile) = &self.compile else { return Ok(None) };
        let trainable: Vec<_> = weights_of(&self.plan).into_iter().filter(|(_, weight)| weight.trainable).collect();
        let infos: Vec<&WeightInfo> = trainable.iter().map(|(_, weight)| *weight).collect();
        let Some(found) = optimizer::find(&self.file.root(), compile, &infos)? else { return Ok(None) };
        let mut tensors = Vec::new();
        for (slot, arrays) in &found.slots {
            for ((name, info), array) in trainable.iter().zip(arrays) {
                tensors.push((format!("{name}.{slot}"), to_tensor(info, array)?));
            }
        }
        let metadata = HashMap::from([("steps".to_owned(), found.steps.to_string())]);
        Ok(Some(OptimizerState { steps: found.steps, bytes: saved::to_safetensors(tensors.into_iter(), metadata)? }))
    }
}

/// Which of Keras's forms a model takes on the way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KerasFormat {
    /// One `.keras` archive.
    Archive,
    /// Keras 3's JSON and `.weights.h5`.
    Json,
    /// One `.h5` with the portable JSON in it.
    LegacyModel,
    /// The portable JSON and a legacy `.h5` of weights.
    Portable,
}

/// The bytes of a model's files: the main one, then the weights where they are a file of their own.
///
/// # Errors
/// A model error where the network cannot be said in that form.
pub(super) fn to_files(model: &Model, labels: &[String], form: KerasFormat) -> Result<Vec<Vec<u8>>> {
    let spec = names::usable(model.spec(), matches!(form, KerasFormat::LegacyModel | KerasFormat::Portable));
    let plan = spec.plan()?;
    let mut document = match form {
        KerasFormat::Archive | KerasFormat::Json => spec.to_json(),
        KerasFormat::LegacyModel | KerasFormat::Portable => portable::portable(&spec)?,
    };
    let shape = model.image_shape()?;
    document["convnet"] = json!({ "labels": labels, "input": {
        "scale": model.input_scale(), "height": shape.height, "width": shape.width, "channels": shape.channels,
    } });
    if let Some(loss) = model.spec().noted_loss() {
        document["convnet"]["loss"] = json!(loss);
    }
    let text = |document: &Value| serde_json::to_string_pretty(document).expect("a JSON value is printable") + "\n";
    Ok(match form {
        KerasFormat::Archive => {
            vec![archive::to_bytes(&document, &write::keras3_bytes(model, &plan)?, write::KERAS_VERSION)?]
        }
        KerasFormat::Json => vec![text(&document).into_bytes(), write::keras3_bytes(model, &plan)?],
        KerasFormat::LegacyModel => vec![write::legacy_bytes(model, &plan, Some(&document))?],
        KerasFormat::Portable => vec![text(&document).into_bytes(), write::legacy_bytes(model, &plan, None)?],
    })
}

impl Remembered {
    fn from_json(document: &Value) -> Self {
        let key = document.get("convnet");
        let labels = key.and_then(|key| serde_json::from_value(key.get("labels")?.clone()).ok());
        let input_scale = key.and_then(|key| InputScale::new(key.pointer("/input/scale")?.as_f64()?));
        let side = |name: &str| usize::try_from(key?.get("input")?.get(name)?.as_u64()?).ok();
        let sides = (side("height"), side("width"), side("channels"));
        let image_shape = match sides {
            (Some(height), Some(width), Some(channels)) => Some(ImageShape { height, width, channels }),
            _ => None,
        };
        Remembered { labels, input_scale, image_shape }
    }
}

/// The architecture, and the weights where the file holds them too.
fn read_model(path: &Path) -> Result<(Value, Option<Hdf5>)> {
    let at_path = |error: Error| error.at_path(path);
    if path.is_dir() && foreign::is_unpacked_keras(path) {
        let weights = path.join(archive::WEIGHTS);
        let weights = Hdf5::open(&weights).map_err(|error| error.at_path(&weights))?;
        return Ok((read_json(&path.join(archive::CONFIG))?, Some(weights)));
    }
    if path.is_dir() {
        return Err(at_path(foreign::folder(path)));
    }
    match &first_bytes(path).map_err(at_path)?[..] {
        zip @ [b'P', b'K', 3, 4, ..] if foreign::is_pytorch_zip(zip) => {
            Err(at_path(foreign::file("", zip).expect("it is one of PyTorch's")))
        }
        [b'P', b'K', 3, 4, ..] => {
            let archive = archive::read(path).map_err(at_path)?;
            let weights = Hdf5::from_bytes(archive.weights).map_err(|error| at_path(error.at("model.weights.h5")))?;
            Ok((archive.config, Some(weights)))
        }
        [0x89, b'H', b'D', b'F', b'\r', b'\n', 0x1a, b'\n', ..] => {
            let file = Hdf5::open(path).map_err(at_path)?;
            Ok((model_config(&file.root()).map_err(at_path)?, Some(file)))
        }
        _ => Ok((read_json(path)?, None)), // names the path itself
    }
}

fn first_bytes(path: &Path) -> Result<Vec<u8>> {
    let unreadable = |error| Error::model("cannot read the file").because(error);
    let mut first = Vec::new();
    File::open(path).map_err(unreadable)?.take(300).read_to_end(&mut first).map_err(unreadable)?;
    Ok(first)
}

/// The architecture in a whole-model `.h5`, with the version of Keras that the file names beside it.
fn model_config(root: &Node) -> Result<Value> {
    let text = root.text("model_config")?.ok_or_else(|| {
        Error::model("the file holds weights only, no architecture")
            .expected("the attribute model_config")
            .help("give the architecture too: convnet import MODEL.json WEIGHTS.h5")
    })?;
    let mut document: Value = parse_json(text.as_bytes())
        .map_err(|error| Error::model("the architecture in the file is not JSON").because(error).at("model_config"))?;
    for key in ["keras_version", "backend"] {
        if let (Some(value), Some(object)) = (root.text(key)?, document.as_object_mut()) {
            object.entry(key).or_insert(json!(value));
        }
    }
    Ok(document)
}

/// An array for every weight of `plan`, by whichever layout the file has.
fn find_weights(file: &Hdf5, plan: &[LayerPlan]) -> Result<Vec<FoundLayer>> {
    let root = file.root();
    let found = match (legacy::container(&root)?, keras3::container(&root)?) {
        (Some(container), _) => legacy::find(&container, plan)?,
        (None, Some(container)) => keras3::find(&container, plan)?,
        (None, None) => {
            return Err(Error::model("the file holds no weights that Keras wrote")
                .expected("the group layers, the group model_weights or the attribute layer_names"));
        }
    };
    weight_mapping::check_total(file, &found)?;
    Ok(found)
}

/// Every weight with its name in files, in the order of [`Model::weights`].
fn weights_of(plan: &[LayerPlan]) -> Vec<(String, &WeightInfo)> {
    let leaves = flat_layers(plan).into_iter();
    leaves
        .flat_map(|(path, leaf)| leaf.weights.iter().map(move |weight| (format!("{path}.{}", weight.name), weight)))
        .collect()
}

/// The values of an array of `info`'s Keras shape as a tensor of its own shape.
fn to_tensor(info: &WeightInfo, array: &Array) -> Result<Tensor> {
    let values = info.to_torch(&array.values()?);
    let shape: Vec<i64> = info.shape.iter().map(|&size| size as i64).collect();
    Ok(Tensor::from_slice(&values).reshape(shape))
}
