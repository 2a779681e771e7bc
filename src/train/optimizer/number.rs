//! A number that changes from step to step.

use tch::Tensor;

/// Where the number lies.
pub(super) enum Number {
    /// Here: a step that was recorded would take it as it was then.
    Host(f64),
    /// On the device, an `f32` scalar: a step that was recorded reads it each time.
    Device(Tensor),
}

impl Number {
    /// `x`, `f32`, times this.
    pub(super) fn times(&self, x: &Tensor) -> Tensor {
        match self {
            Number::Host(number) => x * *number,
            Number::Device(number) => x * number,
        }
    }

    /// `x`, `f32`, divided by this. libtorch's kernels for CUDA multiply by the reciprocal of a number that lies on the host: the last
    /// bit may differ there.
    pub(super) fn below(&self, x: &Tensor) -> Tensor {
        match self {
            Number::Host(number) => x / *number,
            Number::Device(number) => x / number,
        }
    }

    /// Multiplies `x`, `f32`, by this.
    pub(super) fn scale(&self, x: &mut Tensor) {
        match self {
            Number::Host(number) => *x *= *number,
            Number::Device(number) => *x *= number,
        }
    }
}
