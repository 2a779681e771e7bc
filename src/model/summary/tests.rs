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
