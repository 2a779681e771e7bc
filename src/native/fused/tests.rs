use tch::{Device, Kind};

use super::super::tests::noise;
use super::*;

/// Whether `a` is `b` but for `tolerance` of its largest number.
fn is_close(a: &Tensor, b: &Tensor, tolerance: f64) -> bool {
    let (a, b) = (a.to_kind(Kind::Double), b.to_kind(Kind::Double));
    a.size() == b.size()
        && (&a - &b).abs().max().double_value(&[]) <= tolerance * b.abs().max().double_value(&[]).max(1.0)
}

/// What [`conv_pool`] is to compute, by libtorch's operators, in f64.
fn convolved_by_libtorch(x: &Tensor, kernel: &Tensor, bias: Option<&Tensor>, zeros: [i64; 4], relu: bool) -> Tensor {
    let [x, kernel] = [x, kernel].map(|tensor| tensor.to_kind(Kind::Double));
    let bias = bias.map(|bias| bias.to_kind(Kind::Double));
    let convolved = x.pad(zeros, "constant", 0.0).conv2d(&kernel, bias, [1, 1], [0, 0], [1, 1], 1);
    let pooled = convolved.max_pool2d([2, 2], [2, 2], [0, 0], [1, 1], false);
    if relu { pooled.relu() } else { pooled }
}

#[test]
fn a_convolution_with_its_pooling_gives_libtorch_s_values_and_gradients() {
    // filters that fill vectors of every width, and rests; images, zeros around them
    let filters = [32, 1, 21, 48, 7];
    let images = [([3, 28, 28], [0; 4]), ([1, 5, 6], [0; 4]), ([130, 9, 7], [1; 4]), ([2, 6, 11], [2, 1, 0, 3])];
    for (number, (filters, (image, zeros))) in
        filters.iter().flat_map(|f| images.iter().map(move |i| (f, i))).enumerate()
    {
        for (kind, size, has_bias, relu) in [
            (Kind::Float, 3, true, true),
            (Kind::Float, 5, true, false),
            (Kind::BFloat16, 3, false, true),
            (Kind::BFloat16, 5, true, true),
        ] {
            let case = format!(
                "{filters} filters of {size}, {image:?} between {zeros:?}, {kind:?}, bias {has_bias}, ReLU {relu}"
            );
            let [batch, height, width] = *image;
            let seed = number as f64;
            let x = noise(&[batch, 1, height, width], seed).to_kind(kind);
            let kernel = noise(&[*filters, 1, size, size], seed + 0.5).set_requires_grad(true);
            let bias = has_bias.then(|| noise(&[*filters], seed + 0.7).set_requires_grad(true));
            let Some(ours) = conv_pool(&x, &kernel, bias.as_ref(), *zeros, relu).unwrap() else {
                let has_vectors = cfg!(target_arch = "x86_64") && std::arch::is_x86_feature_detected!("avx2");
                let is_empty = height + zeros[2] + zeros[3] <= size || width + zeros[0] + zeros[1] <= size;
                assert!(!has_vectors || is_empty, "{case}");
                continue;
            };
            let expected = convolved_by_libtorch(&x, &kernel, bias.as_ref(), *zeros, relu);
            let tolerance = if kind == Kind::Float { 1e-6 } else { 0.01 };
            assert!(ours.kind() == kind && is_close(&ours, &expected, tolerance), "{case}");
            let without = tch::no_grad(|| conv_pool(&x, &kernel, bias.as_ref(), *zeros, relu).unwrap().unwrap());
            assert!(without.equal(&ours), "{case}");
            let gradient = noise(&expected.size(), seed + 0.9).to_kind(kind);
            let inputs: Vec<&Tensor> = [Some(&kernel), bias.as_ref()].into_iter().flatten().collect();
            let of = |y: &Tensor| {
                let loss = (y.to_kind(Kind::Double) * gradient.to_kind(Kind::Double)).sum(Kind::Double);
                Tensor::run_backward(&[loss], &inputs, false, false)
            };
            for (ours, theirs) in of(&ours).iter().zip(of(&expected)) {
                assert!(ours.kind() == Kind::Float && is_close(ours, &theirs, 1e-5), "{case}: {ours} {theirs}");
            }
        }
    }
}

#[test]
fn a_convolution_with_its_pooling_keeps_nan_and_leaves_to_libtorch_what_it_cannot() {
    let kernel = |size: &[i64]| Tensor::ones(size, (Kind::Float, Device::Cpu));
    let image = |kind| Tensor::zeros([1, 1, 6, 6], (kind, Device::Cpu));
    let nan = image(Kind::Float).fill(f64::NAN);
    let values = conv_pool(&nan, &kernel(&[4, 1, 3, 3]), None, [0; 4], true).unwrap();
    assert!(values.is_none_or(|values| values.double_value(&[0, 0, 0, 0]).is_nan()));
    let refused = |x: &Tensor, kernel: &Tensor| conv_pool(x, kernel, None, [0; 4], true).unwrap().is_none();
    assert!(refused(&image(Kind::Double), &kernel(&[4, 1, 3, 3])));
    assert!(
        refused(&image(Kind::Float), &kernel(&[4, 1, 4, 4])) && refused(&image(Kind::Float), &kernel(&[4, 1, 3, 5]))
    );
    assert!(refused(&image(Kind::Float).set_requires_grad(true), &kernel(&[4, 1, 3, 3])));
    assert!(refused(&Tensor::zeros([1, 3, 6, 6], (Kind::Float, Device::Cpu)), &kernel(&[4, 3, 3, 3])));
    assert!(refused(&Tensor::zeros([1, 1, 3, 6], (Kind::Float, Device::Cpu)), &kernel(&[4, 1, 3, 3])), "no window");
}
