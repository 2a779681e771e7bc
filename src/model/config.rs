//! Which network a run trains, and from which weights.

use serde::{Deserialize, Serialize};

use super::{InputScale, Precision};
use crate::settings::Absent;

/// Weights that others have trained and published.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumMessage,
    strum::EnumString,
    strum::VariantArray,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum PublishedWeights {
    /// Trained on ImageNet; downloaded once.
    Imagenet,
}

/// Which network a run trains, and from which weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkConfig {
    /// A preset's name, or the path of a Keras JSON or a short form.
    pub model: String,
    /// The model whose network and weights the run starts from, in place of `model`.
    pub init_from: Option<String>,
    /// The weights that the preset `model` starts with; random ones where absent.
    pub weights: Option<PublishedWeights>,
    /// Names of layers that are not trained, with `*` and `?`; `none` trains all, whatever the model's file says.
    pub freeze: Vec<String>,
    /// For how many of the run's first epochs only the last Dense layer is trained.
    pub freeze_epochs: u64,
    /// Whether what frozen first layers give for each image is computed once and kept, where no image is augmented.
    pub keep_features: bool,
    /// What pixels 0 to 255 are multiplied by; 1/255, or 1 where the network scales them itself, where absent.
    pub input_scale: Option<InputScale>,
    /// The kind of number to compute in.
    pub precision: Precision,
}

impl Default for NetworkConfig {
    fn default() -> Self {
        NetworkConfig {
            model: "keras-cnn".into(),
            init_from: None,
            weights: None,
            freeze: Vec::new(),
            freeze_epochs: 0,
            keep_features: true,
            input_scale: None,
            precision: Precision::Fp32,
        }
    }
}

impl NetworkConfig {
    /// What absent settings, and an empty list, stand for.
    pub const ABSENT: &[Absent] = &[
        ("init_from", "none"),
        ("weights", "random"),
        ("freeze", "none"),
        ("input_scale", "1/255; 1 for a network that scales pixels itself"),
    ];
}
