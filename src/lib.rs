//! convnet trains convolutional image classifiers on libtorch, on CUDA or CPU, with Keras's files and TensorBoard's logs.
//!
//! Data flows one way: [`data`] → [`data::batches`] → [`model`] → [`train`] → [`log`] and saved models →
//! [`evaluate`] and predictions. The training loop is [`train::Trainer::fit`].
//!
//! Letters in every shape: `N` images in a data set, `B` in a batch, `H` `W` height and width in pixels, `C` channels,
//! `K` classes. Stored images are `u8 [N, H, W, C]`, labels `i64 [N]`, logits `f32 [B, K]`.

pub mod cli;
pub mod config;
pub mod data;
pub mod device;
pub mod error;
pub mod evaluate;
pub mod files;
pub mod libtorch;
pub mod log;
pub mod model;
pub mod native;
pub mod predict;
pub mod rng;
pub mod train;

/// Compiles the README's example.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
