//! What Keras 1, Keras 2 and tf.keras wrote otherwise than Keras 3 does, brought into Keras 3's form.
//!
//! Layer by layer, before the settings get their types: class names, keys and values are renamed where their meaning is the
//! same, and refused where it is not. Keys that nothing depends on are dropped by name; what is left is checked afterwards.

mod keras1;
mod origin;
mod unsupported;

use serde_json::{Map, Value, json};

use super::options::keras2_hard_sigmoid;
use crate::error::{Error, Result};

pub(super) use origin::check_origin;
pub(super) use unsupported::{branching_layer, unknown_layer};

/// Which Keras wrote a document. What differs between 2 and tf.keras does not matter here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// Up to 1.2.2.
    Keras1,
    /// 2 and tf.keras.
    Keras2,
    /// From 3.0 on.
    Keras3,
}

impl Version {
    /// From the document's `keras_version`; without one, from what only old documents have.
    pub fn of(document: &Map<String, Value>) -> Result<Self> {
        let config = &document.get("config").unwrap_or(&Value::Null);
        match document.get("keras_version") {
            None | Some(Value::Null) if config.is_array() => Ok(Version::of_layers(config)),
            None | Some(Value::Null) => Ok(Version::of_layers(&config["layers"])),
            Some(version) => match version.as_str().and_then(|text| text.split('.').next()) {
                Some("0" | "1") => Ok(Version::Keras1),
                Some("2") => Ok(Version::Keras2),
                Some("3") => Ok(Version::Keras3),
                _ => Err(Error::model("the document's Keras version is not known")
                    .expected("1, 2 or 3")
                    .got(version)
                    .at("keras_version")),
            },
        }
    }

    /// From keys that Keras 3 does not write.
    fn of_layers(layers: &Value) -> Self {
        let entries = layers.as_array().map_or(&[][..], Vec::as_slice);
        let has = |key: &str| entries.iter().any(|entry| entry["config"].get(key).is_some());
        if keras1::KEYS.iter().any(|key| has(key)) {
            Version::Keras1
        } else if has("batch_input_shape") || entries.iter().any(|entry| entry["config"].is_array()) {
            Version::Keras2
        } else {
            Version::Keras3
        }
    }
}

/// Other names of classes.
const ALIASES: [(&str, &str); 13] = [
    ("Convolution2D", "Conv2D"),
    ("DepthwiseConvolution2D", "DepthwiseConv2D"),
    ("SeparableConvolution2D", "SeparableConv2D"),
    ("Convolution2DTranspose", "Conv2DTranspose"),
    ("Deconvolution2D", "Conv2DTranspose"),
    ("MaxPool2D", "MaxPooling2D"),
    ("AvgPool2D", "AveragePooling2D"),
    ("GlobalAvgPool2D", "GlobalAveragePooling2D"),
    ("GlobalMaxPool2D", "GlobalMaxPooling2D"),
    // the same function: x above the threshold, else 0
    ("ThresholdedReLU", "ReLU"),
    // Keras 1's dilated convolution
    ("AtrousConvolution2D", "Conv2D"),
    ("BatchNormalizationV1", "BatchNormalization"),
    ("BatchNormalizationV2", "BatchNormalization"),
];

/// Keys that other versions write and nothing depends on.
const UNUSED: [(&str, &[&str]); 8] = [
    ("RandomFlip", &["value_range"]),
    ("RandomZoom", &["value_range"]),
    ("RandomTranslation", &["value_range"]),
    ("DepthwiseConv2D", &["kernel_initializer", "kernel_regularizer", "kernel_constraint"]),
    ("SeparableConv2D", &["kernel_initializer", "kernel_regularizer", "kernel_constraint"]),
    ("RandomRotation", &["value_range"]),
    ("BatchNormalization", &["fused"]),
    ("InputLayer", &["input_dtype"]),
];

/// Keys that mean nothing while they are null (or one group); with another value they are not supported.
const USUALLY_NULL: [(&str, &[&str]); 6] = [
    ("DepthwiseConv2D", &["groups"]),
    ("SeparableConv2D", &["groups"]),
    ("Conv2DTranspose", &["groups"]),
    ("Dense", &["activity_regularizer"]),
    ("SpatialDropout2D", &["noise_shape"]),
    ("BatchNormalization", &["virtual_batch_size", "adjustment"]),
];

/// A layer as Keras 3 would write it.
pub(super) struct Modern {
    /// Keras 3's class name.
    pub class_name: String,
    /// Keras 3's settings.
    pub config: Map<String, Value>,
    /// The input's shape with the batch, where the layer's own settings have it.
    pub batch_shape: Option<Value>,
}

