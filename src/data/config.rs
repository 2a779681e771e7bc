//! Which images a run has, and which of them it trains on.

use serde::{Deserialize, Serialize};

use super::split::{SplitMode, Validation};
use crate::error::Result;
use crate::settings::{Absent, at_least_1};

/// Which images a run has, and which of them it trains on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataConfig {
    /// A known data set's name, or a path.
    #[serde(rename = "data")]
    pub source: String,
    /// Where the validation images come from.
    pub validation: Validation,
    /// How they are chosen.
    pub split_mode: SplitMode,
    /// The number of training images that are used at most.
    pub limit_train: Option<usize>,
}

impl Default for DataConfig {
    fn default() -> Self {
        DataConfig {
            source: "digits".into(),
            validation: Validation::Auto,
            split_mode: SplitMode::Stratified,
            limit_train: None,
        }
    }
}

impl DataConfig {
    /// What absent settings stand for, and the `auto` of `validation`.
    pub const ABSENT: &[Absent] = &[
        ("limit_train", "all"),
        ("validation", "the data set's own, else 5000, or a tenth of fewer than 10,000 images"),
    ];

    /// Checks the values.
    ///
    /// # Errors
    /// A configuration error for a value that cannot be used.
    pub fn check(&self) -> Result<()> {
        at_least_1("limit_train", self.limit_train.map(|limit| limit as u64))
    }
}
