//! The weights that `keras.applications` publishes, with and without the top layer, in a preset: `.h5` files of Keras 2, whose
//! layers are matched by name or by their order.

use std::path::Path;

use tch::Device;

use super::hdf5::{Array, Hdf5};
use super::legacy;
use super::read::to_tensor;
use super::weight_mapping;
use crate::error::{Error, Result};
use crate::model::Model;
use crate::model::preprocess::Preprocess;
use crate::model::presets::{Dialect, KerasMatch, Preset};
use crate::model::spec::LayerPlan;

/// A layer of the file: its name and its arrays.
type Group = (String, Vec<Array>);

/// The preset with the weights in the file at `path`, on the CPU, and whether they include the top layer, which keeps its
/// first weights where not. Pixels go in as `preprocess` has it, or else as `keras.applications` does it.
///
/// # Errors
/// A model error where the preset takes no such weights, or that names the layer which is missing, has no place, or has weights of another shape.
pub fn into_preset(preset: &Preset, path: &Path, preprocess: Option<Preprocess>) -> Result<(Model, bool)> {
    read_into(preset, path, preprocess).map_err(|error| error.at_path(path))
}

fn read_into(preset: &Preset, path: &Path, preprocess: Option<Preprocess>) -> Result<(Model, bool)> {
    let (known, matching) = preset.keras_weights().ok_or_else(|| {
        Error::model(format!("the preset {} does not take the weights of keras.applications", preset.name))
            .help("import the network itself: a .keras or .h5 that model.save() wrote")
    })?;
    let file = Hdf5::open(path)?;
    let container = legacy::container(&file.root())?.ok_or_else(|| {
        Error::model("the file holds no weights of keras.applications").expected("the attribute layer_names")
    })?;
    let mut groups = legacy::layers_with_weights(&container)?;
    let normalized = match groups.iter().position(|(name, _)| name.starts_with("normalization")) {
        Some(place) => Some(preprocess_of(groups.remove(place))?),
        None => None,
    };
    let preprocess = preprocess.or(normalized).unwrap_or(known);
    let spec = preset.built(Dialect::Keras).0.with_preprocessing(preprocess)?;
    let model = Model::new(spec, preprocess.input_scale().factor(), Device::Cpu, 0)?;
    let leaves = model.plan().flat_layers();
    let bearing: Vec<&LayerPlan> =
        leaves.iter().map(|(_, leaf)| *leaf).filter(|leaf| !leaf.weights.is_empty()).collect();
    let found = match matching {
        KerasMatch::Names => by_name(preset, &bearing, groups)?,
        KerasMatch::Order => by_order(preset, &bearing, groups)?,
    };
    let has_top = found.len() == bearing.len();
    let mut weights = model.weights().iter();
    for (leaf, arrays) in bearing.iter().zip(found) {
        let at_layer = |error: Error| error.at(weight_mapping::layer_place(leaf));
        let arrays = weight_mapping::check(leaf, arrays).map_err(at_layer)?;
        // the layers' side first: it says where the weights stop
        for ((info, array), weight) in leaf.weights.iter().zip(&arrays).zip(weights.by_ref()) {
            let values = to_tensor(info, array).map_err(at_layer)?;
            tch::no_grad(|| weight.tensor.shallow_clone().copy_(&values));
        }
    }
    if preprocess.is_blue_first() {
        model.flip_input_channels();
    }
    Ok((model, has_top))
}

/// What a Normalization layer at the start does to pixels, whose published statistics make it ImageNet's way together with two
/// Rescaling layers, which have no weights.
///
/// # Errors
/// A model error where its statistics are others.
fn preprocess_of((name, arrays): Group) -> Result<Preprocess> {
    /// The file's numbers are f32.
    const TOLERANCE: f32 = 1e-4;
    let values = arrays.iter().take(2).map(Array::values).collect::<Result<Vec<Vec<f32>>>>()?;
    let are = |expected: [[f32; 3]; 2]| {
        values.len() == 2
            && values.iter().zip(expected).all(|(values, expected)| {
                values.len() == 3 && values.iter().zip(expected).all(|(a, b)| (a - b).abs() < TOLERANCE)
            })
    };
    match () {
        () if are([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]]) => Ok(Preprocess::Torch),
        () if are([[0.0; 3], [1.0; 3]]) => Ok(Preprocess::Unit),
        () => Err(Error::model("the pixels' normalisation is none of those that keras.applications has")
            .expected("ImageNet's mean and deviation")
            .got(format!("{values:?}"))
            .at(format!("layer {name}"))
            .help("import the network itself: a .keras or .h5 that model.save() wrote")),
    }
}

/// The arrays of each of `layers` by its name; without those of the last where the file has no such layer.
fn by_name(preset: &Preset, layers: &[&LayerPlan], mut groups: Vec<Group>) -> Result<Vec<Vec<Array>>> {
    let mut found = Vec::new();
    for (number, layer) in layers.iter().enumerate() {
        match groups.iter().position(|(name, _)| name == layer.name()) {
            Some(place) => found.push(groups.swap_remove(place).1),
            None if number + 1 == layers.len() => {}
            None => {
                return Err(
                    Error::model("the file has no weights for the layer").at(weight_mapping::layer_place(layer))
                );
            }
        }
    }
    match groups.first() {
        Some((name, _)) => {
            Err(Error::model(format!("the weights are not those of {}", preset.name)).got(format!("layer {name}")))
        }
        None => Ok(found),
    }
}

/// The arrays of each of `layers` by its place; without those of the Dense layers at the end where the file has none.
fn by_order(preset: &Preset, layers: &[&LayerPlan], groups: Vec<Group>) -> Result<Vec<Vec<Array>>> {
    let groups: Vec<Vec<Array>> = groups.into_iter().flat_map(|(_, arrays)| by_layer(arrays)).collect();
    let num_top = layers.iter().rev().take_while(|layer| layer.class_name() == "Dense").count();
    if groups.len() != layers.len() && groups.len() + num_top != layers.len() {
        return Err(Error::model(format!("the weights are not those of {}", preset.name))
            .expected(format!("{} layers with weights, or {} without the top", layers.len(), layers.len() - num_top))
            .got(groups.len()));
    }
    Ok(groups.into_iter().zip(layers).map(|(arrays, layer)| shaped_for(layer, arrays)).collect())
}

/// The arrays of a group by the layers that they belong to, which the path before an array's name tells: of a nested
/// network (ConvNeXt's stem), the group has those of all its layers.
fn by_layer(arrays: Vec<Array>) -> Vec<Vec<Array>> {
    fn layer(array: &Array) -> &str {
        array.path.rsplit_once('/').map_or("", |(layer, _)| layer)
    }
    let mut parts: Vec<Vec<Array>> = Vec::new();
    for array in arrays {
        match parts.last_mut() {
            Some(part) if part.last().is_some_and(|last| layer(last) == layer(&array)) => part.push(array),
            _ => parts.push(vec![array]),
        }
    }
    parts
}

/// What computes the same may be another layer in the file, whose arrays have the same values in the same order: a
/// convolution of one pixel for a Dense layer, one of as many groups as channels for a depthwise convolution.
fn shaped_for(layer: &LayerPlan, mut arrays: Vec<Array>) -> Vec<Array> {
    for array in &mut arrays {
        match (layer.class_name(), array.shape.as_slice()) {
            ("Dense", [1, 1, units @ ..]) => array.shape = units.to_vec(),
            ("DepthwiseConv2D", &[height, width, 1, channels]) => array.shape = vec![height, width, channels, 1],
            _ => {}
        }
    }
    arrays
}
