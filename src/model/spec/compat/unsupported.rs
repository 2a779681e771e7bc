//! Layers that Keras knows and this program does not, with the reason.

use serde_json::{Map, Value};

use super::super::LayerSpec;
use crate::error::{Error, Result, nearest};

const PYTHON: &str = "it holds Python code, which a file cannot";
const RECURRENT: &str = "recurrent layers are for sequences, not for images";
const BRANCHES: &str = "it joins several inputs, which only Functional models have";
const OTHER_RANKS: &str = "only layers of two-dimensional images are";
const TOKENS: &str = "it is for sequences of tokens, not for images";
const VERSIONS: &str = "Keras's versions compute different things under its name";

/// Class names, and why they are not supported.
const REASONS: [(&[&str], &str); 7] = [
    (&["Lambda"], PYTHON),
    (
        &[
            "LSTM",
            "GRU",
            "SimpleRNN",
            "RNN",
            "Bidirectional",
            "TimeDistributed",
            "ConvLSTM1D",
            "ConvLSTM2D",
            "ConvLSTM3D",
            "CuDNNLSTM",
            "CuDNNGRU",
            "LSTMCell",
            "GRUCell",
            "StackedRNNCells",
        ],
        RECURRENT,
    ),
    (
        &["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate", "Dot", "Merge", "TFOpLambda"],
        BRANCHES,
    ),
    (
        &[
            "Conv1D",
            "Conv3D",
            "Conv1DTranspose",
            "Conv3DTranspose",
            "SeparableConv1D",
            "DepthwiseConv1D",
            "MaxPooling1D",
            "MaxPooling3D",
            "AveragePooling1D",
            "AveragePooling3D",
            "GlobalAveragePooling1D",
            "GlobalAveragePooling3D",
            "GlobalMaxPooling1D",
            "GlobalMaxPooling3D",
            "UpSampling1D",
            "UpSampling3D",
            "ZeroPadding1D",
            "ZeroPadding3D",
            "Cropping1D",
            "Cropping3D",
            "SpatialDropout1D",
            "SpatialDropout3D",
        ],
        OTHER_RANKS,
    ),
    (&["Embedding", "MultiHeadAttention", "Attention", "AdditiveAttention", "Masking", "TextVectorization"], TOKENS),
    (&["RandomCrop"], VERSIONS),
    (&["Functional", "Model"], BRANCHES),
];

/// The error for a class that is not among the supported ones.
pub(in super::super) fn unknown_layer(class_name: &str) -> Error {
    let reason = REASONS.iter().find(|(names, _)| names.contains(&class_name)).map(|(_, reason)| reason);
    let error = match reason {
        Some(reason) => Error::model(format!("the layer '{class_name}' is not supported: {reason}")),
        None => Error::model(format!("unknown layer '{class_name}'{}", nearest(class_name, &LayerSpec::CLASS_NAMES))),
    };
    error.at("class_name")
}

/// Refuses an object of a class that is not Keras's own, whatever its name.
pub(in super::super) fn check_origin(object: &Map<String, Value>) -> Result<()> {
    let text = |key: &str| object.get(key).and_then(Value::as_str);
    let class_name = text("class_name").unwrap_or_default();
    let is_of_keras = |module: &str| {
        let package = module.split('.').next().unwrap_or(module);
        ["keras", "tf_keras", "tensorflow", "builtins"].contains(&package)
    };
    let registered = text("registered_name").filter(|name| name.contains('>') && !name.starts_with("keras"));
    let foreign = text("module").filter(|module| !is_of_keras(module)).or(registered);
    let foreign = foreign.or_else(|| class_name.contains('>').then_some(class_name));
    match foreign {
        None => Ok(()),
        Some(origin) => Err(Error::model(format!("the custom class '{class_name}' is not supported"))
            .expected("a class of Keras's own")
            .got(format!("one of '{origin}', which only its Python code can compute"))
            .at("class_name")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_supported_is_named_with_its_reason() {
        for (class_name, says) in [
            ("Lambda", "Python code"),
            ("LSTM", "recurrent"),
            ("Concatenate", "Functional"),
            ("Conv2d", "did you mean 'Conv2D'?"),
        ] {
            let error = unknown_layer(class_name).to_string();
            assert!(error.contains(class_name) && error.contains(says), "{error}");
        }
    }

    #[test]
    fn custom_classes_are_known_by_their_origin() {
        let check = |object: Value| check_origin(object.as_object().unwrap());
        assert!(check(json!({ "module": "keras.layers", "class_name": "Dense", "registered_name": null })).is_ok());
        assert!(check(json!({ "class_name": "Dense" })).is_ok());
        assert!(check(json!({ "module": "mine", "class_name": "Dense" })).is_err());
        assert!(check(json!({ "module": null, "class_name": "Dense", "registered_name": "mine>Dense" })).is_err());
        assert!(check(json!({ "class_name": "Custom>Dense" })).is_err());
    }
}
