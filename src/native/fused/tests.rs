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

/// Threefry-4x32 of 20 rounds, one counter at a time.
fn threefry(key: [u32; 4], counter: [u32; 4]) -> [u32; 4] {
    const ROTATIONS: [[u32; 2]; 8] = [[10, 26], [11, 21], [13, 27], [23, 5], [6, 20], [17, 11], [25, 10], [18, 20]];
    let schedule = [key[0], key[1], key[2], key[3], key.iter().fold(0x1BD1_1BDA, |all, word| all ^ word)];
    let mut x: [u32; 4] = std::array::from_fn(|word| counter[word].wrapping_add(schedule[word]));
    for round in 0..20 {
        for (number, [a, b]) in [[0, 1 + round % 2 * 2], [2, 3 - round % 2 * 2]].into_iter().enumerate() {
            x[a] = x[a].wrapping_add(x[b]);
            x[b] = x[b].rotate_left(ROTATIONS[round % 8][number]) ^ x[a];
        }
        if round % 4 == 3 {
            let injection = round / 4 + 1;
            (0..4).for_each(|word| x[word] = x[word].wrapping_add(schedule[(injection + word) % 5]));
            x[3] = x[3].wrapping_add(injection as u32);
        }
    }
    x
}

/// The 16 bits that decide of place `place` of row `row`.
fn bits(key: i64, row: u64, place: u64) -> u32 {
    let (block, within) = (place / 128, place % 128);
    let (piece, lane) = (within / 16, within % 16);
    let counter = block * 16 + lane;
    let halves = |number: u64| [number as u32, (number >> 32) as u32];
    let ([a, b], [c, d], [e, f]) = (halves(key as u64), halves(counter), halves(row));
    let word = threefry([a, b, 0, 0], [c, d, e, f])[piece as usize / 2];
    if piece % 2 == 0 { word & 0xffff } else { word >> 16 }
}

#[test]
fn dropout_takes_what_its_random_numbers_say() {
    // the authors' known answers, of zeros and of ones
    assert_eq!(threefry([0; 4], [0; 4]), [0x9c6c_a96a, 0xe17e_ae66, 0xfc10_ecd4, 0x5256_a7d8]);
    assert_eq!(threefry([u32::MAX; 4], [u32::MAX; 4]), [0x2a88_1696, 0x5701_2287, 0xf6c7_446e, 0xa16a_6732]);
    let (key, dropped, first) = (-0x0123_4567_89ab_cdef, 20_000, 5);
    for kind in [Kind::Float, Kind::BFloat16] {
        let x = (noise(&[3, 301], 1.0) + 5.0).to_kind(kind);
        let y = dropout(&x, key, dropped, first).unwrap().unwrap();
        let scale = 65536.0 / (65536.0 - dropped as f64);
        for row in 0..3 {
            for place in 0..301 {
                let is_kept = bits(key, (first + row) as u64, place as u64) >= dropped as u32;
                let expected = if is_kept { x.double_value(&[row, place]) * scale } else { 0.0 };
                let ours = y.double_value(&[row, place]);
                assert!((ours - expected).abs() <= 0.01 * expected, "{kind:?} {row} {place}: {ours} {expected}");
            }
        }
    }
}

