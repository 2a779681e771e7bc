//! The processes of a training, as `run.json` has them.

use serde::{Deserialize, Serialize};

/// The processes of a training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Processes {
    /// How many there are.
    pub count: usize,
    /// What carries their sums: `gloo`, or `nccl` with its version.
    pub backend: String,
    /// Each process's host, in the order of their ranks.
    pub hosts: Vec<String>,
}

/// What a process did in a training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ProcessShare {
    /// The images that it computed, each as often as it did.
    pub images: u64,
    /// Images a second.
    pub images_per_second: f64,
    /// The share of the time in which it waited for the others, their sums included.
    pub waiting: f64,
}
