//! Gradient clipping on the flat gradient, without waiting for the device.

use tch::{Device, Kind, Tensor};

/// How gradients are kept small; Keras takes one of the three.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Clip {
    /// Each number to `-value` … `value` (Keras's `clipvalue`).
    Value(f64),
    /// Each weight's gradient to this length (Keras's `clipnorm`).
    Norm(f64),
    /// All gradients together to this length (Keras's `global_clipnorm`).
    GlobalNorm(f64),
}

/// Which part of a flat tensor belongs to which weight.
pub(super) struct Segments {
    /// `i64 [W]`: how many numbers each weight has.
    counts: Tensor,
    total: i64,
}

impl Segments {
    pub(super) fn new(counts: &[i64], device: Device) -> Self {
        Segments { counts: Tensor::from_slice(counts).to_device(device), total: counts.iter().sum() }
    }

    /// The length of each weight's part of `flat`: `f64 [W]`, summed in f64.
    fn norms(&self, flat: &Tensor) -> Tensor {
        let squares = flat.to_kind(Kind::Double).square();
        let none = None::<&Tensor>;
        Tensor::segment_reduce(&squares, "sum", Some(&self.counts), none, none, 0, true, 0.0).sqrt()
    }

    /// Each weight's number, as often as the weight has numbers: `[W]` to `[P]`.
    fn spread(&self, of_weights: &Tensor) -> Tensor {
        of_weights.repeat_interleave_self_tensor(&self.counts, 0, self.total)
    }
}

impl Clip {
    /// The clipped `gradient`, `f32 [P]`. A gradient that is not finite stays so.
    pub(super) fn apply(self, mut gradient: Tensor, segments: Option<&Segments>) -> Tensor {
        match self {
            Clip::Value(value) => gradient.clamp_(-value, value),
            Clip::Norm(limit) => {
                let segments = segments.expect("an optimizer that clips by norm has segments");
                let scale = (segments.norms(&gradient).reciprocal() * limit).clamp_max(1.0).to_kind(Kind::Float);
                gradient * segments.spread(&scale)
            }
            Clip::GlobalNorm(limit) => {
                let norm = gradient.square().sum(Kind::Double).sqrt();
                gradient * (norm.reciprocal() * limit).clamp_max(1.0).to_kind(Kind::Float)
            }
        }
    }
}
