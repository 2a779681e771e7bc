//! Records what libtorch computes as a module of TorchScript.

use std::ffi::{CString, c_char, c_void};
use std::ptr;

use tch::Tensor;

use super::{checked, guarded};
use crate::error::{Error, Result};

unsafe extern "C" {
    fn convnet_trace_begin(
        input: *const c_void,
        names: *const *const c_char,
        weights: *const *const c_void,
        count: i64,
        trace: *mut *mut c_void,
    ) -> *mut c_char;
    fn convnet_trace_end(
        trace: *mut c_void,
        output: *const c_void,
        name: *const c_char,
        text: *const c_char,
        file: *mut *mut c_void,
    ) -> *mut c_char;
}

/// The bytes of a TorchScript archive whose `forward` does with a tensor like `input` what `compute` does with it here. `weights`
/// are its parameters, each with a name of letters, digits and `_`; `(name, text)` is an extra file in it. What `compute` reads of
/// sizes as numbers is fixed in the archive.
///
/// # Errors
/// Those of `compute`; a device error where libtorch fails.
pub fn traced(
    input: &Tensor,
    weights: &[(String, Tensor)],
    (name, text): (&str, &str),
    compute: impl FnOnce(&Tensor) -> Result<Tensor>,
) -> Result<Vec<u8>> {
    let c_string = |text: &str| CString::new(text).map_err(|_| Error::internal("a text has a NUL in it"));
    let owned = weights.iter().map(|(name, _)| c_string(name)).collect::<Result<Vec<CString>>>()?;
    let names: Vec<*const c_char> = owned.iter().map(|name| name.as_ptr()).collect();
    let tensors: Vec<*const c_void> = weights.iter().map(|(_, tensor)| tensor.as_ptr().cast()).collect();
    let (name, text) = (c_string(name)?, c_string(text)?);
    let mut trace = ptr::null_mut();
    let count = weights.len() as i64;
    // SAFETY: the tensors and texts live, and `trace` too; it returns null or a string that is ours.
    checked(unsafe {
        convnet_trace_begin(input.as_ptr().cast(), names.as_ptr(), tensors.as_ptr(), count, &raw mut trace)
    })?;
    let output = guarded(|| compute(input));
    let result = output.as_ref().map_or(ptr::null(), |output| output.as_ptr().cast());
    let mut file = ptr::null_mut();
    // SAFETY: `trace` is the one that was begun, and is not used again; the rest as above.
    let ended = checked(unsafe { convnet_trace_end(trace, result, name.as_ptr(), text.as_ptr(), &raw mut file) });
    drop(output?);
    ended?;
    // SAFETY: a new tensor, which nobody else has.
    let file = unsafe { Tensor::from_ptr(file.cast()) };
    Ok(Vec::<u8>::try_from(&file).expect("a flat u8 tensor on the CPU"))
}
