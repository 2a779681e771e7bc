//! Pieces of Keras's JSON that every network has.

use serde_json::{Value, json};

/// `[null, H, W, C]`.
pub(super) fn batch_shape(shape: &[usize]) -> Value {
    std::iter::once(Value::Null).chain(shape.iter().map(|&size| json!(size))).collect()
}

/// The InputLayer called `name`.
pub(super) fn input_to_json(shape: &[usize], dtype: &str, name: &str) -> Value {
    json!({
        "module": "keras.layers",
        "class_name": "InputLayer",
        "config": {
            "batch_shape": batch_shape(shape), "dtype": dtype, "sparse": false, "ragged": false, "name": name,
            "optional": false,
        },
        "registered_name": null,
    })
}

/// The settings' `dtype`.
pub(super) fn dtype() -> Value {
    json!({ "module": "keras", "class_name": "DTypePolicy", "config": { "name": "float32" }, "registered_name": null })
}
