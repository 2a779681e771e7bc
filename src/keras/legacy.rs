//! The `.h5` files of Keras 1 and 2, weights alone (`save_weights`) or whole models (`save`), which Keras 3 writes too.
//!
//! The attribute `layer_names` lists the layers, each layer's `weight_names` its arrays. Names differ between versions, so
//! layers are matched by the order of those that have weights, with every shape checked; a nested network is one layer
//! whose arrays are those that gradients change, then the others.

use super::hdf5::{Array, Node};
use super::weight_mapping::{self, FoundLayer};
use crate::error::{Error, Result};
use crate::model::spec::{LayerPlan, WeightInfo, flat_layers};

/// The group of the layers' groups: the root of a weights file, `model_weights` of a whole model.
pub(super) fn container(root: &Node) -> Result<Option<Node>> {
    match root.child("model_weights")? {
        Some(weights) => Ok(Some(weights)),
        None => Ok(root.texts("layer_names")?.map(|_| root.clone())),
    }
}

/// The arrays of every layer of `plan`, nested networks flattened: in the order of [`leaves`].
///
/// # Errors
/// A model error that names the layer whose weights are missing, too many or of another shape.
pub(super) fn find(container: &Node, plan: &[LayerPlan]) -> Result<Vec<FoundLayer>> {
    let mut groups = layers_with_weights(container)?;
    let num_groups = groups.len();
    let bearing = plan.iter().filter(|layer| layer.num_parameters() > 0).count();
    if bearing != num_groups {
        let names: Vec<String> = groups.iter().map(|(name, _)| name.clone()).collect();
        return Err(Error::model("the weights are another network's")
            .expected(format!("{bearing} layers with weights, as the network has"))
            .got(format!("{num_groups} ({})", names.join(", "))));
    }
    groups.reverse();
    let mut found = Vec::new();
    for layer in plan {
        if layer.num_parameters() == 0 {
            found.extend(flat_layers(std::slice::from_ref(layer)).iter().map(|_| FoundLayer::new()));
            continue;
        }
        let (name, arrays) = groups.pop().expect("as many as layers with weights");
        found.extend(
            distribute(layer, arrays)
                .map_err(|error| error.at(format!("group {name}")).at(weight_mapping::layer_place(layer)))?,
        );
    }
    Ok(found)
}

/// Every layer of the file that has weights: its name and its arrays.
pub(super) fn layers_with_weights(container: &Node) -> Result<Vec<(String, Vec<Array>)>> {
    let names = container.texts("layer_names")?.ok_or_else(|| {
        Error::model("the file holds no weights that Keras wrote")
            .expected("the attribute layer_names")
            .at(format!("group /{}", container.path))
    })?;
    let mut groups = container.children()?;
    let mut layers = Vec::new();
    for name in names {
        // a name with '/' is a path of groups
        let group = if name.contains('/') { container.child(&name)? } else { groups.remove(&name) };
        let group = group.ok_or_else(|| Error::model("the file names a layer that it does not hold").got(&name))?;
        let arrays = group.texts("weight_names")?.unwrap_or_default();
        let arrays = arrays.iter().map(|weight| {
            let array = group.array(weight)?;
            array.ok_or_else(|| {
                Error::model("the file names an array that it does not hold").got(weight).at(&group.path)
            })
        });
        let arrays = arrays.collect::<Result<Vec<Array>>>()?;
        if !arrays.is_empty() {
            layers.push((name, arrays));
        }
    }
    Ok(layers)
}

/// Gives a layer's arrays to its leaves: first those that gradients change, leaf by leaf, then the others.
fn distribute(layer: &LayerPlan, arrays: Vec<Array>) -> Result<Vec<FoundLayer>> {
    let leaves = flat_layers(std::slice::from_ref(layer));
    let order = legacy_order(layer);
    let weights: Vec<&WeightInfo> = order.iter().map(|&(leaf, weight)| &leaves[leaf].1.weights[weight]).collect();
    weight_mapping::check_shapes(&weights, &arrays)?;
    for ((leaf, _), (weight, array)) in order.iter().zip(weights.iter().zip(&arrays)) {
        check_name(leaves[*leaf].1, weight, array)?;
    }
    let mut found: Vec<Vec<Option<Array>>> =
        leaves.iter().map(|(_, leaf)| leaf.weights.iter().map(|_| None).collect()).collect();
    for ((leaf, weight), array) in order.into_iter().zip(arrays) {
        found[leaf][weight] = Some(array);
    }
    Ok(found.into_iter().map(|arrays| arrays.into_iter().flatten().collect()).collect())
}

/// The weights of a top-level layer in the order of these files, as (leaf, weight) numbers.
pub(super) fn legacy_order(layer: &LayerPlan) -> Vec<(usize, usize)> {
    let leaves = flat_layers(std::slice::from_ref(layer));
    let of = |trainable: bool| {
        let leaves = leaves.iter().enumerate();
        leaves.flat_map(move |(leaf, (_, info))| {
            let weights = info.weights.iter().enumerate();
            weights.filter(move |(_, weight)| weight.trainable == trainable).map(move |(weight, _)| (leaf, weight))
        })
    };
    of(true).chain(of(false)).collect()
}

/// Weights of one shape could be swapped without anyone noticing: where the file calls an array by the name of another of
/// the layer's weights, it is not this one.
fn check_name(leaf: &LayerPlan, weight: &WeightInfo, array: &Array) -> Result<()> {
    let name = array.path.rsplit('/').next().unwrap_or_default();
    let name = name.split(':').next().unwrap_or_default();
    match !weight.is_called_in_keras(name) && leaf.weights.iter().any(|other| other.keras_name == name) {
        false => Ok(()),
        true => Err(Error::model("the layer's weights are in another order than Keras's")
            .expected(weight.keras_name)
            .got(name)
            .at(&array.path)),
    }
}
