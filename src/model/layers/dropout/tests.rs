use super::*;

/// Mean and standard deviation.
fn moments(x: &Tensor) -> [f64; 2] {
    [x.mean(Kind::Double).double_value(&[]), x.std(false).double_value(&[])]
}

fn assert_close(actual: [f64; 2], expected: [f64; 2]) {
    // 10⁶ values: the mean of a standard normal is within 0.005 of 0 but once in 10⁶ times
    assert!(actual.iter().zip(expected).all(|(a, b)| (a - b).abs() < 0.01), "{actual:?} {expected:?}");
}

#[test]
fn noise_has_keras_s_mean_and_spread() {
    crate::native::manual_seed(1, tch::Device::Cpu).unwrap();
    let ones = Tensor::ones([1000, 1000], (Kind::Float, Device::Cpu));
    let share = |rate: f64| (rate / (1.0 - rate)).sqrt();
    assert_close(moments(&dropout(&ones, 0.3)), [1.0, share(0.3)]);
    assert_close(moments(&gaussian(&ones, 0.3)), [1.0, share(0.3)]);
    assert_close(moments(&noise(&ones, 0.3)), [1.0, 0.3]);
    let normal = Tensor::randn([1000, 1000], (Kind::Float, Device::Cpu));
    assert_close(moments(&alpha(&normal, 0.3)), [0.0, 1.0]); // what it is made for
}

#[test]
fn spatial_dropout_takes_whole_channels() {
    crate::native::manual_seed(2, tch::Device::Cpu).unwrap();
    let ones = Tensor::ones([100, 20, 3, 4], (Kind::Float, Device::Cpu));
    let y = spatial(&ones, 0.25).reshape([2000, 12]);
    let first = y.narrow(1, 0, 1);
    assert_eq!((&y - &first).abs().max().double_value(&[]), 0.0);
    let dropped = first.eq(0.0).to_kind(Kind::Double).mean(Kind::Double).double_value(&[]);
    assert!((dropped - 0.25).abs() < 0.05, "{dropped}");
    assert!((y.max().double_value(&[]) - 1.0 / 0.75).abs() < 1e-6);
}
