//! The parts of a training step, each alone: `cargo bench --bench parts`, or `cargo bench --bench parts -- adam` for some of them.
//!
//! Shapes are those of the default network at batch 128, and of residual networks at batch 32. libtorch's own operators for the same are
//! measured beside, as `libtorch`; `fused` is left out where convnet would not use its own.

use std::hint::black_box;
use std::time::Duration;

use convnet::data::batches::DataLoader;
use convnet::data::image::{Preprocessing, decode_bytes};
use convnet::data::{ImageShape, Samples};
use convnet::native::{self, AdamStep, BatchNorm, Behind};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tch::{Device, Kind, Tensor};

const CPU: (Kind, Device) = (Kind::Float, Device::Cpu);
const BATCH: i64 = 128;

/// Random numbers, `f32`, channels last.
fn images(size: [i64; 4]) -> Tensor {
    let x = Tensor::randn(size, CPU);
    let x = x.permute([0, 2, 3, 1]).contiguous();
    x.permute([0, 3, 1, 2])
}

/// The gradient of what `compute` gives, by `weight`.
fn backward(weight: &Tensor, compute: impl Fn() -> Tensor) {
    let gradients = Tensor::run_backward(&[compute().sum(Kind::Float)], &[weight], false, false);
    black_box(gradients);
}

fn conv_pool(criterion: &mut Criterion) {
    let x = Tensor::rand([BATCH, 1, 28, 28], CPU);
    let kernel = (Tensor::randn([32, 1, 3, 3], CPU) * 0.1).set_requires_grad(true);
    let bias = Tensor::zeros([32], CPU).set_requires_grad(true);
    let mut group = criterion.benchmark_group("convolution, pooling, ReLU, both ways");
    group.throughput(Throughput::Elements(BATCH as u64));
    let fused = || native::conv_pool(&x, &kernel, Some(&bias), [0; 4], true).expect("libtorch computes");
    if fused().is_some() {
        group.bench_function("fused", |bencher| bencher.iter(|| backward(&kernel, || fused().expect("as before"))));
    }
    let separate = || {
        let x = x.conv2d(&kernel, Some(&bias), [1, 1], [0, 0], [1, 1], 1);
        x.relu().max_pool2d([2, 2], [2, 2], [0, 0], [1, 1], false)
    };
    group.bench_function("libtorch", |bencher| bencher.iter(|| backward(&kernel, separate)));
    group.finish();
}

fn max_pool(criterion: &mut Criterion) {
    let x = images([BATCH, 64, 11, 11]).set_requires_grad(true);
    let mut group = criterion.benchmark_group("pooling, ReLU, both ways");
    group.throughput(Throughput::Elements(BATCH as u64));
    let fused = || native::max_pool(&x, None, [2, 2], true).expect("libtorch computes");
    if fused().is_some() {
        group.bench_function("fused", |bencher| bencher.iter(|| backward(&x, || fused().expect("as before"))));
    }
    let separate = || x.relu().max_pool2d([2, 2], [2, 2], [0, 0], [1, 1], false);
    group.bench_function("libtorch", |bencher| bencher.iter(|| backward(&x, separate)));
    group.finish();
}

fn batch_norm(criterion: &mut Criterion) {
    let x = images([32, 64, 32, 32]).set_requires_grad(true);
    let layer = BatchNorm {
        scale: Some(Tensor::ones([64], CPU).set_requires_grad(true)),
        center: Some(Tensor::zeros([64], CPU).set_requires_grad(true)),
        moving: [Tensor::zeros([64], CPU), Tensor::ones([64], CPU)],
        momentum: 0.9,
        epsilon: 1e-5,
        behind: Behind::Relu,
    };
    let mut group = criterion.benchmark_group("batch normalisation, ReLU, both ways");
    group.throughput(Throughput::Elements(32));
    let fused = || native::batch_norm(&x, &layer, true).expect("libtorch computes");
    if fused().is_some() {
        group.bench_function("fused", |bencher| bencher.iter(|| backward(&x, || fused().expect("as before"))));
    }
    let [mean, variance] = &layer.moving;
    let separate = || {
        let weights = (layer.scale.as_ref(), layer.center.as_ref());
        Tensor::batch_norm(&x, weights.0, weights.1, Some(mean), Some(variance), true, 0.1, 1e-5, false).relu()
    };
    group.bench_function("libtorch", |bencher| bencher.iter(|| backward(&x, separate)));
    group.finish();
}

fn dropout(criterion: &mut Criterion) {
    let x = images([BATCH, 64, 5, 5]).set_requires_grad(true);
    let mut group = criterion.benchmark_group("dropout, both ways");
    group.throughput(Throughput::Elements(BATCH as u64));
    let dropped = 13_107; // of 65,536: a fifth
    let fused = || native::dropout(&x, 1, dropped, 0).expect("libtorch computes");
    if fused().is_some() {
        group.bench_function("fused", |bencher| bencher.iter(|| backward(&x, || fused().expect("as before"))));
    }
    group.bench_function("libtorch", |bencher| bencher.iter(|| backward(&x, || x.dropout(0.2, true))));
    group.finish();
}

fn adam(criterion: &mut Criterion) {
    let count = 1_000_000;
    let gradient = Tensor::randn([count], CPU);
    let [mut momentum, mut velocity, mut values] = [(); 3].map(|()| Tensor::zeros([count], CPU));
    let step = AdamStep { new_momentum: 0.1, new_velocity: 0.001, alpha: 0.002, epsilon: 1e-7 };
    let mut group = criterion.benchmark_group("Adam");
    group.throughput(Throughput::Elements(count as u64));
    group.bench_function("a million weights", |bencher| {
        bencher.iter(|| {
            native::adam(step, &gradient, &mut momentum, &mut velocity, &mut values).expect("as many of each")
        });
    });
    group.finish();
}

/// `picture.jpg`: 500 × 375 pixels of smooth noise with a grain.
fn decode(criterion: &mut Criterion) {
    let bytes = include_bytes!("picture.jpg");
    let mut group = criterion.benchmark_group("a JPEG");
    for side in [96, 224] {
        let preparation = Preprocessing::from(ImageShape { height: side, width: side, channels: 3 });
        group.bench_function(format!("decoded and resized to {side} pixels"), |bencher| {
            bencher.iter(|| decode_bytes(black_box(bytes), preparation).expect("it is whole"));
        });
    }
    group.finish();
}

fn batches(criterion: &mut Criterion) {
    let (count, shape) = (10_000, ImageShape { height: 28, width: 28, channels: 1 });
    let pixels = (0..count * 28 * 28).map(|at| (at % 251) as u8).collect();
    let labels = (0..count as i64).map(|number| number % 10).collect();
    let samples = Samples::new(shape, pixels, labels, 10).expect("they go together");
    let loader = DataLoader::new(&samples, Device::Cpu).expect("they are in memory");
    let order = loader.shuffled(0, 0);
    let mut group = criterion.benchmark_group("a batch");
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function("assembled in a shuffled order", |bencher| {
        bencher.iter(|| loader.batch_of(&order, 7, BATCH as usize).expect("there are so many"));
    });
    group.bench_function("an epoch's order", |bencher| bencher.iter(|| loader.shuffled(0, 1)));
    group.finish();
}

criterion_group! {
    name = parts;
    config = Criterion::default().sample_size(30).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    targets = conv_pool, max_pool, batch_norm, dropout, adam, decode, batches
}
criterion_main!(parts);
