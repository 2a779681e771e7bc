//! Where a run computes.

use serde::{Deserialize, Serialize};

use super::DeviceChoice;
use crate::error::Result;
use crate::settings::{Absent, wrong};

/// Threads of an operator wait for each other: many more than there are cores take minutes to start and to end.
const MAX_THREADS: usize = 256;

/// Where a run computes, and how.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeviceConfig {
    /// The device.
    #[serde(rename = "device")]
    pub choice: DeviceChoice,
    /// Whether f32 products may be computed in TensorFloat-32 on CUDA.
    pub tf32: bool,
    /// Whether cuDNN is held to algorithms that give the same bits each time.
    pub deterministic: bool,
    /// CPU threads of an operator; libtorch's choice where absent.
    pub threads: Option<usize>,
}

impl Default for DeviceConfig {
    fn default() -> Self {
        DeviceConfig { choice: DeviceChoice::Auto, tf32: true, deterministic: false, threads: None }
    }
}

impl DeviceConfig {
    /// What absent settings stand for.
    pub const ABSENT: &[Absent] = &[("threads", "one per core")];

    /// Checks the values.
    ///
    /// # Errors
    /// A configuration error for a value that cannot be used.
    pub fn check(&self) -> Result<()> {
        match self.threads {
            Some(threads) if !(1..=MAX_THREADS).contains(&threads) => {
                wrong("threads", format!("1 to {MAX_THREADS}"), threads)
            }
            _ => Ok(()),
        }
    }
}
