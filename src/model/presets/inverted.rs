//! Networks of inverted residual blocks: Sandler and others, "MobileNetV2" (2018); Tan and Le, "EfficientNet" (2019), and
//! its Lite form, without squeeze-and-excitation and with ReLU6.

use super::builder::{Builder, BuiltNetwork, Conv, Dialect, IMAGENET_CLASSES};
use serde_json::json;

/// A group of blocks: kernel size, strides of the first, expansion, filters, how many.
type Stage = (usize, usize, usize, usize, usize);

const MOBILENET_V2: [Stage; 7] = [
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (3, 2, 6, 32, 3),
    (3, 2, 6, 64, 4),
    (3, 1, 6, 96, 3),
    (3, 2, 6, 160, 3),
    (3, 1, 6, 320, 1),
];
const EFFICIENTNET: [Stage; 7] = [
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
];

/// A block in its place.
struct Block {
    /// The stage, the block in it, and the block among all, from 0.
    stage: usize,
    repeat: usize,
    index: usize,
    size: usize,
    strides: usize,
    expansion: usize,
    channels: usize,
    filters: usize,
}

/// What the libraries call the layers of a block or of the ends.
#[derive(Clone, Copy)]
enum Family {
    MobileNetV2,
    /// EfficientNet, with squeeze-and-excitation or, as Lite, without.
    EfficientNet {
        is_lite: bool,
    },
}

/// MobileNetV2 as torchvision and timm (Torch), or `keras.applications` (Keras) have it.
pub(super) fn mobilenet_v2(dialect: Dialect) -> BuiltNetwork {
    let (norm, dropout) = match dialect {
        Dialect::Torch | Dialect::Timm => ((0.9, 1e-5), 0.2),
        Dialect::Keras => ((0.999, 1e-3), 0.0),
    };
    let b = Builder::new("mobilenet-v2", [224, 224, 3], dialect, norm);
    network(b, Family::MobileNetV2, &MOBILENET_V2, dropout)
}

/// EfficientNet-B0 as EfficientNet-PyTorch, timm's `tf_efficientnet_b0` and `keras.applications` (Keras), or torchvision and
/// timm's `efficientnet_b0` have it.
pub(super) fn efficientnet_b0(dialect: Dialect) -> BuiltNetwork {
    let b = Builder::new("efficientnet-b0", [224, 224, 3], dialect, efficientnet_norm(dialect));
    network(b, Family::EfficientNet { is_lite: false }, &EFFICIENTNET, 0.2)
}

/// EfficientNet-Lite0 as EfficientNet-PyTorch and timm's `tf_efficientnet_lite0` (Keras), or timm's `efficientnet_lite0` have it.
pub(super) fn efficientnet_lite0(dialect: Dialect) -> BuiltNetwork {
    let b = Builder::new("efficientnet-lite0", [224, 224, 3], dialect, efficientnet_norm(dialect));
    network(b, Family::EfficientNet { is_lite: true }, &EFFICIENTNET, 0.2)
}

fn efficientnet_norm(dialect: Dialect) -> (f64, f64) {
    match dialect {
        Dialect::Keras => (0.99, 1e-3),
        Dialect::Torch | Dialect::Timm => (0.9, 1e-5),
    }
}

fn network(mut b: Builder, family: Family, stages: &[Stage], dropout: f64) -> BuiltNetwork {
    let input = b.input();
    let mut x = conv_norm(&mut b, &end(family, End::Stem), Some(family.activation()), Conv::new(32, 3, 2), &input);
    let (mut channels, mut index) = (32, 0);
    for (stage, &(size, strides, expansion, filters, count)) in stages.iter().enumerate() {
        for repeat in 0..count {
            let strides = if repeat == 0 { strides } else { 1 };
            let block = Block { stage, repeat, index, size, strides, expansion, channels, filters };
            x = add_block(&mut b, family, &block, &x);
            (channels, index) = (filters, index + 1);
        }
    }
    let x = conv_norm(&mut b, &end(family, End::Top), Some(family.activation()), Conv::new(1280, 1, 1), &x);
    let (names, torch) = match family {
        Family::MobileNetV2 => {
            (["global_average_pooling2d", "dropout", "predictions"], vec!["classifier.1", "classifier"])
        }
        Family::EfficientNet { .. } => {
            (["avg_pool", "top_dropout", "predictions"], vec!["_fc", "classifier", "classifier.1"])
        }
    };
    let output = b.classifier(names, dropout, IMAGENET_CLASSES, &x);
    b.called("predictions", &torch.into_iter().map(str::to_owned).collect::<Vec<_>>());
    b.finish(&output)
}

