//! Keras 1's keys and values.

use serde_json::{Map, Value, json};

use crate::error::{Error, Result};

/// Keys that only Keras 1 wrote.
pub(super) const KEYS: [&str; 8] =
    ["nb_filter", "nb_row", "output_dim", "border_mode", "dim_ordering", "subsample", "W_regularizer", "p"];

/// Keras 1's keys and Keras 2's.
const RENAMED: [(&str, &str); 16] = [
    ("nb_filter", "filters"),
    ("border_mode", "padding"),
    ("subsample", "strides"),
    ("atrous_rate", "dilation_rate"),
    ("bias", "use_bias"),
    ("init", "kernel_initializer"),
    ("gamma_init", "gamma_initializer"),
    ("beta_init", "beta_initializer"),
    ("output_dim", "units"),
    ("p", "rate"),
    ("sigma", "stddev"),
    ("dim_ordering", "data_format"),
    ("W_regularizer", "kernel_regularizer"),
    ("b_regularizer", "bias_regularizer"),
    ("W_constraint", "kernel_constraint"),
    ("b_constraint", "bias_constraint"),
];

/// Renames the keys of a layer's `config` and rewrites values that had another form.
pub(super) fn rename(class_name: &str, config: &mut Map<String, Value>) -> Result<()> {
    config.retain(|key, _| !["input_dim", "input_dtype", "input_length"].contains(&key.as_str()));
    if let Some((height, width)) = config.remove("nb_row").zip(config.remove("nb_col")) {
        config.insert("kernel_size".into(), json!([height, width]));
    }
    if class_name == "BatchNormalization"
        && !matches!(config.remove("mode").and_then(|mode| mode.as_i64()), None | Some(0))
    {
        return Err(Error::model("only mode 0 of Keras 1's BatchNormalization is supported").at("mode"));
    }
    for (old, new) in RENAMED {
        if let Some(value) = config.remove(old) {
            config.insert(new.into(), value);
        }
    }
    initializers(class_name, config);
    if config.get("data_format").is_some_and(|order| order == "th") {
        return Err(Error::model("Theano's order of axes is not supported: its kernels are flipped")
            .expected("dim_ordering \"tf\"")
            .got("\"th\"")
            .at("dim_ordering"));
    }
    if config.get("data_format").is_some_and(|order| order == "tf" || order == "default") {
        config.insert("data_format".into(), json!("channels_last"));
    }
    for (key, value) in config.iter_mut() {
        if key.ends_with("_regularizer") || key.ends_with("_constraint") {
            name_to_class(value);
        }
    }
    Ok(())
}

fn initializers(class_name: &str, config: &mut Map<String, Value>) {
    let targets: &[&str] = match class_name {
        "PReLU" => &["alpha_initializer"],
        "SeparableConv2D" => &["depthwise_initializer", "pointwise_initializer"],
        _ => &["kernel_initializer"],
    };
    let Some(value) = config.remove("kernel_initializer") else { return };
    // Keras 1's default gain
    let orthogonal = || json!({ "class_name": "Orthogonal", "config": { "gain": 1.1 } });
    let value = if value == "orthogonal" { orthogonal() } else { value };
    for target in targets {
        config.insert((*target).into(), value.clone());
    }
}

/// `{"name": "MaxNorm", "m": 2, "axis": 0}` as `{"class_name": "MaxNorm", "config": {"max_value": 2, "axis": 0}}`.
fn name_to_class(value: &mut Value) {
    let Value::Object(object) = value else { return };
    let Some(Value::String(name)) = object.get("name").cloned() else { return };
    let mut config = object.clone();
    config.remove("name");
    if let Some(max_value) = config.remove("m") {
        config.insert("max_value".into(), max_value);
    }
    let class_name = match name.as_str() {
        "WeightRegularizer" | "L1L2Regularizer" | "ActivityRegularizer" => "L1L2",
        other => other,
    };
    *value = json!({ "class_name": class_name, "config": config });
}

#[cfg(test)]
mod tests;
