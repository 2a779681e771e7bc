//! convnet trains convolutional image classifiers on libtorch.

pub mod data;
pub mod device;
pub mod error;
pub mod files;
pub mod log;
pub mod model;
pub mod rng;
