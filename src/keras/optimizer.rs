//! An optimizer's state in a Keras file: how many steps it took and what it keeps for every weight.
//!
//! Keras 3 numbers the arrays (the steps, the learning rate unless a schedule gives it, the weights' average and the sum of
//! gradients where there are such, then what the optimizer's rule keeps); older files, and Keras 3's `.h5`, name them
//! (`Adam/m/conv2d/kernel:0`, `Adam/conv2d/kernel/m:0`, `adam/net_conv2d_kernel_momentum`).

use serde_json::Value;

use super::hdf5::{Array, Node};
use super::keras3;
use super::weight_mapping;
use crate::error::{Error, Result};
use crate::model::CompileInfo;
use crate::model::spec::WeightInfo;
use crate::train::{OptimizerKind, OptimizerSettings, StateOrder};

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
    let Some((batches, mut arrays)) = read(root)? else { return Ok(None) };
    arrays.retain(|array| !array.shape.is_empty()); // the learning rate, and Nadam's product, which the steps give
    if arrays.is_empty() {
        return Ok(None);
    }
    let kept = StateLayout::of(compile)?;
    let labels = match root.child("optimizer_weights")? {
        Some(_) => arrays.iter().map(label_of).collect::<Result<Vec<_>>>()?,
        None => kept.labels(weights.len(), arrays.len())?,
    };
    let slots = gather(&kept.names, labels, arrays);
    for (_, arrays) in &slots {
        weight_mapping::check_shapes(weights, arrays)?;
    }
    // Keras counts batches, also where several make a step
    let steps = batches / kept.batches_per_step;
    Ok((!slots.is_empty()).then_some(FoundState { steps, slots }))
}

/// The batches seen and all arrays after their number, in the file's order.
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

/// What an optimizer keeps for each weight.
struct StateLayout {
    /// By Keras's names, which are those of `OptimizerConfig::state_names`, and [`AVERAGE`].
    names: Vec<&'static str>,
    /// Numbered arrays: what lies before those of the rule, all weights' one after the other.
    before: Vec<&'static str>,
    /// The rule's.
    of_rule: &'static [&'static str],
    /// Whether the rule's lie by weight (momentum 0, velocity 0, momentum 1 …), not by name.
    by_weight: bool,
    /// How many batches make a step.
    batches_per_step: u64,
}

/// The weights' moving average (`use_ema`).
const AVERAGE: &str = "average";
/// The sum of the gradients of the step that is under way, which is not taken over.
const SUM: &str = "gradient_accumulator";

impl StateLayout {
    fn of(compile: &CompileInfo) -> Result<Self> {
        let setting = |key: &str| compile.optimizer_config.get(key);
        let is_on = |key: &str| setting(key).is_some_and(|value| value.as_bool() == Some(true));
        let kind = OptimizerKind::of_keras(&compile.optimizer).filter(|_| !is_on("amsgrad")).ok_or_else(|| {
            let known: Vec<&str> = OptimizerKind::all().map(OptimizerKind::keras_name).collect();
            let with = if is_on("amsgrad") { " with amsgrad" } else { "" };
            Error::model("the optimizer's state is not known here")
                .expected(format!("one of {} without amsgrad", known.join(", ")))
                .got(format!("{}{with}", compile.optimizer))
        })?;
        let momentum = setting("momentum").and_then(Value::as_f64).unwrap_or(0.0);
        let settings =
            OptimizerSettings { kind, momentum, centered: is_on("centered"), ..OptimizerSettings::default() };
        let of_rule = settings.rule().state_names();
        let batches_per_step = setting("gradient_accumulation_steps").and_then(Value::as_u64).unwrap_or(1).max(1);
        let average = is_on("use_ema").then_some(AVERAGE);
        Ok(StateLayout {
            names: of_rule.iter().copied().chain(average).collect(),
            before: average.into_iter().chain((batches_per_step > 1).then_some(SUM)).collect(),
            by_weight: kind.state_order() == StateOrder::ByWeight,
            of_rule,
            batches_per_step,
        })
    }

    /// What each of `num_arrays` numbered arrays is.
    fn labels(&self, num_weights: usize, num_arrays: usize) -> Result<Vec<&'static str>> {
        let of_all = |name: &&'static str| std::iter::repeat_n(*name, num_weights);
        let mut labels: Vec<_> = self.before.iter().flat_map(of_all).collect();
        match self.by_weight {
            true => labels.extend((0..num_weights).flat_map(|_| self.of_rule)),
            false => labels.extend(self.of_rule.iter().flat_map(of_all)),
        }
        if self.of_rule.is_empty() {
            labels.resize(num_arrays.max(labels.len()), ""); // Keras 2 keeps SGD's momentum also where it is 0
        }
        match labels.len() == num_arrays {
            true => Ok(labels),
            false => Err(Error::model("the optimizer's state is not that of this network")
                .expected(format!(
                    "{} arrays ({} for each of {num_weights} weights)",
                    labels.len(),
                    self.names.join(", ")
                ))
                .got(num_arrays)),
        }
    }
}

/// The arrays by what they are, those of no use left out.
fn gather(names: &[&'static str], labels: Vec<&str>, arrays: Vec<Array>) -> Vec<(&'static str, Vec<Array>)> {
    let mut slots: Vec<_> = names.iter().map(|name| (*name, Vec::new())).collect();
    for (label, array) in labels.into_iter().zip(arrays) {
        if let Some((_, arrays)) = slots.iter_mut().find(|(name, _)| *name == label) {
            arrays.push(array);
        }
    }
    slots
}

/// What an array is by its name's words in Keras 3 and in older versions.
const WORDS: [(&str, &[&str]); 5] = [
    ("momentum", &["momentum", "m"]),
    ("velocity", &["velocity", "v", "rms"]),
    ("average_gradient", &["average_gradient", "mg"]),
    (AVERAGE, &["average"]),
    (SUM, &["gradient_accumulator"]),
];

fn label_of(array: &Array) -> Result<&'static str> {
    slot_of(&array.path).ok_or_else(|| Error::model("an array of the optimizer is not known").got(&array.path))
}

/// The word is the end of the last component, or the component after the optimizer's name. Layers may be called by such
/// words, too.
fn slot_of(path: &str) -> Option<&'static str> {
    let parts: Vec<&str> = path.split('/').map(|part| part.split(':').next().unwrap_or_default()).collect();
    let find = |is: &dyn Fn(&str) -> bool| {
        WORDS.iter().find(|(_, words)| words.iter().any(|word| is(word))).map(|(slot, _)| *slot)
    };
    let last = parts.last()?;
    // Keras 3 joins the weight's path and the slot's name, which is one of the first words
    let is_last = |word: &str| *last == word || word.len() > 3 && last.ends_with(&format!("_{word}"));
    let after_name = parts.get(2); // the first component is the group of all
    find(&is_last).or_else(|| find(&|word| after_name == Some(&word)))
}

#[cfg(test)]
mod tests;
