//! A network as a graph of ONNX: from images as they are stored to probabilities.

use serde_json::Value;

use super::super::input::{ExportInput, INPUT, OUTPUT, Subject, metadata};
use super::super::windows::FROM_KERAS;
use super::graph::{GraphBuilder, int, ints};
use super::layers;
use super::proto::{ElementType, GraphProto, ModelProto, OperatorSetIdProto, StringStringEntryProto};
use crate::error::{Error, Result};
use crate::model::spec::{Form, Head, LayerPlan, OutputKind, Source};
use crate::model::{Model, Weight};

/// The operators' version: the first with LayerNormalization.
const OPSET: i64 = 17;
/// The format's version that goes with it, both of ONNX 1.12:
/// <https://github.com/onnx/onnx/blob/main/docs/Versioning.md#released-versions>.
const IR_VERSION: i64 = 8;

/// The file of `subject`.
///
/// # Errors
/// A model error where the network is no classifier of images, or has a layer that ONNX has nothing for.
pub(super) fn file(subject: &Subject) -> Result<ModelProto> {
    let entry = |(key, value): (String, Value)| StringStringEntryProto {
        key: Some(key),
        value: Some(value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)),
    };
    Ok(ModelProto {
        ir_version: Some(IR_VERSION),
        producer_name: "convnet".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        graph: Some(graph(subject.model, subject.input)?),
        opset_import: vec![OperatorSetIdProto { domain: Some(String::new()), version: Some(OPSET) }],
        metadata_props: metadata(subject)?.into_iter().map(entry).collect(),
    })
}

fn graph(model: &Model, input: ExportInput) -> Result<GraphProto> {
    let (shape, kind) = (model.image_shape()?, model.output_kind()?);
    let reserved = model.weights().iter().map(|weight| weight.name.clone());
    let mut graph = GraphBuilder::new(graph_name(model), reserved.chain([INPUT, OUTPUT].map(String::from)));
    let element = match input {
        ExportInput::Uint8 => ElementType::Uint8,
        ExportInput::Float => ElementType::Float,
    };
    graph.input(INPUT, element, &[shape.height, shape.width, shape.channels]);
    let images = inputs(&mut graph, model, input);
    let values = calls(&mut graph, model, images)?;
    let probabilities = probabilities(&mut graph, kind, values);
    Ok(graph.finish(&probabilities, OUTPUT, model.num_classes()))
}

/// The network's name; a graph has to have one.
fn graph_name(model: &Model) -> &str {
    Some(&*model.spec().name).filter(|name| !name.is_empty()).unwrap_or("network")
}

/// Images as they enter the first layer.
fn inputs(graph: &mut GraphBuilder, model: &Model, input: ExportInput) -> String {
    let mut value = INPUT.to_owned();
    if input == ExportInput::Uint8 {
        let float = i64::from(i32::from(ElementType::Float));
        value = graph.node("input", "Cast", &[&value], vec![int("to", float)]);
        if model.input_scale() != 1.0 {
            let scale = graph.floats("input/scale", &[], &[model.input_scale() as f32]);
            value = graph.node("input", "Mul", &[&value, &scale], vec![]);
        }
    }
    match model.spec().input_shape.as_deref() {
        Some([_, _, _]) => graph.node("input", "Transpose", &[&value], vec![ints("perm", &FROM_KERAS)]),
        shape => {
            let sizes = shape.unwrap_or_default().iter().map(|&size| size as i64);
            let sizes: Vec<i64> = std::iter::once(0).chain(sizes).collect(); // 0: the batch's
            let sizes = graph.integers("input/shape", &sizes);
            graph.node("input", "Reshape", &[&value, &sizes], vec![])
        }
    }
}

/// Every call of a layer; what the last one gives.
fn calls(graph: &mut GraphBuilder, model: &Model, images: String) -> Result<String> {
    let plan = model.plan();
    let leaves = plan.flat_layers();
    let own = weights_of(&leaves, model.weights());
    let mut outputs: Vec<String> = Vec::with_capacity(plan.calls.len());
    for call in &plan.calls {
        let (path, leaf) = &leaves[call.leaf];
        let of = |source: &Source| match *source {
            Source::Input => images.clone(),
            Source::Call(call) => outputs[call].clone(),
        };
        let inputs: Vec<String> = call.inputs.iter().map(of).collect();
        let at_layer = |error: Error| error.at(format!("layer {path} ({})", leaf.class_name()));
        let output = layers::layer(graph, (path, leaf), call, own[call.leaf], &inputs).map_err(at_layer)?;
        if !inputs.contains(&output) {
            graph.describe(&output, &sizes_here(&call.output_shape));
        }
        outputs.push(output);
    }
    Ok(outputs.pop().unwrap_or(images))
}

/// Each layer's part of the model's weights.
fn weights_of<'a>(leaves: &[(String, &LayerPlan)], mut weights: &'a [Weight]) -> Vec<&'a [Weight]> {
    let take = |(_, leaf): &(String, &LayerPlan)| {
        let (own, others) = weights.split_at(leaf.weights.len());
        weights = others;
        own
    };
    leaves.iter().map(take).collect()
}

/// Keras's sizes as they lie in the graph.
fn sizes_here(shape: &[usize]) -> Vec<usize> {
    match *shape {
        [height, width, channels] => vec![channels, height, width],
        _ => shape.to_vec(),
    }
}

/// The probability of each class, `[N, K]`, of the network's outputs `values`: see [`crate::model::Outputs::probabilities`].
fn probabilities(graph: &mut GraphBuilder, kind: OutputKind, values: String) -> String {
    let each = match (kind.evaluated, kind.head) {
        (Form::Logits, Head::Softmax) => graph.node(OUTPUT, "Softmax", &[&values], vec![int("axis", 1)]),
        (Form::Logits, Head::Binary | Head::Sigmoids(_)) => graph.node(OUTPUT, "Sigmoid", &[&values], vec![]),
        (Form::Probabilities, Head::Softmax) => normalized(graph, &values),
        (Form::Activated, _) | (Form::Probabilities, Head::Binary | Head::Sigmoids(_)) => values,
    };
    match kind.head {
        Head::Softmax | Head::Sigmoids(_) => each,
        Head::Binary => {
            let one = graph.scalar(OUTPUT, 1.0);
            let other = graph.node(OUTPUT, "Sub", &[&one, &each], vec![]);
            graph.node(OUTPUT, "Concat", &[&other, &each], vec![int("axis", 1)])
        }
    }
}

/// Divided by their sum; zeros stay zeros.
fn normalized(graph: &mut GraphBuilder, values: &str) -> String {
    let axis = graph.integers(&format!("{OUTPUT}/axis"), &[1]);
    let (zero, one) = (graph.scalar(OUTPUT, 0.0), graph.scalar(OUTPUT, 1.0));
    let sum = graph.node(OUTPUT, "ReduceSum", &[values, &axis], vec![int("keepdims", 1)]);
    let is_zero = graph.node(OUTPUT, "Equal", &[&sum, &zero], vec![]);
    let by = graph.node(OUTPUT, "Where", &[&is_zero, &one, &sum], vec![]);
    graph.node(OUTPUT, "Div", &[values, &by], vec![])
}
