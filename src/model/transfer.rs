//! Starting from another model's weights, and keeping some layers as they are.

use glob::Pattern;

use tch::Tensor;

use super::spec::{Layer, LayerSpec, in_path};
use super::summary::thousands;
use super::{Model, ModelInfo, Spec, Weight};
use crate::data::names::{are_numbers, composed};
use crate::error::{Error, Result};

/// What becomes of the layer whose outputs are the classes, when a model is trained on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeadTransfer {
    /// The classes are the same.
    Kept,
    /// They are the same in another order: for each class now, its number before.
    Reordered(Vec<i64>),
    /// They are others: it starts anew.
    New,
}

impl HeadTransfer {
    /// What becomes of the head of a model of which `info` is known, for `classes`. The classes of a model that was imported
    /// without names are taken for the same where there are as many.
    pub fn of(info: &ModelInfo, classes: &[String]) -> Self {
        let is_named = info.data.is_some() || !info.metrics.is_empty() || !are_numbers(&info.labels);
        if info.labels == classes || info.labels.len() == classes.len() && !is_named {
            return HeadTransfer::Kept;
        }
        let number = |class: &String| {
            let same = |label: &String| composed(label) == composed(class);
            info.labels.iter().position(same).map(|index| index as i64)
        };
        match classes.iter().map(number).collect::<Option<Vec<i64>>>() {
            Some(order) if order.len() == info.labels.len() => match order.is_sorted() {
                true => HeadTransfer::Kept,
                false => HeadTransfer::Reordered(order),
            },
            _ => HeadTransfer::New,
        }
    }
}

/// Copies `source`'s weights into `target`, which has the same layers. What becomes of the last Dense layer, `head` says:
/// a new one keeps its own first weights. Returns that layer's path; `None` where there is none.
///
/// # Errors
/// A model error that names the first weight that does not fit.
pub fn copy_weights(source: &Model, target: &Model, head: &HeadTransfer) -> Result<Option<String>> {
    let last = last_dense(&target.spec().layers);
    for weight in target.weights() {
        let refused = |got: String| {
            Error::model("the model to start from does not fit")
                .expected(format!("{:?}", weight.tensor.size()))
                .got(got)
                .at(format!("weight {}", weight.name))
                .help("images of another size need a network without Flatten, or the size that it was trained with")
        };
        let found = source.weights().iter().find(|other| other.name == weight.name);
        let found = found.ok_or_else(|| refused("no such weight".into()))?;
        let is_head = Some(weight.layer()) == last.as_deref();
        let fits = found.tensor.size() == weight.tensor.size();
        let values = match head {
            // [K, inputs] and [K]: only K may differ
            HeadTransfer::New if is_head && found.tensor.size().get(1) == weight.tensor.size().get(1) => continue,
            HeadTransfer::Reordered(order) if is_head && fits => {
                found.tensor.index_select(0, &Tensor::from_slice(order).to_device(found.tensor.device()))
            }
            _ if fits => found.tensor.shallow_clone(),
            _ => return Err(refused(format!("{:?}", found.tensor.size()))),
        };
        tch::no_grad(|| weight.tensor.shallow_clone().copy_(&values));
    }
    Ok(last)
}

/// The path of the last Dense layer, whose outputs are the classes, as the names of its weights have it.
fn last_dense(layers: &[Layer]) -> Option<String> {
    layers.iter().rev().find_map(|layer| match &layer.spec {
        LayerSpec::Dense(_) => Some(in_path(&layer.name)),
        LayerSpec::Network(inner) => Some(format!("{}.{}", in_path(&layer.name), last_dense(&inner.layers)?)),
        _ => None,
    })
}

/// The word that trains all layers.
const NONE: &str = "none";
/// The word for every layer but the last Dense one, whose outputs are the classes.
const BACKBONE: &str = "backbone";

/// Which layers a part of a run trains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The last Dense layer alone: the first epochs of a run with `freeze_epochs`.
    Head,
    /// All that `freeze` does not name.
    Whole,
}

/// Makes the layers whose names match one of `patterns` (with `*` and `?`) stay as they are in this run's training: Keras's
/// `layer.trainable = False`, by which batch normalisation uses its moving statistics. What the network's file keeps as it
/// is stays so, too, unless the only pattern is `none`. `backbone` stands for all layers but the last Dense one, which stay
/// as they are in [`Stage::Head`] in any case. What was frozen before and is not now is trained again.
///
/// # Errors
/// A configuration error for a pattern that no layer's name matches, and where nothing is left to train.
pub fn freeze(spec: &mut Spec, patterns: &[String], stage: Stage) -> Result<()> {
    spec.layers.iter_mut().for_each(Layer::unfreeze);
    match patterns {
        [only] if only == NONE => spec.layers.iter_mut().for_each(Layer::thaw),
        patterns if patterns.iter().any(|pattern| pattern == NONE) => {
            return Err(Error::config("`freeze` cannot be used").expected("none alone").got(patterns.join(",")));
        }
        patterns => freeze_named(spec, patterns)?,
    }
    match stage {
        Stage::Head => freeze_backbone(spec, "`freeze_epochs`")?,
        Stage::Whole => {}
    }
    if spec.plan()?.num_trainable() > 0 {
        return Ok(());
    }
    let nothing = Error::config("nothing is left to train");
    Err(nothing.expected("a layer with weights that `freeze` does not name").help("`freeze` none trains all layers"))
}

