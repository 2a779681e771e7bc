//! Fixed changes of the input.

use tch::{Device, Tensor};

use super::super::spec::Numbers;
use super::super::spec::layers::{Normalization, Rescaling};
use super::order::{from_keras_order, per_channel};

/// Keras's floor under the standard deviation.
const SMALLEST_STDDEV: f64 = 1e-7;

/// One number, or one a channel, as f32 on `device`: what lies on the host would be copied in every step.
fn tensor_of(numbers: &Numbers, device: Device) -> Tensor {
    let values: Vec<f32> = numbers.values().iter().map(|&value| value as f32).collect();
    Tensor::from_slice(&values).to_device(device)
}

/// `values` ready to be combined with `x`.
fn fitted(values: &Tensor, x: &Tensor) -> Tensor {
    per_channel(&values.to_kind(x.kind()), x)
}

/// `x · scale + offset`, on `device`.
pub fn rescaling(spec: &Rescaling, device: Device) -> impl Fn(&Tensor) -> Tensor + Send + 'static {
    let (scale, offset) = (tensor_of(&spec.scale, device), tensor_of(&spec.offset, device));
    move |x| x * fitted(&scale, x) + fitted(&offset, x)
}

/// `(x - mean) / max(√variance, 1e-7)`, or the other way round, with the settings' numbers or those of the weights, on
/// `device`.
pub fn normalization(
    spec: &Normalization,
    input: &[usize],
    own: Vec<Tensor>,
    device: Device,
) -> impl Fn(&Tensor) -> Tensor + Send + 'static {
    let invert = spec.invert;
    let axes = spec.kept_axes(input).expect("the plan has checked the axes");
    // statistics of other axes than the last, in a shape that goes with the input in Keras's order
    let broadcast = (axes.iter().any(|&axis| axis != input.len()) && !own.is_empty()).then(|| {
        let size = |(axis, &size): (usize, &usize)| if axes.contains(&(axis + 1)) { size as i64 } else { 1 };
        std::iter::once(1).chain(input.iter().enumerate().map(size)).collect::<Vec<i64>>()
    });
    let fitted = move |values: &Tensor, x: &Tensor| match &broadcast {
        Some(shape) => from_keras_order(&values.to_kind(x.kind()).reshape(shape)),
        None => fitted(values, x),
    };
    let [mean, variance] = match (&spec.mean, &spec.variance, &own[..]) {
        (Some(mean), Some(variance), _) => [tensor_of(mean, device), tensor_of(variance, device)],
        (_, _, [mean, variance, ..]) => [mean.shallow_clone(), variance.shallow_clone()],
        _ => unreachable!("the plan has the weights where the settings have no numbers"),
    };
    move |x| {
        let stddev = fitted(&variance.sqrt().clamp_min(SMALLEST_STDDEV), x);
        let mean = fitted(&mean, x);
        if invert { x * stddev + mean } else { (x - mean) / stddev }
    }
}
