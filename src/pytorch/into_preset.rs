//! PyTorch's weights in a preset, by the names that torchvision, timm and EfficientNet-PyTorch give them.

use std::path::PathBuf;

use tch::{Device, Tensor};

use super::file::read_weights;
use super::tensors::StateDict;
use crate::data::registry::published_weights;
use crate::error::{Error, Result};
use crate::model::preprocess::Preprocess;
use crate::model::presets::{Dialect, NamedDialect, Preset, TorchNames};
use crate::model::{Model, Weight};

/// How many names an error lists.
const MAX_LISTED: usize = 8;

/// What is told of weights beside their names.
#[derive(Debug, Clone, Copy, Default)]
pub struct Told {
    /// Whose conventions they follow, or else what their names tell.
    pub dialect: Option<Dialect>,
    /// What becomes of pixels, or else what most weights of the preset want.
    pub preprocess: Option<Preprocess>,
}

/// The preset with `weights`, on the CPU, of as many classes as they have; and whose conventions it follows.
///
/// # Errors
/// A model error that lists the weights which have no place here, and those which are missing; or one that names a weight of
/// another shape.
pub fn into_preset(preset: &Preset, weights: &StateDict, told: Told) -> Result<(Model, NamedDialect)> {
    let library = library(&preset.built(preset.dialect()).1, weights);
    let dialect = told.dialect.map_or_else(|| preset.dialect_of(library), NamedDialect::Certain);
    let preprocess = told.preprocess.unwrap_or_else(|| preset.preprocess_of(dialect.dialect()));
    let (mut spec, names) = preset.built(dialect.dialect());
    if names.is_empty() {
        return Err(Error::model(format!("nobody publishes weights of PyTorch for the preset {}", preset.name)));
    }
    let name_of = |layer: &str| {
        let own = names.iter().find(|(name, _)| name == layer);
        own.and_then(|(_, TorchNames(names))| names.get(library)).map(String::as_str)
    };
    let head = names.last().and_then(|(layer, _)| name_of(layer)).unwrap_or_default();
    let classes = weights.get(&format!("{head}.weight")).and_then(|tensor| tensor.size().first().copied());
    if let (Some(classes), Ok(shape)) = (classes, spec.image_shape()) {
        spec.adapt(shape, usize::try_from(classes).unwrap_or(0));
    }
    let spec = spec.with_preprocessing(preprocess)?;
    let model = Model::new(spec, preprocess.input_scale().factor(), Device::Cpu, 0)?;
    let mut missing = Vec::new();
    let mut used = Vec::new();
    for weight in model.weights() {
        let (layer, own) = weight.name.rsplit_once('.').unwrap_or((&weight.name, ""));
        let path = name_of(layer).unwrap_or(layer);
        // a weight of its own right has no layer's name before it
        let name = if weights.get(path).is_some() { path.to_owned() } else { format!("{path}.{own}") };
        match weights.get(&name) {
            Some(tensor) => copy(weight, tensor).map_err(|error| error.at(&name))?,
            None => missing.push(name.clone()),
        }
        used.push(name);
    }
    // batches counted beside the statistics say nothing of the network
    let is_extra = |name: &&str| !name.ends_with("num_batches_tracked") && !used.iter().any(|used| used == name);
    let extra: Vec<&str> = weights.tensors().iter().map(|(name, _)| name.as_str()).filter(is_extra).collect();
    if !missing.is_empty() || !extra.is_empty() {
        let missing: Vec<&str> = missing.iter().map(String::as_str).collect();
        return Err(Error::model(format!("the weights are not those of {}", preset.name))
            .expected(format!("{} that are not there", listed(&missing)))
            .got(format!("{} that have no place", listed(&extra))));
    }
    if preprocess.is_blue_first() {
        model.flip_input_channels();
    }
    Ok((model, dialect))
}

/// The preset with the weights that are published for it, fetched once.
///
/// # Errors
/// A configuration error where nobody publishes any, a data error where they cannot be fetched, and those of
/// [`into_preset`].
pub fn published(preset: &Preset) -> Result<Model> {
    let path = published_file(preset)?;
    let (model, _) =
        into_preset(preset, &read_weights(&path)?, Told::default()).map_err(|error| error.at_path(&path))?;
    Ok(model)
}

/// The file of the weights that are published for the preset, fetched once.
///
/// # Errors
/// A configuration error where nobody publishes any, a data error where they cannot be fetched.
pub fn published_file(preset: &Preset) -> Result<PathBuf> {
    match preset.published {
        "" => Err(Error::config(format!("nobody publishes weights for the preset {}", preset.name))),
        url => published_weights(url, preset.sha256_start()),
    }
}

/// The library whose names most of `weights` have.
fn library(names: &[(String, TorchNames)], weights: &StateDict) -> usize {
    let most = names.iter().map(|(_, TorchNames(names))| names.len()).max().unwrap_or(0);
    let hits = |library: &usize| {
        let own = names.iter().filter_map(|(_, TorchNames(names))| names.get(*library));
        own.filter(|name| weights.get(&format!("{name}.weight")).is_some()).count()
    };
    (0..most).rev().max_by_key(hits).unwrap_or(0)
}

fn copy(weight: &Weight, tensor: &Tensor) -> Result<()> {
    let is_same = |sizes: &[i64]| sizes.iter().copied().filter(|&size| size != 1).collect::<Vec<i64>>();
    let is_vector = weight.tensor.dim() == 1 && is_same(&tensor.size()) == is_same(&weight.tensor.size());
    // a Dense layer may be a convolution of one pixel there
    let is_one_pixel = weight.tensor.dim() == 2 && tensor.size() == [&*weight.tensor.size(), &[1, 1]].concat();
    if weight.tensor.size() != tensor.size() && !is_vector && !is_one_pixel {
        return Err(Error::model("the weight has another shape")
            .expected(format!("{:?}", weight.tensor.size()))
            .got(format!("{:?}", tensor.size())));
    }
    tch::no_grad(|| weight.tensor.shallow_clone().copy_(&tensor.reshape(weight.tensor.size())));
    Ok(())
}

fn listed(names: &[&str]) -> String {
    match names.len() {
        0 => "none".to_owned(),
        count if count <= MAX_LISTED => names.join(", "),
        count => format!("{} and {} more", names[..MAX_LISTED].join(", "), count - MAX_LISTED),
    }
}
