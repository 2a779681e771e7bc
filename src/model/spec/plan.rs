//! What comes out of each layer and which weights it has, by Keras's formulas.

use super::window::MAX_SIZE;
use super::{Initializer, Layer, LayerPlan, LayerSpec, Spec, WeightInfo};
use crate::error::{Error, Result};

/// More weights than this in one network is taken for a mistake: 4·10⁹ f32 values are 16 GB.
const MAX_PARAMETERS: usize = 4_000_000_000;

/// Shapes and weights of every layer of `spec` in order.
pub(super) fn plan(spec: &Spec) -> Result<Vec<LayerPlan>> {
    let unknown = || Error::model("the network's input shape is not known").help("add an InputLayer to its JSON");
    let shape = spec.input_shape.clone().ok_or_else(unknown)?;
    check_sizes(&shape).map_err(|error| error.at("the input"))?;
    plan_from(spec, shape, &mut 0)
}

/// As [`plan`], from an input of `shape`; `total` counts the weights so far.
fn plan_from(spec: &Spec, mut shape: Vec<usize>, total: &mut usize) -> Result<Vec<LayerPlan>> {
    let mut plan = Vec::with_capacity(spec.layers.len());
    for layer in &spec.layers {
        let at_layer = |error: Error| error.at(format!("layer {} ({})", layer.name, layer.spec.class_name()));
        let info = match &layer.spec {
            LayerSpec::Sequential(inner) => place_nested(layer, inner, &shape, total),
            _ => place_leaf(layer, &shape, total),
        };
        let info = info.map_err(at_layer)?;
        check_sizes(&info.output_shape).map_err(at_layer)?;
        shape.clone_from(&info.output_shape);
        plan.push(info);
    }
    Ok(plan)
}

fn place_nested(layer: &Layer, inner: &Spec, input: &[usize], total: &mut usize) -> Result<LayerPlan> {
    if let Some(expected) = inner.input_shape.as_deref().filter(|expected| *expected != input) {
        return Err(Error::model("the nested network has another input")
            .expected(format!("{expected:?}"))
            .got(format!("{input:?}")));
    }
    let plan = plan_from(inner, input.to_vec(), total)?;
    let output_shape = plan.last().map_or_else(|| input.to_vec(), |last| last.output_shape.clone());
    Ok(LayerPlan { inner: plan, ..info(layer, input, output_shape) })
}

fn place_leaf(layer: &Layer, input: &[usize], total: &mut usize) -> Result<LayerPlan> {
    let rules = layer.spec.rules().unwrap_or_else(|| unreachable!("a nested network is planned layer by layer"));
    let (output_shape, mut weights) = rules.infer(input)?;
    for weight in &mut weights {
        weight.trainable &= layer.is_trained();
        let elements = weight.keras_shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
        let sum = elements.and_then(|elements| total.checked_add(elements)).filter(|&sum| sum <= MAX_PARAMETERS);
        *total = sum.ok_or_else(|| {
            Error::model("the network is too large").expected(format!("at most {MAX_PARAMETERS} parameters"))
        })?;
        check_initializer(weight)?;
        if let Some(axis) = weight.constraint.as_ref().and_then(|constraint| constraint.axis()) {
            axis.resolve(weight.keras_shape.len()).map_err(|error| error.at(weight.keras_name))?;
        }
    }
    Ok(LayerPlan { weights, ..info(layer, input, output_shape) })
}

fn check_initializer(weight: &WeightInfo) -> Result<()> {
    let rank = weight.keras_shape.len();
    let needs = match weight.initializer {
        Initializer::Identity { .. } if rank != 2 => "a matrix",
        Initializer::Orthogonal { .. } if rank < 2 => "at least two axes",
        _ => return Ok(()),
    };
    Err(Error::model("the initializer does not fit the weight")
        .expected(needs)
        .got(format!("{:?}", weight.keras_shape))
        .at(weight.keras_name))
}

fn info(layer: &Layer, input: &[usize], output_shape: Vec<usize>) -> LayerPlan {
    LayerPlan {
        name: layer.name.clone(),
        class_name: layer.spec.class_name(),
        input_shape: input.to_vec(),
        output_shape,
        weights: vec![],
        inner: vec![],
    }
}

fn check_sizes(shape: &[usize]) -> Result<()> {
    let product = shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
    match product {
        Some(product) if shape.iter().all(|&size| (1..=MAX_SIZE).contains(&size)) && product <= MAX_PARAMETERS => {
            Ok(())
        }
        _ => Err(Error::model("a shape is out of bounds")
            .expected(format!("sizes from 1 to {MAX_SIZE}"))
            .got(format!("{shape:?}"))),
    }
}
