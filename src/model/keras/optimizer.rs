//! An optimizer's state in a Keras file: how many steps it took and what it keeps for every weight.
//!
//! Keras 3 numbers the arrays (the steps, the learning rate unless a schedule gives it, then each weight's slots in turn);
//! older files name them (`Adam/m/conv2d/kernel:0`, `Adam/conv2d/kernel/m:0`).

use super::CompileInfo;
use super::hdf5::{Array, Node};
use super::keras3;
use super::matching;
use crate::error::{Error, Result};
use crate::model::spec::WeightInfo;

/// What an optimizer keeps for each weight.
pub(super) struct FoundState {
    /// Steps taken.
    pub steps: u64,
    /// For each slot its name and, in the order of the weights that gradients change, its arrays.
    pub slots: Vec<(&'static str, Vec<Array>)>,
}

/// The state of the optimizer in `compile`, for the weights that gradients change, in the network's order. `None` where the
/// file has none.
///
/// # Errors
/// A model error where it is there but cannot be used: of an optimizer that is not known here, or of other weights.
pub(super) fn find(root: &Node, compile: &CompileInfo, weights: &[&WeightInfo]) -> Result<Option<FoundState>> {
    let Some((steps, mut arrays)) = read(root)? else { return Ok(None) };
    if arrays.first().is_some_and(|array| array.shape.is_empty()) {
        arrays.remove(0); // the learning rate
    }
    if arrays.is_empty() {
        return Ok(None);
    }
    let names = slot_names(compile)?;
    let slots = match root.child("optimizer_weights")? {
        Some(_) => by_name(names, arrays)?,
        None => in_turn(names, arrays),
    };
    for (_, arrays) in &slots {
        matching::check_shapes(weights, arrays)?;
    }
    Ok(Some(FoundState { steps, slots }))
}

/// The steps taken and all arrays after them, in the file's order.
fn read(root: &Node) -> Result<Option<(u64, Vec<Array>)>> {
    let arrays = match (root.child("optimizer")?, root.child("optimizer_weights")?) {
        (Some(optimizer), _) => match optimizer.child("vars")? {
            Some(variables) => keras3::numbered(variables.arrays()?)?,
            None => return Ok(None),
        },
        (None, Some(group)) => {
            let names = group.texts("weight_names")?.unwrap_or_default();
            let arrays = names.iter().map(|name| {
                group
                    .array(name)?
                    .ok_or_else(|| Error::model("the file names an array that it does not hold").got(name))
            });
            arrays.collect::<Result<Vec<Array>>>()?
        }
        (None, None) => return Ok(None),
    };
    let mut arrays = arrays.into_iter();
    let Some(steps) = arrays.next() else { return Ok(None) };
    let steps = u64::try_from(steps.integer()?)
        .map_err(|_| Error::model("the optimizer's number of steps is below 0").at(&steps.path))?;
    Ok(Some((steps, arrays.collect())))
}

/// What the optimizer keeps for each weight, by Keras's names.
fn slot_names(compile: &CompileInfo) -> Result<&'static [&'static str]> {
    let set = |key: &str| compile.optimizer_config.get(key).is_some_and(|value| value.as_bool() == Some(true));
    let momentum = compile.optimizer_config.get("momentum").and_then(serde_json::Value::as_f64).unwrap_or(0.0);
    match compile.optimizer.as_str() {
        "Adam" | "AdamW" if !set("amsgrad") => Ok(&["momentum", "velocity"]),
        "SGD" => Ok(&["momentum"]),
        "RMSprop" if !set("centered") && momentum == 0.0 => Ok(&["velocity"]),
        other => Err(Error::model("the optimizer's state is not known here")
            .expected("Adam or AdamW without amsgrad, SGD, or plain RMSprop")
            .got(other)),
    }
}

/// Each weight's slots in turn: momentum 0, velocity 0, momentum 1 …
fn in_turn(names: &[&'static str], arrays: Vec<Array>) -> Vec<(&'static str, Vec<Array>)> {
    let mut slots: Vec<_> = names.iter().map(|name| (*name, Vec::new())).collect();
    for (index, array) in arrays.into_iter().enumerate() {
        slots[index % names.len()].1.push(array);
    }
    slots
}

/// Slots by what an array's path says: `m`, `v`, `rms`, or the full words.
fn by_name(names: &[&'static str], arrays: Vec<Array>) -> Result<Vec<(&'static str, Vec<Array>)>> {
    let mut slots: Vec<_> = names.iter().map(|name| (*name, Vec::new())).collect();
    for array in arrays {
        let found = slots.iter_mut().find(|(name, _)| *name == slot_of(&array.path));
        let (_, arrays) =
            found.ok_or_else(|| Error::model("an array of the optimizer is not known").got(&array.path))?;
        arrays.push(array);
    }
    Ok(slots)
}

fn slot_of(path: &str) -> &'static str {
    let is = |words: &[&str]| {
        // the first component is the group of all, the second the optimizer's name
        path.split('/').skip(1).any(|part| {
            let part = part.split(':').next().unwrap_or_default();
            words.iter().any(|word| part == *word || part.ends_with(&format!("_{word}")))
        })
    };
    match () {
        () if is(&["m", "momentum"]) => "momentum",
        () if is(&["v", "velocity", "rms"]) => "velocity",
        () => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_known_by_their_names() {
        // from files of Keras 2.15 (new and legacy optimizers) and 3.15
        for (path, slot) in [
            ("optimizer_weights/Adam/m/conv2d/kernel:0", "momentum"),
            ("optimizer_weights/Adam/conv2d/kernel/v:0", "velocity"),
            ("optimizer_weights/adam/net_dense_bias_momentum", "momentum"),
            ("optimizer_weights/RMSprop/velocity/dense/kernel:0", "velocity"),
            ("optimizer_weights/training/RMSprop/dense/kernel/rms:0", "velocity"),
            ("optimizer_weights/training/Adam/Variable_1:0", ""),
        ] {
            assert_eq!(slot_of(path), slot, "{path}");
        }
    }
}
