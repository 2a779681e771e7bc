//! Starting from another model's weights, and keeping some layers as they are.

use glob::Pattern;

use tch::Tensor;

use super::spec::{Layer, LayerPlan, LayerSpec, flat_layers, in_path};
use super::summary::thousands;
use super::{Model, ModelInfo, Spec};
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
        let layer = weight.name.rsplit_once('.').map_or(weight.name.as_str(), |(layer, _)| layer);
        let refused = |got: String| {
            Error::model("the model to start from does not fit")
                .expected(format!("{:?}", weight.tensor.size()))
                .got(got)
                .at(format!("weight {}", weight.name))
                .help("images of another size need a network without Flatten, or the size that it was trained with")
        };
        let found = source.weights().iter().find(|other| other.name == weight.name);
        let found = found.ok_or_else(|| refused("no such weight".into()))?;
        let is_head = Some(layer) == last.as_deref();
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
        LayerSpec::Sequential(inner) => Some(format!("{}.{}", in_path(&layer.name), last_dense(&inner.layers)?)),
        _ => None,
    })
}

/// The word that trains all layers.
const NONE: &str = "none";

/// Makes the layers whose names match one of `patterns` (with `*` and `?`) stay as they are in this run's training: Keras's
/// `layer.trainable = False`, by which batch normalisation uses its moving statistics. What the network's file keeps as it
/// is stays so, too, unless the only pattern is `none`.
///
/// # Errors
/// A configuration error for a pattern that no layer's name matches, and where nothing is left to train.
pub fn freeze(spec: &mut Spec, patterns: &[String]) -> Result<()> {
    match patterns {
        [only] if only == NONE => spec.layers.iter_mut().for_each(Layer::thaw),
        patterns if patterns.iter().any(|pattern| pattern == NONE) => {
            return Err(Error::config("`freeze` cannot be used").expected("none alone").got(patterns.join(",")));
        }
        patterns => freeze_named(spec, patterns)?,
    }
    if spec.plan()?.iter().any(|layer| layer.num_trainable() > 0) {
        return Ok(());
    }
    let nothing = Error::config("nothing is left to train");
    Err(nothing.expected("a layer with weights that `freeze` does not name").help("`freeze` none trains all layers"))
}