impl Family {
    fn activation(self) -> &'static str {
        match self {
            Family::MobileNetV2 | Family::EfficientNet { is_lite: true } => "relu6",
            Family::EfficientNet { is_lite: false } => "silu",
        }
    }
}

/// A convolution with its normalisation: our names, and each library's.
struct Part {
    conv: String,
    norm: String,
    activation: String,
    torch: Vec<[String; 2]>,
}

impl Part {
    fn new(ours: [String; 3], torch: Vec<[String; 2]>) -> Self {
        let [conv, norm, activation] = ours;
        Part { conv, norm, activation, torch }
    }

    fn note(&self, b: &mut Builder) {
        for (name, place) in [(&self.conv, 0), (&self.norm, 1)] {
            let names: Vec<String> = self.torch.iter().map(|names| names[place].clone()).collect();
            b.called(name, &names);
        }
    }
}

/// The convolution before the blocks, and the one behind them.
#[derive(Clone, Copy)]
enum End {
    Stem,
    Top,
}

fn end(family: Family, end: End) -> Part {
    let owned = |names: [&str; 2]| names.map(str::to_owned);
    let (ours, torch) = match (family, end) {
        (Family::MobileNetV2, End::Stem) => {
            (["Conv1", "bn_Conv1", "Conv1_relu"], vec![["features.0.0", "features.0.1"], ["conv_stem", "bn1"]])
        }
        (Family::MobileNetV2, End::Top) => {
            (["Conv_1", "Conv_1_bn", "out_relu"], vec![["features.18.0", "features.18.1"], ["conv_head", "bn2"]])
        }
        (Family::EfficientNet { .. }, End::Stem) => (
            ["stem_conv", "stem_bn", "stem_activation"],
            vec![["_conv_stem", "_bn0"], ["conv_stem", "bn1"], ["features.0.0", "features.0.1"]],
        ),
        (Family::EfficientNet { .. }, End::Top) => (
            ["top_conv", "top_bn", "top_activation"],
            vec![["_conv_head", "_bn1"], ["conv_head", "bn2"], ["features.8.0", "features.8.1"]],
        ),
    };
    Part::new(ours.map(str::to_owned), torch.into_iter().map(owned).collect())
}

fn conv_norm(b: &mut Builder, part: &Part, activation: Option<&str>, conv: Conv, input: &str) -> String {
    let x = b.conv(&part.conv, conv, input);
    normed(b, part, activation, &x)
}

fn normed(b: &mut Builder, part: &Part, activation: Option<&str>, input: &str) -> String {
    part.note(b);
    let x = b.batch_norm(&part.norm, input);
    match activation {
        Some(activation) => b.activation(&part.activation, activation, &x),
        None => x,
    }
}

fn add_block(b: &mut Builder, family: Family, block: &Block, input: &str) -> String {
    let activation = Some(family.activation());
    let mut x = input.to_owned();
    if block.expansion > 1 {
        x = conv_norm(b, &expand(family, block), activation, Conv::new(block.channels * block.expansion, 1, 1), &x);
    }
    let part = depthwise(family, block);
    x = b.depthwise(&part.conv, block.size, block.strides, &x);
    x = normed(b, &part, activation, &x);
    if let Family::EfficientNet { is_lite: false } = family {
        x = squeeze_and_excite(b, block, &x);
    }
    x = conv_norm(b, &project(family, block), None, Conv::new(block.filters, 1, 1), &x);
    if block.strides > 1 || block.channels != block.filters {
        return x;
    }
    let name = match family {
        Family::MobileNetV2 => format!("block_{}_add", block.index),
        Family::EfficientNet { .. } => format!("{}_add", block.keras_name()),
    };
    b.add(&name, [&x, input])
}

impl Block {
    /// `block2a`.
    fn keras_name(&self) -> String {
        format!("block{}{}", self.stage + 1, char::from(b'a' + self.repeat as u8))
    }

    /// `blocks.1.0`.
    fn timm_name(&self) -> String {
        format!("blocks.{}.{}", self.stage, self.repeat)
    }

    /// `features.2.0.block.3`: the block's part `number`, of those that one without expansion has.
    fn torchvision_name(&self, number: usize) -> String {
        let number = if self.expansion == 1 { number } else { number + 1 };
        format!("features.{}.{}.block.{number}", self.stage + 1, self.repeat)
    }
}

