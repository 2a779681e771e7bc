use tch::{Device, Kind};

use super::*;
use crate::data::ImageShape;
use crate::model::Model;
use crate::model::spec::{ShortForm, Spec};

fn network(layers: &str) -> Spec {
    let shape = ImageShape { height: 13, width: 12, channels: 3 };
    ShortForm::parse(&format!("{layers}\nGlobalAveragePooling2D\nDense softmax"), "net")
        .unwrap()
        .spec(shape, 4)
        .unwrap()
}

/// The calls that add zeros, each with the call whose zeros they are.
fn taken(layers: &str, features_call: Option<usize>) -> Vec<(usize, usize)> {
    let plan = network(layers).plan().unwrap();
    let fusion = Fusion::new(&plan, &plan.flat_layers(), features_call);
    let calls = fusion.zeros_of.iter().enumerate();
    let taken: Vec<_> = calls.filter_map(|(call, zeros)| zeros.map(|(from, _)| (call, from))).collect();
    for &(call, from) in &taken {
        let leaves = plan.flat_layers();
        let moved = |call| fusion.moved(&plan, &leaves, call, |_| Vec::new());
        assert!(moved(from).is_padded_behind && moved(call).zeros.is_some());
    }
    taken
}

#[test]
fn zeros_are_taken_by_what_alone_reads_them() {
    for layers in [
        "ZeroPadding2D 1\nConv2D 4 3 2",
        "ZeroPadding2D [2,1]\nDepthwiseConv2D 3",
        "ZeroPadding2D 5\nSeparableConv2D 4 3",
        // of negative values no zero is to be the largest
        "Conv2D 4 3 relu\nZeroPadding2D 1\nMaxPooling2D 3 2",
        "ReLU max_value=6\nZeroPadding2D [1,0]\nMaxPooling2D 2 2",
    ] {
        let padding = usize::from(layers.contains("MaxPooling"));
        assert_eq!(taken(layers, None), [(padding + 1, padding)], "{layers}");
        assert_eq!(taken(layers, Some(padding)), [], "{layers}: features are kept with their zeros");
    }
    for layers in [
        "ZeroPadding2D [[0,1],[0,1]]\nConv2D 4 3 2",
        "ZeroPadding2D 1\nConv2D 4 3 same",
        "ZeroPadding2D 1\nBatchNormalization",
        "ZeroPadding2D 1\nAveragePooling2D 3",
        "ZeroPadding2D 1\nMaxPooling2D 3 2",
        "Conv2D 4 3 tanh\nZeroPadding2D 1\nMaxPooling2D 3 2",
        "Conv2D 4 3 relu\nZeroPadding2D 2\nMaxPooling2D 3 2",
        "Conv2D 4 3 relu\nZeroPadding2D 1\nMaxPooling2D 3 2 same",
    ] {
        assert_eq!(taken(layers, None), [], "{layers}");
    }
}

#[test]
fn values_and_gradients_are_those_of_every_layer_by_itself() {
    for layers in [
        "ZeroPadding2D 1\nConv2D 4 3 2\nBatchNormalization\nReLU\nZeroPadding2D [0,2]\nDepthwiseConv2D 3 2 use_bias=false",
        "ZeroPadding2D 3\nConv2D 5 7 2 relu\nZeroPadding2D 1\nMaxPooling2D 3 2\nZeroPadding2D 2\nSeparableConv2D 4 3",
        "Conv2D 6 3\nBatchNormalization\nReLU max_value=6\nZeroPadding2D 1\nMaxPooling2D 2 2\nMaxPooling2D 3 2 same",
    ] {
        let model = Model::new(network(layers), 1.0, Device::Cpu, 3).unwrap();
        let alone = model.unfused().unwrap();
        let numbers = Tensor::arange(5 * 13 * 12 * 3, (Kind::Double, Device::Cpu)) * 12.9898;
        let images = ((numbers.sin() * 43758.5453).frac() * 2.0).to_kind(Kind::Float).reshape([5, 13, 12, 3]);
        let images = images.set_requires_grad(true);
        let of = |model: &Model| {
            let values = model.values(&images, true);
            let loss = (values.log_softmax(-1, None) * Tensor::arange(4, (Kind::Float, Device::Cpu))).sum(None);
            let trained = model.weights().iter().filter(|weight| weight.trainable).map(|weight| &weight.tensor);
            let inputs: Vec<&Tensor> = std::iter::once(&images).chain(trained).collect();
            let gradients = Tensor::run_backward(&[loss], &inputs, false, false);
            std::iter::once(values).chain(gradients).collect::<Vec<_>>()
        };
        for (number, (ours, theirs)) in of(&model).iter().zip(of(&alone)).enumerate() {
            let difference = (ours - &theirs).abs().max().double_value(&[]);
            let largest = theirs.abs().max().double_value(&[]);
            assert!(difference <= 1e-5 * largest.max(1.0), "{layers}: {number}: {difference} of {largest}");
        }
    }
}

