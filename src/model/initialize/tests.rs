use super::*;
use crate::model::spec::WeightOrder;
use crate::rng::{Stream, generator};

fn weight(initializer: Initializer, keras_shape: &[usize]) -> WeightInfo {
    let keras_shape = keras_shape.to_vec();
    WeightInfo {
        name: "weight",
        keras_name: "kernel",
        shape: keras_shape.clone(),
        keras_shape,
        order: WeightOrder::Same,
        initializer,
        trainable: true,
        regularizer: None,
        constraint: None,
    }
}

fn moments(values: &[f32]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
    (mean, (values.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / n).sqrt())
}

#[test]
fn glorot_limits_of_the_default_network() {
    // √(6 / (9 + 288)), √(6 / (288 + 576)), √(6 / (1600 + 10)), as Keras 3.15 has them
    for (shape, limit) in [(vec![3, 3, 1, 32], 0.142_134), (vec![3, 3, 32, 64], 0.083_333), (vec![1600, 10], 0.061_047)]
    {
        let values = initial_values(&weight(Initializer::GlorotUniform, &shape), &mut generator(0, Stream::Init));
        let largest = values.iter().fold(0f32, |largest, x| largest.max(x.abs()));
        assert!(f64::from(largest) <= limit + 1e-6 && f64::from(largest) > 0.95 * limit, "{largest} {limit}");
        let (mean, stddev) = moments(&values);
        assert!(mean.abs() < limit * 0.1 && (stddev / (limit / 3f64.sqrt()) - 1.0).abs() < 0.1, "{mean} {stddev}");
    }
}

#[test]
fn normal_initializers_have_their_spread_and_no_tails() {
    let values = initial_values(&weight(Initializer::HeNormal, &[200, 300]), &mut generator(1, Stream::Init));
    let (mean, stddev) = moments(&values);
    assert!(mean.abs() < 2e-3 && (stddev / 0.1 - 1.0).abs() < 0.01, "{mean} {stddev}");
    let bound = 0.1 / TRUNCATED_STDDEV * 2.0;
    assert!(values.iter().all(|x| f64::from(x.abs()) <= bound + 1e-6));
    let random = Initializer::RandomNormal { mean: 1.0, stddev: 0.5 };
    let (mean, stddev) = moments(&initial_values(&weight(random, &[60_000]), &mut generator(2, Stream::Init)));
    assert!((mean - 1.0).abs() < 0.01 && (stddev - 0.5).abs() < 0.01, "{mean} {stddev}");
}

#[test]
fn scaled_variances_are_those_asked_for() {
    for distribution in [Distribution::TruncatedNormal, Distribution::UntruncatedNormal, Distribution::Uniform] {
        for (mode, variance) in [(Fan::In, 2.0 / 200.0), (Fan::Out, 2.0 / 300.0), (Fan::Average, 2.0 / 250.0)] {
            let initializer = Initializer::VarianceScaling { scale: 2.0, mode, distribution };
            let values = initial_values(&weight(initializer, &[200, 300]), &mut generator(3, Stream::Init));
            let (mean, stddev) = moments(&values);
            assert!(mean.abs() < 2e-3 && (stddev * stddev / variance - 1.0).abs() < 0.03, "{distribution:?} {mode:?}");
        }
    }
    let truncated = Initializer::TruncatedNormal { mean: 0.0, stddev: 0.05 };
    let values = initial_values(&weight(truncated, &[60_000]), &mut generator(4, Stream::Init));
    assert!(values.iter().all(|x| x.abs() <= 0.1 + 1e-6));
    assert!((moments(&values).1 / (0.05 * TRUNCATED_STDDEV) - 1.0).abs() < 0.02);
}

#[test]
fn orthogonal_vectors_are_orthonormal() {
    for shape in [vec![3, 3, 2, 5], vec![4, 9], vec![6, 6]] {
        let columns = shape[shape.len() - 1];
        let rows = shape.iter().product::<usize>() / columns;
        let mut weight = weight(Initializer::Orthogonal { gain: 2.0 }, &shape);
        weight.order = WeightOrder::Same;
        let values = initial_values(&weight, &mut generator(5, Stream::Init));
        let count = rows.min(columns);
        let entry = |vector: usize, index: usize| {
            let (row, column) = if rows >= columns { (index, vector) } else { (vector, index) };
            f64::from(values[row * columns + column]) / 2.0
        };
        for a in 0..count {
            for b in 0..count {
                let product: f64 = (0..rows.max(columns)).map(|index| entry(a, index) * entry(b, index)).sum();
                assert!((product - f64::from(u8::from(a == b))).abs() < 1e-6, "{shape:?} {a} {b} {product}");
            }
        }
    }
    assert_eq!(identity(&[2, 3], 2.0), [2.0, 0.0, 0.0, 0.0, 2.0, 0.0]);
}