/// The names of a block's convolution: Keras's; then torchvision's and timm's of MobileNetV2, EfficientNet-PyTorch's, timm's and
/// torchvision's of EfficientNet, in whose `torchvision` part it is.
fn named(
    family: Family,
    block: &Block,
    mobilenet: [String; 3],
    part: [&str; 3],
    torch: [[String; 2]; 2],
    torchvision: String,
) -> Part {
    let ours = match family {
        Family::MobileNetV2 => mobilenet,
        Family::EfficientNet { .. } => part.map(|part| format!("{}_{part}", block.keras_name())),
    };
    let [first, timm] = torch;
    let timm = timm.map(|name| format!("{}.{name}", block.timm_name()));
    let first = first.map(|name| match family {
        Family::MobileNetV2 => format!("features.{}.conv.{name}", block.index + 1),
        Family::EfficientNet { .. } => format!("_blocks.{}.{name}", block.index),
    });
    let torchvision = [0, 1].map(|number| format!("{torchvision}.{number}"));
    Part::new(
        ours,
        match family {
            Family::MobileNetV2 => vec![first, timm],
            Family::EfficientNet { .. } => vec![first, timm, torchvision],
        },
    )
}

/// `keras.applications`' names in a block of MobileNetV2: the first has no number.
fn mobilenet_names(block: &Block, parts: [&str; 3]) -> [String; 3] {
    let prefix = if block.index == 0 { "expanded_conv".to_owned() } else { format!("block_{}", block.index) };
    parts.map(|part| format!("{prefix}_{part}"))
}

/// PyTorch's names by library, `[convolution, normalisation]`.
fn by_library(family: Family, torchvision: [&str; 2], efficientnet: [&str; 2], timm: [&str; 2]) -> [[String; 2]; 2] {
    let first = match family {
        Family::MobileNetV2 => torchvision,
        Family::EfficientNet { .. } => efficientnet,
    };
    [first, timm].map(|names| names.map(str::to_owned))
}

fn expand(family: Family, block: &Block) -> Part {
    let torch = by_library(family, ["0.0", "0.1"], ["_expand_conv", "_bn0"], ["conv_pw", "bn1"]);
    let mobilenet = mobilenet_names(block, ["expand", "expand_BN", "expand_relu"]);
    named(
        family,
        block,
        mobilenet,
        ["expand_conv", "expand_bn", "expand_activation"],
        torch,
        format!("features.{}.{}.block.0", block.stage + 1, block.repeat),
    )
}

fn depthwise(family: Family, block: &Block) -> Part {
    let is_first = block.expansion == 1;
    let torchvision = if is_first { ["0.0", "0.1"] } else { ["1.0", "1.1"] };
    let timm = if is_first { ["conv_dw", "bn1"] } else { ["conv_dw", "bn2"] };
    let torch = by_library(family, torchvision, ["_depthwise_conv", "_bn1"], timm);
    let mobilenet = mobilenet_names(block, ["depthwise", "depthwise_BN", "depthwise_relu"]);
    named(family, block, mobilenet, ["dwconv", "bn", "activation"], torch, block.torchvision_name(0))
}

fn project(family: Family, block: &Block) -> Part {
    let is_first = block.expansion == 1;
    let torchvision = if is_first { ["1", "2"] } else { ["2", "3"] };
    let timm = if is_first { ["conv_pw", "bn2"] } else { ["conv_pwl", "bn3"] };
    let torch = by_library(family, torchvision, ["_project_conv", "_bn2"], timm);
    let mobilenet = mobilenet_names(block, ["project", "project_BN", ""]);
    named(family, block, mobilenet, ["project_conv", "project_bn", ""], torch, block.torchvision_name(2))
}

/// A factor for each channel, from all of them (Hu and others 2018): a fourth of the block's input channels between.
fn squeeze_and_excite(b: &mut Builder, block: &Block, input: &str) -> String {
    let name = |part: &str| format!("{}_se_{part}", block.keras_name());
    let filters = block.channels * block.expansion;
    let x = b.layer("GlobalAveragePooling2D", &name("squeeze"), json!({ "keepdims": true }), &[input]);
    let mut conv = |part: &str, filters: usize, activation: &str, torch: [&str; 3], input: &str| {
        let config = json!({ "filters": filters, "kernel_size": 1, "activation": activation });
        let x = b.layer("Conv2D", &name(part), config, &[input]);
        let [first, timm, torchvision] = torch;
        b.called(
            &x,
            &[
                format!("_blocks.{}.{first}", block.index),
                format!("{}.se.{timm}", block.timm_name()),
                format!("{}.{torchvision}", block.torchvision_name(1)),
            ],
        );
        x
    };
    let x = conv("reduce", (block.channels / 4).max(1), "silu", ["_se_reduce", "conv_reduce", "fc1"], &x);
    let x = conv("expand", filters, "sigmoid", ["_se_expand", "conv_expand", "fc2"], &x);
    b.layer("Multiply", &name("excite"), json!({}), &[input, &x])
}
