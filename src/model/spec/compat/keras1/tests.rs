use super::*;

#[test]
fn keys_are_renamed() {
    let config = json!({
        "nb_filter": 8, "nb_row": 3, "nb_col": 5, "border_mode": "same", "subsample": [2, 2], "dim_ordering": "tf",
        "init": "orthogonal", "bias": false, "W_regularizer": { "name": "L1L2Regularizer", "l1": 0.0, "l2": 0.01 },
        "W_constraint": { "name": "MaxNorm", "m": 3, "axis": 0 }, "input_dtype": "float32",
    });
    let mut config = config.as_object().unwrap().clone();
    rename("Conv2D", &mut config).unwrap();
    let expected = json!({
        "filters": 8, "kernel_size": [3, 5], "padding": "same", "strides": [2, 2], "data_format": "channels_last",
        "kernel_initializer": { "class_name": "Orthogonal", "config": { "gain": 1.1 } }, "use_bias": false,
        "kernel_regularizer": { "class_name": "L1L2", "config": { "l1": 0.0, "l2": 0.01 } },
        "kernel_constraint": { "class_name": "MaxNorm", "config": { "max_value": 3, "axis": 0 } },
    });
    assert_eq!(Value::Object(config), expected);
}

#[test]
fn other_modes_of_batch_normalization_are_refused() {
    let mode = |mode: u64| rename("BatchNormalization", json!({ "mode": mode }).as_object_mut().unwrap());
    assert!(mode(0).is_ok());
    assert!(mode(2).is_err());
}
