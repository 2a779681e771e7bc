//! Functions of `keras.ops`, operators and tf.keras's `TFOpLambda` that are layers under another name: a sum of two layers'
//! outputs is `Add`, one with a number is `Rescaling`.

use serde_json::{Map, Value, json};

use super::calls::{Argument, FileCall};
use crate::error::{Error, Result};

/// A class and Keras 3's settings.
pub(super) type AsLayer = (&'static str, Value);

/// tf.keras's functions and those of `keras.ops`.
const OF_TENSORFLOW: [(&str, &str); 27] = [
    ("math.add", "Add"),
    ("__operators__.add", "Add"),
    ("math.subtract", "Subtract"),
    ("__operators__.sub", "Subtract"),
    ("math.multiply", "Multiply"),
    ("__operators__.mul", "Multiply"),
    ("math.truediv", "TrueDivide"),
    ("math.divide", "TrueDivide"),
    ("__operators__.truediv", "TrueDivide"),
    ("math.negative", "Negative"),
    ("__operators__.neg", "Negative"),
    ("math.maximum", "Maximum"),
    ("math.minimum", "Minimum"),
    ("concat", "Concatenate"),
    ("math.reduce_mean", "Mean"),
    ("math.reduce_max", "Max"),
    ("identity", "Identity"),
    ("nn.relu", "Relu"),
    ("nn.relu6", "Relu6"),
    ("nn.silu", "Silu"),
    ("nn.swish", "Silu"),
    ("nn.elu", "Elu"),
    ("nn.selu", "Selu"),
    ("nn.softmax", "Softmax"),
    ("math.sigmoid", "Sigmoid"),
    ("nn.sigmoid", "Sigmoid"),
    ("math.tanh", "Tanh"),
];

/// Functions of each value by itself, and the activation's name.
const ACTIVATIONS: [(&str, &str); 18] = [
    ("Relu", "relu"),
    ("Relu6", "relu6"),
    ("Sigmoid", "sigmoid"),
    ("Tanh", "tanh"),
    ("Softplus", "softplus"),
    ("Softsign", "softsign"),
    ("Silu", "silu"),
    ("LogSigmoid", "log_sigmoid"),
    ("HardSigmoid", "hard_sigmoid"),
    ("HardSilu", "hard_silu"),
    ("HardTanh", "hard_tanh"),
    ("TanhShrink", "tanh_shrink"),
    ("SparsePlus", "sparse_plus"),
    ("SparseSigmoid", "sparse_sigmoid"),
    ("Selu", "selu"),
    ("Exp", "exponential"),
    ("SoftShrink", "soft_shrink"),
    ("HardShrink", "hard_shrink"),
];

/// Whether an entry of a file is a function rather than a layer.
pub(super) fn is_operation(class_name: &str, module: Option<&str>) -> bool {
    let of_functions = ["keras.src.ops.", "keras.ops", "keras.src.activations.", "keras.activations"];
    class_name == "TFOpLambda" || module.is_some_and(|module| of_functions.iter().any(|of| module.starts_with(of)))
}

/// The layer that computes what the function `class_name` with `config` does of the arguments of `call`.
///
/// # Errors
/// A model error that names a function which no layer here computes.
pub(super) fn as_layer(class_name: &str, config: &Map<String, Value>, call: &FileCall) -> Result<AsLayer> {
    let function = config.get("function").and_then(Value::as_str).unwrap_or_default();
    let name = match class_name {
        "TFOpLambda" => OF_TENSORFLOW.iter().find(|(tensorflow, _)| *tensorflow == function).map(|(_, name)| *name),
        other => Some(other),
    };
    let shown = if class_name == "TFOpLambda" { format!("tf.{function}") } else { class_name.to_owned() };
    let unsupported = || {
        Error::model(format!("the function '{shown}' is not supported as a layer"))
            .help("use a layer for it, or give it fewer arguments")
            .at("class_name")
    };
    let settings: Map<String, Value> =
        config.iter().chain(&call.settings).map(|(k, v)| (k.clone(), v.clone())).collect();
    let layer = name.and_then(|name| match call.tensors().len() {
        0 => None,
        1 => of_one(name, &settings, &call.arguments),
        count => of_several(name, &settings, count, call.arguments.len()),
    });
    layer.ok_or_else(unsupported)
}

/// A function of several layers' outputs and nothing else.
fn of_several(name: &str, settings: &Map<String, Value>, tensors: usize, arguments: usize) -> Option<AsLayer> {
    let axis = || settings.get("axis").cloned().unwrap_or(json!(-1));
    let layer = match (name, tensors) {
        ("Add", 2) => ("Add", json!({})),
        ("Subtract", 2) => ("Subtract", json!({})),
        ("Multiply", 2) => ("Multiply", json!({})),
        ("Maximum", 2) => ("Maximum", json!({})),
        ("Minimum", 2) => ("Minimum", json!({})),
        ("Concatenate", _) => ("Concatenate", json!({ "axis": axis() })),
        _ => return None,
    };
    (tensors == arguments).then_some(layer)
}

/// A function of one layer's output, and perhaps of a number before or behind it.
fn of_one(name: &str, settings: &Map<String, Value>, arguments: &[Argument]) -> Option<AsLayer> {
    match arguments {
        [Argument::Tensor(_)] => of_one_alone(name, settings),
        [Argument::Tensor(_), Argument::Constant(value)] => {
            let numbers = numbers(value)?;
            match name {
                "Add" => Some(rescaling(vec![1.0], numbers)),
                "Subtract" => Some(rescaling(vec![1.0], each(&numbers, |number| -number))),
                "Multiply" => Some(rescaling(numbers, vec![0.0])),
                "TrueDivide" => Some(rescaling(each(&numbers, f64::recip), vec![0.0])),
                _ => None,
            }
        }
        [Argument::Constant(value), Argument::Tensor(_)] => {
            let numbers = numbers(value)?;
            match name {
                "Add" => Some(rescaling(vec![1.0], numbers)),
                "Subtract" => Some(rescaling(vec![-1.0], numbers)),
                "Multiply" => Some(rescaling(numbers, vec![0.0])),
                _ => None,
            }
        }
        _ => None,
    }
}

fn of_one_alone(name: &str, settings: &Map<String, Value>) -> Option<AsLayer> {
    if let Some((_, activation)) = ACTIVATIONS.iter().find(|(function, _)| *function == name) {
        return Some(("Activation", json!({ "activation": activation })));
    }
    let setting = |key: &str, default: Value| settings.get(key).cloned().unwrap_or(default);
    let is_over_image = || {
        let axes = settings.get("axis").or_else(|| settings.get("axes"))?.as_array()?;
        [[1, 2], [-3, -2]].iter().any(|image| axes.iter().map(Value::as_i64).eq(image.map(Some))).then_some(())
    };
    match name {
        "Negative" => Some(rescaling(vec![-1.0], vec![0.0])),
        "Identity" => Some(("Identity", json!({}))),
        "ReLU" => Some((
            "ReLU",
            json!({
                "max_value": setting("max_value", Value::Null), "negative_slope": setting("negative_slope", json!(0.0)),
                "threshold": setting("threshold", json!(0.0)),
            }),
        )),
        "LeakyRelu" => Some(("LeakyReLU", json!({ "negative_slope": setting("negative_slope", json!(0.2)) }))),
        "Elu" => Some(("ELU", json!({ "alpha": setting("alpha", json!(1.0)) }))),
        "Softmax" => Some(("Softmax", json!({ "axis": setting("axis", json!(-1)) }))),
        "LogSoftmax" if setting("axis", json!(-1)) == -1 => {
            Some(("Activation", json!({ "activation": "log_softmax" })))
        }
        "Gelu" if setting("approximate", json!(true)) == false => Some(("Activation", json!({ "activation": "gelu" }))),
        "Mean" => is_over_image()
            .map(|()| ("GlobalAveragePooling2D", json!({ "keepdims": setting("keepdims", json!(false)) }))),
        "Max" => {
            is_over_image().map(|()| ("GlobalMaxPooling2D", json!({ "keepdims": setting("keepdims", json!(false)) })))
        }
        _ => None,
    }
}

fn rescaling(scale: Vec<f64>, offset: Vec<f64>) -> AsLayer {
    let value = |numbers: Vec<f64>| match numbers[..] {
        [one] => json!(one),
        _ => json!(numbers),
    };
    ("Rescaling", json!({ "scale": value(scale), "offset": value(offset) }))
}

fn each(numbers: &[f64], change: impl Fn(f64) -> f64) -> Vec<f64> {
    numbers.iter().map(|&number| change(number)).collect()
}

/// A number, or one for each channel.
fn numbers(value: &Value) -> Option<Vec<f64>> {
    let value = match value.get("class_name").and_then(Value::as_str) {
        Some("__numpy__" | "__tensor__") => value.pointer("/config/value")?,
        _ => value,
    };
    match value {
        Value::Number(number) => number.as_f64().map(|number| vec![number]),
        Value::Array(items) if !items.is_empty() => items.iter().map(Value::as_f64).collect(),
        _ => None,
    }
}
