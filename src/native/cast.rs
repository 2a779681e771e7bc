//! Weights in bf16, all of them at once.

use std::ffi::{c_char, c_void};
use std::ptr;

use tch::Tensor;

use super::checked;
use crate::error::Result;

unsafe extern "C" {
    fn convnet_cast_together(weights: *const *const c_void, count: usize, casted: *mut *mut c_void) -> *mut c_char;
}

/// Those of `weights`, f32 of any shapes, that lie in one tensor with the first, as bf16: by one operator, and their gradients by two,
/// f32 as the weights. None for the others. A gradient of a copy that is used twice is summed in bf16.
///
/// # Errors
/// A device error where libtorch fails.
pub fn cast_together(weights: &[&Tensor]) -> Result<Vec<Option<Tensor>>> {
    let pointers: Vec<*const c_void> = weights.iter().map(|weight| weight.as_ptr().cast()).collect();
    let mut casted = vec![ptr::null_mut(); weights.len()];
    // SAFETY: the tensors live, and there is room for as many; it returns null or a string that is ours.
    checked(unsafe { convnet_cast_together(pointers.as_ptr(), pointers.len(), casted.as_mut_ptr()) })?;
    // SAFETY: new tensors, which nobody else has, or null.
    let made = |pointer: *mut c_void| (!pointer.is_null()).then(|| unsafe { Tensor::from_ptr(pointer.cast()) });
    Ok(casted.into_iter().map(made).collect())
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind};

    use super::*;

    #[test]
    fn copies_and_gradients_are_those_of_each_by_itself() {
        let flat = Tensor::linspace(-3.0, 3.0, 64, (Kind::Float, Device::Cpu)) / 7.0;
        let image = |start, sizes: [i64; 4]| {
            let [filters, channels, height, width] = sizes;
            let part = flat.narrow(0, start, sizes.iter().product());
            part.view([filters, height, width, channels]).permute([0, 3, 1, 2])
        };
        // with a gap, and one elsewhere
        let weights = [
            image(8, [2, 3, 1, 2]),
            flat.narrow(0, 24, 5),
            Tensor::ones([4], (Kind::Float, Device::Cpu)),
            image(32, [3, 1, 3, 3]),
        ];
        let weights = weights.map(|weight| weight.detach().set_requires_grad(true));
        let loss = |copies: &[Tensor]| copies.iter().map(|copy| (copy.cos() * copy).sum(Kind::Float)).sum::<Tensor>();
        let copies = |together: &[Option<Tensor>]| -> Vec<Tensor> {
            let each = together.iter().zip(&weights);
            each.map(|(copy, weight)| {
                copy.as_ref().map_or_else(|| weight.to_kind(Kind::BFloat16), Tensor::shallow_clone)
            })
            .collect()
        };
        let together = cast_together(&weights.each_ref()).unwrap();
        assert_eq!(together.iter().map(Option::is_some).collect::<Vec<_>>(), [true, true, false, true]);
        let (together, apart) = (copies(&together), copies(&[None, None, None, None]));
        assert!(together.iter().zip(&apart).all(|(a, b)| a.equal(b) && a.stride() == b.stride()));
        let gradients = |copies| Tensor::run_backward(&[loss(copies)], &weights.each_ref(), false, false);
        let (of_together, of_apart) = (gradients(&together), gradients(&apart));
        assert!(of_together.iter().zip(&of_apart).all(|(a, b)| a.equal(b) && a.kind() == Kind::Float));
        // outside training there is nothing to keep
        let copies = tch::no_grad(|| cast_together(&weights.each_ref()).unwrap());
        assert!(copies.iter().flatten().all(|copy| !copy.requires_grad()));
    }

    #[test]
    fn a_weight_that_is_not_used_has_no_gradient() {
        let flat = Tensor::ones([8], (Kind::Float, Device::Cpu));
        let weights = [0, 4].map(|start| flat.narrow(0, start, 4).detach().set_requires_grad(true));
        let copies = cast_together(&weights.each_ref()).unwrap();
        copies[1].as_ref().unwrap().sum(Kind::Float).backward();
        assert!(!weights[0].grad().defined() && weights[1].grad().equal(&weights[1]));
    }
}
