//! A model that Keras saved, opened: its architecture, its weights, what it was compiled with, its optimizer's state.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde_json::{Value, json};
use tch::{Device, Tensor};

use super::hdf5::{Array, Hdf5, Node};
use super::metadata::ConvnetMetadata;
use super::weight_mapping::{self, FoundLayer};
use super::{archive, compile, keras3, legacy, optimizer};
use crate::error::{Error, Result};
use crate::model::json_file::{parse_json, read_json};
use crate::model::saved::TensorFile;
use crate::model::spec::{CompiledLoss, Plan, Spec, WeightInfo, mixed_policy};
use crate::model::{CompileInfo, Model, foreign};

/// A network that Keras saved, found complete: its architecture, and an array of the right shape for every weight.
pub struct KerasModel {
    spec: Spec,
    plan: Plan,
    layers: Vec<FoundLayer>,
    file: Hdf5,
    compile: Option<CompileInfo>,
    metadata: ConvnetMetadata,
    mixed_policy: Option<String>,
}

/// An optimizer's state, ready for [`crate::model::saved::Destination::state`].
pub struct OptimizerState {
    /// Steps taken.
    pub steps: u64,
    /// `<weight>.momentum` and the like, each in its weight's shape, `steps` in the metadata.
    pub tensors: TensorFile,
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
        let metadata = ConvnetMetadata::from_json(&document);
        let mixed_policy = mixed_policy(&document).map(str::to_owned);
        Ok(KerasModel { spec, plan, layers, file, compile, metadata, mixed_policy })
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
    pub fn metadata(&self) -> &ConvnetMetadata {
        &self.metadata
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
        Ok(Some(OptimizerState { steps: found.steps, tensors: TensorFile::new(tensors.into_iter(), metadata)? }))
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
fn find_weights(file: &Hdf5, plan: &Plan) -> Result<Vec<FoundLayer>> {
    let root = file.root();
    let found = match (legacy::container(&root)?, keras3::container(&root)?) {
        (Some(container), _) => legacy::find(&container, &plan.layers)?,
        (None, Some(container)) => keras3::find(&container, &plan.layers)?,
        (None, None) => {
            return Err(Error::model("the file holds no weights that Keras wrote")
                .expected("the group layers, the group model_weights or the attribute layer_names"));
        }
    };
    weight_mapping::check_total(file, &found)?;
    Ok(found)
}

/// Every weight with its name in files, in the order of [`Model::weights`].
fn weights_of(plan: &Plan) -> Vec<(String, &WeightInfo)> {
    let leaves = plan.flat_layers().into_iter();
    leaves
        .flat_map(|(path, leaf)| leaf.weights.iter().map(move |weight| (format!("{path}.{}", weight.name), weight)))
        .collect()
}

/// The values of an array of `info`'s Keras shape as a tensor of its own shape.
pub(super) fn to_tensor(info: &WeightInfo, array: &Array) -> Result<Tensor> {
    let values = info.to_torch(&array.values()?);
    let shape: Vec<i64> = info.shape.iter().map(|&size| size as i64).collect();
    Ok(Tensor::from_slice(&values).reshape(shape))
}
