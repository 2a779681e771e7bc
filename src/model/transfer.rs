//! Starting from another model's weights, and keeping some layers as they are.

use glob::Pattern;

use super::spec::Layer;
use super::spec::LayerSpec;
use super::{Model, Spec};
use crate::error::{Error, Result};

/// Copies `source`'s weights into `target`, which has the same layers but may have another number of classes: then its
/// last Dense layer keeps its own first weights, and its name is returned.
///
/// # Errors
/// A model error that names the first weight that does not fit.
pub fn copy_weights(source: &Model, target: &Model) -> Result<Option<String>> {
    let head = head(target.spec());
    let mut new_head = None;
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
        if found.tensor.size() == weight.tensor.size() {
            tch::no_grad(|| weight.tensor.shallow_clone().copy_(&found.tensor));
        } else if Some(layer) == head && found.tensor.size().get(1) == weight.tensor.size().get(1) {
            new_head = Some(layer.to_owned()); // [K, inputs] and [K]: only K differs
        } else {
            return Err(refused(format!("{:?}", found.tensor.size())));
        }
    }
    Ok(new_head)
}

/// The layer whose outputs are the classes.
fn head(spec: &Spec) -> Option<&str> {
    let mut layers = spec.layers.iter().rev();
    layers.find(|layer| matches!(layer.spec, LayerSpec::Dense(_))).map(|layer| layer.name.as_str())
}

/// Makes the layers whose names match one of `patterns` (with `*` and `?`) stay as they are in training: Keras's
/// `layer.trainable = False`, by which batch normalisation uses its moving statistics.
///
/// # Errors
/// A configuration error for a pattern that no layer's name matches, and one that names all layers.
pub fn freeze(spec: &mut Spec, patterns: &[String]) -> Result<()> {
    for text in patterns {
        let unusable = |got: String| Error::config("--freeze names no layer").got(got);
        let pattern = Pattern::new(text).map_err(|error| unusable(format!("'{text}'")).because(error))?;
        let mut matched = spec.layers.iter_mut().filter(|layer| pattern.matches(&layer.name)).peekable();
        if matched.peek().is_none() {
            let names: Vec<&str> = spec.layers.iter().map(|layer| layer.name.as_str()).collect();
            return Err(unusable(format!("'{text}'")).expected(format!("one of {}", names.join(", "))));
        }
        matched.for_each(Layer::freeze);
    }
    let has_trainable = spec.plan()?.iter().any(|layer| layer.num_trainable() > 0);
    if has_trainable {
        return Ok(());
    }
    Err(Error::config("nothing is left to train").expected("a layer with weights that --freeze does not name"))
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

    #[test]
    fn all_but_a_head_of_another_size_is_copied() {
        let source = model(spec(10, 12), 1);
        let (same, other) = (model(spec(10, 12), 2), model(spec(3, 12), 2));
        assert_eq!(copy_weights(&source, &same).unwrap(), None);
        assert_eq!(copy_weights(&source, &other).unwrap().as_deref(), Some("dense"));
        for (weight, from) in other.weights().iter().zip(source.weights()) {
            assert_eq!(weight.tensor.equal(&from.tensor), weight.name != "dense.weight" && weight.name != "dense.bias");
        }
        let error = copy_weights(&source, &model(spec(10, 16), 2)).unwrap_err();
        assert_eq!(error.exit_code(), 4);
        assert!(error.to_string().contains("dense.weight"), "{error}");
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
