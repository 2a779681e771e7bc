//! The JSON of Functional networks: Keras 3's and Keras 2's `inbound_nodes`, read in any order of layers, written as Keras 3
//! does. What comes out of reading has Keras's own order of layers, which its weights' files follow (`order.rs`).

mod calls;
mod operations;
mod order;
mod read;
mod write;

pub(super) use read::{Entry, FileEntry, assemble};
pub(super) use write::to_config;
