use tch::Device;

use super::*;

/// A layer of `channels` with statistics of its own.
fn layer(channels: i64) -> BatchNorm {
    let numbers = |from: f64| Tensor::arange(channels, (Kind::Float, Device::Cpu)) * 0.25 + from;
    let (scale, center) = (Some(numbers(0.5)), Some(numbers(-1.0)));
    BatchNorm {
        scale,
        center,
        moving: [numbers(0.0), numbers(1.0)],
        momentum: 0.9,
        epsilon: 1e-3,
        behind: Behind::Linear,
    }
}

#[test]
fn sums_over_all_images_are_libtorch_s_normalisation_in_any_number_of_axes() {
    for size in [vec![6, 5], vec![4, 5, 5], vec![3, 5, 2, 4], vec![2, 5, 2, 3, 5]] {
        let count: i64 = size.iter().product();
        let x = (Tensor::arange(count, (Kind::Float, Device::Cpu)) * 1.7).sin().reshape(&size).set_requires_grad(true);
        let weights = (Tensor::arange(count, (Kind::Float, Device::Cpu)) * 0.3).cos().reshape(&size);
        let [mine, theirs] = [layer(5), layer(5)];
        let gradient =
            |y: &Tensor| Tensor::run_backward(&[(y * &weights).sum(Kind::Float)], &[&x], false, false).remove(0);
        let (summed, expected) = (by_all_images(&x, &mine).unwrap(), by_batch(&x, &theirs, None));
        let pairs = [(&summed, &expected), (&mine.moving[0], &theirs.moving[0]), (&mine.moving[1], &theirs.moving[1])];
        for (a, b) in pairs.into_iter().chain([(&gradient(&summed), &gradient(&expected))]) {
            assert!(a.allclose(b, 1e-4, 1e-5, false), "{size:?}: {}", (a - b).abs().max().double_value(&[]));
        }
    }
}
