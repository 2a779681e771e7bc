//! How a network's weights, and their gradients, are distributed.

use tch::{Device, Kind, Tensor};

use crate::log::Histogram;
use crate::model::{Model, Weight};

/// Buckets of a histogram: as many as `tf.summary.histogram` makes, which Keras's callback calls.
const NUM_BUCKETS: i64 = 30;

/// A histogram of each weight of `model`, called `<layer>/<weight>/histogram` with Keras's names, and of each of `gradients`, by
/// the weights' names, called `<layer>/<weight>/gradient/histogram`. What is not finite is left out. Waits for the device.
pub(super) fn of_weights(model: &Model, gradients: &[(&str, Tensor)]) -> Vec<Histogram> {
    let path = |weight: &Weight| format!("{}/{}", weight.layer().replace('.', "/"), weight.info.keras_name);
    let weights = model.weights().iter().map(|weight| (format!("{}/histogram", path(weight)), weight.tensor.detach()));
    let named = |name: &str| model.weights().iter().find(|weight| weight.name == name);
    let gradients = gradients.iter().filter_map(|(name, gradient)| {
        Some((format!("{}/gradient/histogram", path(named(name)?)), gradient.shallow_clone()))
    });
    weights.chain(gradients).filter_map(|(tag, values)| histogram(tag, &values)).collect()
}

/// That of `values`, whatever their shape; none where there are no numbers, or one is not finite.
fn histogram(tag: String, values: &Tensor) -> Option<Histogram> {
    // on CUDA, libtorch's histc is not for deterministic runs
    let values = values.to_device(Device::Cpu).to_kind(Kind::Float).flatten(0, -1);
    if values.numel() == 0 {
        return None;
    }
    let sum = |values: &Tensor| values.sum(Kind::Double).double_value(&[]);
    let (min, max) = (values.min().double_value(&[]), values.max().double_value(&[]));
    if !(min.is_finite() && max.is_finite()) {
        return None;
    }
    // as histc has it, which takes the range itself
    let (min, max) = if min < max { (min, max) } else { (min - 1.0, max + 1.0) };
    let counts = values.histc(NUM_BUCKETS).to_kind(Kind::Double);
    Some(Histogram {
        tag,
        min,
        max,
        sum: sum(&values),
        sum_squares: sum(&values.to_kind(Kind::Double).square()),
        counts: Vec::try_from(counts).expect("a flat f64 tensor"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_counted() {
        let found = histogram("a".into(), &Tensor::from_slice(&[0.0f32, 0.1, 15.0, 30.0]).reshape([2, 2])).unwrap();
        assert_eq!((found.min, found.max, found.counts.len()), (0.0, 30.0, 30));
        assert_eq!((found.counts[0], found.counts[15], found.counts[29]), (2.0, 1.0, 1.0));
        assert!((found.sum - 45.1).abs() < 1e-5 && (found.sum_squares - 1125.01).abs() < 1e-3);
        let same = histogram("a".into(), &Tensor::from_slice(&[2.0f32; 3])).unwrap();
        assert_eq!((same.min, same.max, same.counts.iter().sum::<f64>()), (1.0, 3.0, 3.0));
        assert!(histogram("a".into(), &Tensor::from_slice(&[1.0f32, f32::NAN])).is_none());
        assert!(histogram("a".into(), &Tensor::from_slice(&[1.0f32, f32::INFINITY])).is_none());
        assert!(histogram("a".into(), &Tensor::zeros([0], (Kind::Float, Device::Cpu))).is_none());
    }
}
