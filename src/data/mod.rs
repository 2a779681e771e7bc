//! Data sets: images as `u8 [N, H, W, C]`, labels as `i64 [N]`, and where they come from.

pub mod augment;
pub mod batches;
pub mod check;
pub mod config;
mod dataset;
pub mod digits;
pub mod export;
pub mod font;
pub mod grid;
pub mod idx;
pub mod image;
pub mod look;
pub mod moved;
pub mod names;
pub mod npy;
mod numbers;
pub mod options;
pub mod parquet;
mod pixel_cache;
pub mod prefetch;
pub mod registry;
mod samples;
mod shape;
pub mod sheet;
pub mod sources;
pub mod split;
pub mod statistics;
pub mod stored;

pub use dataset::{Dataset, Split, Splits};
pub use numbers::Numbers;
pub use options::LoadOptions;
pub use samples::Samples;
pub use shape::ImageShape;
pub(crate) use shape::size_text;
