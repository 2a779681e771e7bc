//! A network's weights as HDF5 files that Keras reads: Keras 3's `.weights.h5`, and the `.h5` of Keras 1 and 2.
//!
//! What older versions need was found by trying: the lists of names as fixed-length ASCII (variable-length strings crash
//! TF 1.15), single texts as variable-length ASCII, and HDF5 1.8's form of file.

use std::collections::HashSet;

use hdf5_pure::{AttrValue, DatasetBuilder, FileBuilder, FinishedGroup, GroupBuilder, LibVer};
use serde_json::Value;
use tch::{Device, Kind, Tensor};

use super::keras3::Counters;
use super::legacy::legacy_order;
use crate::error::{Error, Result};
use crate::model::Model;
use crate::model::spec::{LayerPlan, WeightInfo, flat_layers};

/// The version whose files these are, byte layout and names: the one they were tried with.
pub(super) const KERAS_VERSION: &str = "3.15.1";
/// The longest attribute in an object's header, in bytes: longer lists of names are split (Keras's
/// `HDF5_OBJECT_HEADER_LIMIT`).
const MAX_ATTRIBUTE_BYTES: usize = 64512;

/// The values of a weight, row-major in Keras's shape.
struct WeightValues<'a> {
    info: &'a WeightInfo,
    values: Vec<f32>,
}

impl WeightValues<'_> {
    fn put(&self, dataset: &mut DatasetBuilder) {
        let shape: Vec<u64> = self.info.keras_shape.iter().map(|&size| size as u64).collect();
        match self.info.is_integer_in_keras() {
            true => dataset.with_i64_data(&self.values.iter().map(|&value| value as i64).collect::<Vec<_>>()),
            false => dataset.with_f32_data(&self.values),
        }
        .with_shape(&shape);
    }
}

/// The bytes of a `.weights.h5` as Keras 3 writes it, without an optimizer's state. `plan` is the model's, with the names
/// that the file is to have.
///
/// # Errors
/// An internal error where the file cannot be made.
pub(super) fn keras3_bytes(model: &Model, plan: &[LayerPlan]) -> Result<Vec<u8>> {
    let mut file = new_file();
    let mut layers = group("layers");
    let mut values = values_of(model).into_iter();
    add_layers(&mut layers, plan, &mut values);
    file.add_group(layers.finish());
    file.finish().map_err(failed)
}

fn add_layers<'a>(
    container: &mut GroupBuilder,
    plan: &[LayerPlan],
    values: &mut impl Iterator<Item = WeightValues<'a>>,
) {
    let mut counters = Counters::default();
    for layer in plan {
        let mut group = group(&counters.next(layer.class_name()));
        if !layer.is_network() {
            let mut variables = self::group("vars");
            variables.set_attr("name", AttrValue::VarLenString(layer.name().to_owned()));
            for (index, weight) in values.by_ref().take(layer.weights.len()).enumerate() {
                weight.put(variables.create_dataset(&index.to_string()));
            }
            group.add_group(variables.finish());
        } else {
            let mut inner = self::group("layers");
            add_layers(&mut inner, &layer.inner, values);
            group.add_group(inner.finish());
        }
        container.add_group(group.finish());
    }
}

/// The bytes of an `.h5` as Keras 2 writes it: weights alone, or with the architecture `config` a whole model. `plan` is
/// the model's, with the names that the file is to have.
///
/// # Errors
/// A model error where a layer's name is not ASCII; an internal error where the file cannot be made.
pub(super) fn legacy_bytes(model: &Model, plan: &[LayerPlan], config: Option<&Value>) -> Result<Vec<u8>> {
    if let Some((path, _)) = flat_layers(plan).into_iter().find(|(path, _)| !path.is_ascii()) {
        return Err(Error::model("a layer's name cannot be written to a legacy file").expected("ASCII").got(path));
    }
    let mut values = values_of(model).into_iter();
    let groups: Vec<FinishedGroup> = plan.iter().map(|layer| legacy_layer(layer, &mut values)).collect();
    let names: Vec<String> = plan.iter().map(|layer| layer.name().to_owned()).collect();
    let mut attributes = name_list("layer_names", &names);
    let text = |text: &str| AttrValue::VarLenAsciiString(text.to_owned());
    attributes.push(("backend".to_owned(), text("tensorflow")));
    attributes.push(("keras_version".to_owned(), text(KERAS_VERSION)));
    let mut file = new_file();
    match config {
        None => {
            attributes.into_iter().for_each(|(name, value)| file.set_attr(&name, value));
            groups.into_iter().for_each(|group| file.add_group(group));
        }
        Some(config) => {
            let mut weights = group("model_weights");
            attributes.into_iter().for_each(|(name, value)| weights.set_attr(&name, value));
            groups.into_iter().for_each(|group| weights.add_group(group));
            file.add_group(weights.finish());
            file.set_attr("backend", text("tensorflow"));
            file.set_attr("keras_version", text(KERAS_VERSION));
            file.set_attr("model_config", text(&ascii(config)));
        }
    }
    file.finish().map_err(failed)
}

