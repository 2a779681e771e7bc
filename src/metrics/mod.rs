//! The metrics of a classifier: their names, what a batch adds to each, which way is better, how they are printed.
//!
//! Whatever shows, keeps or watches metrics iterates over [`Metric`]: the console, `history.csv`, TensorBoard, the monitors of
//! early stopping, checkpoints, `run.json`, folds and `evaluate`. Another metric is a variant of it and its
//! [`Metric::definition`].

mod interval;
mod metric;
mod scores;
mod sums;

pub use interval::wilson_interval;
pub use metric::{BatchResult, Definition, Direction, Metric, in_top_k};
pub use scores::Scores;
pub use sums::{BatchSums, RunningSums, Sums};
