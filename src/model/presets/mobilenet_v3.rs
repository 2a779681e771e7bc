//! Howard and others, "Searching for MobileNetV3" (2019), as torchvision, timm and `keras.applications` have it.

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
pub(super) fn small(dialect: Dialect) -> BuiltNetwork {
    network("mobilenet-v3-small", dialect, &SMALL, 1024)
}

/// MobileNetV3-Large.
pub(super) fn large(dialect: Dialect) -> BuiltNetwork {
    network("mobilenet-v3-large", dialect, &LARGE, 1280)
}

fn network(name: &str, dialect: Dialect, blocks: &[Block], features: usize) -> BuiltNetwork {
    let norm = match dialect {
        Dialect::Keras => (0.999, 1e-3),
        Dialect::Torch => (0.99, 1e-3),
        Dialect::Timm => (0.9, 1e-5),
    };
    let mut b = Builder::new(name, [224, 224, 3], dialect, norm);
    let input = b.input();
    let stem = Part::new("features.0", ["conv_stem", "bn1"].map(str::to_owned));
    let mut x = conv_norm(&mut b, &stem, Some("hard_silu"), Conv::new(16, 3, 2), &input);
    let mut place = Place { index: 0, stage: 0, repeat: 0 };
    let mut channels = 16;
    for block in blocks {
        place = place.next(place.index > 0 && block.2 != channels);
        x = add_block(&mut b, &place, channels, block, &x);
        channels = block.2;
    }
    let timm = ["conv", "bn1"].map(|name| format!("blocks.{}.0.{name}", place.stage + 1));
    let last = Part::new(&format!("features.{}", place.index + 1), timm);
    let x = conv_norm(&mut b, &last, Some("hard_silu"), Conv::new(6 * channels, 1, 1), &x);
    let x = b.layer("GlobalAveragePooling2D", "avgpool", json!({}), &[&x]);
    let x = b.layer("Dense", "classifier_0", json!({ "units": features, "activation": "hard_silu" }), &[&x]);
    b.called(&x, &["classifier.0", "conv_head"].map(str::to_owned));
    let x = b.layer("Dropout", "classifier_2", json!({ "rate": 0.2 }), &[&x]);
    let config = json!({ "units": IMAGENET_CLASSES, "activation": "softmax" });
    let output = b.layer("Dense", "classifier_3", config, &[&x]);
    b.called(&output, &["classifier.3", "classifier"].map(str::to_owned));
    b.finish(&output)
}

/// Where a block is.
struct Place {
    /// torchvision counts all blocks, from 1.
    index: usize,
    /// timm counts those of each stage, which have the same filters, from 0.
    stage: usize,
    repeat: usize,
}

impl Place {
    /// The place behind this one, which is the first block's where this one is none yet.
    fn next(&self, begins_stage: bool) -> Place {
        let index = self.index + 1;
        match (self.index, begins_stage) {
            (0, _) => Place { index, ..*self },
            (_, true) => Place { index, stage: self.stage + 1, repeat: 0 },
            (_, false) => Place { index, stage: self.stage, repeat: self.repeat + 1 },
        }
    }
}

/// A convolution with its normalisation: torchvision's name of both, and timm's of each.
struct Part {
    torchvision: String,
    timm: [String; 2],
}

impl Part {
    fn new(torchvision: &str, timm: [String; 2]) -> Self {
        Part { torchvision: torchvision.to_owned(), timm }
    }

    fn ours(&self) -> String {
        self.torchvision.replace('.', "_")
    }
}

/// The names of a block's parts, in their order.
struct BlockNames {
    torchvision: String,
    timm: String,
    /// How many parts have a name, and how many of them are convolutions with normalisation.
    parts: usize,
    norms: usize,
}

impl BlockNames {
    fn of(place: &Place) -> Self {
        let torchvision = format!("features.{}.block", place.index);
        BlockNames { torchvision, timm: format!("blocks.{}.{}", place.stage, place.repeat), parts: 0, norms: 0 }
    }

    fn next(&mut self) -> String {
        self.parts += 1;
        format!("{}.{}", self.torchvision, self.parts - 1)
    }

    fn conv_norm(&mut self, timm: &str) -> Part {
        self.norms += 1;
        let timm = [timm.to_owned(), format!("bn{}", self.norms)].map(|name| format!("{}.{name}", self.timm));
        Part { torchvision: self.next(), timm }
    }
}

fn add_block(b: &mut Builder, place: &Place, channels: usize, block: &Block, input: &str) -> String {
    let &(size, expanded, filters, squeezes, is_hard_swish, strides) = block;
    let activation = Some(if is_hard_swish { "hard_silu" } else { "relu" });
    let expands = expanded != channels;
    let mut names = BlockNames::of(place);
    let mut x = input.to_owned();
    if expands {
        x = conv_norm(b, &names.conv_norm("conv_pw"), activation, Conv::new(expanded, 1, 1), &x);
    }
    let depthwise = names.conv_norm("conv_dw");
    let y = b.depthwise(&format!("{}_conv", depthwise.ours()), size, strides, &x);
    x = normed(b, &depthwise, activation, &y);
    if squeezes {
        x = squeeze_and_excite(b, &mut names, expanded, &x);
    }
    let project = names.conv_norm(if expands { "conv_pwl" } else { "conv_pw" });
    x = conv_norm(b, &project, None, Conv::new(filters, 1, 1), &x);
    match strides == 1 && channels == filters {
        true => b.add(&format!("features_{}_add", place.index), [&x, input]),
        false => x,
    }
}

fn conv_norm(b: &mut Builder, part: &Part, activation: Option<&str>, conv: Conv, input: &str) -> String {
    let x = b.conv(&format!("{}_conv", part.ours()), conv, input);
    normed(b, part, activation, &x)
}

/// Normalisation and activation behind the convolution `input`.
fn normed(b: &mut Builder, part: &Part, activation: Option<&str>, input: &str) -> String {
    let Part { torchvision, timm: [conv, norm] } = part;
    b.called(input, &[format!("{torchvision}.0"), conv.clone()]);
    let x = b.batch_norm(&format!("{}_bn", part.ours()), input);
    b.called(&x, &[format!("{torchvision}.1"), norm.clone()]);
    match activation {
        Some(activation) => b.activation(&format!("{}_activation", part.ours()), activation, &x),
        None => x,
    }
}

/// A factor for each channel, from a fourth as many as there are, in eights.
fn squeeze_and_excite(b: &mut Builder, names: &mut BlockNames, channels: usize, input: &str) -> String {
    let (torchvision, timm) = (names.next(), &names.timm);
    let name = |what: &str| format!("{}_{what}", torchvision.replace('.', "_"));
    let squeezed = eights(channels / 4);
    let mut x = b.layer("GlobalAveragePooling2D", &name("squeeze"), json!({ "keepdims": true }), &[input]);
    for (what, own, filters, activation) in
        [("fc1", "conv_reduce", squeezed, "relu"), ("fc2", "conv_expand", channels, "hard_sigmoid")]
    {
        let config = json!({ "filters": filters, "kernel_size": 1, "activation": activation });
        x = b.layer("Conv2D", &name(what), config, &[&x]);
        b.called(&x, &[format!("{torchvision}.{what}"), format!("{timm}.se.{own}")]);
    }
    b.layer("Multiply", &name("excite"), json!({}), &[input, &x])
}

/// The multiple of 8 that is nearest, at least 8 and no less than nine tenths.
fn eights(channels: usize) -> usize {
    let nearest = ((channels + 4) / 8 * 8).max(8);
    if nearest * 10 < channels * 9 { nearest + 8 } else { nearest }
}
