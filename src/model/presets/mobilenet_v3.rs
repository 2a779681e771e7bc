//! Howard and others, "Searching for MobileNetV3" (2019), as torchvision has it.

use serde_json::json;

use super::builder::{Builder, BuiltNetwork, Conv, Dialect, IMAGENET_CLASSES};

/// Kernel size, expanded channels, filters, squeeze-and-excitation, hard swish rather than ReLU, strides.
type Block = (usize, usize, usize, bool, bool, usize);

const SMALL: [Block; 11] = [
    (3, 16, 16, true, false, 2),
    (3, 72, 24, false, false, 2),
    (3, 88, 24, false, false, 1),
    (5, 96, 40, true, true, 2),
    (5, 240, 40, true, true, 1),
    (5, 240, 40, true, true, 1),
    (5, 120, 48, true, true, 1),
    (5, 144, 48, true, true, 1),
    (5, 288, 96, true, true, 2),
    (5, 576, 96, true, true, 1),
    (5, 576, 96, true, true, 1),
];
const LARGE: [Block; 15] = [
    (3, 16, 16, false, false, 1),
    (3, 64, 24, false, false, 2),
    (3, 72, 24, false, false, 1),
    (5, 72, 40, true, false, 2),
    (5, 120, 40, true, false, 1),
    (5, 120, 40, true, false, 1),
    (3, 240, 80, false, true, 2),
    (3, 200, 80, false, true, 1),
    (3, 184, 80, false, true, 1),
    (3, 184, 80, false, true, 1),
    (3, 480, 112, true, true, 1),
    (3, 672, 112, true, true, 1),
    (5, 672, 160, true, true, 2),
    (5, 960, 160, true, true, 1),
    (5, 960, 160, true, true, 1),
];

/// MobileNetV3-Small.
pub(super) fn small() -> BuiltNetwork {
    network("mobilenet-v3-small", &SMALL, 1024)
}

/// MobileNetV3-Large.
pub(super) fn large() -> BuiltNetwork {
    network("mobilenet-v3-large", &LARGE, 1280)
}

fn network(name: &str, blocks: &[Block], features: usize) -> BuiltNetwork {
    let mut b = Builder::new(name, [224, 224, 3], Dialect::Torch, (0.99, 1e-3));
    let input = b.input();
    let mut x = conv_norm(&mut b, "features.0", Some("hard_silu"), Conv::new(16, 3, 2), &input);
    let mut channels = 16;
    for (index, block) in (1..).zip(blocks) {
        x = add_block(&mut b, index, channels, block, &x);
        channels = block.2;
    }
    let last = format!("features.{}", blocks.len() + 1);
    let x = conv_norm(&mut b, &last, Some("hard_silu"), Conv::new(6 * channels, 1, 1), &x);
    let x = b.layer("GlobalAveragePooling2D", "avgpool", json!({}), &[&x]);
    let x = b.layer("Dense", "classifier_0", json!({ "units": features, "activation": "hard_silu" }), &[&x]);
    b.called(&x, &["classifier.0".to_owned()]);
    let x = b.layer("Dropout", "classifier_2", json!({ "rate": 0.2 }), &[&x]);
    let config = json!({ "units": IMAGENET_CLASSES, "activation": "softmax" });
    let output = b.layer("Dense", "classifier_3", config, &[&x]);
    b.called(&output, &["classifier.3".to_owned()]);
    b.finish(&output)
}

fn add_block(b: &mut Builder, index: usize, channels: usize, block: &Block, input: &str) -> String {
    let &(size, expanded, filters, squeezes, is_hard_swish, strides) = block;
    let activation = Some(if is_hard_swish { "hard_silu" } else { "relu" });
    // PyTorch numbers what a block has
    let mut numbers = 0..;
    let mut part = || format!("features.{index}.block.{}", numbers.next().unwrap_or_default());
    let mut x = input.to_owned();
    if expanded != channels {
        x = conv_norm(b, &part(), activation, Conv::new(expanded, 1, 1), &x);
    }
    let depthwise = part();
    let y = b.depthwise(&format!("{}_conv", ours(&depthwise)), size, strides, &x);
    x = normed(b, &depthwise, activation, &y);
    if squeezes {
        x = squeeze_and_excite(b, &part(), expanded, &x);
    }
    x = conv_norm(b, &part(), None, Conv::new(filters, 1, 1), &x);
    match strides == 1 && channels == filters {
        true => b.add(&format!("features_{index}_add"), [&x, input]),
        false => x,
    }
}

fn ours(name: &str) -> String {
    name.replace('.', "_")
}

fn conv_norm(b: &mut Builder, part: &str, activation: Option<&str>, conv: Conv, input: &str) -> String {
    let x = b.conv(&format!("{}_conv", ours(part)), conv, input);
    normed(b, part, activation, &x)
}

/// Normalisation and activation behind the convolution `input`.
fn normed(b: &mut Builder, part: &str, activation: Option<&str>, input: &str) -> String {
    b.called(input, &[format!("{part}.0")]);
    let x = b.batch_norm(&format!("{}_bn", ours(part)), input);
    b.called(&x, &[format!("{part}.1")]);
    match activation {
        Some(activation) => b.activation(&format!("{}_activation", ours(part)), activation, &x),
        None => x,
    }
}

/// A factor for each channel, from a fourth as many as there are, in eights.
fn squeeze_and_excite(b: &mut Builder, part: &str, channels: usize, input: &str) -> String {
    let name = |what: &str| format!("{}_{what}", ours(part));
    let squeezed = eights(channels / 4);
    let x = b.layer("GlobalAveragePooling2D", &name("squeeze"), json!({ "keepdims": true }), &[input]);
    let mut x = x;
    for (what, filters, activation) in [("fc1", squeezed, "relu"), ("fc2", channels, "hard_sigmoid")] {
        let config = json!({ "filters": filters, "kernel_size": 1, "activation": activation });
        x = b.layer("Conv2D", &name(what), config, &[&x]);
        b.called(&x, &[format!("{part}.{what}")]);
    }
    b.layer("Multiply", &name("excite"), json!({}), &[input, &x])
}

/// The multiple of 8 that is nearest, at least 8 and no less than nine tenths.
fn eights(channels: usize) -> usize {
    let nearest = ((channels + 4) / 8 * 8).max(8);
    if nearest * 10 < channels * 9 { nearest + 8 } else { nearest }
}
