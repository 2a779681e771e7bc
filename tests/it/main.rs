//! The tests of the whole, one program, a module a topic: `cargo test --test it runs::` runs those of `runs.rs`.
//!
//! They run at the same time in one process: none of them changes what is the process's, which is its environment and
//! libtorch's threads and determinism. A training in this process seeds libtorch's generators in every step, so none that
//! draws from them may be compared. What has to do either is in `tests/library.rs`, a program of its own.

mod alike;
mod on_device;
mod program;
mod random_networks;
mod stand_in;

mod bad_input;
mod branching;
mod cli;
mod comparing;
mod cuda;
mod data_hostile;
mod data_sources;
mod data_training;
mod documents;
mod evaluation;
mod examples;
mod explain;
mod fused;
mod graph;
mod heads;
mod inputs;
mod keras_exchange;
mod keras_files;
mod keras_json;
mod keras_layers;
mod keras_models;
mod keras_training;
mod layering;
mod lr_find;
mod measuring;
mod nccl;
mod networks;
mod odd_images;
mod onnx;
mod operators;
mod parquet_files;
mod pretrained;
mod printed;
mod processes;
mod properties;
mod recipes;
mod report;
mod resume;
mod runs;
mod serve;
mod shards;
mod suspects;
mod trajectory;
mod transfer;
mod unlike;
mod verify;
