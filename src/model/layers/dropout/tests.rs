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

#[test]
fn a_process_drops_of_its_rows_what_all_of_the_batch_drops_of_them() {
    let rows = |kind, size: &[i64]| Tensor::arange(size.iter().product::<i64>(), (kind, Device::Cpu)).view(size);
    for x in [rows(Kind::Float, &[6, 40]), rows(Kind::BFloat16, &[6, 3, 4, 5])] {
        let drawn = |x: &Tensor, first| {
            crate::native::manual_seed(3, Device::Cpu).unwrap();
            drawn_at_once(x, 0.3, first, 6)
        };
        let all = drawn(&x, 0);
        for (first, count) in [(0, 2), (2, 4), (5, 1), (0, 6)] {
            let own = x.narrow(0, first, count).set_requires_grad(true);
            let mine = drawn(&own, first);
            let expected = all.narrow(0, first, count);
            assert!(mine.ne(0.0).equal(&expected.ne(0.0)), "{:?} {first} {count}", x.kind());
            // on the CPU libtorch's forward operator rounds the factor to bf16, its backward one does not
            let tolerance = if x.kind() == Kind::Float { 0.0 } else { 1e-2 };
            assert!(mine.allclose(&expected, tolerance, 0.0, false), "{:?} {first} {count}", x.kind());
            mine.sum(Kind::Float).backward();
            // 1 / 0.7 to the next 1/65536 where a value stays, 0 elsewhere
            let gradient = (own.grad() * &own).detach();
            assert!(gradient.allclose(&mine.detach(), 1e-2, 0.0, false), "{:?} {first} {count}", x.kind());
        }
    }
}
