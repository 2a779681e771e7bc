//! The IDX format of MNIST's files.
