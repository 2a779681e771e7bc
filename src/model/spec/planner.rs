//! Makes a network's plan: what comes out of each layer and which weights it has, by Keras's formulas.

use super::layers::one_input;
use super::window::MAX_SIZE;
use super::{Connection, Initializer, Layer, LayerCall, LayerPlan, LayerSpec, Plan, Source, Spec, WeightInfo};
use crate::error::{Error, Result};

/// More weights than this in one network is taken for a mistake: 4·10⁹ f32 values are 16 GB.
const MAX_PARAMETERS: usize = 4_000_000_000;
/// The most calls of layers: nested networks that are called several times could multiply without an end.
const MAX_CALLS: usize = 20_000;

/// The plan of `spec`.
pub(super) fn plan(spec: &Spec) -> Result<Plan> {
    let unknown = || Error::model("the network's input shape is not known").help("add an InputLayer to its JSON");
    let shape = spec.input_shape.clone().ok_or_else(unknown)?;
    check_sizes(&shape).map_err(|error| error.at("the input"))?;
    let mut planner = Planner { total: 0, calls: Vec::new() };
    let mut layers = vec![None; spec.layers.len()];
    let place = Place { first_leaf: 0, in_inference: false };
    planner.network(spec, &mut layers, Value { source: Source::Input, shape }, place)?;
    Ok(Plan { layers: layers.into_iter().flatten().collect(), calls: planner.calls })
}

struct Planner {
    /// The weights so far.
    total: usize,
    calls: Vec<LayerCall>,
}

/// What a layer takes: where it comes from among the plan's calls, and its shape.
#[derive(Clone)]
struct Value {
    source: Source,
    shape: Vec<usize>,
}

/// Where a layer stands.
#[derive(Clone, Copy)]
struct Place {
    /// Its number among the layers that are no networks, or the number of the first of them in it.
    first_leaf: usize,
    in_inference: bool,
}

impl Planner {
    /// Calls the layers of `spec`, whose plans so far are `plans`; what comes out of the last one.
    fn network(&mut self, spec: &Spec, plans: &mut [Option<LayerPlan>], input: Value, place: Place) -> Result<Value> {
        let leaves = first_leaves(&spec.layers, place.first_leaf);
        let (mut values, mut connections): (Vec<Value>, Vec<Connection>) = (Vec::new(), Vec::new());
        for call in spec.calls().iter() {
            let layer = &spec.layers[call.layer];
            let inputs = call.inputs.iter().map(|source| match *source {
                Source::Input => (input.clone(), Connection::Input),
                Source::Call(call) => (values[call].clone(), connections[call]),
            });
            let (inputs, from): (Vec<Value>, Vec<Connection>) = inputs.unzip();
            let in_inference = place.in_inference || call.in_inference;
            let place = Place { first_leaf: leaves[call.layer], in_inference };
            let plan = &mut plans[call.layer];
            let at_layer = |error: Error| error.at(format!("layer {} ({})", layer.name, layer.spec.class_name()));
            let value = self.call(layer, plan, inputs, place).map_err(at_layer)?;
            check_sizes(&value.shape).map_err(at_layer)?;
            let plan = plan.as_mut().unwrap_or_else(|| unreachable!("the layer was planned where it was called"));
            connections.push(Connection::Layer { layer: call.layer, call: plan.inputs.len() });
            plan.inputs.push(from);
            plan.output_shapes.push(value.shape.clone());
            values.push(value);
        }
        Ok(values.pop().unwrap_or(input))
    }

    /// Calls one layer, which `plan` already is where it was called before.
    fn call(&mut self, layer: &Layer, plan: &mut Option<LayerPlan>, inputs: Vec<Value>, place: Place) -> Result<Value> {
        if self.calls.len() >= MAX_CALLS {
            return Err(Error::model("the network is too large").expected(format!("at most {MAX_CALLS} layers")));
        }
        match &layer.spec {
            LayerSpec::Network(inner) => self.nested(layer, inner, plan, inputs, place),
            _ => self.leaf(layer, plan, &inputs, place),
        }
    }

