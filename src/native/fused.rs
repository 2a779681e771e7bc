//! convnet's own operators on the CPU, which do in one pass over memory what takes libtorch several.

use std::ffi::{c_char, c_int, c_void};
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
    fn convnet_conv_pool(
        x: *const c_void,
        kernel: *const c_void,
        bias: *const c_void,
        zeros: *const i64,
        relu: bool,
        out: *mut *mut c_void,
    ) -> *mut c_char;
    fn convnet_pooled_conv(
        x: *const c_void,
        kernel: *const c_void,
        bias: *const c_void,
        zeros: *const i64,
        relu: bool,
        out: *mut *mut c_void,
    ) -> *mut c_char;
    fn convnet_dropout(x: *const c_void, key: i64, dropped: i64, first_row: i64, out: *mut *mut c_void) -> *mut c_char;
    fn convnet_batch_norm(
        x: *const c_void,
        gamma: *const c_void,
        beta: *const c_void,
        mean: *mut c_void,
        variance: *mut c_void,
        share: f64,
        epsilon: f64,
        training: bool,
        behind: c_int,
        out: *mut *mut c_void,
    ) -> *mut c_char;
    fn convnet_flip_and_shift(images: *const c_void, moves: *const c_void, out: *mut *mut c_void) -> *mut c_char;
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

/// Whether convnet's own operators may be used, and what layers compute for each other.
pub fn is_fused() -> bool {
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
    if !can || !is_fused() {
        return Ok(None);
    }
    let bias = bias.map_or(ptr::null(), |bias| bias.as_ptr().cast());
    let mut pooled = ptr::null_mut();
    // SAFETY: the tensors live, and so does `pooled`; it returns null or a string that is ours.
    checked(unsafe { convnet_max_pool(x.as_ptr().cast(), bias, height, width, relu, &raw mut pooled) })?;
    // SAFETY: a new tensor, which nobody else has.
    Ok(Some(unsafe { Tensor::from_ptr(pooled.cast()) }))
}

/// The largest values of windows of 2 × 2 of what `kernel`, `f32 [F, C, K, K]`, makes of images, `x [B, C, H, W]`, f32 or bf16, between
/// `zeros` (left, right, above, below of each), plus the `bias`, `f32 [F]`, through a ReLU where `relu` says so: `[B, F, H', W']`. What
/// is left at the right and below is dropped. None where this does not pay or cannot be: for other tensors, and processors without
/// AVX2. It pays
/// - on one channel with kernels of 3 × 3 and 5 × 5, in one pass, where the images want no gradient;
/// - on 16 channels, or a multiple of them, channels-last, where a gradient is wanted, which then goes through the largest values alone.
///
/// # Errors
/// A device error where libtorch fails.
pub fn conv_pool(
    x: &Tensor,
    kernel: &Tensor,
    bias: Option<&Tensor>,
    zeros: [i64; 4],
    relu: bool,
) -> Result<Option<Tensor>> {
    if !is_fused() {
        return Ok(None);
    }
    let compute = if x.size().get(1) == Some(&1) { convnet_conv_pool } else { convnet_pooled_conv };
    let bias = bias.map_or(ptr::null(), |bias| bias.as_ptr().cast());
    let (kernel, mut pooled) = (kernel.as_ptr().cast(), ptr::null_mut());
    // SAFETY: the tensors live, and so do `zeros` and `pooled`; it returns null or a string that is ours.
    checked(unsafe { compute(x.as_ptr().cast(), kernel, bias, zeros.as_ptr(), relu, &raw mut pooled) })?;
    // SAFETY: a new tensor, which nobody else has.
    Ok((!pooled.is_null()).then(|| unsafe { Tensor::from_ptr(pooled.cast()) }))
}

