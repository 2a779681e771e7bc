use serde_json::{Value, json};

use super::*;

#[test]
fn the_default_s_table_is_keras_s() {
    // printed by Keras 3.15.1: model.summary() of the same network before it is compiled
    let expected = "\
Model: \"KerasCNN\"
┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━┓
┃ Layer (type)                    ┃ Output Shape           ┃       Param # ┃
┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━┩
│ conv2d (Conv2D)                 │ (None, 26, 26, 32)     │           320 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ max_pooling2d (MaxPooling2D)    │ (None, 13, 13, 32)     │             0 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ conv2d_1 (Conv2D)               │ (None, 11, 11, 64)     │        18,496 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ max_pooling2d_1 (MaxPooling2D)  │ (None, 5, 5, 64)       │             0 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ dropout (Dropout)               │ (None, 5, 5, 64)       │             0 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ flatten (Flatten)               │ (None, 1600)           │             0 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ dense (Dense)                   │ (None, 10)             │        16,010 │
└─────────────────────────────────┴────────────────────────┴───────────────┘
 Total params: 34,826 (136.04 KB)
 Trainable params: 34,826 (136.04 KB)
 Non-trainable params: 0 (0.00 B)
";
    let spec = crate::model::presets::preset("keras-cnn").unwrap();
    assert_eq!(Summary::new(&spec).unwrap().table(), expected);
}

#[test]
fn the_table_of_a_network_that_branches_is_keras_s() {
    // printed by Keras 3.15.1 on 80 columns: summary() of a Functional model of these layers
    let expected = "\
Model: \"m\"
┏━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━┓
┃ Layer (type)        ┃ Output Shape      ┃    Param # ┃ Connected to      ┃
┡━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━┩
│ image (InputLayer)  │ (None, 8, 8, 3)   │          0 │ -                 │
├─────────────────────┼───────────────────┼────────────┼───────────────────┤
│ a (Conv2D)          │ (None, 8, 8, 4)   │        112 │ image[0][0]       │
├─────────────────────┼───────────────────┼────────────┼───────────────────┤
│ b (Conv2D)          │ (None, 8, 8, 4)   │        148 │ a[0][0]           │
├─────────────────────┼───────────────────┼────────────┼───────────────────┤
│ c (Add)             │ (None, 8, 8, 4)   │          0 │ a[0][0], b[0][0]  │
├─────────────────────┼───────────────────┼────────────┼───────────────────┤
│ r (ReLU)            │ (None, 8, 8, 4)   │          0 │ c[0][0], r[0][0]  │
├─────────────────────┼───────────────────┼────────────┼───────────────────┤
│ flat (Flatten)      │ (None, 256)       │          0 │ r[1][0]           │
├─────────────────────┼───────────────────┼────────────┼───────────────────┤
│ out (Dense)         │ (None, 3)         │        771 │ flat[0][0]        │
└─────────────────────┴───────────────────┴────────────┴───────────────────┘
 Total params: 1,031 (4.03 KB)
 Trainable params: 1,031 (4.03 KB)
 Non-trainable params: 0 (0.00 B)
";
    let tensor = |layer: &str, call: usize| json!({ "class_name": "__keras_tensor__", "config": { "keras_history": [layer, call, 0] } });
    let node = |args: Value| json!({ "args": args, "kwargs": {} });
    let layer = |class_name: &str, mut config: Value, name: &str, nodes: Vec<Value>| {
        config["name"] = json!(name);
        json!({ "class_name": class_name, "name": name, "config": config, "inbound_nodes": nodes })
    };
    let conv = || json!({ "filters": 4, "kernel_size": 3, "padding": "same" });
    let layers = [
        layer("InputLayer", json!({ "batch_shape": [null, 8, 8, 3] }), "image", vec![]),
        layer("Conv2D", conv(), "a", vec![node(json!([tensor("image", 0)]))]),
        layer("Conv2D", conv(), "b", vec![node(json!([tensor("a", 0)]))]),
        layer("Add", json!({}), "c", vec![node(json!([[tensor("a", 0), tensor("b", 0)]]))]),
        layer("ReLU", json!({}), "r", vec![node(json!([tensor("c", 0)])), node(json!([tensor("r", 0)]))]),
        layer("Flatten", json!({}), "flat", vec![node(json!([tensor("r", 1)]))]),
        layer("Dense", json!({ "units": 3 }), "out", vec![node(json!([tensor("flat", 0)]))]),
    ];
    let config =
        json!({ "name": "m", "layers": layers, "input_layers": ["image", 0, 0], "output_layers": ["out", 0, 0] });
    let spec = Spec::from_json(&json!({ "class_name": "Functional", "config": config })).unwrap();
    assert_eq!(Summary::new(&spec).unwrap().table(), expected);
}

#[test]
fn a_nested_network_is_one_row_and_the_count_takes_eight_bytes() {
    // printed by Keras 3.15.1: model.summary() of Normalization, Sequential of Conv2D(4, 3) and BatchNormalization,
    // Flatten, Dense(3) on images of 8 × 8 × 3
    let layer = |class_name: &str, config: Value| json!({ "class_name": class_name, "config": config });
    let inner = [layer("Conv2D", json!({ "filters": 4, "kernel_size": 3 })), layer("BatchNormalization", json!({}))];
    let document = layer(
        "Sequential",
        json!({ "layers": [
                layer("InputLayer", json!({ "batch_shape": [null, 8, 8, 3] })),
                layer("Normalization", json!({})),
                layer("Sequential", json!({ "layers": inner })),
                layer("Flatten", json!({})),
                layer("Dense", json!({ "units": 3 })),
            ] }),
    );
    let summary = Summary::new(&Spec::from_json(&document).unwrap()).unwrap();
    let rows: Vec<usize> = summary.layers.iter().map(|layer| layer.parameters).collect();
    assert_eq!(rows, [7, 128, 0, 435]);
    let table = summary.table();
    assert!(table.contains("│ sequential (Sequential)         │ (None, 6, 6, 4)        │           128 │"), "{table}");
    assert!(
        table.ends_with(
            " Total params: 570 (2.23 KB)\n Trainable params: 555 (2.17 KB)\n Non-trainable params: 15 (64.00 B)\n"
        ),
        "{table}"
    );
}

#[test]
fn counts_are_grouped() {
    assert_eq!([0, 999, 1000, 34_826, 1_234_567].map(thousands), ["0", "999", "1,000", "34,826", "1,234,567"]);
}
