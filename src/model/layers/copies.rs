//! Copies of weights in the kind that a pass computes in: on a GPU those in bf16 are made together, before the pass begins.
//!
//! As libtorch's generator they belong to the thread: a pass holds [`Copies`], and layers ask [`in_kind`].

use std::cell::RefCell;
use std::ffi::c_void;

use tch::{Kind, Tensor};

use crate::native;

thread_local! {
    /// Where the weight's values lie, and its copy.
    static CURRENT: RefCell<Vec<(*mut c_void, Tensor)>> = const { RefCell::new(Vec::new()) };
}

/// For as long as it lives, the copies of some weights in bf16 are there.
#[derive(Debug)]
pub struct Copies(());

impl Copies {
    /// Those of `weights` that lie in one tensor with the first. Each may be used once: see [`native::cast_together`].
    pub fn in_bf16(weights: &[&Tensor]) -> Self {
        if !weights.is_empty() {
            let copies = native::cast_together(weights).unwrap_or_else(|error| native::throw(error));
            let made = weights.iter().zip(copies).filter_map(|(weight, copy)| Some((weight.data_ptr(), copy?)));
            CURRENT.with(|cell| *cell.borrow_mut() = made.collect());
        }
        Copies(())
    }
}

impl Drop for Copies {
    fn drop(&mut self) {
        CURRENT.with(|cell| cell.borrow_mut().clear());
    }
}

/// `weight` in `kind`.
pub fn in_kind(weight: &Tensor, kind: Kind) -> Tensor {
    let copy = |copies: &Vec<(*mut c_void, Tensor)>| {
        let is_it = |(values, _): &&(*mut c_void, Tensor)| *values == weight.data_ptr();
        copies.iter().find(is_it).filter(|(_, copy)| copy.kind() == kind).map(|(_, copy)| copy.shallow_clone())
    };
    CURRENT.with(|cell| copy(&cell.borrow())).unwrap_or_else(|| weight.to_kind(kind))
}