/// `x`, of any shape, f32 or bf16, of which `dropped` out of 65536 values become 0 and the others are divided by the share that stays.
/// Which ones is a function of `key`, of the row in the batch, the first of `x` being `first_row`, and of the place in it (an image's
/// channels last): so whoever computes some rows of a batch draws for those alone. None for other tensors.
///
/// The random numbers are Threefry-4x32's of 20 rounds (Salmon and others 2011).
///
/// # Errors
/// A device error where libtorch fails, or `dropped` is not below 65536.
pub fn dropout(x: &Tensor, key: i64, dropped: i64, first_row: i64) -> Result<Option<Tensor>> {
    let mut kept = ptr::null_mut();
    // SAFETY: the tensor lives, and so does `kept`; it returns null or a string that is ours.
    checked(unsafe { convnet_dropout(x.as_ptr().cast(), key, dropped, first_row, &raw mut kept) })?;
    // SAFETY: a new tensor, which nobody else has.
    Ok((!kept.is_null()).then(|| unsafe { Tensor::from_ptr(kept.cast()) }))
}

/// What is done to what batch normalisation gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(i32)]
pub enum Behind {
    /// Nothing.
    #[default]
    Linear = 0,
    /// Nothing below 0 goes through.
    Relu = 1,
    /// Nor above 6.
    Relu6 = 2,
}

/// A layer that normalises batches.
#[derive(Debug)]
pub struct BatchNorm {
    /// γ, `f32 [C]`; 1 where there is none.
    pub scale: Option<Tensor>,
    /// β, `f32 [C]`; 0 where there is none.
    pub center: Option<Tensor>,
    /// The moving mean and variance, `f32 [C]`.
    pub moving: [Tensor; 2],
    /// How much of them stays in a step.
    pub momentum: f64,
    /// Added to the variance.
    pub epsilon: f64,
    /// What is done behind it.
    pub behind: Behind,
}

/// `γ (x - μ) / √(σ² + ε) + β` of `x`, `[B, C, H, W]` channels-last or `[B, C]`, f32 or bf16 on the CPU, with what is behind it, in
/// two passes over memory: by the batch's mean and biased variance, towards which the moving ones then go, where `by_batch`, else by
/// the moving ones. None for other tensors, and where γ or β are trained while the statistics stay.
///
/// # Errors
/// A device error where libtorch fails.
pub fn batch_norm(x: &Tensor, layer: &BatchNorm, by_batch: bool) -> Result<Option<Tensor>> {
    if !is_fused() {
        return Ok(None);
    }
    let pointer = |tensor: &Option<Tensor>| tensor.as_ref().map_or(ptr::null(), |tensor| tensor.as_ptr().cast());
    // the statistics are changed in place, as every handle of them sees
    let [mean, variance] = layer.moving.each_ref().map(|tensor| tensor.as_ptr().cast_mut().cast());
    let mut normalized = ptr::null_mut();
    // SAFETY: the tensors live, and so does `normalized`; it returns null or a string that is ours.
    checked(unsafe {
        convnet_batch_norm(
            x.as_ptr().cast(),
            pointer(&layer.scale),
            pointer(&layer.center),
            mean,
            variance,
            1.0 - layer.momentum,
            layer.epsilon,
            by_batch,
            layer.behind as c_int,
            &raw mut normalized,
        )
    })?;
    // SAFETY: a new tensor, which nobody else has.
    Ok((!normalized.is_null()).then(|| unsafe { Tensor::from_ptr(normalized.cast()) }))
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

/// `images`, `u8 [B, H, W, C]` on the CPU, flipped left for right and shifted by whole pixels, with zeros where nothing came from: `u8 [B, H, W, C]`,
/// row-major. `moves`, `i32 [B, 3]`, say of each whether it is flipped, and then by how many pixels further right and
/// down its pixels come from.
///
/// # Errors
/// A device error where the tensors are others.
pub fn flip_and_shift(images: &Tensor, moves: &Tensor) -> Result<Tensor> {
    let mut moved = ptr::null_mut();
    // SAFETY: the tensors live, and so does `moved`; it returns null or a string that is ours.
    checked(unsafe { convnet_flip_and_shift(images.as_ptr().cast(), moves.as_ptr().cast(), &raw mut moved) })?;
    // SAFETY: a new tensor, which nobody else has.
    Ok(unsafe { Tensor::from_ptr(moved.cast()) })
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
    if !is_fused() {
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

#[cfg(test)]
mod tests;
