//! The settings of the best epoch and of early stopping, as users give them.

use serde::{Deserialize, Serialize};

use super::{EarlyStopping, Monitor};
use crate::error::Result;
use crate::settings::{Absent, at_least_0};

/// Which epoch is the best, and what follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BestEpochConfig {
    /// What makes an epoch the best; validation accuracy where absent.
    pub monitor: Option<Monitor>,
    /// By how much an epoch has to be better than the best.
    pub min_delta: f64,
    /// After how many epochs without a better one training ends.
    pub patience: Option<u64>,
    /// Whether the saved model has the best epoch's weights, not the last one's.
    pub restore_best: bool,
}

impl BestEpochConfig {
    /// What absent settings stand for.
    pub const ABSENT: &[Absent] =
        &[("monitor", "val_accuracy; for `schedule = 'plateau'` val_loss"), ("patience", "no early stopping")];

    /// Checks the values.
    ///
    /// # Errors
    /// A configuration error for a value that cannot be used.
    pub fn check(&self) -> Result<()> {
        at_least_0(&[("min_delta", Some(self.min_delta))])
    }

    /// Which epoch is the best, and when to give up.
    pub fn early_stopping(&self) -> EarlyStopping {
        EarlyStopping {
            monitor: self.monitor.unwrap_or_default(),
            min_delta: self.min_delta,
            patience: self.patience,
            restore_best: self.restore_best,
            ..EarlyStopping::default()
        }
    }
}
