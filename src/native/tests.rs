use std::sync::{Mutex, PoisonError};

use tch::{Kind, Tensor};

use super::*;

/// libtorch's generator of random numbers is the process's: one test at a time.
static GENERATOR: Mutex<()> = Mutex::new(());

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
    let _alone = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
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
    let _alone = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
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
    let _alone = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
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

/// Numbers between -2 and 2, `f32` of `sizes`, the same for the same `seed`: not of libtorch's generator, which other tests seed.
pub(super) fn noise(sizes: &[i64], seed: f64) -> Tensor {
    let numbers = Tensor::arange(sizes.iter().product::<i64>(), (Kind::Double, Device::Cpu)) * 12.9898 + seed;
    ((numbers.sin() * 43758.5453).frac() * 2.0).to_kind(Kind::Float).reshape(sizes)
}

/// What [`batch_norm`] is to compute, by libtorch's operators, in f64: values, and the statistics that it moves towards.
fn normalized_by_libtorch(x: &Tensor, layer: &BatchNorm, by_batch: bool) -> (Tensor, [Tensor; 2]) {
    let x = x.to_kind(Kind::Double).contiguous();
    let double = |tensor: &Tensor| tensor.to_kind(Kind::Double);
    let axes: Vec<i64> = (0..x.dim() as i64).filter(|&axis| axis != 1).collect();
    let statistics = match by_batch {
        true => [x.mean_dim(&axes[..], false, Kind::Double), x.var_dim(&axes[..], false, false)],
        false => layer.moving.each_ref().map(double),
    };
    let across = |tensor: &Tensor| tensor.view(&[&[1i64, -1], &vec![1; x.dim() - 2][..]].concat()[..]);
    let [mean, variance] = statistics.each_ref().map(across);
    let mut y = (&x - mean) / (variance + layer.epsilon).sqrt();
    y = layer.scale.as_ref().map_or_else(|| y.shallow_clone(), |scale| &y * across(&double(scale)));
    y = layer.center.as_ref().map_or_else(|| y.shallow_clone(), |center| &y + across(&double(center)));
    let y = match layer.behind {
        Behind::Linear => y,
        Behind::Relu => y.relu(),
        Behind::Relu6 => y.relu6(),
    };
    (y, statistics)
}

#[test]
fn batch_normalisation_in_few_passes_gives_libtorch_s_values_and_gradients() {
    let shapes: [&[i64]; 6] =
        [&[2, 32, 26, 26], &[3, 1, 5, 7], &[64, 17], &[4, 70, 33, 31], &[1, 3, 6, 6], &[2, 512, 3, 3]];
    for shape in shapes {
        for kind in [Kind::Float, Kind::BFloat16] {
            for behind in [Behind::Linear, Behind::Relu, Behind::Relu6] {
                for (has_weights, by_batch) in [(true, true), (false, true), (true, false)] {
                    check_batch_norm(shape, kind, behind, has_weights, by_batch);
                }
            }
        }
    }
}

fn copied(layer: &BatchNorm) -> BatchNorm {
    let copy = |weight: &Option<Tensor>| weight.as_ref().map(Tensor::shallow_clone);
    let moving = layer.moving.each_ref().map(Tensor::shallow_clone);
    BatchNorm { scale: copy(&layer.scale), center: copy(&layer.center), moving, ..*layer }
}