#[test]
fn dropout_of_some_rows_is_that_of_the_batch_and_its_gradient_takes_the_same_places() {
    for size in [&[6i64, 37, 5, 4][..], &[6, 1000], &[6, 7, 3]] {
        let order =
            |x: Tensor| if size.len() == 4 { x.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]) } else { x };
        let x = order(noise(size, 2.0) + 5.0).set_requires_grad(true);
        let y = dropout(&x, 7, 30_000, 0).unwrap().unwrap();
        for (first, count) in [(0, 2), (2, 3), (5, 1)] {
            let some = dropout(&x.narrow(0, first, count), 7, 30_000, first).unwrap().unwrap();
            assert!(some.equal(&y.narrow(0, first, count)), "{size:?} {first}");
        }
        let gradient = &Tensor::run_backward(&[y.sum(Kind::Float)], &[&x], false, false)[0];
        assert!((gradient * &x).allclose(&y, 1e-6, 1e-6, false), "{size:?}");
        // an image's values lie channel by channel or channels last: the same ones are dropped
        assert!(dropout(&x.contiguous(), 7, 30_000, 0).unwrap().unwrap().equal(&y), "{size:?}");
        assert!(!dropout(&x, 8, 30_000, 0).unwrap().unwrap().equal(&y), "{size:?}");
        let share = y.eq(0.0).to_kind(Kind::Double).mean(Kind::Double).double_value(&[]);
        assert!((share - 30_000.0 / 65536.0).abs() < 0.1, "{size:?}: {share}");
    }
    let nan = Tensor::full([2, 200], f64::NAN, (Kind::Float, Device::Cpu));
    assert!(dropout(&nan, 1, 60_000, 0).unwrap().unwrap().isnan().all().int64_value(&[]) == 1);
    assert!(dropout(&nan, 1, 65_536, 0).is_err());
    assert!(dropout(&nan.to_kind(Kind::Double), 1, 5, 0).unwrap().is_none());
    assert_eq!(dropout(&nan.narrow(0, 0, 0), 1, 5, 0).unwrap().unwrap().size(), [0, 200]);
}

#[test]
fn a_convolution_of_many_channels_passes_gradients_through_the_largest_values_alone() {
    // lines of a kernel that fill one to several groups of vectors, filters that fill no block, bands of windows, what is left over
    for (channels, filters, size, [height, width]) in
        [(16, 7, 3, [6, 7]), (32, 64, 3, [13, 13]), (48, 17, 5, [9, 24]), (128, 33, 3, [4, 5]), (16, 40, 3, [20, 150])]
    {
        for (kind, zeros, has_bias, relu) in [
            (Kind::Float, [0; 4], true, true),
            (Kind::Float, [size / 2; 4], false, true),
            (Kind::Float, [2, 2, 1, 1], true, false),
            (Kind::BFloat16, [0; 4], true, true),
            (Kind::BFloat16, [1; 4], false, false),
        ] {
            let case =
                format!("{channels} to {filters} by {size}, {height} × {width}, {zeros:?} {kind:?} {has_bias} {relu}");
            let x =
                noise(&[11, height, width, channels], 1.0).to_kind(kind).permute([0, 3, 1, 2]).set_requires_grad(true);
            let kernel = (noise(&[filters, channels, size, size], 2.0) * 0.1).set_requires_grad(true);
            let bias = has_bias.then(|| noise(&[filters], 3.0).set_requires_grad(true));
            let Some(ours) = conv_pool(&x, &kernel, bias.as_ref(), zeros, relu).unwrap() else {
                let has_vectors = cfg!(target_arch = "x86_64") && std::arch::is_x86_feature_detected!("avx2");
                assert!(!has_vectors, "{case}");
                continue;
            };
            let padding = [zeros[2], zeros[0]];
            let convolved = x.conv2d(&kernel.to_kind(kind), None::<Tensor>, [1, 1], padding, [1, 1], 1);
            let expected = max_pool(&convolved, bias.as_ref(), [2, 2], relu).unwrap().unwrap();
            assert!(ours.equal(&expected), "{case}");
            // a fifth of it is 0, as dropout would have it
            let gradient = noise(&expected.size(), 4.0);
            let gradient = &gradient * gradient.abs().gt(0.4).to_kind(Kind::Float);
            let inputs: Vec<&Tensor> = [Some(&x), Some(&kernel), bias.as_ref()].into_iter().flatten().collect();
            let of = |y: &Tensor| {
                let loss = (y.to_kind(Kind::Float) * &gradient).sum(Kind::Double);
                Tensor::run_backward(&[loss], &inputs, false, false)
            };
            for (number, (ours, expected)) in of(&ours).iter().zip(of(&expected)).enumerate() {
                let tolerance = if kind == Kind::Float { 1e-5 } else { 0.02 };
                assert!(ours.kind() == expected.kind(), "{case}: gradient {number}");
                assert!(is_close(ours, &expected, tolerance), "{case}: gradient {number}");
            }
        }
    }
}

