//! Which images a model was trained on, so that it can be measured on others of the same data set without asking again.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::data::Samples;
use crate::data::options::Cache;
use crate::data::split::{SplitMode, Validation};
use crate::files::hex;

/// The data set of a training, and how its validation images were chosen: the key `convnet.data` of a model's JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainedOn {
    /// A known name, or an absolute path, as [`crate::data::registry::canonical`] writes it.
    pub source: String,
    /// What it is called.
    pub name: String,
    /// The list of images that were left out, an absolute path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclude: Option<PathBuf>,
    /// Where the validation images came from.
    pub validation: Validation,
    /// How they were chosen.
    pub split_mode: SplitMode,
    /// From which seed.
    pub seed: u64,
    /// A digest of their labels ([`digest_of_labels`]); none where there were no validation images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_labels: Option<String>,
    /// The most training images that were taken, where not all were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_train: Option<usize>,
    /// Where the images were kept: what the fingerprint is of depends on it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub cache: Cache,
    /// The training images' fingerprint ([`Samples::fingerprint`]); none in models of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// The one that does not depend on where their files lie ([`crate::data::moved::relative_fingerprint`]), where they are read from
    /// files as they are needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relative_fingerprint: Option<String>,
}

fn is_default(cache: &Cache) -> bool {
    *cache == Cache::default()
}

/// The SHA-256 of the labels, each as 8 bytes (little-endian): another one where the images of a split are no longer the same,
/// but for images that were exchanged within a class.
pub fn digest_of_labels(samples: &Samples) -> String {
    let mut digest = Sha256::new();
    samples.labels().iter().for_each(|label| digest.update(label.to_le_bytes()));
    hex(&digest.finalize())
}
