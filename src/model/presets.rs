//! The networks that come with the program: Keras JSON files in `models/presets/`, built in, and families that are put
//! together here.

mod builder;
mod convnext;
mod densenet;
mod inverted;
mod mobilenet_v3;
mod resnet;

use serde_json::Value;

use self::builder::BuiltNetwork;
pub use self::builder::{Dialect, TorchNames};
use super::preprocess::Preprocess;
use super::spec::Spec;

/// A network that comes with the program.
#[derive(Debug, Clone, Copy)]
pub struct Preset {
    /// What `--model` takes.
    pub name: &'static str,
    /// What it is for, in a few words.
    pub purpose: &'static str,
    /// Whose weights it takes; empty where nobody publishes any.
    pub weights: &'static str,
    /// Where its weights are published that were trained on ImageNet: a file whose name ends with the beginning of its
    /// SHA-256. Empty where nobody does.
    pub published: &'static str,
    /// What its published weights want done to pixels.
    pub preprocess: Preprocess,
    /// The network.
    pub network: Network,
}

/// Where a preset's network comes from.
#[derive(Debug, Clone, Copy)]
pub enum Network {
    /// The text of its Keras JSON.
    Json(&'static str),
    /// It is put together, for weights of this dialect. The same function gives one for each dialect that there is.
    Built(fn(Dialect) -> BuiltNetwork),
}

/// What names tell of weights' conventions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamedDialect {
    /// Only networks of one dialect have these names.
    Certain(Dialect),
    /// Networks of several have: timm calls the layers of `tf_efficientnet_b0` and `efficientnet_b0` alike.
    Likely(Dialect),
}

impl NamedDialect {
    /// The dialect.
    pub fn dialect(self) -> Dialect {
        let (NamedDialect::Certain(dialect) | NamedDialect::Likely(dialect)) = self;
        dialect
    }
}

/// How layers of `keras.applications` find their place in a preset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KerasMatch {
    /// They have the same names.
    Names,
    /// They come in the same order; every shape is checked.
    Order,
}

/// All presets.
pub const PRESETS: [Preset; 17] = [
    Preset {
        name: "keras-cnn",
        purpose: "the default: two convolutions and dropout",
        weights: "",
        published: "",
        preprocess: Preprocess::Unit,
        network: Network::Json(include_str!("../../models/presets/keras-cnn.json")),
    },
    Preset {
        name: "mlp",
        purpose: "a baseline without convolutions: two dense layers and dropout",
        weights: "",
        published: "",
        preprocess: Preprocess::Unit,
        network: Network::Json(include_str!("../../models/presets/mlp.json")),
    },
    Preset {
        name: "lenet5",
        purpose: "the classic for digits, LeCun et al. 1998, with a softmax",
        weights: "",
        published: "",
        preprocess: Preprocess::Unit,
        network: Network::Json(include_str!("../../models/presets/lenet5.json")),
    },
    Preset {
        name: "vgg-small",
        purpose: "small photographs: three pairs of convolutions with batch normalization",
        weights: "",
        published: "",
        preprocess: Preprocess::Unit,
        network: Network::Json(include_str!("../../models/presets/vgg-small.json")),
    },
    Preset {
        name: "wide-cnn",
        purpose: "high accuracy on Fashion-MNIST (docs/layers.md), slower to train",
        weights: "",
        published: "",
        preprocess: Preprocess::Unit,
        network: Network::Json(include_str!("../../models/presets/wide-cnn.json")),
    },
    Preset {
        name: "resnet9",
        purpose: "small photographs: a short residual network that learns fast",
        weights: "",
        published: "",
        preprocess: Preprocess::Unit,
        network: Network::Built(|_| resnet::resnet9()),
    },
    Preset {
        name: "wrn-16-4",
        purpose: "small photographs: a wide residual network, Zagoruyko and Komodakis 2016",
        weights: "",
        published: "",
        preprocess: Preprocess::Unit,
        network: Network::Built(|_| resnet::wide()),
    },
    Preset {
        name: "resnet18",
        purpose: "photographs: a residual network, He et al. 2015",
        weights: "torchvision, timm",
        published: "https://download.pytorch.org/models/resnet18-f37072fd.pth",
        preprocess: Preprocess::Torch,
        network: Network::Built(|_| resnet::basic("resnet18", [2, 2, 2, 2])),
    },
    Preset {
        name: "resnet34",
        purpose: "as resnet18, deeper",
        weights: "torchvision, timm",
        published: "https://download.pytorch.org/models/resnet34-b627a593.pth",
        preprocess: Preprocess::Torch,
        network: Network::Built(|_| resnet::basic("resnet34", [3, 4, 6, 3])),
    },
    Preset {
        name: "resnet50",
        purpose: "as resnet18, deeper still",
        weights: "torchvision, timm, Keras",
        published: "https://download.pytorch.org/models/resnet50-0676ba61.pth",
        preprocess: Preprocess::Torch,
        network: Network::Built(|dialect| match dialect {
            Dialect::Keras => resnet::keras_resnet50(),
            Dialect::Torch | Dialect::Timm => resnet::bottleneck("resnet50", [3, 4, 6, 3]),
        }),
    },
    Preset {
        name: "mobilenet-v2",
        purpose: "photographs on small machines, Sandler et al. 2018",
        weights: "torchvision, timm, Keras",
        published: "https://download.pytorch.org/models/mobilenet_v2-b0353104.pth",
        preprocess: Preprocess::Torch,
        network: Network::Built(inverted::mobilenet_v2),
    },
    Preset {
        name: "efficientnet-b0",
        purpose: "photographs, Tan and Le 2019",
        weights: "torchvision, timm, EfficientNet-PyTorch, Keras",
        published: "https://github.com/rwightman/pytorch-image-models/releases/download/v0.1-weights/tf_efficientnet_b0_aa-827b6e33.pth",
        preprocess: Preprocess::Torch,
        network: Network::Built(inverted::efficientnet_b0),
    },
    Preset {
        name: "efficientnet-lite0",
        purpose: "as efficientnet-b0, for machines without fast sigmoids",
        weights: "timm, EfficientNet-PyTorch",
        published: "https://github.com/rwightman/pytorch-image-models/releases/download/v0.1-weights/tf_efficientnet_lite0-0aa007d2.pth",
        preprocess: Preprocess::Tf,
        network: Network::Built(inverted::efficientnet_lite0),
    },
    Preset {
        name: "mobilenet-v3-small",
        purpose: "photographs on the smallest machines, Howard et al. 2019",
        weights: "torchvision, timm, Keras",
        published: "https://download.pytorch.org/models/mobilenet_v3_small-047dcff4.pth",
        preprocess: Preprocess::Torch,
        network: Network::Built(mobilenet_v3::small),
    },
    Preset {
        name: "mobilenet-v3-large",
        purpose: "as mobilenet-v3-small, larger",
        weights: "torchvision, timm, Keras",
        published: "https://download.pytorch.org/models/mobilenet_v3_large-8738ca79.pth",
        preprocess: Preprocess::Torch,
        network: Network::Built(mobilenet_v3::large),
    },
    Preset {
        name: "densenet121",
        purpose: "photographs: dense connections, Huang et al. 2016",
        weights: "torchvision, timm, Keras",
        published: "https://download.pytorch.org/models/densenet121-a639ec97.pth",
        preprocess: Preprocess::Torch,
        network: Network::Built(densenet::densenet121),
    },
    Preset {
        name: "convnext-tiny",
        purpose: "photographs: convolutions after the manner of transformers, Liu et al. 2022",
        weights: "torchvision, timm, Keras",
        published: "https://download.pytorch.org/models/convnext_tiny-983f1562.pth",
        preprocess: Preprocess::Torch,
        network: Network::Built(convnext::tiny),
    },
];

