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

#[test]
fn leaves_are_named_by_their_path() {
    let layer = |name: &str, class_name, inner: Vec<LayerPlan>| LayerPlan {
        name: name.into(),
        class_name,
        input_shape: vec![2],
        output_shape: vec![2],
        weights: if class_name == "Dense" { vec![weight(WeightOrder::Dense, &[2, 2])] } else { vec![] },
        inner,
    };
    let block = layer("block", "Sequential", vec![layer("a", "Dense", vec![]), layer("b", "Dense", vec![])]);
    assert_eq!(block.num_parameters(), 8);
    let plan = [layer("first", "Dense", vec![]), block];
    let paths: Vec<String> = flat_layers(&plan).into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["first", "block.a", "block.b"]);
    let odd = layer("a/b", "Sequential", vec![layer("c.d", "Dense", vec![]), layer("", "Dense", vec![])]);
    let plan = [layer("a.b", "Dense", vec![]), odd];
    let paths: Vec<String> = flat_layers(&plan).into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["a/-b", "a//b.c/-d", "a//b."]);
}

#[test]
fn no_two_names_are_one_in_a_path() {
    let names = ["a", "", ".", "/", "..", "//", "./", "/.", "/-", "-", "a.b", "a/b", "a/-b", "a//b", "a-b"];
    let paths: std::collections::HashSet<String> = names.iter().map(|name| in_path(name)).collect();
    assert!(paths.len() == names.len() && paths.iter().all(|path| !path.contains('.')), "{paths:?}");
}
