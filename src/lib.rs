//! convnet trains convolutional image classifiers on libtorch, on CUDA or CPU, with Keras's files and TensorBoard's logs.
//!
//! Train from a configuration, then predict with what was saved; [`train_from`] takes what `convnet train --config` takes:
//!
//! ```no_run
//! use std::path::Path;
//!
//! use convnet::config::RunConfig;
//! use convnet::data::image;
//! use convnet::predict::Predictor;
//!
//! fn main() -> convnet::error::Result<()> {
//!     let mut config = RunConfig::default();
//!     config.data.source = "fashion-mnist".into();
//!     config.training.epochs = 3;
//!     let trained = convnet::train_from(&config)?;
//!     println!("test: {:?}", trained.test);
//!
//!     let predictor = Predictor::load(&trained.model.display().to_string(), tch::Device::Cpu)?;
//!     let pixels = image::decode(Path::new("picture.png"), predictor.shape())?; // u8 [H, W, C]
//!     for prediction in predictor.predict_u8(&pixels, 1)? {
//!         println!("{}: {:.4}", prediction.label, prediction.probability);
//!     }
//!     Ok(())
//! }
//! ```
//!
//! Data flows one way: [`data`] → [`data::batches`] → [`model`] → [`train`] → [`log`] and saved models →
//! [`evaluate`] and predictions. The training loop is [`train::Trainer::fit`].
//!
//! Letters in every shape: `N` images in a data set, `B` in a batch, `H` `W` height and width in pixels, `C` channels,
//! `K` classes. Stored images are `u8 [N, H, W, C]`, labels `i64 [N]`, logits `f32 [B, K]`.

pub mod config;
pub mod data;
pub mod device;
pub mod distributed;
pub mod drawing;
pub mod error;
pub mod evaluate;
pub mod explain;
pub mod export;
pub mod files;
pub mod installed;
pub mod keras;
pub mod libtorch;
pub mod log;
pub mod metrics;
pub mod model;
pub mod native;
pub mod predict;
pub mod pytorch;
pub mod report;
pub mod rng;
pub mod run;
pub mod serve;
pub mod settings;
pub mod train;
pub mod verify;

pub use run::{Trained, train_from};

/// Compiles the README's example.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
