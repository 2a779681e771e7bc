//! Memory of Rust's as a tensor.

use std::ffi::{c_char, c_int, c_void};
use std::ptr;
use std::sync::Arc;

use tch::kind::Element;
use tch::{Kind, Tensor};

use super::checked;
use crate::error::{Error, Result};

unsafe extern "C" {
    fn convnet_shared(
        values: *const c_void,
        kind: c_int,
        sizes: *const i64,
        rank: usize,
        owner: *mut c_void,
        release: extern "C" fn(*mut c_void),
        out: *mut *mut c_void,
    ) -> *mut c_char;
}

/// `values` as a tensor on the CPU, of their kind and of `sizes`, without a copy: they live as long as it does. Nobody may write to the
/// tensor.
///
/// # Errors
/// An internal error where there are more or fewer values than `sizes` say, a device error where libtorch fails.
pub fn shared<T: Element + Send + Sync + 'static>(values: Arc<Vec<T>>, sizes: &[i64]) -> Result<Tensor> {
    extern "C" fn release<T>(owner: *mut c_void) {
        // SAFETY: it is the pointer that `into_raw` gave below, and this is called once.
        drop(unsafe { Arc::from_raw(owner.cast_const().cast::<Vec<T>>()) });
    }
    let count = sizes.iter().try_fold(1_usize, |count, &size| count.checked_mul(usize::try_from(size).ok()?));
    if count != Some(values.len()) {
        return Err(Error::internal("values do not fill a tensor").expected(format!("{sizes:?}")).got(values.len()));
    }
    let kind = match T::KIND {
        // numbers of c10/core/ScalarType.h
        Kind::Uint8 => 0,
        Kind::Int64 => 4,
        other => return Err(Error::internal("values of this kind are not shared").got(format!("{other:?}"))),
    };
    let (start, owner, mut out) = (values.as_ptr().cast(), Arc::into_raw(values).cast_mut().cast(), ptr::null_mut());
    // SAFETY: the values live until `release` is called, which is done once, where this fails too; and so do `sizes` and `out`. They are
    // of the kind that is told. It returns null or a string that is ours.
    checked(unsafe { convnet_shared(start, kind, sizes.as_ptr(), sizes.len(), owner, release::<T>, &raw mut out) })?;
    // SAFETY: a new tensor, which nobody else has.
    Ok(unsafe { Tensor::from_ptr(out.cast()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_live_as_long_as_a_tensor_needs_them() {
        let bytes = Arc::new((0..24).collect::<Vec<u8>>());
        let tensor = shared(bytes.clone(), &[2, 3, 4]).unwrap();
        assert_eq!(tensor.data_ptr().cast_const().cast(), bytes.as_ptr(), "no copy");
        let part = tensor.select(0, 1);
        drop(tensor);
        assert_eq!(Arc::strong_count(&bytes), 2);
        assert_eq!(Vec::<u8>::try_from(part.reshape([-1])).unwrap(), (12..24).collect::<Vec<u8>>());
        drop(part);
        assert_eq!(Arc::strong_count(&bytes), 1);
        assert!(shared(bytes.clone(), &[2, 3, 5]).is_err() && shared(bytes.clone(), &[-24, -1]).is_err());
        assert_eq!(Arc::strong_count(&bytes), 1);
    }

    #[test]
    fn values_of_other_kinds_are_theirs() {
        let labels = Arc::new(vec![3_i64, -1, i64::MAX]);
        let tensor = shared(labels.clone(), &[3]).unwrap();
        assert_eq!((tensor.kind(), Vec::<i64>::try_from(tensor).unwrap()), (Kind::Int64, labels.to_vec()));
        assert!(shared(Arc::new(vec![0.5_f32]), &[1]).is_err());
    }
}
