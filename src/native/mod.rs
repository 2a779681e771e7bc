//! What libtorch has and tch does not, and libjpeg: a few C and C++ functions (beside this file, compiled by `build.rs`) and
//! their safe side. Each catches every exception or error and returns its text.

pub mod jpeg;

mod cast;
mod failure;
mod feed;
mod fused;
mod graph;
mod group;
mod math;
mod nccl;
mod shared;
mod trace;

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::{self, NonNull};
use std::time::Duration;

use tch::Device;

use crate::error::Result;

pub use cast::cast_together;
pub use failure::{failure, guarded, throw};
pub use feed::Feed;
pub use fused::{
    AdamStep, BatchNorm, Behind, FUSED_VARIABLE, adam, batch_norm, conv_pool, dropout, flip_and_shift, is_fused,
    max_pool,
};
pub use graph::{GRAPH_SYMBOLS, Graph, GraphFunctions, set_numbers};
pub use group::{GlooGroup, GradientReducer, Reduction, ReductionUnderWay, TcpStore};
pub use math::settle_math_functions;
pub use nccl::{Communicator, NcclFunctions, Symbol};
pub use shared::shared;
pub use trace::traced;

unsafe extern "C" {
    fn convnet_allow_tf32(allowed: bool) -> *mut c_char;
    fn convnet_tf32_is_allowed(allowed: *mut bool) -> *mut c_char;
    fn convnet_set_deterministic(deterministic: bool) -> *mut c_char;
    fn convnet_is_deterministic(deterministic: *mut bool) -> *mut c_char;
    fn convnet_manual_seed(seed: u64, gpu: c_int) -> *mut c_char;
    fn convnet_cpu_capability(name: *mut *mut c_char) -> *mut c_char;
}

/// Lets CUDA compute f32 matrix products and convolutions in TensorFloat-32 (inputs rounded to 10 bits of mantissa, sums in
/// f32), or forbids it, for the whole process. libtorch's own default is TF32 for convolutions only:
/// <https://docs.pytorch.org/docs/2.11/notes/cuda.html#tensorfloat-32-tf32-on-ampere-and-later-devices>.
///
/// # Errors
/// A device error where libtorch refuses.
pub fn allow_tf32(allowed: bool) -> Result<()> {
    // SAFETY: it sets two flags and returns null or a string that is ours.
    checked(unsafe { convnet_allow_tf32(allowed) })
}

/// Whether CUDA may use TensorFloat-32 for f32 matrix products and convolutions.
///
/// # Errors
/// As [`allow_tf32`].
pub fn tf32_is_allowed() -> Result<bool> {
    let mut allowed = false;
    // SAFETY: it writes to `allowed`, which lives, and returns null or a string that is ours.
    checked(unsafe { convnet_tf32_is_allowed(&raw mut allowed) })?;
    Ok(allowed)
}

/// Holds cuDNN to algorithms that give the same bits each time, or lets it take any, for the whole process
/// (<https://docs.pytorch.org/docs/2.11/notes/randomness.html#cuda-convolution-determinism>). Other operators of CUDA stay
/// as they are.
///
/// # Errors
/// A device error where libtorch refuses.
pub fn set_deterministic(deterministic: bool) -> Result<()> {
    // SAFETY: it sets a flag and returns null or a string that is ours.
    checked(unsafe { convnet_set_deterministic(deterministic) })
}

/// Whether cuDNN is held to algorithms that give the same bits each time.
///
/// # Errors
/// As [`set_deterministic`].
pub fn is_deterministic() -> Result<bool> {
    let mut deterministic = false;
    // SAFETY: it writes to `deterministic`, which lives, and returns null or a string that is ours.
    checked(unsafe { convnet_is_deterministic(&raw mut deterministic) })?;
    Ok(deterministic)
}

/// Seeds libtorch's generators for work on `device`: the CPU's, and a GPU's own. tch's `manual_seed` seeds all of them, and
/// does not catch exceptions: one, after a kernel that failed, would end the process.
///
/// # Errors
/// A device error where libtorch fails.
pub fn manual_seed(seed: u64, device: Device) -> Result<()> {
    let gpu = match device {
        Device::Cuda(gpu) => c_int::try_from(gpu).unwrap_or(c_int::MAX),
        _ => -1,
    };
    // SAFETY: it takes numbers and returns null or a string that is ours.
    checked(unsafe { convnet_manual_seed(seed, gpu) })
}

/// The instruction set that libtorch chose its own kernels for the CPU by: `AVX512`, `AVX2`, `DEFAULT`.
///
/// # Errors
/// A device error where libtorch fails.
pub fn cpu_capability() -> Result<String> {
    let mut name = ptr::null_mut();
    // SAFETY: it writes to `name`, which lives, and returns null or a string that is ours.
    checked(unsafe { convnet_cpu_capability(&raw mut name) })?;
    Ok(taken(name).unwrap_or_default())
}

/// `message`: null, or an exception's text from `malloc`.
fn checked(message: *mut c_char) -> Result<()> {
    match taken(message) {
        None => Ok(()),
        Some(text) => Err(failure(&text)),
    }
}

fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX / 2)
}

fn made(pointer: *mut c_void) -> NonNull<c_void> {
    NonNull::new(pointer).expect("the C++ side says so where it made nothing")
}

/// The text of the C++ side that lies at `text`, which is freed; none where it is null.
fn taken(text: *mut c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: the C++ side made it with strdup and keeps no copy.
    unsafe {
        let copy = CStr::from_ptr(text).to_string_lossy().into_owned();
        libc::free(text.cast());
        Some(copy)
    }
}

#[cfg(test)]
mod tests;
