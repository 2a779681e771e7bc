//! Residual networks: He and others, "Deep Residual Learning for Image Recognition" (2015); the wide one Zagoruyko and
//! Komodakis, "Wide Residual Networks" (2016).

use super::builder::{Builder, BuiltNetwork, Conv, Dialect, IMAGENET_CLASSES};
use serde_json::json;

/// PyTorch's: momentum 0.1, epsilon 1e-5.
const TORCH_NORM: (f64, f64) = (0.9, 1e-5);
/// `keras.applications`' in its ResNets.
const KERAS_NORM: (f64, f64) = (0.99, 1.001e-5);

/// ResNet-18 or -34 as torchvision and timm have it: `blocks` in each of four stages.
pub(super) fn basic(name: &str, blocks: [usize; 4]) -> BuiltNetwork {
    let mut b = Builder::new(name, [224, 224, 3], Dialect::Torch, TORCH_NORM);
    let mut x = stem(&mut b);
    let mut channels = 64;
    for (stage, count) in (1..).zip(blocks) {
        let filters = 32 << stage;
        for block in 0..count {
            let strides = if stage > 1 && block == 0 { 2 } else { 1 };
            let part = format!("layer{stage}_{block}");
            let y = conv_norm_relu(&mut b, &part, 1, Conv::new(filters, 3, strides), &x);
            let y = conv_norm(&mut b, &part, 2, Conv::new(filters, 3, 1), &y);
            let short = shortcut(&mut b, &part, strides, [channels, filters], &x);
            x = joined(&mut b, &part, &y, &short);
            channels = filters;
        }
    }
    classified(b, &x)
}

/// ResNet-50 as torchvision has it: the strides in the 3 × 3 convolution.
pub(super) fn bottleneck(name: &str, blocks: [usize; 4]) -> BuiltNetwork {
    let mut b = Builder::new(name, [224, 224, 3], Dialect::Torch, TORCH_NORM);
    let mut x = stem(&mut b);
    let mut channels = 64;
    for (stage, count) in (1..).zip(blocks) {
        let filters = 32 << stage;
        for block in 0..count {
            let strides = if stage > 1 && block == 0 { 2 } else { 1 };
            let part = format!("layer{stage}_{block}");
            let y = conv_norm_relu(&mut b, &part, 1, Conv::new(filters, 1, 1), &x);
            let y = conv_norm_relu(&mut b, &part, 2, Conv::new(filters, 3, strides), &y);
            let y = conv_norm(&mut b, &part, 3, Conv::new(4 * filters, 1, 1), &y);
            let short = shortcut(&mut b, &part, strides, [channels, 4 * filters], &x);
            x = joined(&mut b, &part, &y, &short);
            channels = 4 * filters;
        }
    }
    classified(b, &x)
}

/// ResNet-50 as `keras.applications` has it: the strides in the first convolution, biases everywhere.
pub(super) fn keras_resnet50() -> BuiltNetwork {
    let mut b = Builder::new("resnet50", [224, 224, 3], Dialect::Torch, KERAS_NORM);
    let x = b.layer("ZeroPadding2D", "conv1_pad", json!({ "padding": 3 }), &[&b.input()]);
    let first = json!({ "filters": 64, "kernel_size": 7, "strides": 2 });
    let x = b.layer("Conv2D", "conv1_conv", first, &[&x]);
    let x = b.batch_norm("conv1_bn", &x);
    let x = b.activation("conv1_relu", "relu", &x);
    let x = b.layer("ZeroPadding2D", "pool1_pad", json!({ "padding": 1 }), &[&x]);
    let mut x = b.layer("MaxPooling2D", "pool1_pool", json!({ "pool_size": 3, "strides": 2 }), &[&x]);
    for (stage, count) in (2..).zip([3, 4, 6, 3]) {
        let filters = 16 << stage;
        for block in 1..=count {
            let strides = if stage > 2 && block == 1 { 2 } else { 1 };
            let part = format!("conv{stage}_block{block}");
            let short = match block {
                1 => keras_conv_norm(&mut b, &part, 0, Conv::new(4 * filters, 1, strides), &x),
                _ => x.clone(),
            };
            let y = keras_conv_norm(&mut b, &part, 1, Conv::new(filters, 1, strides), &x);
            let y = b.activation(&format!("{part}_1_relu"), "relu", &y);
            let y = keras_conv_norm(&mut b, &part, 2, Conv::new(filters, 3, 1), &y);
            let y = b.activation(&format!("{part}_2_relu"), "relu", &y);
            let y = keras_conv_norm(&mut b, &part, 3, Conv::new(4 * filters, 1, 1), &y);
            let y = b.add(&format!("{part}_add"), [&short, &y]);
            x = b.activation(&format!("{part}_out"), "relu", &y);
        }
    }
    let output = b.classifier(["avg_pool", "", "predictions"], 0.0, IMAGENET_CLASSES, &x);
    b.finish(&output)
}

fn keras_conv_norm(b: &mut Builder, part: &str, number: usize, conv: Conv, input: &str) -> String {
    let x = b.conv(&format!("{part}_{number}_conv"), Conv { bias: true, ..conv }, input);
    b.batch_norm(&format!("{part}_{number}_bn"), &x)
}