/// Images of one channel, which want no gradient: as a first layer has them.
#[test]
fn a_first_convolution_is_computed_with_its_pooling() {
    let shape = ImageShape { height: 12, width: 11, channels: 1 };
    for (layers, is_together) in [
        ("Conv2D 6 3 relu\nMaxPooling2D 2", true),
        ("ZeroPadding2D 2\nConv2D 5 5 use_bias=false\nMaxPooling2D 2 2", true),
        ("Conv2D 6 3 same\nActivation relu\nMaxPooling2D 2", false),
        ("Conv2D 6 3 tanh\nMaxPooling2D 2", false),
        ("Conv2D 6 3 relu\nMaxPooling2D 3", false),
        ("Conv2D 6 3 2 relu\nMaxPooling2D 2", false),
        ("Conv2D 6 [3,5] relu\nMaxPooling2D 2", false),
        ("Conv2D 6 3 relu\nMaxPooling2D 2 1", false),
        ("Conv2D 6 3 relu\nMaxPooling2D 2 2 same", false),
    ] {
        let text = format!("{layers}\nGlobalAveragePooling2D\nDense softmax");
        let spec = ShortForm::parse(&text, "net").unwrap().spec(shape, 4).unwrap();
        let plan = spec.plan().unwrap();
        let together = |features_call| {
            let fusion = Fusion::new(&plan, &plan.flat_layers(), features_call);
            fusion.convolution_of.iter().flatten().copied().next()
        };
        assert_eq!(together(None).is_some(), is_together, "{layers}");
        assert!(together(None).is_none_or(|call| together(Some(call)).is_none()), "{layers}: its values are kept");
        let model = Model::new(spec, 1.0, Device::Cpu, 3).unwrap();
        let alone = model.unfused().unwrap();
        let images = Tensor::arange(5 * 12 * 11, (Kind::Double, Device::Cpu)) * 12.9898;
        let images = ((images.sin() * 43758.5453).frac() * 2.0).to_kind(Kind::Float).reshape([5, 12, 11, 1]);
        let of = |model: &Model| {
            let values = model.values(&images, true);
            let loss = (values.log_softmax(-1, None) * Tensor::arange(4, (Kind::Float, Device::Cpu))).sum(None);
            let trained = model.weights().iter().filter(|weight| weight.trainable).map(|weight| &weight.tensor);
            let gradients = Tensor::run_backward(&[loss], &trained.collect::<Vec<_>>(), false, false);
            std::iter::once(values).chain(gradients).collect::<Vec<_>>()
        };
        for (number, (ours, theirs)) in of(&model).iter().zip(of(&alone)).enumerate() {
            let difference = (ours - &theirs).abs().max().double_value(&[]);
            let largest = theirs.abs().max().double_value(&[]);
            assert!(difference <= 1e-5 * largest.max(1.0), "{layers}: {number}: {difference} of {largest}");
        }
    }
}
