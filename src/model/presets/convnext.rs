//! Liu and others, "A ConvNet for the 2020s" (2022), as torchvision has it.

use serde_json::json;

use super::builder::{Builder, BuiltNetwork, Dialect, IMAGENET_CLASSES};

const EPSILON: f64 = 1e-6;
/// The share of images that the last block leaves out in training; those before it proportionally less.
const DROPPED: f64 = 0.1;
/// Blocks and channels of each stage.
const TINY: [(usize, usize); 4] = [(3, 96), (3, 192), (9, 384), (3, 768)];

/// ConvNeXt-Tiny.
pub(super) fn tiny() -> BuiltNetwork {
    let mut b = Builder::new("convnext-tiny", [224, 224, 3], Dialect::Torch, (0.9, EPSILON));
    let input = b.input();
    let mut x = patches(&mut b, "features.0.0", 96, 4, &input);
    x = layer_norm(&mut b, "features.0.1", &x);
    let total: usize = TINY.iter().map(|(count, _)| count).sum();
    let mut index = 0;
    for (stage, (count, channels)) in TINY.into_iter().enumerate() {
        if stage > 0 {
            x = layer_norm(&mut b, &format!("features.{}.0", 2 * stage), &x);
            x = patches(&mut b, &format!("features.{}.1", 2 * stage), channels, 2, &x);
        }
        for block in 0..count {
            let dropped = DROPPED * index as f64 / (total - 1) as f64;
            x = add_block(&mut b, &format!("features.{}.{block}", 2 * stage + 1), channels, dropped, &x);
            index += 1;
        }
    }
    let x = b.layer("GlobalAveragePooling2D", "avgpool", json!({}), &[&x]);
    let x = layer_norm(&mut b, "classifier.0", &x);
    let config = json!({ "units": IMAGENET_CLASSES, "activation": "softmax" });
    let output = b.layer("Dense", "classifier_2", config, &[&x]);
    b.called(&output, &["classifier.2".to_owned()]);
    b.finish(&output)
}

fn ours(name: &str) -> String {
    name.replace('.', "_")
}

/// A convolution over pieces of the image that do not overlap.
fn patches(b: &mut Builder, name: &str, filters: usize, size: usize, input: &str) -> String {
    let config = json!({ "filters": filters, "kernel_size": size, "strides": size });
    let x = b.layer("Conv2D", &ours(name), config, &[input]);
    b.called(&x, &[name.to_owned()]);
    x
}

fn layer_norm(b: &mut Builder, name: &str, input: &str) -> String {
    let x = b.layer("LayerNormalization", &ours(name), json!({ "epsilon": EPSILON }), &[input]);
    b.called(&x, &[name.to_owned()]);
    x
}

fn add_block(b: &mut Builder, name: &str, channels: usize, dropped: f64, input: &str) -> String {
    let part = |number: usize| format!("{name}.block.{number}");
    let config = json!({ "kernel_size": 7, "padding": "same" });
    let x = b.layer("DepthwiseConv2D", &ours(&part(0)), config, &[input]);
    b.called(&x, &[part(0)]);
    let mut x = layer_norm(b, &part(2), &x);
    for (number, units, activation) in [(3, 4 * channels, "gelu"), (5, channels, "linear")] {
        x = b.layer("Dense", &ours(&part(number)), json!({ "units": units, "activation": activation }), &[&x]);
        b.called(&x, &[part(number)]);
    }
    let config = json!({ "init_values": EPSILON, "projection_dim": channels });
    let x = b.layer("LayerScale", &format!("{}_layer_scale", ours(name)), config, &[&x]);
    b.called(&x, &[format!("{name}.layer_scale")]);
    let drop = format!("{}_stochastic_depth", ours(name));
    let x = b.layer("StochasticDepth", &drop, json!({ "drop_path_rate": dropped }), &[&x]);
    b.add(&format!("{}_add", ours(name)), [input, &x])
}
