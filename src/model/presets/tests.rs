use super::*;
use crate::data::ImageShape;
use crate::model::spec::{Head, LayerPlan};

#[test]
fn every_preset_is_a_network() {
    for Preset { name, .. } in PRESETS {
        let spec = preset(name).expect("it is in the table");
        assert!(spec.plan().is_ok(), "{name}");
    }
    assert!(preset("no-such-preset").is_none());
}

#[test]
fn presets_have_keras_s_parameters_and_fit_other_data() {
    // counted by Keras 3.15.1: count_params() of the same files
    for (name, parameters) in
        [("mlp", 669_706), ("lenet5", 61_706), ("vgg-small", 437_034), ("wide-cnn", 289_066), ("keras-cnn", 34_826)]
    {
        let mut spec = preset(name).unwrap();
        assert_eq!(spec.plan().unwrap().num_parameters(), parameters, "{name}");
        let colour = ImageShape { height: 32, width: 32, channels: 3 };
        spec.adapt(colour, 100);
        spec.check_fits(colour, 100).unwrap();
        assert_eq!(spec.output_kind().unwrap().head, Head::Softmax, "{name}");
    }
}

#[test]
fn the_default_has_keras_s_parameters() {
    let plan = preset("keras-cnn").unwrap().plan().unwrap();
    let shapes: Vec<&[usize]> = plan.layers.iter().map(LayerPlan::output_shape).collect();
    let expected: [&[usize]; 7] =
        [&[26, 26, 32], &[13, 13, 32], &[11, 11, 64], &[5, 5, 64], &[5, 5, 64], &[1600], &[10]];
    assert_eq!(shapes, expected);
    assert_eq!(plan.num_parameters(), 34_826);
}