fn check_batch_norm(shape: &[i64], kind: Kind, behind: Behind, has_weights: bool, by_batch: bool) {
    let case = format!("{shape:?} {kind:?} {behind:?} weights {has_weights} by batch {by_batch}");
    let channels = shape[1];
    let random = |seed: f64| noise(&[channels], seed);
    // far from 0, where sums of squares lose digits
    let values = noise(shape, 1.0) * 3.0 + 50.0;
    let last = match shape.len() {
        4 => values.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]),
        _ => values,
    };
    let x = last.to_kind(kind).set_requires_grad(true);
    let weight = |value: Tensor| has_weights.then(|| value.set_requires_grad(by_batch));
    let moving = || [random(2.0) + 50.0, random(3.0).square() + 0.5];
    let (scale, center) = (weight(random(4.0) + 1.0), weight(random(5.0)));
    let layer = BatchNorm { scale, center, moving: moving(), momentum: 0.9, epsilon: 1e-3, behind };
    let (expected, statistics) = normalized_by_libtorch(&x, &layer, by_batch);
    let moved: Vec<Tensor> =
        layer.moving.iter().zip(&statistics).map(|(moving, to)| moving * 0.9 + to.to_kind(Kind::Float) * 0.1).collect();
    let before = layer.moving.each_ref().map(Tensor::copy);
    let ours = batch_norm(&x, &layer, by_batch).unwrap().expect(&case);
    // bf16 has 8 bits
    let tolerance = if kind == Kind::Float { 2e-5 } else { 0.04 };
    let is_close = |a: &Tensor, b: &Tensor, tolerance: f64| {
        let (a, b) = (a.to_kind(Kind::Double), b.to_kind(Kind::Double));
        (&a - &b).abs().max().double_value(&[]) <= tolerance * b.abs().max().double_value(&[]).max(1.0)
    };
    assert!(ours.kind() == kind && is_close(&ours, &expected, tolerance), "{case}");
    for ((now, before), moved) in layer.moving.iter().zip(&before).zip(&moved) {
        let expected = if by_batch { moved } else { before };
        assert!(is_close(now, expected, 1e-5), "{case}: {now} {expected}");
    }
    // none where rounding decides whether the ReLU lets a value through
    let linear = BatchNorm { behind: Behind::Linear, ..copied(&layer) };
    let before_relu = normalized_by_libtorch(&x, &linear, by_batch).0;
    let is_clear = before_relu.abs().gt(1e-3).logical_and(&(&before_relu - 6.0).abs().gt(1e-3));
    let gradient = noise(&expected.size(), 6.0) * is_clear.to_kind(Kind::Double);
    let weights = [&layer.scale, &layer.center].into_iter().flatten().filter(|_| by_batch);
    let inputs: Vec<&Tensor> = std::iter::once(&x).chain(weights).collect();
    let of = |y: &Tensor| {
        Tensor::run_backward(&[(y.to_kind(Kind::Double) * &gradient).sum(Kind::Double)], &inputs, false, false)
    };
    for (number, (ours, theirs)) in of(&ours).iter().zip(of(&expected)).enumerate() {
        let tolerance = if kind == Kind::Float { 2e-4 } else { 0.1 };
        assert!(is_close(ours, &theirs, tolerance), "{case}: gradient {number}");
    }
    let without = tch::no_grad(|| batch_norm(&x, &layer, false).unwrap().unwrap());
    assert!(by_batch || without.equal(&ours), "{case}");
}

#[test]
fn batch_normalisation_keeps_nan_and_refuses_what_it_cannot() {
    let layer = |channels: i64| {
        let weights = |value: f64| Tensor::full([channels], value, (Kind::Float, Device::Cpu));
        let moving = [weights(0.0), weights(1.0)];
        BatchNorm {
            scale: Some(weights(1.5)),
            center: None,
            moving,
            momentum: 0.99,
            epsilon: 1e-3,
            behind: Behind::Relu,
        }
    };
    let image = |kind| noise(&[8, 40, 40, 24], 7.0).to_kind(kind).permute([0, 3, 1, 2]);
    let x = image(Kind::Float);
    let refused = |x: &Tensor| batch_norm(x, &layer(24), true).unwrap().is_none();
    assert!(refused(&image(Kind::Double)) && refused(&x.contiguous()) && refused(&x.narrow(1, 0, 12)));
    let nan = Tensor::full([4, 24], f64::NAN, (Kind::Float, Device::Cpu));
    assert!(batch_norm(&nan, &layer(24), true).unwrap().unwrap().double_value(&[0, 0]).is_nan());
    let trained =
        BatchNorm { scale: Some(Tensor::ones([24], (Kind::Float, Device::Cpu)).set_requires_grad(true)), ..layer(24) };
    assert!(batch_norm(&x, &trained, false).unwrap().is_none(), "libtorch knows that gradient");
}

#[test]
fn the_instruction_set_is_named() {
    let name = cpu_capability().unwrap();
    assert!(["DEFAULT", "AVX2", "AVX512", "SVE256", "NO AVX"].contains(&name.as_str()), "{name}");
}
