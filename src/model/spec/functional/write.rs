//! A Functional network's `config` as Keras 3 writes it.

use serde_json::{Value, json};

use super::super::parts::{batch_shape, dtype, input_to_json};
use super::super::{Call, LayerSpec, Source, Spec};

/// Keras 3's `config` of the network `spec`, which has a graph, and whose layers alone are `own`.
pub(in super::super) fn to_config(spec: &Spec, own: impl Iterator<Item = Value>) -> Value {
    let calls = spec.calls();
    let input_name = spec.graph.as_ref().map_or("input_layer", |graph| &graph.input_name);
    let plan = spec.plan().ok();
    let layers = plan.as_ref().map(|plan| &plan.layers[..]);
    let uses = uses(&calls);
    let history = |source: Source| match source {
        Source::Input => json!([input_name, 0, 0]),
        Source::Call(call) => json!([spec.layers[calls[call].layer].name, uses[call], 0]),
    };
    let shape = |source: Source| match source {
        Source::Input => spec.input_shape.clone(),
        Source::Call(call) => layers.map(|layers| layers[calls[call].layer].output_shapes[uses[call]].clone()),
    };
    let tensor = |source: &Source| {
        json!({
            "class_name": "__keras_tensor__",
            "config": {
                "shape": shape(*source).map(|shape| batch_shape(&shape)), "dtype": "float32",
                "keras_history": history(*source),
            },
        })
    };
    let mut input = input_to_json(spec.input_shape.as_deref().unwrap_or_default(), spec.input_dtype, input_name);
    input["name"] = json!(input_name);
    input["inbound_nodes"] = json!([]);
    let mut entries = vec![input];
    for (index, (layer, mut entry)) in spec.layers.iter().zip(own).enumerate() {
        let takes_several = layer.spec.rules().is_some_and(|rules| rules.takes_several());
        let nodes = calls.iter().filter(|call| call.layer == index).map(|call| {
            let tensors: Vec<Value> = call.inputs.iter().map(&tensor).collect();
            let args = if takes_several { json!([tensors]) } else { json!(tensors) };
            json!({ "args": args, "kwargs": if call.in_inference { json!({ "training": false }) } else { json!({}) } })
        });
        entry["inbound_nodes"] = nodes.collect();
        entry["name"] = json!(layer.name);
        entries.push(entry);
    }
    let mut output = history(Source::Call(calls.len() - 1));
    let last = &spec.layers[calls[calls.len() - 1].layer];
    if matches!(&last.spec, LayerSpec::Network(inner) if inner.graph.is_some()) {
        output[1] = json!(uses[calls.len() - 1] + 1); // where Keras counts the network's own input, too
    }
    json!({
        "name": spec.name, "trainable": true, "dtype": dtype(), "layers": entries,
        "input_layers": [input_name, 0, 0], "output_layers": output,
    })
}

/// For each call which of its layer's calls it is.
fn uses(calls: &[Call]) -> Vec<usize> {
    let mut counts = vec![0; calls.iter().map(|call| call.layer + 1).max().unwrap_or(0)];
    let count = |call: &Call| {
        counts[call.layer] += 1;
        counts[call.layer] - 1
    };
    calls.iter().map(count).collect()
}
