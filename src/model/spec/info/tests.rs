use super::*;

fn weight(order: WeightOrder, keras_shape: &[usize]) -> WeightInfo {
    WeightInfo::new(["weight", "kernel"], keras_shape.to_vec(), order, Initializer::Zeros)
}

fn counting(weight: &WeightInfo) -> Vec<f32> {
    (0..weight.num_elements()).map(|index| index as f32).collect()
}

#[test]
fn values_are_reordered_as_numpy_does() {
    // numpy: np.arange(6).reshape(2, 3).T.ravel()
    let dense = weight(WeightOrder::Dense, &[2, 3]);
    assert_eq!(dense.shape, [3, 2]);
    assert_eq!(dense.to_torch(&counting(&dense)), [0., 3., 1., 4., 2., 5.]);
    // np.arange(12).reshape(1, 2, 3, 2).transpose(3, 2, 0, 1).ravel()
    let convolution = weight(WeightOrder::Convolution, &[1, 2, 3, 2]);
    assert_eq!(convolution.shape, [2, 3, 1, 2]);
    let expected = [0., 6., 2., 8., 4., 10., 1., 7., 3., 9., 5., 11.];
    assert_eq!(convolution.to_torch(&counting(&convolution)), expected);
    // np.arange(12).reshape(1, 2, 3, 2).transpose(2, 3, 0, 1).reshape(6, 1, 1, 2).ravel()
    let depthwise = weight(WeightOrder::Depthwise, &[1, 2, 3, 2]);
    assert_eq!(depthwise.shape, [6, 1, 1, 2]);
    let expected = [0., 6., 1., 7., 2., 8., 3., 9., 4., 10., 5., 11.];
    assert_eq!(depthwise.to_torch(&counting(&depthwise)), expected);
}

#[test]
fn every_order_is_undone() {
    for (order, shape) in [
        (WeightOrder::Same, vec![2, 3, 4]),
        (WeightOrder::Same, vec![]),
        (WeightOrder::Dense, vec![5, 3]),
        (WeightOrder::Convolution, vec![3, 2, 4, 5]),
        (WeightOrder::Depthwise, vec![3, 2, 4, 5]),
    ] {
        let weight = weight(order, &shape);
        let values = counting(&weight);
        assert_eq!(weight.to_keras(&weight.to_torch(&values)), values, "{order:?}");
    }
}