impl Preset {
    /// The preset called `name`.
    pub fn find(name: &str) -> Option<&'static Preset> {
        PRESETS.iter().find(|preset| preset.name == name)
    }

    /// Whose conventions it follows where nothing is said.
    pub fn dialect(&self) -> Dialect {
        match self.name {
            "efficientnet-b0" | "efficientnet-lite0" => Dialect::Keras,
            _ => Dialect::Torch,
        }
    }

    /// Whose conventions weights follow that have the names of `library`, by its place in [`TorchNames`].
    pub fn dialect_of(&self, library: usize) -> NamedDialect {
        match (self.name, library) {
            ("efficientnet-b0" | "efficientnet-lite0", 1) => NamedDialect::Likely(Dialect::Keras),
            ("mobilenet-v3-small" | "mobilenet-v3-large", 1) => NamedDialect::Likely(Dialect::Timm),
            ("efficientnet-b0", 2) => NamedDialect::Certain(Dialect::Torch),
            _ => NamedDialect::Certain(self.dialect()),
        }
    }

    /// What published weights that follow `dialect` want done to pixels.
    pub fn preprocess_of(&self, dialect: Dialect) -> Preprocess {
        match (self.name, dialect) {
            ("efficientnet-lite0", Dialect::Torch | Dialect::Timm) => Preprocess::Torch,
            ("mobilenet-v3-small" | "mobilenet-v3-large", Dialect::Keras) => Preprocess::Tf,
            _ => self.preprocess,
        }
    }

    /// How the weights of `keras.applications` go in: what they want done to pixels, and whether their layers have the same names
    /// here or only the same order; none where it does not take them.
    pub fn keras_weights(&self) -> Option<(Preprocess, KerasMatch)> {
        match self.name {
            "resnet50" => Some((Preprocess::Caffe, KerasMatch::Names)),
            "mobilenet-v2" => Some((Preprocess::Tf, KerasMatch::Names)),
            "efficientnet-b0" => Some((Preprocess::Torch, KerasMatch::Names)),
            "densenet121" | "convnext-tiny" => Some((Preprocess::Torch, KerasMatch::Order)),
            "mobilenet-v3-small" | "mobilenet-v3-large" => Some((Preprocess::Tf, KerasMatch::Order)),
            _ => None,
        }
    }

    /// The beginning of the SHA-256 of the file that is `published`, as its name says it.
    pub fn sha256_start(&self) -> &'static str {
        let name = self.published.rsplit('/').next().unwrap_or_default();
        name.trim_end_matches(".pth").rsplit('-').next().unwrap_or_default()
    }

    /// Its network, for weights of `dialect`, and what PyTorch's libraries call its layers: nothing where none has it.
    pub fn built(&self, dialect: Dialect) -> BuiltNetwork {
        match self.network {
            Network::Json(text) => {
                let document: Value = serde_json::from_str(text).expect("presets are checked by a test");
                (Spec::from_json(&document).expect("presets are checked by a test"), Vec::new())
            }
            Network::Built(build) => build(dialect),
        }
    }
}

/// The network of the preset called `name`.
pub fn preset(name: &str) -> Option<Spec> {
    let preset = Preset::find(name)?;
    Some(preset.built(preset.dialect()).0)
}

#[cfg(test)]
mod tests;
