//! A machine for the pickles of `torch.save` that makes plain values and records of tensors, and nothing else: a name of
//! Python's that is not among the few known ones is an error.
//!
//! Objects lie in one list and name one another by their places, so that neither depth nor circles in a file matter.

mod machine;
mod opcodes;

pub(super) use machine::{Machine, Object, TensorRecord, texts};
pub(super) use opcodes::run;
