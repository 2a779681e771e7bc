//! Memory of Rust's as a tensor.

use std::ffi::{c_char, c_void};
use std::ptr;
use std::sync::Arc;

use tch::Tensor;

use super::checked;
use crate::error::{Error, Result};

unsafe extern "C" {
    fn convnet_bytes_shared(
        bytes: *const u8,
        sizes: *const i64,
        rank: usize,
        owner: *mut c_void,
        release: extern "C" fn(*mut c_void),
        out: *mut *mut c_void,
    ) -> *mut c_char;
}

/// `bytes` as a tensor on the CPU, u8 of `sizes`, without a copy: they live as long as it does. Nobody may write to the tensor.
///
/// # Errors
/// An internal error where there are more or fewer bytes than `sizes` say, a device error where libtorch fails.
pub fn bytes_shared(bytes: Arc<Vec<u8>>, sizes: &[i64]) -> Result<Tensor> {
    extern "C" fn release(owner: *mut c_void) {
        // SAFETY: it is the pointer that `into_raw` gave below, and this is called once.
        drop(unsafe { Arc::from_raw(owner.cast_const().cast::<Vec<u8>>()) });
    }
    let count = sizes.iter().try_fold(1_usize, |count, &size| count.checked_mul(usize::try_from(size).ok()?));
    if count != Some(bytes.len()) {
        return Err(Error::internal("bytes do not fill a tensor").expected(format!("{sizes:?}")).got(bytes.len()));
    }
    let (start, owner, mut out) = (bytes.as_ptr(), Arc::into_raw(bytes).cast_mut().cast(), ptr::null_mut());
    // SAFETY: the bytes live until `release` is called, which is done once, where this fails too; and so do `sizes` and `out`. It
    // returns null or a string that is ours.
    checked(unsafe { convnet_bytes_shared(start, sizes.as_ptr(), sizes.len(), owner, release, &raw mut out) })?;
    // SAFETY: a new tensor, which nobody else has.
    Ok(unsafe { Tensor::from_ptr(out.cast()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_live_as_long_as_a_tensor_needs_them() {
        let bytes = Arc::new((0..24).collect::<Vec<u8>>());
        let tensor = bytes_shared(bytes.clone(), &[2, 3, 4]).unwrap();
        assert_eq!(tensor.data_ptr().cast_const().cast(), bytes.as_ptr(), "no copy");
        let part = tensor.select(0, 1);
        drop(tensor);
        assert_eq!(Arc::strong_count(&bytes), 2);
        assert_eq!(Vec::<u8>::try_from(part.reshape([-1])).unwrap(), (12..24).collect::<Vec<u8>>());
        drop(part);
        assert_eq!(Arc::strong_count(&bytes), 1);
        assert!(bytes_shared(bytes.clone(), &[2, 3, 5]).is_err() && bytes_shared(bytes.clone(), &[-24, -1]).is_err());
        assert_eq!(Arc::strong_count(&bytes), 1);
    }
}
