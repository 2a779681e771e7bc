//! convnet's own operators on the CPU, which do in one pass over memory what takes libtorch several.

use std::ffi::{c_char, c_void};
use std::ptr;
use std::sync::OnceLock;

use tch::Tensor;

use super::checked;
use crate::error::Result;

unsafe extern "C" {
    fn convnet_can_max_pool(x: *const c_void, height: i64, width: i64, can: *mut bool) -> *mut c_char;
    fn convnet_max_pool(
        x: *const c_void,
        bias: *const c_void,
        height: i64,
        width: i64,
        relu: bool,
        out: *mut *mut c_void,
    ) -> *mut c_char;
    fn convnet_adam(
        gradient: *const c_void,
        momentum: *mut c_void,
        velocity: *mut c_void,
        values: *mut c_void,
        new_momentum: f64,
        new_velocity: f64,
        alpha: f64,
        epsilon: f64,
        done: *mut bool,
    ) -> *mut c_char;
}

/// The variable that switches convnet's own operators off, for comparison: `CONVNET_FUSED=0`. Read once.
pub const FUSED_VARIABLE: &str = "CONVNET_FUSED";

/// Whether convnet's own operators may be used.
fn is_enabled() -> bool {
    static ENABLED: OnceLock<bool> = OnceLock::new();
    *ENABLED.get_or_init(|| std::env::var_os(FUSED_VARIABLE).is_none_or(|value| value != "0"))
}

/// The largest value of each window of `x [B, C, H, W]`, channels-last, plus its channel's `bias`, `f32 [C]`, through a ReLU
/// where `relu` says so: `[B, C, H / height, W / width]`. Windows do not overlap; what is left at the right and below is
/// dropped. f32 or bf16, on the CPU; none for other tensors.
///
/// # Errors
/// A device error where libtorch fails.
pub fn max_pool(x: &Tensor, bias: Option<&Tensor>, window: [i64; 2], relu: bool) -> Result<Option<Tensor>> {
    let [height, width] = window;
    let mut can = false;
    // SAFETY: the tensor lives, `can` too; it returns null or a string that is ours.
    checked(unsafe { convnet_can_max_pool(x.as_ptr().cast(), height, width, &raw mut can) })?;
    if !can || !is_enabled() {
        return Ok(None);
    }
    let bias = bias.map_or(ptr::null(), |bias| bias.as_ptr().cast());
    let mut pooled = ptr::null_mut();
    // SAFETY: the tensors live, and so does `pooled`; it returns null or a string that is ours.
    checked(unsafe { convnet_max_pool(x.as_ptr().cast(), bias, height, width, relu, &raw mut pooled) })?;
    // SAFETY: a new tensor, which nobody else has.
    Ok(Some(unsafe { Tensor::from_ptr(pooled.cast()) }))
}

/// The numbers of a step of Adam.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamStep {
    /// 1 - β₁.
    pub new_momentum: f64,
    /// 1 - β₂.
    pub new_velocity: f64,
    /// The step size with its bias correction.
    pub alpha: f64,
    /// Added to the root of the velocity.
    pub epsilon: f64,
}

/// `m += (g - m)(1 - β₁)`, `v += (g² - v)(1 - β₂)`, `w -= m·α / (√v + ε)`, each `f32 [P]`. True where it is done: on the CPU.
///
/// # Errors
/// A device error where libtorch fails, or the tensors are of several lengths.
pub fn adam(
    step: AdamStep,
    gradient: &Tensor,
    momentum: &mut Tensor,
    velocity: &mut Tensor,
    values: &mut Tensor,
) -> Result<bool> {
    let mut done = false;
    if !is_enabled() {
        return Ok(done);
    }
    let [momentum, velocity, values] = [momentum, velocity, values].map(|tensor| tensor.as_mut_ptr().cast());
    let AdamStep { new_momentum, new_velocity, alpha, epsilon } = step;
    // SAFETY: the tensors live, and so does `done`; it returns null or a string that is ours.
    checked(unsafe {
        convnet_adam(
            gradient.as_ptr().cast(),
            momentum,
            velocity,
            values,
            new_momentum,
            new_velocity,
            alpha,
            epsilon,
            &raw mut done,
        )
    })?;
    Ok(done)
}
