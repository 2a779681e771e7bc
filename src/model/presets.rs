//! The networks that come with the program: Keras JSON files in `models/presets/`, built in.

use serde_json::Value;

use super::spec::Spec;

/// A network that comes with the program.
#[derive(Debug, Clone, Copy)]
pub struct Preset {
    /// What `--model` takes.
    pub name: &'static str,
    /// What it is for, in a few words.
    pub purpose: &'static str,
    /// The text of its Keras JSON.
    pub json: &'static str,
}

/// All presets.
pub const PRESETS: [Preset; 5] = [
    Preset {
        name: "keras-cnn",
        purpose: "the default: two convolutions and dropout",
        json: include_str!("../../models/presets/keras-cnn.json"),
    },
    Preset {
        name: "mlp",
        purpose: "a baseline without convolutions: two dense layers and dropout",
        json: include_str!("../../models/presets/mlp.json"),
    },
    Preset {
        name: "lenet5",
        purpose: "the classic for digits, LeCun et al. 1998, with a softmax",
        json: include_str!("../../models/presets/lenet5.json"),
    },
    Preset {
        name: "vgg-small",
        purpose: "small photographs: three pairs of convolutions with batch normalization",
        json: include_str!("../../models/presets/vgg-small.json"),
    },
    Preset {
        name: "wide-cnn",
        purpose: "high accuracy on Fashion-MNIST (docs/layers.md), slower to train",
        json: include_str!("../../models/presets/wide-cnn.json"),
    },
];

/// The network of the preset called `name`.
pub fn preset(name: &str) -> Option<Spec> {
    let preset = PRESETS.iter().find(|preset| preset.name == name)?;
    let document: Value = serde_json::from_str(preset.json).expect("presets are checked by a test");
    Some(Spec::from_json(&document).expect("presets are checked by a test"))
}

#[cfg(test)]
mod tests;
