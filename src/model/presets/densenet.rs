//! Huang and others, "Densely Connected Convolutional Networks" (2016), as torchvision, timm and `keras.applications` have it.

use serde_json::json;

use super::builder::{Builder, BuiltNetwork, Conv, Dialect, IMAGENET_CLASSES};

/// How many channels each layer adds.
const GROWTH: usize = 32;

/// DenseNet-121. All pad alike.
pub(super) fn densenet121(dialect: Dialect) -> BuiltNetwork {
    let norm = match dialect {
        Dialect::Keras => (0.99, 1.001e-5),
        Dialect::Torch | Dialect::Timm => (0.9, 1e-5),
    };
    let mut b = Builder::new("densenet121", [224, 224, 3], Dialect::Torch, norm);
    let input = b.input();
    let x = conv(&mut b, "conv0", Conv::new(64, 7, 2), &input);
    let x = norm_relu(&mut b, "norm0", &x);
    // zeros are no larger than what ReLU gives
    let x = b.layer("ZeroPadding2D", "pool0_pad", json!({ "padding": 1 }), &[&x]);
    let mut x = b.layer("MaxPooling2D", "pool0", json!({ "pool_size": 3, "strides": 2 }), &[&x]);
    let mut channels = 64;
    for (block, count) in (1..).zip([6, 12, 24, 16]) {
        for layer in 1..=count {
            let part = format!("denseblock{block}.denselayer{layer}");
            let y = norm_relu(&mut b, &format!("{part}.norm1"), &x);
            let y = conv(&mut b, &format!("{part}.conv1"), Conv::new(4 * GROWTH, 1, 1), &y);
            let y = norm_relu(&mut b, &format!("{part}.norm2"), &y);
            let y = conv(&mut b, &format!("{part}.conv2"), Conv::new(GROWTH, 3, 1), &y);
            x = b.layer("Concatenate", &format!("{}_concat", ours(&part)), json!({}), &[&x, &y]);
            channels += GROWTH;
        }
        if block < 4 {
            channels /= 2;
            let y = norm_relu(&mut b, &format!("transition{block}.norm"), &x);
            let y = conv(&mut b, &format!("transition{block}.conv"), Conv::new(channels, 1, 1), &y);
            x = b.layer("AveragePooling2D", &format!("transition{block}_pool"), json!({ "pool_size": 2 }), &[&y]);
        }
    }
    let x = norm_relu(&mut b, "norm5", &x);
    let output = b.classifier(["avg_pool", "", "classifier"], 0.0, IMAGENET_CLASSES, &x);
    b.called("classifier", &["classifier".to_owned(), "classifier".to_owned()]);
    b.finish(&output)
}

/// PyTorch's name below `features` as ours.
fn ours(name: &str) -> String {
    name.replace('.', "_")
}

fn conv(b: &mut Builder, name: &str, conv: Conv, input: &str) -> String {
    let x = b.conv(&ours(name), conv, input);
    note(b, &x, name);
    x
}

/// torchvision's name, and that in the file that it publishes, which parts the number.
fn note(b: &mut Builder, ours: &str, name: &str) {
    let numbered = name.contains("denselayer").then(|| name.split_at(name.len() - 1));
    let published = numbered.map_or(name.to_owned(), |(name, number)| format!("{name}.{number}"));
    b.called(ours, &[format!("features.{name}"), format!("features.{published}")]);
}

fn norm_relu(b: &mut Builder, name: &str, input: &str) -> String {
    let x = b.batch_norm(&ours(name), input);
    note(b, &x, name);
    b.activation(&format!("{}_relu", ours(name)), "relu", &x)
}
