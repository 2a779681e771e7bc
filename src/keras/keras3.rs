//! Keras 3's `.weights.h5`: `layers/<class>[_N]/vars/<i>`, where `<class>` is the layer's class in snake case and N counts
//! the layers of that class, whatever the layers' own names are.

use std::collections::{BTreeMap, HashMap};

use super::hdf5::{Array, Node};
use super::weight_mapping::{self, FoundLayer};
use crate::error::{Error, Result};
use crate::model::spec::{LayerPlan, snake_case};

/// Where the layers lie: Keras 3 and 2.14 on; Keras 2.12 and 2.13.
const CONTAINERS: [&str; 2] = ["layers", "_layer_checkpoint_dependencies"];

/// The group of the layers, where `node` has one.
pub(super) fn container(node: &Node) -> Result<Option<Node>> {
    for name in CONTAINERS {
        if let Some(container) = node.child(name)? {
            return Ok(Some(container));
        }
    }
    Ok(None)
}

/// The arrays of every layer of `plan`, nested networks flattened: in the order of [`crate::model::spec::leaves`].
///
/// # Errors
/// A model error that names the layer whose weights are missing, too many or of another shape, or the group that no layer
/// of the network goes with.
pub(super) fn find(container: &Node, plan: &[LayerPlan]) -> Result<Vec<FoundLayer>> {
    let mut groups = container.children()?;
    let mut counters = Counters::default();
    let mut found = Vec::new();
    for layer in plan {
        let group_name = counters.next(layer.class_name());
        let group = groups.remove(&group_name);
        let place = || weight_mapping::layer_place(layer);
        match (&group, layer.is_network()) {
            (Some(group), true) => {
                let inner = self::container(group)?.ok_or_else(|| missing(&group.path, "layers").at(place()))?;
                found.extend(find(&inner, &layer.inner).map_err(|error| error.at(place()))?);
            }
            (None, true) => return Err(missing(&container.path, &group_name).at(place())),
            (_, false) => {
                let arrays = own_arrays(group.as_ref())?;
                found.push(
                    weight_mapping::check(layer, arrays)
                        .map_err(|error| error.at(format!("group {}/{group_name}", container.path)).at(place()))?,
                );
            }
        }
    }
    refuse_leftovers(groups)?;
    Ok(found)
}

/// The arrays `vars/0`, `vars/1` … of a layer's group, in the order of their numbers.
fn own_arrays(group: Option<&Node>) -> Result<Vec<Array>> {
    match group.map(|group| group.child("vars")).transpose()?.flatten() {
        Some(variables) => numbered(variables.arrays()?),
        None => Ok(Vec::new()),
    }
}

/// Arrays called `0`, `1` … in that order.
pub(super) fn numbered(mut arrays: BTreeMap<String, Array>) -> Result<Vec<Array>> {
    (0..arrays.len())
        .map(|index| {
            arrays.remove(&index.to_string()).ok_or_else(|| {
                let others: Vec<String> = arrays.values().map(|array| array.path.clone()).collect();
                Error::model("the file's arrays are not numbered from 0 on").got(others.join(", "))
            })
        })
        .collect()
}

/// A group that no layer took must hold no weights, else the file belongs to another network.
fn refuse_leftovers(groups: BTreeMap<String, Node>) -> Result<()> {
    for group in groups.into_values() {
        let has_weights = container(&group)?.is_some() || !own_arrays(Some(&group))?.is_empty();
        if has_weights {
            return Err(Error::model("the weights are another network's")
                .expected("a layer for every group of weights")
                .got(format!("no layer for the group {}", group.path)));
        }
    }
    Ok(())
}

fn missing(path: &str, name: &str) -> Error {
    Error::model("the file has no weights for the layer").expected(format!("a group {path}/{name}"))
}

/// Keras's group names for layers in order: `conv2d`, `conv2d_1` …
#[derive(Default)]
pub(super) struct Counters(HashMap<String, usize>);

impl Counters {
    /// The group's name of the next layer of a class.
    pub fn next(&mut self, class_name: &str) -> String {
        let base = snake_case(class_name);
        let count = self.0.entry(base.clone()).or_default();
        *count += 1;
        match *count {
            1 => base,
            count => format!("{base}_{}", count - 1),
        }
    }
}