/// ResNet-9 for small pictures, as DAWNBench's entries have it: two residual blocks between convolutions.
pub(super) fn resnet9() -> BuiltNetwork {
    let mut b = Builder::new("resnet9", [32, 32, 3], Dialect::Torch, TORCH_NORM);
    let block = |b: &mut Builder, part: &str, filters: usize, input: &str| {
        let x = b.conv(&format!("{part}_conv"), Conv::new(filters, 3, 1), input);
        let x = b.batch_norm(&format!("{part}_bn"), &x);
        b.activation(&format!("{part}_relu"), "relu", &x)
    };
    let pool = |b: &mut Builder, part: &str, input: &str| {
        b.layer("MaxPooling2D", &format!("{part}_pool"), json!({ "pool_size": 2, "padding": "same" }), &[input])
    };
    let input = b.input();
    let mut x = block(&mut b, "stem", 64, &input);
    for (part, filters, is_residual) in [("first", 128, true), ("second", 256, false), ("third", 512, true)] {
        x = block(&mut b, part, filters, &x);
        x = pool(&mut b, part, &x);
        if is_residual {
            let y = block(&mut b, &format!("{part}_residual1"), filters, &x);
            let y = block(&mut b, &format!("{part}_residual2"), filters, &y);
            x = b.add(&format!("{part}_add"), [&x, &y]);
        }
    }
    let x = b.layer("GlobalMaxPooling2D", "pool", json!({}), &[&x]);
    let output = b.layer("Dense", "predictions", json!({ "units": 10, "activation": "softmax" }), &[&x]);
    b.finish(&output)
}

/// WRN-16-4: 16 layers deep, four times as wide; normalisation and ReLU before each convolution.
pub(super) fn wide() -> BuiltNetwork {
    let mut b = Builder::new("wrn-16-4", [32, 32, 3], Dialect::Torch, TORCH_NORM);
    let mut x = b.conv("stem", Conv::new(16, 3, 1), &b.input());
    for (stage, filters) in (1..).zip([64, 128, 256]) {
        for block in 1..=2 {
            let strides = if stage > 1 && block == 1 { 2 } else { 1 };
            let part = format!("stage{stage}_block{block}");
            let normed = norm_relu(&mut b, &format!("{part}_1"), &x);
            let y = b.conv(&format!("{part}_1_conv"), Conv::new(filters, 3, strides), &normed);
            let y = norm_relu(&mut b, &format!("{part}_2"), &y);
            let y = b.conv(&format!("{part}_2_conv"), Conv::new(filters, 3, 1), &y);
            let short = match block {
                1 => b.conv(&format!("{part}_short_conv"), Conv::new(filters, 1, strides), &normed),
                _ => x.clone(),
            };
            x = b.add(&format!("{part}_add"), [&y, &short]);
        }
    }
    let x = norm_relu(&mut b, "top", &x);
    let output = b.classifier(["pool", "", "predictions"], 0.0, 10, &x);
    b.finish(&output)
}

fn norm_relu(b: &mut Builder, part: &str, input: &str) -> String {
    let x = b.batch_norm(&format!("{part}_bn"), input);
    b.activation(&format!("{part}_relu"), "relu", &x)
}

/// torchvision's 7 × 7 convolution and max-pooling, both of strides 2.
fn stem(b: &mut Builder) -> String {
    let x = b.conv("conv1", Conv::new(64, 7, 2), &b.input());
    b.called("conv1", &["conv1".to_owned()]);
    let x = b.batch_norm("bn1", &x);
    b.called("bn1", &["bn1".to_owned()]);
    let x = b.activation("relu", "relu", &x);
    // zeros are no larger than what ReLU gives
    let x = b.layer("ZeroPadding2D", "maxpool_pad", json!({ "padding": 1 }), &[&x]);
    b.layer("MaxPooling2D", "maxpool", json!({ "pool_size": 3, "strides": 2 }), &[&x])
}

fn conv_norm(b: &mut Builder, part: &str, number: usize, conv: Conv, input: &str) -> String {
    let [conv_name, norm_name] = [format!("{part}_conv{number}"), format!("{part}_bn{number}")];
    let x = b.conv(&conv_name, conv, input);
    let x = b.batch_norm(&norm_name, &x);
    let torch = part.replace('_', ".");
    b.called(&conv_name, &[format!("{torch}.conv{number}")]);
    b.called(&norm_name, &[format!("{torch}.bn{number}")]);
    x
}

fn conv_norm_relu(b: &mut Builder, part: &str, number: usize, conv: Conv, input: &str) -> String {
    let x = conv_norm(b, part, number, conv, input);
    b.activation(&format!("{part}_relu{number}"), "relu", &x)
}

/// The block's input, or a 1 × 1 convolution of it where its size or channels change.
fn shortcut(b: &mut Builder, part: &str, strides: usize, [from, to]: [usize; 2], input: &str) -> String {
    if strides == 1 && from == to {
        return input.to_owned();
    }
    let [conv_name, norm_name] = [format!("{part}_downsample_conv"), format!("{part}_downsample_bn")];
    let x = b.conv(&conv_name, Conv::new(to, 1, strides), input);
    let x = b.batch_norm(&norm_name, &x);
    let torch = part.replace('_', ".");
    b.called(&conv_name, &[format!("{torch}.downsample.0")]);
    b.called(&norm_name, &[format!("{torch}.downsample.1")]);
    x
}

fn joined(b: &mut Builder, part: &str, y: &str, short: &str) -> String {
    let x = b.add(&format!("{part}_add"), [y, short]);
    b.activation(&format!("{part}_out"), "relu", &x)
}

fn classified(mut b: Builder, input: &str) -> BuiltNetwork {
    let output = b.classifier(["avgpool", "", "fc"], 0.0, IMAGENET_CLASSES, input);
    b.called("fc", &["fc".to_owned()]);
    b.finish(&output)
}
