//! Liu and others, "A ConvNet for the 2020s" (2022), as torchvision, timm, its authors and `keras.applications`
//! have it.

use serde_json::json;

use super::builder::{Builder, BuiltNetwork, Dialect, IMAGENET_CLASSES};

const EPSILON: f64 = 1e-6;
/// The share of images that the last block leaves out in training; those before it proportionally less.
const DROPPED: f64 = 0.1;
/// What torchvision, timm and the authors call a layer.
type Names = [String; 3];
/// Blocks and channels of each stage.
const TINY: [(usize, usize); 4] = [(3, 96), (3, 192), (9, 384), (3, 768)];

/// ConvNeXt-Tiny. All compute alike; `keras.applications` leaves out no block in training.
pub(super) fn tiny(dialect: Dialect) -> BuiltNetwork {
    let most_dropped = match dialect {
        Dialect::Keras => 0.0,
        Dialect::Torch | Dialect::Timm => DROPPED,
    };
    let mut b = Builder::new("convnext-tiny", [224, 224, 3], Dialect::Torch, (0.9, EPSILON));
    let input = b.input();
    let mut x = patches(&mut b, ["features.0.0", "stem.0", "downsample_layers.0.0"].map(str::to_owned), 96, 4, &input);
    x = layer_norm(&mut b, ["features.0.1", "stem.1", "downsample_layers.0.1"].map(str::to_owned), &x);
    let total: usize = TINY.iter().map(|(count, _)| count).sum();
    let mut index = 0;
    for (stage, (count, channels)) in TINY.into_iter().enumerate() {
        if stage > 0 {
            let part = |number: usize| {
                [
                    format!("features.{}.{number}", 2 * stage),
                    format!("stages.{stage}.downsample.{number}"),
                    format!("downsample_layers.{stage}.{number}"),
                ]
            };
            x = layer_norm(&mut b, part(0), &x);
            x = patches(&mut b, part(1), channels, 2, &x);
        }
        for block in 0..count {
            let dropped = most_dropped * index as f64 / (total - 1) as f64;
            x = add_block(&mut b, (stage, block), channels, dropped, &x);
            index += 1;
        }
    }
    let x = b.layer("GlobalAveragePooling2D", "avgpool", json!({}), &[&x]);
    let x = layer_norm(&mut b, ["classifier.0", "head.norm", "norm"].map(str::to_owned), &x);
    let config = json!({ "units": IMAGENET_CLASSES, "activation": "softmax" });
    let output = b.layer("Dense", "classifier_2", config, &[&x]);
    b.called(&output, &["classifier.2", "head.fc", "head"].map(str::to_owned));
    b.finish(&output)
}

fn ours(name: &str) -> String {
    name.replace('.', "_")
}

/// A convolution over pieces of the image that do not overlap.
fn patches(b: &mut Builder, names: Names, filters: usize, size: usize, input: &str) -> String {
    let config = json!({ "filters": filters, "kernel_size": size, "strides": size });
    let x = b.layer("Conv2D", &ours(&names[0]), config, &[input]);
    b.called(&x, &names);
    x
}

fn layer_norm(b: &mut Builder, names: Names, input: &str) -> String {
    let x = b.layer("LayerNormalization", &ours(&names[0]), json!({ "epsilon": EPSILON }), &[input]);
    b.called(&x, &names);
    x
}

fn add_block(b: &mut Builder, (stage, block): (usize, usize), channels: usize, dropped: f64, input: &str) -> String {
    let name = format!("features.{}.{block}", 2 * stage + 1);
    let part = |torchvision: &str, timm: &str, authors: &str| {
        [
            format!("{name}.{torchvision}"),
            format!("stages.{stage}.blocks.{block}.{timm}"),
            format!("stages.{stage}.{block}.{authors}"),
        ]
    };
    let depthwise = part("block.0", "conv_dw", "dwconv");
    let config = json!({ "kernel_size": 7, "padding": "same" });
    let x = b.layer("DepthwiseConv2D", &ours(&depthwise[0]), config, &[input]);
    b.called(&x, &depthwise);
    let mut x = layer_norm(b, part("block.2", "norm", "norm"), &x);
    for (names, units, activation) in [
        (part("block.3", "mlp.fc1", "pwconv1"), 4 * channels, "gelu"),
        (part("block.5", "mlp.fc2", "pwconv2"), channels, "linear"),
    ] {
        x = b.layer("Dense", &ours(&names[0]), json!({ "units": units, "activation": activation }), &[&x]);
        b.called(&x, &names);
    }
    let config = json!({ "init_values": EPSILON, "projection_dim": channels });
    let x = b.layer("LayerScale", &format!("{}_layer_scale", ours(&name)), config, &[&x]);
    b.called(&x, &part("layer_scale", "gamma", "gamma"));
    let drop = format!("{}_stochastic_depth", ours(&name));
    let x = b.layer("StochasticDepth", &drop, json!({ "drop_path_rate": dropped }), &[&x]);
    b.add(&format!("{}_add", ours(&name)), [input, &x])
}
