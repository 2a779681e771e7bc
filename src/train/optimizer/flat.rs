//! How the trainable weights lie one after the other in one tensor.

use tch::{Device, Kind, Tensor};

use crate::model::Weight;

/// A weight in the flat tensor.
pub struct Parameter {
    pub name: String,
    pub tensor: Tensor,
    /// Its first number in the flat tensor.
    pub start: i64,
    /// Its numbers.
    pub count: i64,
    /// Numbers behind it that belong to no weight: the next one begins at a multiple of [`alignment`].
    pub gap: i64,
}

/// Parameters one after the other in the flat tensor that are trained at the same rate.
pub struct ParameterGroup {
    pub start: i64,
    pub count: i64,
    /// What the learning rate is multiplied by for them.
    pub rate_scale: f64,
}

impl Parameter {
    /// This weight's part of a flat tensor, in the weight's shape; kernels channels-last in memory.
    pub fn view_of(&self, flat: &Tensor) -> Tensor {
        let part = flat.narrow(0, self.start, self.count);
        match self.tensor.size()[..] {
            [a, b, h, w] => part.view([a, h, w, b]).permute([0, 3, 1, 2]),
            ref size => part.view(size),
        }
    }
}

/// Every weight begins at a multiple of so many numbers in the flat tensor. libtorch's and cuDNN's kernels for CUDA read 16 bytes at a
/// time where they are aligned, 8 numbers in bf16; those for the CPU read as fast anywhere.
pub fn alignment(device: Device) -> i64 {
    if device == Device::Cpu { 1 } else { 8 }
}

/// The trainable ones of `weights` as they lie in the flat tensor, those of one rate one after the other.
pub fn parameter_groups(
    weights: &[Weight],
    rate_scale: impl Fn(&Weight) -> f64,
) -> (Vec<Parameter>, Vec<ParameterGroup>) {
    let trainable = weights.iter().filter(|weight| weight.trainable);
    let mut scaled: Vec<(f64, &Weight)> = trainable.map(|weight| (rate_scale(weight), weight)).collect();
    scaled.sort_by(|(a, _), (b, _)| a.total_cmp(b)); // stable: the order of the layers within a group
    let (mut parameters, mut start) = (Vec::new(), 0);
    let mut groups: Vec<ParameterGroup> = Vec::new();
    for (rate_scale, weight) in scaled {
        let (name, tensor) = (weight.name.clone(), weight.tensor.shallow_clone());
        let count = tensor.numel() as i64;
        let gap = gap_behind(count, alignment(tensor.device()));
        match groups.last_mut() {
            Some(group) if group.rate_scale == rate_scale => group.count += count + gap,
            _ => groups.push(ParameterGroup { start, count: count + gap, rate_scale }),
        }
        parameters.push(Parameter { name, tensor, start, count, gap });
        start += count + gap;
    }
    (parameters, groups)
}

/// How many numbers are missing from `count` to a multiple of `alignment`.
pub fn gap_behind(count: i64, alignment: i64) -> i64 {
    (alignment - count % alignment) % alignment
}

/// `tensors`, one for each of `parameters`, as `f32 [P]`, each in the order of its memory where it is channels-last, with `zeros` in the
/// gaps.
pub fn flatten(parameters: &[Parameter], tensors: impl Iterator<Item = Tensor>, zeros: &Tensor) -> Tensor {
    let mut flat = Vec::with_capacity(2 * parameters.len());
    for (parameter, tensor) in parameters.iter().zip(tensors) {
        flat.push(match tensor.dim() {
            4 => tensor.permute([0, 2, 3, 1]).reshape([-1]),
            _ => tensor.reshape([-1]),
        });
        if parameter.gap > 0 {
            flat.push(zeros.narrow(0, 0, parameter.gap));
        }
    }
    match flat.is_empty() {
        true => Tensor::zeros([0], (Kind::Float, Device::Cpu)),
        false => Tensor::cat(&flat, 0),
    }
}
