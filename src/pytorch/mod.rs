//! Weights that PyTorch saved: safetensors, and `torch.save`'s files in the zip format (since PyTorch 1.6) and the older
//! one. Nothing in a file is run: of its pickles, which could ask for any Python, only what makes tensors is understood.

mod file;
mod into_preset;
mod pickle;
mod storage;
mod tensors;

pub use file::read_weights;
pub use into_preset::{Told, into_preset, published, published_file};
pub use tensors::StateDict;
