//! A model for PyTorch: a short script that builds the same network as an `nn.Sequential`, and its weights in safetensors.

mod convert;
mod module;
mod normalization;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use serde_json::json;
use tch::{Device, Kind, Tensor};

use self::module::Module;
use crate::error::{Error, Result};
use crate::model::spec::{Layer, LayerPlan, LayerSpec};
use crate::model::{Model, ModelInfo, saved};

/// Names that `nn.Sequential` has uses of its own for, beside those that begin with `_` or like a method.
const RESERVED: [&str; 31] = [
    "append",
    "apply",
    "bfloat16",
    "buffers",
    "children",
    "compile",
    "cpu",
    "cuda",
    "double",
    "eval",
    "extend",
    "float",
    "forward",
    "half",
    "insert",
    "ipu",
    "modules",
    "mtia",
    "parameters",
    "pop",
    "requires_grad_",
    "share_memory",
    "state_dict",
    "to",
    "to_empty",
    "train",
    "training",
    "type",
    "xpu",
    "zero_grad",
    "dump_patches",
];

/// The bytes of the script and of the weights' file beside it, which lie at `paths`.
///
/// # Errors
/// A model error that names the first layer that PyTorch has no module for.
pub(super) fn to_files(model: &Model, info: &ModelInfo, paths: &[PathBuf]) -> Result<Vec<Vec<u8>>> {
    let network = TorchNetwork::new(model)?;
    let weights_file = paths.last().and_then(|path| path.file_name()).unwrap_or_default().to_string_lossy();
    Ok(vec![network.script(model, &info.labels, &weights_file).into_bytes(), network.weights_to_bytes()?])
}

/// The outputs `f32 [B, classes]` of the script's modules, computed by libtorch with the weights' file of `written`, for
/// `images` `f32 [B, H, W, C]`.
///
/// # Errors
/// A check error where the file cannot be read, or a weight is not `model`'s.
pub(super) fn outputs(model: &Model, written: &[&Path], images: &Tensor) -> Result<Tensor> {
    let weights = std::fs::read(written[1]).map_err(|error| super::errors::unreadable().because(error))?;
    TorchNetwork::new(model)?.forward(images, &weights)
}

/// A module with its name in the `nn.Sequential`.
struct Named {
    name: String,
    module: Module,
    weights: Vec<(&'static str, Tensor)>,
}

/// The network as modules in order.
struct TorchNetwork(Vec<Named>);

impl TorchNetwork {
    /// The modules of `model`.
    ///
    /// # Errors
    /// A model error that names the first layer that PyTorch has no module for.
    pub fn new(model: &Model) -> Result<Self> {
        let mut network = TorchNetwork(Vec::new());
        let mut weights =
            model.weights().iter().map(|weight| weight.tensor.detach().to_device(Device::Cpu).contiguous());
        let mut names = HashSet::new();
        network.add(&model.spec().layers, model.plan(), "", &mut weights, &mut names)?;
        Ok(network)
    }

    fn add(
        &mut self,
        layers: &[Layer],
        plan: &[LayerPlan],
        before: &str,
        weights: &mut dyn Iterator<Item = Tensor>,
        names: &mut HashSet<String>,
    ) -> Result<()> {
        for (layer, info) in layers.iter().zip(plan) {
            let name = format!("{before}{}", module_name(&layer.name));
            if let LayerSpec::Sequential(inner) = &layer.spec {
                self.add(&inner.layers, &info.inner, &format!("{name}_"), weights, names)?;
                continue;
            }
            let own = weights.take(info.weights.len()).collect();
            let steps = convert::steps(layer, info, own)
                .map_err(|error| error.at(format!("layer {} ({})", layer.name, info.class_name)))?;
            for step in steps {
                let mut name = format!("{name}{}", step.suffix);
                while RESERVED.contains(&&*name) || !names.insert(name.clone()) {
                    name.push('_');
                }
                self.0.push(Named { name, module: step.module, weights: step.weights });
            }
        }
        Ok(())
    }

    /// The bytes of the weights' file: every tensor that `load_state_dict` asks for.
    ///
    /// # Errors
    /// An internal error where it cannot be made.
    pub fn weights_to_bytes(&self) -> Result<Vec<u8>> {
        let mut tensors = Vec::new();
        for Named { name, module, weights } in &self.0 {
            tensors.extend(weights.iter().map(|(weight, tensor)| (format!("{name}.{weight}"), tensor.shallow_clone())));
            if let Module::BatchNorm { .. } = module {
                // PyTorch counts batches beside the statistics
                tensors.push((
                    format!("{name}.num_batches_tracked"),
                    Tensor::zeros([1i64; 0], (Kind::Float, Device::Cpu)),
                ));
            }
        }
        saved::to_safetensors(tensors.into_iter(), HashMap::from([("format".to_owned(), "pt".to_owned())]))
    }

    /// What the network computes from `images`, `f32 [B, H, W, C]`, with the weights in `bytes`.
    ///
    /// # Errors
    /// A check error where a weight is missing or another.
    pub fn forward(&self, images: &Tensor, bytes: &[u8]) -> Result<Tensor> {
        let file = SafeTensors::deserialize(bytes).map_err(|error| unreadable().because(error))?;
        let mut x = if images.dim() == 4 { images.permute([0, 3, 1, 2]) } else { images.shallow_clone() };
        for Named { name, module, weights } in &self.0 {
            let mut read = HashMap::new();
            for (weight, expected) in weights {
                let view = file.tensor(&format!("{name}.{weight}")).map_err(|error| unreadable().because(error))?;
                let tensor = saved::tensor_of(&view);
                if !tensor.equal(expected) {
                    return Err(unreadable().got(format!("another {name}.{weight}")));
                }
                read.insert(*weight, tensor);
            }
            x = module.forward(&x, &|weight| read[weight].shallow_clone());
        }
        Ok(if x.dim() == 4 { x.permute([0, 2, 3, 1]) } else { x })
    }

    /// The script's text. `weights_file` is the name of the weights' file beside it.
    pub fn script(&self, model: &Model, labels: &[String], weights_file: &str) -> String {
        let lines: Vec<String> = self
            .0
            .iter()
            .map(|named| format!("        ({}, {}),\n", json!(named.name), named.module.python()))
            .collect();
        format!(
            include_str!("template.py"),
            version = env!("CARGO_PKG_VERSION"),
            labels = json!(labels),
            scale = format_args!("{:?}", model.input_scale()),
            weights = json!(weights_file),
            shape = shape(model),
            outputs = format_args!("[B, {}]", model.num_outputs()),
            kind = meaning(model),
            modules = lines.concat(),
        )
    }
}

/// `name` as PyTorch takes it: neither empty nor with '.', which separates names there.
fn module_name(name: &str) -> String {
    if name.is_empty() { "layer".to_owned() } else { name.replace('.', "_") }
}

/// `[B, C, H, W]` in numbers.
fn shape(model: &Model) -> String {
    match model.spec().input_shape.as_deref() {
        Some([height, width, channels]) => format!("[B, {channels}, {height}, {width}]"),
        other => format!("[B, *{:?}]", other.unwrap_or_default()),
    }
}

/// What the outputs mean, in words.
fn meaning(model: &Model) -> String {
    model.output_kind().map_or_else(|_| "no classes".into(), |kind| kind.to_string())
}

fn unreadable() -> Error {
    Error::new(crate::error::ErrorKind::Check, "the exported weights, read back, are not the model's")
}