/// Freezes all but the last Dense layer, within a nested network where it is there, as `setting` asks.
fn freeze_backbone(spec: &mut Spec, setting: &str) -> Result<()> {
    fn freeze_but_last(layers: &mut [Layer]) -> bool {
        let mut is_last_found = false;
        for layer in layers.iter_mut().rev() {
            match &mut layer.spec {
                _ if is_last_found => layer.freeze(),
                LayerSpec::Dense(_) => is_last_found = true,
                LayerSpec::Network(inner) => is_last_found = freeze_but_last(&mut inner.layers),
                _ => layer.freeze(),
            }
        }
        is_last_found
    }
    match freeze_but_last(&mut spec.layers) {
        true => Ok(()),
        false => Err(no_head(setting)),
    }
}

fn no_head(setting: &str) -> Error {
    Error::config(format!("{setting} needs a Dense layer at the network's end")).got("none")
}

/// What the learning rate of each weight is multiplied by where that of all but the last Dense layer is `backbone`.
///
/// # Errors
/// A configuration error where there is no Dense layer at the end.
pub fn rate_scales(spec: &Spec, backbone: f64) -> Result<impl Fn(&Weight) -> f64> {
    let head = last_dense(&spec.layers);
    if backbone != 1.0 && head.is_none() {
        return Err(no_head("`backbone_lr_scale`"));
    }
    Ok(move |weight: &Weight| if Some(weight.layer()) == head.as_deref() { 1.0 } else { backbone })
}

/// The network of `model` with its weights, for the next part of a run, which trains other layers.
///
/// # Errors
/// Those of [`freeze`].
pub fn next_stage(model: &Model, patterns: &[String], stage: Stage) -> Result<Model> {
    let mut spec = model.spec().clone();
    freeze(&mut spec, patterns, stage)?;
    let next = Model::new(spec, model.input_scale(), model.device(), 0)?.with_precision(model.precision());
    let next = next.with_image_shape(model.image_shape()?)?;
    copy_weights(model, &next, &HeadTransfer::Kept)?;
    Ok(next)
}

fn freeze_named(spec: &mut Spec, patterns: &[String]) -> Result<()> {
    for text in patterns {
        if text == BACKBONE && spec.layers.iter().all(|layer| layer.name != BACKBONE) {
            freeze_backbone(spec, "`freeze` backbone")?;
            continue;
        }
        let unusable = |got: String| Error::config("`freeze` names no layer").got(got);
        let pattern = Pattern::new(text).map_err(|error| unusable(format!("'{text}'")).because(error))?;
        let mut matched = spec.layers.iter_mut().filter(|layer| pattern.matches(&layer.name)).peekable();
        if matched.peek().is_none() {
            let names: Vec<&str> = spec.layers.iter().map(|layer| layer.name.as_str()).collect();
            return Err(unusable(format!("'{text}'")).expected(format!("one of {}", names.join(", "))));
        }
        matched.for_each(Layer::freeze);
    }
    Ok(())
}

/// How many of the parameters are trained in `stage`, and why not all, in a line; `None` where no layer is kept as it is.
pub fn describe_frozen(model: &Model, stage: Stage) -> Option<String> {
    let leaves = model.plan().flat_layers().into_iter();
    let kept = leaves.filter(|(_, leaf)| !leaf.layer.is_trained() && leaf.num_parameters() > 0);
    let kept: Vec<&Layer> = kept.map(|(_, leaf)| &leaf.layer).collect();
    if kept.is_empty() {
        return None;
    }
    let [trainable, total] = [model.plan().num_trainable(), model.plan().num_parameters()].map(thousands);
    let by_file: Vec<&str> = kept.iter().filter(|layer| !layer.trainable).map(|layer| &*layer.name).collect();
    let why = match (&by_file[..], stage) {
        ([], Stage::Whole) => "`freeze` keeps the others".to_owned(),
        ([], Stage::Head) => "`freeze_epochs` keeps the others at first".to_owned(),
        (names, _) => {
            format!("the model's file keeps {} (trainable: false; `freeze` none trains all)", names.join(", "))
        }
    };
    Some(format!("trainable {trainable} of {total} parameters: {why}"))
}

#[cfg(test)]
mod tests;