fn freeze_named(spec: &mut Spec, patterns: &[String]) -> Result<()> {
    for text in patterns {
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

/// How many of the parameters are trained, and why not all, in a line; `None` where no layer is kept as it is.
pub fn describe_frozen(model: &Model) -> Option<String> {
    let layers: Vec<(&Layer, &LayerPlan)> = model
        .spec()
        .flat_layers()
        .into_iter()
        .zip(flat_layers(model.plan()).into_iter().map(|(_, info)| info))
        .collect();
    let kept = layers.iter().filter(|(layer, info)| !layer.is_trained() && info.num_parameters() > 0);
    let kept: Vec<&Layer> = kept.map(|(layer, _)| *layer).collect();
    if kept.is_empty() {
        return None;
    }
    let [trainable, total] = [LayerPlan::num_trainable, LayerPlan::num_parameters]
        .map(|count| thousands(layers.iter().map(|(_, info)| count(info)).sum::<usize>()));
    let by_file: Vec<&str> = kept.iter().filter(|layer| !layer.trainable).map(|layer| &*layer.name).collect();
    let why = match &by_file[..] {
        [] => "`freeze` keeps the others".to_owned(),
        names => format!("the model's file keeps {} (trainable: false; `freeze` none trains all)", names.join(", ")),
    };
    Some(format!("trainable {trainable} of {total} parameters: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::ImageShape;
    use crate::model::presets;

    fn spec(num_classes: usize, side: usize) -> Spec {
        let mut spec = presets::preset("keras-cnn").unwrap();
        spec.adapt(ImageShape { height: side, width: side, channels: 1 }, num_classes);
        spec
    }

    fn model(spec: Spec, seed: u64) -> Model {
        Model::new(spec, 1.0, tch::Device::Cpu, seed).unwrap()
    }

    fn info(labels: &[&str], metrics: bool) -> ModelInfo {
        let metrics = metrics.then(|| ("val_accuracy".to_owned(), 0.5)).into_iter().collect();
        ModelInfo { labels: names(labels), metrics, ..ModelInfo::default() }
    }

    fn names(labels: &[&str]) -> Vec<String> {
        labels.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_head_is_new_where_the_classes_names_differ() {
        for (labels, trained, classes, head) in [
            (["cat", "dog"], true, &["cat", "dog"][..], HeadTransfer::Kept),
            (["cat", "dog"], true, &["dog", "cat"], HeadTransfer::Reordered(vec![1, 0])),
            (["cat", "dog"], true, &["cat", "owl"], HeadTransfer::New),
            (["cat", "dog"], true, &["0", "1"], HeadTransfer::New),
            (["cat", "dog"], true, &["cat", "dog", "owl"], HeadTransfer::New),
            (["cat", "dog"], true, &["cat"], HeadTransfer::New),
            (["0", "1"], true, &["cat", "dog"], HeadTransfer::New), // digits
            (["0", "1"], false, &["cat", "dog"], HeadTransfer::Kept), // imported without names
            (["0", "1"], false, &["cat", "dog", "owl"], HeadTransfer::New),
        ] {
            assert_eq!(HeadTransfer::of(&info(&labels, trained), &names(classes)), head, "{labels:?} {classes:?}");
        }
    }

    #[test]
    fn all_but_a_new_head_is_copied() {
        let source = model(spec(10, 12), 1);
        for (classes, head) in [(10, HeadTransfer::Kept), (10, HeadTransfer::New), (3, HeadTransfer::New)] {
            let target = model(spec(classes, 12), 2);
            assert_eq!(copy_weights(&source, &target, &head).unwrap().as_deref(), Some("dense"));
            for (weight, from) in target.weights().iter().zip(source.weights()) {
                let is_new = head == HeadTransfer::New && weight.name.starts_with("dense.");
                // biases begin with zeros in both
                assert_eq!(weight.tensor.equal(&from.tensor), !is_new || classes == 10 && weight.name == "dense.bias");
            }
        }
        let error = copy_weights(&source, &model(spec(10, 16), 2), &HeadTransfer::Kept).unwrap_err();
        assert_eq!(error.exit_code(), 4);
        assert!(error.to_string().contains("dense.weight"), "{error}");
    }

    #[test]
    fn a_head_follows_its_classes() {
        let (source, target) = (model(spec(3, 12), 1), model(spec(3, 12), 2));
        copy_weights(&source, &target, &HeadTransfer::Reordered(vec![2, 0, 1])).unwrap();
        let row = |model: &Model, class: i64| {
            let weight = model.weights().iter().find(|weight| weight.name == "dense.weight").unwrap();
            weight.tensor.get(class)
        };
        for (now, before) in [(0, 2), (1, 0), (2, 1)] {
            assert!(row(&target, now).equal(&row(&source, before)));
        }
    }

    #[test]
    fn what_a_run_freezes_is_its_own() {
        let mut frozen = spec(10, 12);
        freeze(&mut frozen, &["conv2d".into()]).unwrap();
        assert_eq!(Spec::from_json(&frozen.to_json()).unwrap(), spec(10, 12), "no file says it");
        let line = describe_frozen(&model(frozen, 0)).unwrap();
        assert!(line.starts_with("trainable ") && line.ends_with("`freeze` keeps the others"), "{line}");
        assert_eq!(describe_frozen(&model(spec(10, 12), 0)), None);
        let mut own = spec(10, 12);
        own.layers[0].trainable = false;
        assert!(describe_frozen(&model(own.clone(), 0)).unwrap().contains("the model's file keeps conv2d ("));
        freeze(&mut own, &["none".into()]).unwrap();
        assert_eq!(own, spec(10, 12));
        assert!(freeze(&mut own, &["none".into(), "conv2d".into()]).is_err());
    }

    #[test]
    fn layers_are_frozen_by_name() {
        let mut frozen = spec(10, 12);
        freeze(&mut frozen, &["conv2d*".into()]).unwrap();
        let trainable: Vec<usize> = frozen.plan().unwrap().iter().map(|layer| layer.num_trainable()).collect();
        assert_eq!(trainable.iter().filter(|&&count| count > 0).count(), 1, "{trainable:?}");
        assert!(freeze(&mut spec(10, 12), &["cnv*".into()]).unwrap_err().to_string().contains("conv2d_1"));
        assert!(freeze(&mut spec(10, 12), &["*".into()]).unwrap_err().to_string().contains("nothing is left"));
    }
}
