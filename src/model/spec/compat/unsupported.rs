//! Layers that Keras knows and this program does not, with the reason.

use super::super::LayerSpec;
use crate::error::{Error, nearest};

const PYTHON: &str = "it holds Python code, which a file cannot";
const RECURRENT: &str = "recurrent layers are for sequences, not for images";
const FUNCTION: &str = "it is a function of TensorFlow's that no layer here computes";
const PRODUCTS: &str = "of the layers that join inputs, those that go value by value and Concatenate are";
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
    (&["TFOpLambda", "TensorFlowOpLayer", "SlicingOpLambda"], FUNCTION),
    (&["Dot", "Merge"], PRODUCTS),
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
];

/// The error for a class that is not among the supported ones.
pub(in super::super) fn unknown_layer(class_name: &str) -> Error {
    let reason = REASONS.iter().find(|(names, _)| names.contains(&class_name)).map(|(_, reason)| reason);
    let error = match reason {
        Some(reason) => Error::model(format!("the layer '{class_name}' is not supported: {reason}")),
        None => Error::model(format!("unknown layer '{class_name}'{}", nearest(class_name, &LayerSpec::class_names()))),
    };
    error.at("class_name")
}

/// The error for a layer of several inputs in a Sequential network.
pub(in super::super) fn branching_layer(class_name: &str) -> Error {
    Error::model(format!("the layer '{class_name}' joins several inputs, which only Functional models have"))
        .at("class_name")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_supported_is_named_with_its_reason() {
        for (class_name, says) in [
            ("Lambda", "Python code"),
            ("LSTM", "recurrent"),
            ("TFOpLambda", "TensorFlow"),
            ("Conv2d", "did you mean 'Conv2D'?"),
        ] {
            let error = unknown_layer(class_name).to_string();
            assert!(error.contains(class_name) && error.contains(says), "{error}");
        }
    }
}