/// Brings one layer into Keras 3's form.
pub(super) fn modernize(class_name: &str, config: &Map<String, Value>, version: Version) -> Result<Modern> {
    let is_thresholded = class_name == "ThresholdedReLU";
    let class_name = ALIASES.iter().find(|(alias, _)| *alias == class_name).map_or(class_name, |(_, name)| name);
    let mut config = config.clone();
    if is_thresholded {
        let theta = config.remove("theta").unwrap_or(json!(1.0));
        config.insert("threshold".into(), theta);
    }
    config.values_mut().for_each(unwrap);
    let mut batch_shape = config.remove("batch_input_shape");
    if class_name != "InputLayer" {
        let with_batch = |shape: Value| match shape {
            Value::Array(sizes) => Value::Array(std::iter::once(Value::Null).chain(sizes).collect()),
            other => other,
        };
        batch_shape = batch_shape.or_else(|| config.remove("input_shape").map(with_batch));
        config.remove("input_shape");
    }
    if version == Version::Keras1 {
        keras1::rename(class_name, &mut config)?;
    }
    drop_unused(class_name, &mut config);
    rename(class_name, &mut config);
    if config.get("data_format").is_some_and(|format| format == "channels_first") {
        return Err(Error::model("channels_first is not supported")
            .expected("data_format \"channels_last\"")
            .got("\"channels_first\"")
            .help("build the model again in Keras with channels_last and copy its weights")
            .at("data_format"));
    }
    if let Some(activation) = config.get_mut("activation") {
        modernize_activation(activation, version).map_err(|error| error.at("activation"))?;
    }
    Ok(Modern { class_name: class_name.to_owned(), config, batch_shape })
}

fn drop_unused(class_name: &str, config: &mut Map<String, Value>) {
    for (_, keys) in UNUSED.iter().filter(|(class, _)| *class == class_name) {
        config.retain(|key, _| !keys.contains(&key.as_str()));
    }
    if class_name.starts_with("Random") {
        config.retain(|key, _| !["rng_type", "bounding_box_format"].contains(&key.as_str()));
    }
    // every seed derives from the run's: a generator's object, too
    if config.get("seed").is_some_and(Value::is_object) {
        config.remove("seed");
    }
    for (_, keys) in USUALLY_NULL.iter().filter(|(class, _)| *class == class_name) {
        let means_nothing = |key: &str, value: &Value| value.is_null() || key == "groups" && value == 1;
        config.retain(|key, value| !(keys.contains(&key.as_str()) && means_nothing(key, value)));
    }
    if config.get("data_format").is_some_and(Value::is_null) {
        config.remove("data_format");
    }
}

fn rename(class_name: &str, config: &mut Map<String, Value>) {
    if class_name == "LeakyReLU"
        && let Some(slope) = config.remove("alpha")
    {
        config.insert("negative_slope".into(), slope);
    }
    // Keras 3.15 reads one number f as [0, f]; those that wrote it meant 1 - f to 1 + f
    if class_name == "RandomContrast"
        && let Some(factor) = config.get_mut("factor").filter(|factor| factor.is_number())
    {
        *factor = json!([factor, factor]);
    }
    // written as [3] after building
    if matches!(class_name, "BatchNormalization" | "GroupNormalization")
        && let Some(axis) = config.get_mut("axis")
        && let Some([only]) = axis.as_array().map(Vec::as_slice)
    {
        *axis = only.clone();
    }
}

/// An activation is a name, or a layer of its own; Keras 3 has another function under the name `hard_sigmoid`.
fn modernize_activation(activation: &mut Value, version: Version) -> Result<()> {
    if activation == "hard_sigmoid" && version != Version::Keras3 {
        *activation = keras2_hard_sigmoid();
    }
    let Value::Object(object) = activation else { return Ok(()) };
    check_origin(object)?;
    let Some((class_name, config)) = object.get("class_name").and_then(Value::as_str).zip(object.get("config")) else {
        return Ok(());
    };
    if let Value::Object(config) = config
        && class_name != "Sequential"
    {
        let modern = modernize(class_name, config, version)?;
        *activation = json!({ "class_name": modern.class_name, "config": modern.config });
    }
    Ok(())
}

/// Python's tuples and numpy's arrays and numbers, which Keras wraps in objects, as plain lists and numbers.
fn unwrap(value: &mut Value) {
    let inner = match value {
        Value::Object(object) => match object.get("class_name").and_then(Value::as_str) {
            Some("__tuple__") => object.get("items").cloned(),
            Some("__numpy__" | "__tensor__") => object.get("config").and_then(|config| config.get("value")).cloned(),
            None if object.get("type").is_some_and(|kind| kind == "ndarray") => object.get("value").cloned(),
            _ => None,
        },
        _ => None,
    };
    if let Some(inner) = inner {
        *value = inner;
    }
    if let Value::Array(items) = value {
        items.iter_mut().for_each(unwrap);
    }
}

#[cfg(test)]
mod tests;