/// A top-level layer's group: a group `<layer>` in it for every leaf, its arrays called `<weight>:0`.
fn legacy_layer<'a>(layer: &LayerPlan, values: &mut impl Iterator<Item = WeightValues<'a>>) -> FinishedGroup {
    let leaves = flat_layers(std::slice::from_ref(layer));
    let mut taken = HashSet::new();
    let mut below = |path: &str| {
        // a '.' in a name, which a path has as "/-", would be one between names
        let mut name = path.split_once('.').map_or(path, |(_, below)| below).replace("/-", "_");
        while !taken.insert(name.clone()) {
            name.push('_');
        }
        name
    };
    let mut leaf_groups: Vec<(String, GroupBuilder)> = leaves
        .iter()
        .map(|(path, leaf)| {
            let name = below(path);
            let mut leaf_group = group(&name);
            for weight in values.by_ref().take(leaf.weights.len()) {
                weight.put(leaf_group.create_dataset(&format!("{}:0", weight.info.keras_name)));
            }
            (name, leaf_group)
        })
        .collect();
    let names: Vec<String> = legacy_order(layer)
        .into_iter()
        .map(|(leaf, weight)| format!("{}/{}:0", leaf_groups[leaf].0, leaves[leaf].1.weights[weight].keras_name))
        .collect();
    let mut layer_group = group(layer.name());
    name_list("weight_names", &names).into_iter().for_each(|(name, value)| layer_group.set_attr(&name, value));
    leaf_groups.retain(|(path, _)| names.iter().any(|name| name.starts_with(&format!("{path}/"))));
    leaf_groups.into_iter().for_each(|(_, leaf_group)| layer_group.add_group(leaf_group.finish()));
    layer_group.finish()
}

/// A list of names as one attribute, or, where it is too long, as `name0`, `name1` … An empty list is one of numbers, as
/// NumPy makes it.
fn name_list(name: &str, names: &[String]) -> Vec<(String, AttrValue)> {
    let width = names.iter().map(String::len).max().unwrap_or(0).max(1);
    let per_piece = (MAX_ATTRIBUTE_BYTES / width).max(1);
    match names {
        [] => vec![(name.to_owned(), AttrValue::F64Array(Vec::new()))],
        names if names.len() <= per_piece => vec![(name.to_owned(), AttrValue::AsciiStringArray(names.to_vec()))],
        names => {
            let pieces = names.chunks(per_piece).enumerate();
            pieces
                .map(|(piece, names)| (format!("{name}{piece}"), AttrValue::AsciiStringArray(names.to_vec())))
                .collect()
        }
    }
}

/// JSON in ASCII alone: other characters as `\u` escapes.
fn ascii(document: &Value) -> String {
    let mut units = [0; 2];
    let escape = |character: char| match character.is_ascii() {
        true => character.to_string(),
        false => character.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
    };
    document.to_string().chars().map(escape).collect()
}

/// Every weight's values in Keras's order, in the order of the network.
fn values_of(model: &Model) -> Vec<WeightValues<'_>> {
    let infos = model.plan().flat_layers().into_iter().flat_map(|(_, leaf)| &leaf.weights);
    let values = |tensor: &Tensor| {
        let flat = tensor.detach().to_device(Device::Cpu).to_kind(Kind::Float).contiguous().view([-1]);
        Vec::<f32>::try_from(&flat).expect("a flat f32 tensor on the CPU")
    };
    let pairs = infos.zip(model.weights());
    pairs.map(|(info, weight)| WeightValues { info, values: info.to_keras(&values(&weight.tensor)) }).collect()
}

fn new_file() -> FileBuilder {
    let mut file = FileBuilder::new();
    file.with_libver_bounds(LibVer::Earliest, LibVer::V18);
    file
}

fn group(name: &str) -> GroupBuilder {
    FileBuilder::new().create_group(name)
}

fn failed(error: hdf5_pure::Error) -> Error {
    Error::internal("cannot write an HDF5 file").because(error)
}

#[cfg(test)]
mod tests;
