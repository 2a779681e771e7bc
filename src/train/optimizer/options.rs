//! What an optimizer does with every rule: clipping, weight decay and the moving average of the weights.

use super::Clip;

/// What happens around an optimizer's own rule, in Keras's order: clip, decay, step, average.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct StepOptions {
    /// How gradients are kept small.
    pub clip: Option<Clip>,
    /// λ of `w -= λ·η·w`, before the step, for every trainable weight.
    pub weight_decay: f64,
    /// δ of the weights' moving average `a = δa + (1 - δ)w`, after the step.
    pub ema: Option<f64>,
}
