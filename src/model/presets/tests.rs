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

#[test]
fn published_weights_have_an_address_and_a_checksum() {
    for preset in PRESETS.iter().filter(|preset| !preset.published.is_empty()) {
        assert!(preset.published.starts_with("https://") && preset.published.ends_with(".pth"), "{}", preset.name);
        let start = preset.sha256_start();
        assert!(start.len() == 8 && start.bytes().all(|byte| byte.is_ascii_hexdigit()), "{}: {start}", preset.name);
    }
}

#[test]
fn the_networks_for_photographs_cost_what_is_published() {
    // parameters that gradients change: torchvision 0.26 and timm 1.0.31; products: torchvision's documentation, in millions
    for (name, parameters, millions) in [
        ("resnet18", 11_689_512, 1814),
        ("resnet34", 21_797_672, 3664),
        ("resnet50", 25_557_032, 4089),
        ("mobilenet-v2", 3_504_872, 301),
        ("mobilenet-v3-small", 2_542_856, 57),
        ("mobilenet-v3-large", 5_483_032, 217),
        ("densenet121", 7_978_856, 2834),
        ("convnext-tiny", 28_589_128, 4456),
        ("efficientnet-b0", 5_288_548, 386),
        ("efficientnet-lite0", 4_652_008, 385),
    ] {
        let plan = preset(name).unwrap().plan().unwrap();
        assert_eq!(plan.num_trainable(), parameters, "{name}");
        assert_eq!((plan.multiply_adds() as f64 / 1e6).round() as usize, millions, "{name}");
    }
}
