use super::*;
use serde_json::json;

#[test]
fn slots_are_known_by_their_names() {
    // from files of Keras 2.15 (new and legacy optimizers) and 3.15, with layers called m, v, conv_m and dense_v
    for (path, slot) in [
        ("optimizer_weights/Adam/m/conv2d/kernel:0", Some("momentum")),
        ("optimizer_weights/Adam/conv2d/kernel/v:0", Some("velocity")),
        ("optimizer_weights/adam/net_dense_bias_momentum", Some("momentum")),
        ("optimizer_weights/RMSprop/velocity/dense/kernel:0", Some("velocity")),
        ("optimizer_weights/training/RMSprop/dense/kernel/rms:0", Some("velocity")),
        ("optimizer_weights/RMSprop/dense/kernel/mg:0", Some("average_gradient")),
        ("optimizer_weights/RMSprop/average_gradient/dense/kernel:0", Some("average_gradient")),
        ("optimizer_weights/rmsprop/net_dense_kernel_average_gradient", Some("average_gradient")),
        ("optimizer_weights/Adam/average/dense/kernel:0", Some("average")),
        ("optimizer_weights/adam/net_dense_kernel_gradient_accumulator", Some("gradient_accumulator")),
        ("optimizer_weights/Adam/v/conv_m/kernel:0", Some("velocity")),
        ("optimizer_weights/Adam/v/m/kernel:0", Some("velocity")),
        ("optimizer_weights/Adam/m/dense_v/bias:0", Some("momentum")),
        ("optimizer_weights/Adam/m/kernel/v:0", Some("velocity")),
        ("optimizer_weights/adam_2/sequential_9_m_kernel_velocity", Some("velocity")),
        ("optimizer_weights/adam/net_conv_m", None),
        ("optimizer_weights/training/Adam/Variable_1:0", None),
    ] {
        assert_eq!(slot_of(path), slot, "{path}");
    }
}

fn kept(optimizer: &str, config: Value) -> StateLayout {
    let document = json!({ "optimizer": optimizer, "optimizer_config": config });
    StateLayout::of(&serde_json::from_value(document).unwrap()).unwrap()
}

#[test]
fn numbered_arrays_are_known_by_their_places() {
    // the order in which Keras 3.15 writes them, for two weights
    let labels = kept("Nadam", json!({})).labels(2, 4).unwrap();
    assert_eq!(labels, ["momentum", "velocity", "momentum", "velocity"]);
    let all = kept("RMSprop", json!({ "momentum": 0.9, "centered": true })).labels(2, 6).unwrap();
    let expected = ["velocity", "velocity", "momentum", "momentum", "average_gradient", "average_gradient"];
    assert_eq!(all, expected);
    let lion = kept("Lion", json!({ "use_ema": true, "gradient_accumulation_steps": 3 }));
    let expected = ["average", "average", SUM, SUM, "momentum", "momentum"];
    assert_eq!((lion.labels(2, 6).unwrap(), lion.batches_per_step), (expected.to_vec(), 3));
    assert_eq!(kept("SGD", json!({ "momentum": 0.0 })).labels(2, 2).unwrap(), ["", ""]);
    let error = kept("Adam", json!({})).labels(2, 6).unwrap_err();
    assert!(
        error.to_string().contains("expected 4 arrays (momentum, velocity for each of 2 weights), got 6"),
        "{error}"
    );
}
