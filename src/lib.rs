//! convnet trains convolutional image classifiers on libtorch.

pub mod data;
pub mod error;
pub mod log;
pub mod rng;
