//! What libtorch has and tch does not: a few C++ functions (`*.cpp` beside this file, compiled by `build.rs`) and their safe
//! side. Each catches every exception and returns its text.

use std::ffi::{CStr, c_char};

use crate::error::{Error, Result};

unsafe extern "C" {
    fn convnet_allow_tf32(allowed: bool) -> *mut c_char;
    fn convnet_tf32_is_allowed(allowed: *mut bool) -> *mut c_char;
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

/// `message`: null, or an exception's text from `malloc`.
fn checked(message: *mut c_char) -> Result<()> {
    if message.is_null() {
        return Ok(());
    }
    // SAFETY: the C++ side made it with strdup and keeps no copy.
    let text = unsafe {
        let text = CStr::from_ptr(message).to_string_lossy().into_owned();
        libc::free(message.cast());
        text
    };
    Err(Error::device("libtorch refused a setting").got(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tf32_is_what_was_asked_for() {
        for allowed in [true, false] {
            allow_tf32(allowed).unwrap();
            assert_eq!(tf32_is_allowed().unwrap(), allowed);
        }
    }
}