    fn nested(
        &mut self,
        layer: &Layer,
        inner: &Spec,
        plan: &mut Option<LayerPlan>,
        inputs: Vec<Value>,
        place: Place,
    ) -> Result<Value> {
        let several = inputs.len();
        let Ok([input]) = <[Value; 1]>::try_from(inputs) else { return Err(one_input(several)) };
        if let Some(expected) = inner.input_shape.as_deref().filter(|expected| *expected != input.shape) {
            return Err(Error::model("the nested network has another input")
                .expected(format!("{expected:?}"))
                .got(format!("{:?}", input.shape)));
        }
        let known = plan.as_mut().map(|plan| std::mem::take(&mut plan.inner));
        let mut plans: Vec<Option<LayerPlan>> = match known {
            Some(plans) => plans.into_iter().map(Some).collect(),
            None => vec![None; inner.layers.len()],
        };
        let output = self.network(inner, &mut plans, input.clone(), place)?;
        let plan = plan.get_or_insert_with(|| new_plan(layer, &input.shape));
        plan.inner = plans.into_iter().flatten().collect();
        Ok(output)
    }

    fn leaf(&mut self, layer: &Layer, plan: &mut Option<LayerPlan>, inputs: &[Value], place: Place) -> Result<Value> {
        let rules = layer.spec.rules().unwrap_or_else(|| unreachable!("a nested network is planned layer by layer"));
        let input_shapes: Vec<Vec<usize>> = inputs.iter().map(|input| input.shape.clone()).collect();
        let shapes: Vec<&[usize]> = input_shapes.iter().map(Vec::as_slice).collect();
        let (output_shape, weights) = rules.infer_all(&shapes)?;
        match plan {
            Some(plan) if shapes_of(&plan.weights).eq(shapes_of(&weights)) => {}
            Some(plan) => return Err(other_input(&plan.input_shape, shapes[0])),
            None => {
                let weights = self.placed(layer, weights)?;
                *plan = Some(LayerPlan { weights, ..new_plan(layer, shapes[0]) });
            }
        }
        self.calls.push(LayerCall {
            leaf: place.first_leaf,
            inputs: inputs.iter().map(|input| input.source).collect(),
            input_shapes,
            output_shape: output_shape.clone(),
            in_inference: place.in_inference,
        });
        Ok(Value { source: Source::Call(self.calls.len() - 1), shape: output_shape })
    }

    /// A layer's own weights, checked and counted.
    fn placed(&mut self, layer: &Layer, mut weights: Vec<WeightInfo>) -> Result<Vec<WeightInfo>> {
        for weight in &mut weights {
            weight.trainable &= layer.is_trained();
            let elements = weight.keras_shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
            let sum = elements.and_then(|elements| self.total.checked_add(elements));
            self.total = sum.filter(|&sum| sum <= MAX_PARAMETERS).ok_or_else(|| {
                Error::model("the network is too large").expected(format!("at most {MAX_PARAMETERS} parameters"))
            })?;
            check_initializer(weight)?;
            if let Some(axis) = weight.constraint.as_ref().and_then(|constraint| constraint.axis()) {
                axis.resolve(weight.keras_shape.len()).map_err(|error| error.at(weight.keras_name))?;
            }
        }
        Ok(weights)
    }
}

/// The number of each layer's first leaf, counted from `first`.
fn first_leaves(layers: &[Layer], first: usize) -> Vec<usize> {
    let next = |next: &mut usize, layer: &Layer| {
        let own = *next;
        *next += num_leaves(layer);
        Some(own)
    };
    layers.iter().scan(first, next).collect()
}

fn num_leaves(layer: &Layer) -> usize {
    match &layer.spec {
        LayerSpec::Network(inner) => inner.layers.iter().map(num_leaves).sum(),
        _ => 1,
    }
}

fn new_plan(layer: &Layer, input_shape: &[usize]) -> LayerPlan {
    LayerPlan {
        layer: layer.clone(),
        inputs: vec![],
        input_shape: input_shape.to_vec(),
        output_shapes: vec![],
        weights: vec![],
        inner: vec![],
    }
}

fn other_input(before: &[usize], now: &[usize]) -> Error {
    Error::model("the layer is called twice with inputs that need other weights")
        .expected(format!("an input like the first, {before:?}"))
        .got(format!("{now:?}"))
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

fn shapes_of(weights: &[WeightInfo]) -> impl Iterator<Item = &[usize]> {
    weights.iter().map(|weight| &weight.shape[..])
}
