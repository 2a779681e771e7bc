//! Keras's files, read and written: `.keras`, whole-model `.h5`, or JSON with `.weights.h5` or legacy `.h5` weights.
//!
//! Every file is read as if a stranger had written it: sizes are checked against the file's length before anything is
//! allocated, and each array's shape against the network's before it is read.

mod archive;
mod compile;
mod format;
mod hdf5;
mod into_preset;
mod keras3;
mod legacy;
mod metadata;
mod names;
mod optimizer;
mod portable;
mod read;
mod weight_mapping;
mod write;

pub(crate) use format::{KerasFormat, to_files};
pub use into_preset::into_preset;
pub use metadata::ConvnetMetadata;
pub use read::{KerasModel, OptimizerState};
