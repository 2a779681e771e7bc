//! The weights that `keras.applications` publishes, with and without the top layer, in a preset: `.h5` files of Keras 2, whose
//! layers are matched by name.

use std::path::Path;

use tch::Device;

use super::hdf5::Hdf5;
use super::legacy;
use super::read::to_tensor;
use super::weight_mapping;
use crate::error::{Error, Result};
use crate::model::Model;
use crate::model::preprocess::Preprocess;
use crate::model::presets::{Dialect, Preset};

/// The preset with the weights in the file at `path`, on the CPU, and whether they include the top layer, which keeps its
/// first weights where not. Pixels go in as `preprocess` has it, or else as `keras.applications` does it.
///
/// # Errors
/// A model error where the preset takes no such weights, or that names the layer which is missing, has no place, or has weights of another shape.
pub fn into_preset(preset: &Preset, path: &Path, preprocess: Option<Preprocess>) -> Result<(Model, bool)> {
    let known = preset.keras_preprocess().ok_or_else(|| {
        Error::model(format!("the preset {} does not take the weights of keras.applications", preset.name))
            .help("import the network itself: a .keras or .h5 that model.save() wrote")
    })?;
    let preprocess = preprocess.unwrap_or(known);
    let at_path = |error: Error| error.at_path(path);
    let file = Hdf5::open(path).map_err(at_path)?;
    let container = legacy::container(&file.root()).map_err(at_path)?.ok_or_else(|| {
        at_path(Error::model("the file holds no weights of keras.applications").expected("the attribute layer_names"))
    })?;
    let spec = preset.built(Dialect::Keras).0.with_preprocessing(preprocess)?;
    let model = Model::new(spec, preprocess.input_scale().factor(), Device::Cpu, 0)?;
    let mut groups = legacy::layers_with_weights(&container).map_err(at_path)?;
    let leaves = model.plan().flat_layers();
    let bearing: Vec<_> = leaves.iter().filter(|(_, leaf)| !leaf.weights.is_empty()).collect();
    let top = bearing.last().map_or("", |(_, leaf)| leaf.name()).to_owned();
    let has_top = groups.iter().any(|(name, _)| *name == top);
    let mut weights = model.weights().iter();
    for (_, leaf) in bearing {
        let own: Vec<_> = weights.by_ref().take(leaf.weights.len()).collect();
        if leaf.name() == top && !has_top {
            continue;
        }
        let at_layer = |error: Error| at_path(error.at(weight_mapping::layer_place(leaf)));
        let place = groups.iter().position(|(name, _)| name == leaf.name());
        let place = place.ok_or_else(|| at_layer(Error::model("the file has no weights for the layer")))?;
        let arrays = weight_mapping::check(leaf, groups.swap_remove(place).1).map_err(at_layer)?;
        for ((weight, info), array) in own.iter().zip(&leaf.weights).zip(&arrays) {
            let values = to_tensor(info, array).map_err(at_layer)?;
            tch::no_grad(|| weight.tensor.shallow_clone().copy_(&values));
        }
    }
    if let Some((name, _)) = groups.first() {
        return Err(at_path(
            Error::model(format!("the weights are not those of {}", preset.name)).got(format!("layer {name}")),
        ));
    }
    if preprocess.is_blue_first() {
        model.flip_input_channels();
    }
    Ok((model, has_top))
}