#[test]
fn a_convolution_of_many_channels_leaves_to_libtorch_what_it_cannot() {
    let image = |channels: i64| noise(&[2, 8, 8, channels], 1.0).permute([0, 3, 1, 2]);
    let kernel = |channels: i64| noise(&[4, channels, 3, 3], 2.0).set_requires_grad(true);
    let computed = |x: &Tensor, kernel: &Tensor, zeros| conv_pool(x, kernel, None, zeros, true).unwrap();
    let has_vectors = cfg!(target_arch = "x86_64") && std::arch::is_x86_feature_detected!("avx2");
    assert_eq!(computed(&image(16), &kernel(16), [1; 4]).is_some(), has_vectors);
    assert!(computed(&image(8), &kernel(8), [1; 4]).is_none(), "no vectors");
    assert!(computed(&image(16), &kernel(16), [1, 0, 1, 0]).is_none(), "zeros on one side");
    assert!(computed(&image(16).contiguous(), &kernel(16), [1; 4]).is_none(), "channels first");
    assert!(computed(&image(16).to_kind(Kind::Double), &kernel(16), [1; 4]).is_none());
    assert!(tch::no_grad(|| computed(&image(16), &kernel(16), [1; 4])).is_none(), "libtorch's forward is enough");
    assert!(
        computed(
            &image(16).narrow(2, 0, 2).permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]),
            &kernel(16),
            [0; 4]
        )
        .is_none(),
        "no output"
    );
}

/// What every operator of the CPU gives, forward and backward, with so many threads.
fn computed_by(num_threads: i32) -> Vec<Tensor> {
    tch::set_num_threads(num_threads);
    let rows = noise(&[48, 28, 28, 24], 1.0).permute([0, 3, 1, 2]).set_requires_grad(true);
    let image = noise(&[48, 1, 28, 28], 2.0);
    let weights = |sizes: &[i64], seed| noise(sizes, seed).set_requires_grad(true);
    let (kernel, deep, bias) = (weights(&[24, 1, 3, 3], 3.0), weights(&[24, 16, 3, 3], 3.5), weights(&[24], 4.0));
    let layer = BatchNorm {
        scale: Some(weights(&[24], 5.0)),
        center: Some(weights(&[24], 6.0)),
        moving: [noise(&[24], 7.0), noise(&[24], 8.0).abs()],
        momentum: 0.99,
        epsilon: 1e-3,
        behind: Behind::Relu,
    };
    let given = [&rows, &kernel, &deep, &bias, layer.scale.as_ref().unwrap(), layer.center.as_ref().unwrap()];
    let gradient = |y: &Tensor| (y * noise(&y.size(), 9.0)).sum(Kind::Double);
    let mut computed = vec![
        max_pool(&rows, Some(&bias), [2, 2], true).unwrap().unwrap(),
        dropout(&rows, 5, 16384, 0).unwrap().unwrap(),
        batch_norm(&rows, &layer, true).unwrap().unwrap(),
    ];
    computed.extend(conv_pool(&image, &kernel, Some(&bias), [0; 4], true).unwrap());
    computed.extend(
        conv_pool(
            &rows.narrow(1, 0, 16).permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]),
            &deep,
            Some(&bias),
            [1; 4],
            true,
        )
        .unwrap(),
    );
    let loss = computed.iter().map(gradient).reduce(|sum, loss| sum + loss).unwrap();
    computed.extend(Tensor::run_backward(&[loss], &given, false, false));
    let mut state = [10.0, 11.0, 12.0].map(|seed| noise(&[100_003], seed).abs());
    let step = AdamStep { new_momentum: 0.1, new_velocity: 0.001, alpha: 0.002, epsilon: 1e-7 };
    let [momentum, velocity, values] = &mut state;
    assert!(adam(step, &noise(&[100_003], 13.0), momentum, velocity, values).unwrap());
    computed.extend(state);
    computed.extend(layer.moving);
    computed
}

#[test]
fn no_operator_depends_on_the_number_of_threads() {
    // the setting is a thread's, but libtorch gives the last one to the threads that come
    let before = tch::get_num_threads();
    let compute = |num_threads| std::thread::spawn(move || computed_by(num_threads)).join().unwrap();
    let one = compute(1);
    for num_threads in [2, 3, 7] {
        for (number, (ours, expected)) in compute(num_threads).iter().zip(&one).enumerate() {
            assert!(ours.equal(expected), "result {number} of {num_threads} threads");
        }
    }
    tch::set_num_threads(before);
}
