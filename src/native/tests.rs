use tch::{Kind, Tensor};

use super::*;

#[test]
fn tf32_is_what_was_asked_for() {
    for allowed in [true, false] {
        allow_tf32(allowed).unwrap();
        assert_eq!(tf32_is_allowed().unwrap(), allowed);
    }
}

#[test]
fn cudnn_is_deterministic_where_asked_for() {
    for deterministic in [true, false] {
        set_deterministic(deterministic).unwrap();
        assert_eq!(is_deterministic().unwrap(), deterministic);
    }
}

#[test]
fn a_seed_is_that_of_tch() {
    let numbers = || Vec::<f32>::try_from(tch::Tensor::rand([4], (tch::Kind::Float, Device::Cpu))).unwrap();
    manual_seed(u64::MAX, Device::Cpu).unwrap();
    let ours = numbers();
    #[expect(clippy::disallowed_methods, reason = "the one that is replaced")]
    tch::manual_seed(-1);
    assert_eq!(ours, numbers());
}

/// What [`max_pool`] is to compute, by libtorch's operators, in f32.
fn pooled_by_libtorch(x: &Tensor, bias: Option<&Tensor>, window: [i64; 2], relu: bool) -> Tensor {
    let x = x.to_kind(Kind::Float).contiguous();
    let biased = bias.map_or_else(|| x.shallow_clone(), |bias| &x + bias.view([1, -1, 1, 1]));
    let pooled = biased.max_pool2d(window, window, [0, 0], [1, 1], false);
    if relu { pooled.relu() } else { pooled }
}

#[test]
fn max_pooling_in_one_pass_gives_libtorch_s_values_and_gradients() {
    manual_seed(5, Device::Cpu).unwrap();
    let shapes = [[2, 32, 26, 26], [3, 1, 5, 7], [1, 17, 9, 4], [2, 64, 11, 11], [1, 3, 6, 6], [5, 40, 2, 3]];
    for kind in [Kind::Float, Kind::BFloat16] {
        for (number, shape) in shapes.iter().enumerate() {
            for window in [[2, 2], [1, 1], [3, 2], [2, 3]] {
                if window[0] > shape[2] || window[1] > shape[3] {
                    continue;
                }
                for (has_bias, relu) in [(true, true), (false, true), (true, false), (false, false)] {
                    let [batch, channels, height, width] = *shape;
                    let stored = Tensor::randn([batch, height, width, channels], (kind, Device::Cpu));
                    let x = stored.permute([0, 3, 1, 2]).set_requires_grad(true);
                    let bias = Tensor::randn([channels], (Kind::Float, Device::Cpu)).set_requires_grad(true);
                    let bias = has_bias.then_some(&bias);
                    let case = format!("{kind:?} {shape:?} {window:?} bias {has_bias} relu {relu}");
                    let ours = max_pool(&x, bias, window, relu).unwrap().expect(&case);
                    let expected = pooled_by_libtorch(&x, bias, window, relu);
                    assert!(ours.equal(&expected.to_kind(kind)), "{case}");
                    let without = tch::no_grad(|| max_pool(&x, bias, window, relu).unwrap().unwrap());
                    assert!(without.equal(&ours), "{case}");
                    let gradient = Tensor::randn_like(&ours);
                    let inputs: Vec<&Tensor> = [Some(&x), bias].into_iter().flatten().collect();
                    let of = |y: &Tensor, gradient: &Tensor| {
                        Tensor::run_backward(&[(y * gradient).sum(Kind::Float)], &inputs, false, false)
                    };
                    let (ours, theirs) = (of(&ours, &gradient), of(&expected, &gradient.to_kind(Kind::Float)));
                    // bf16 values are often equal: then any of them may have the gradient, the same sum of each window
                    let compared = |gradient: &Tensor| {
                        gradient.to_kind(Kind::Float).sum_dim_intlist([2i64, 3].as_slice(), false, Kind::Double)
                    };
                    match kind {
                        Kind::Float => assert!(ours[0].equal(&theirs[0]), "{case} {number}"),
                        _ => assert!(compared(&ours[0]).allclose(&compared(&theirs[0]), 1e-5, 1e-5, false), "{case}"),
                    }
                    if has_bias {
                        assert!(ours[1].allclose(&theirs[1], 1e-5, 1e-4, false), "{case}: {} {}", ours[1], theirs[1]);
                    }
                }
            }
        }
    }
}

#[test]
fn max_pooling_in_one_pass_keeps_nan_and_refuses_what_it_cannot() {
    let nan = Tensor::from_slice(&[1f32, f32::NAN, 3.0, 2.0]).view([1, 1, 2, 2]);
    assert!(max_pool(&nan, None, [2, 2], true).unwrap().unwrap().double_value(&[0, 0, 0, 0]).is_nan());
    let kinds = [Kind::Double, Kind::Half].map(|kind| Tensor::zeros([1, 2, 4, 4], (kind, Device::Cpu)));
    assert!(kinds.iter().all(|x| max_pool(x, None, [2, 2], true).unwrap().is_none()));
    let channels_first = Tensor::zeros([1, 2, 4, 4], (Kind::Float, Device::Cpu));
    assert!(max_pool(&channels_first, None, [2, 2], true).unwrap().is_none());
    let image = channels_first.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]);
    assert!(max_pool(&image, None, [2, 2], true).unwrap().is_some());
    assert!(max_pool(&image, None, [5, 2], true).unwrap().is_none());
}

#[test]
fn a_step_of_adam_in_one_pass_is_that_of_its_formula() {
    let count = 100_003; // several threads, and a rest that fills no vector
    manual_seed(7, Device::Cpu).unwrap();
    let random = || Tensor::randn([count], (Kind::Float, Device::Cpu));
    let [gradient, mut momentum, mut velocity, mut values] = [random(), random(), random().square(), random()];
    let step = AdamStep { new_momentum: 0.1, new_velocity: 0.001, alpha: 0.002, epsilon: 1e-7 };
    let [g, m, v, w] = [&gradient, &momentum, &velocity, &values].map(|tensor| tensor.to_kind(Kind::Double));
    let m = &m + (&g - &m) * step.new_momentum;
    let v = &v + (g.square() - &v) * step.new_velocity;
    let w = w - &m * step.alpha / (v.sqrt() + step.epsilon);
    assert!(adam(step, &gradient, &mut momentum, &mut velocity, &mut values).unwrap());
    for (ours, expected) in [(momentum, m), (velocity, v), (values, w)] {
        assert!(ours.to_kind(Kind::Double).allclose(&expected, 1e-6, 1e-6, false));
    }
    let mut short = Tensor::zeros([3], (Kind::Float, Device::Cpu));
    let [mut other, mut another] = [random(), random()];
    assert!(adam(step, &gradient, &mut short, &mut other, &mut another).is_err());
    let mut double = Tensor::zeros([count], (Kind::Double, Device::Cpu));
    assert!(!adam(step, &gradient, &mut double, &mut other, &mut another).unwrap());
}

#[test]
fn the_instruction_set_is_named() {
    let name = cpu_capability().unwrap();
    assert!(["DEFAULT", "AVX2", "AVX512", "SVE256", "NO AVX"].contains(&name.as_str()), "{name}");
}
