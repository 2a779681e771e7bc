//! A training run from its configuration to its saved model: the run's folder, the training, the test, the model's files;
//! cross-validation and repeats, reproduction, the learning rate finder and comparisons besides.
//!
//! [`Run`] is a run that was asked for and [`Run::execute`] does it. Everything that it has to say goes to [`crate::log::Sinks`]
//! as [`crate::log::Event`]s: nothing here knows of a terminal. What a run did is in its folder: [`RunFolder::open`] reads it,
//! [`RunReport`] sums it up, [`compare()`] finds the first number in which two runs differ.

pub mod compare;
pub mod comparison;
mod data_check;
mod details;
mod execute;
mod features;
mod finished;
pub mod folder;
mod follow;
mod images;
pub mod learning_rate;
mod measure;
mod model_files;
mod network;
pub mod overview;
pub mod plan;
mod prepare;
mod processes;
mod profile;
pub mod record;
mod report;
pub mod reproduce;
mod resume;
pub mod selection;
pub mod series;
mod stop_after;
pub mod suspects;
mod train_from;
pub mod verify;

pub use compare::{Difference, compare};
pub use execute::{Resume, Run};
pub use finished::FinishedRun;
pub use folder::{RunFolder, is_training};
pub use images::images;
pub use measure::RunPredictions;
pub use measure::kept_predictions;
pub use profile::RunProfile;
pub use record::RunRecord;
pub use report::RunReport;
pub use resume::is_finished;
pub use stop_after::StopAfter;
pub use suspects::{Suspect, Suspects, suspects};
pub use train_from::{Trained, train_from};
