//! The parts of a training step, each alone: `cargo bench --bench parts`, or `cargo bench --bench parts -- adam` for some of them.
//!
//! Shapes are those of the default network at batch 128, and of residual networks at batch 32. libtorch's own operators for the same are
//! measured beside, as `libtorch`; `fused` is left out where convnet would not use its own. What each has to do is said as its throughput:
//! multiplications and additions of floats, or bytes that it reads and writes at the least; the machine's own peaks are measured beside.
//! `scripts/roofline.py` makes a table of it.

use std::hint::black_box;
use std::time::Duration;

use convnet::data::augment::changes_of;
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

/// The gradient of what `compute` gives, by `tensors`.
fn backward(tensors: &[&Tensor], compute: impl Fn() -> Tensor) {
    let gradients = Tensor::run_backward(&[compute().sum(Kind::Float)], tensors, false, false);
    black_box(gradients);
}

/// The bytes of f32 `tensors`, read or written once.
fn bytes(tensors: &[&Tensor]) -> Throughput {
    Throughput::Bytes(tensors.iter().map(|tensor| tensor.numel() as u64 * 4).sum())
}

/// What the machine does at most: a product of two matrices and a large convolution, which libtorch leaves to two libraries, and copies of
/// what its caches hold and of more.
fn peaks(criterion: &mut Criterion) {
    const SIDE: i64 = 1536;
    let [a, b] = [(); 2].map(|()| Tensor::randn([SIDE, SIDE], CPU));
    let mut group = criterion.benchmark_group("peak");
    group.throughput(Throughput::Elements(2 * SIDE.pow(3) as u64));
    group.bench_function("a product of matrices", |bencher| bencher.iter(|| black_box(a.matmul(&b))));
    let (x, kernel) = (images([16, 256, 28, 28]), Tensor::randn([256, 256, 3, 3], CPU));
    group.throughput(Throughput::Elements(2 * 9 * 256 * 256 * 26 * 26 * 16));
    group.bench_function("a large convolution", |bencher| {
        bencher.iter(|| black_box(x.conv2d(&kernel, None::<Tensor>, [1, 1], [0, 0], [1, 1], 1)));
    });
    for (name, mebibytes) in [("a copy within the caches", 1), ("a copy", 128)] {
        let from = Tensor::ones([mebibytes << 18], CPU);
        let mut to = from.zeros_like();
        group.throughput(bytes(&[&from, &to]));
        group.bench_function(name, |bencher| bencher.iter(|| to.copy_(&from)));
    }
    group.finish();
}

/// The default network's two convolutions, each with what is behind it.
fn conv_pool(criterion: &mut Criterion) {
    // of the first no gradient by the image is wanted
    for (name, [channels, filters, side], num_products) in
        [("first convolution", [1, 32, 28], 2), ("second convolution", [32, 64, 13], 3)]
    {
        conv_pool_of(criterion, name, [channels, filters, side], num_products);
    }
}

fn conv_pool_of(criterion: &mut Criterion, name: &str, [channels, filters, side]: [i64; 3], num_products: i64) {
    let x = images([BATCH, channels, side, side]).set_requires_grad(channels > 1);
    let kernel = Tensor::randn([filters, 3, 3, channels], CPU) * 0.1;
    let kernel = kernel.permute([0, 3, 1, 2]).detach().set_requires_grad(true);
    let bias = Tensor::zeros([filters], CPU).set_requires_grad(true);
    let mut group = criterion.benchmark_group(format!("{name}, pooling, ReLU, both ways"));
    let num_sums = 2 * 9 * channels * filters * (side - 2).pow(2) * BATCH;
    group.throughput(Throughput::Elements((num_sums * num_products) as u64));
    let wanted: Vec<&Tensor> = [&kernel, &bias, &x].into_iter().filter(|tensor| tensor.requires_grad()).collect();
    let fused = || native::conv_pool(&x, &kernel, Some(&bias), [0; 4], true).expect("libtorch computes");
    if fused().is_some() {
        group.bench_function("fused", |bencher| bencher.iter(|| backward(&wanted, || fused().expect("as before"))));
    }
    let separate = || {
        let x = x.conv2d(&kernel, Some(&bias), [1, 1], [0, 0], [1, 1], 1);
        x.relu().max_pool2d([2, 2], [2, 2], [0, 0], [1, 1], false)
    };
    group.bench_function("libtorch", |bencher| bencher.iter(|| backward(&wanted, separate)));
    group.finish();
}

fn max_pool(criterion: &mut Criterion) {
    let x = images([BATCH, 64, 11, 11]).set_requires_grad(true);
    let mut group = criterion.benchmark_group("pooling, ReLU, both ways");
    let pooled = x.numel() / 4; // forward x and what is left, backward the gradients of both and which ones were the largest
    group.throughput(Throughput::Bytes(4 * (2 * x.numel() + 2 * pooled) as u64));
    let fused = || native::max_pool(&x, None, [2, 2], true).expect("libtorch computes");
    if fused().is_some() {
        group.bench_function("fused", |bencher| bencher.iter(|| backward(&[&x], || fused().expect("as before"))));
    }
    let separate = || x.relu().max_pool2d([2, 2], [2, 2], [0, 0], [1, 1], false);
    group.bench_function("libtorch", |bencher| bencher.iter(|| backward(&[&x], separate)));
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
    group.throughput(bytes(&[&x; 8])); // forward x twice and what becomes of it, backward x and the gradient twice, and x's
    let fused = || native::batch_norm(&x, &layer, true).expect("libtorch computes");
    if fused().is_some() {
        group.bench_function("fused", |bencher| bencher.iter(|| backward(&[&x], || fused().expect("as before"))));
    }
    let [mean, variance] = &layer.moving;
    let separate = || {
        let weights = (layer.scale.as_ref(), layer.center.as_ref());
        Tensor::batch_norm(&x, weights.0, weights.1, Some(mean), Some(variance), true, 0.1, 1e-5, false).relu()
    };
    group.bench_function("libtorch", |bencher| bencher.iter(|| backward(&[&x], separate)));
    group.finish();
}

fn dropout(criterion: &mut Criterion) {
    let x = images([BATCH, 64, 5, 5]).set_requires_grad(true);
    let mut group = criterion.benchmark_group("dropout, both ways");
    group.throughput(bytes(&[&x; 4]));
    let dropped = 13_107; // of 65,536: a fifth
    let fused = || native::dropout(&x, 1, dropped, 0).expect("libtorch computes");
    if fused().is_some() {
        group.bench_function("fused", |bencher| bencher.iter(|| backward(&[&x], || fused().expect("as before"))));
    }
    group.bench_function("libtorch", |bencher| bencher.iter(|| backward(&[&x], || x.dropout(0.2, true))));
    group.finish();
}

fn adam(criterion: &mut Criterion) {
    let count = 1_000_000;
    let gradient = Tensor::randn([count], CPU);
    let [mut momentum, mut velocity, mut values] = [(); 3].map(|()| Tensor::zeros([count], CPU));
    let step = AdamStep { new_momentum: 0.1, new_velocity: 0.001, alpha: 0.002, epsilon: 1e-7 };
    let mut group = criterion.benchmark_group("Adam");
    group.throughput(bytes(&[&gradient, &momentum, &momentum, &velocity, &velocity, &values, &values]));
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
    group.throughput(Throughput::Bytes(2 * (BATCH * 28 * 28) as u64));
    group.bench_function("assembled in a shuffled order", |bencher| {
        bencher.iter(|| loader.batch_of(&order, 7, BATCH as usize).expect("there are so many"));
    });
    group.throughput(Throughput::Bytes(4 * count as u64)); // its numbers
    group.bench_function("an epoch's order", |bencher| bencher.iter(|| loader.shuffled(0, 1)));
    group.finish();
}

/// Images that are mirrored and shifted.
fn augmentation(criterion: &mut Criterion) {
    let pixels = Tensor::randint(256, [32, 224, 224, 3], (Kind::Uint8, Device::Cpu));
    let numbers = Tensor::arange(32, (Kind::Int64, Device::Cpu));
    let mut group = criterion.benchmark_group("light augmentation of 32 images of 224 pixels");
    group.throughput(Throughput::Bytes(2 * pixels.numel() as u64));
    // a zoom by nothing leaves it to libtorch's bilinear sampling
    for (name, text) in [("fused", "light"), ("libtorch", "light,zoom=1e-9")] {
        if name == "fused" && !native::is_fused() {
            continue;
        }
        let changes = changes_of(&text.parse().expect("it is known"), &numbers, [224, 224], 0, 0);
        let changes = changes.expect("it changes images");
        group.bench_function(name, |bencher| bencher.iter(|| black_box(changes.apply(&pixels, 0))));
    }
    group.finish();
}

/// What is computed beside the layers, by libtorch's operators.
fn small_parts(criterion: &mut Criterion) {
    let pixels = Tensor::randint(256, [BATCH, 28, 28, 1], (Kind::Uint8, Device::Cpu));
    let features = images([32, 512, 7, 7]).set_requires_grad(true);
    let logits = Tensor::randn([BATCH, 10], CPU).set_requires_grad(true);
    let labels = Tensor::randint(10, [BATCH], (Kind::Int64, Device::Cpu));
    let mut group = criterion.benchmark_group("beside the layers");
    group.throughput(Throughput::Bytes(5 * pixels.numel() as u64));
    group.bench_function("pixels of a batch to floats", |bencher| {
        bencher.iter(|| black_box(pixels.to_kind(Kind::Float) * (1.0 / 255.0)));
    });
    group.throughput(bytes(&[&features; 3])); // read, and the gradient, which the sum's has to be spread for, written and read
    group.bench_function("global average pooling, both ways", |bencher| {
        bencher.iter(|| backward(&[&features], || features.mean_dim([2_i64, 3].as_slice(), false, Kind::Float)));
    });
    group.throughput(bytes(&[&logits; 3]));
    group.bench_function("cross-entropy, both ways", |bencher| {
        bencher.iter(|| backward(&[&logits], || logits.cross_entropy_for_logits(&labels)));
    });
    group.bench_function("hits", |bencher| {
        bencher.iter(|| black_box(logits.argmax(1, false).eq_tensor(&labels).sum(Kind::Int64)));
    });
    group.finish();
}

/// The weights of a network of 60 kernels, a million numbers, as bf16: cast by one operator, or each by itself.
fn cast(criterion: &mut Criterion) {
    const SIZE: i64 = 1 << 14;
    let flat = Tensor::randn([60 * SIZE], CPU);
    let weights: Vec<Tensor> = (0..60).map(|at| flat.narrow(0, at * SIZE, SIZE)).collect();
    let weights: Vec<&Tensor> = weights.iter().collect();
    let mut group = criterion.benchmark_group("weights to bf16");
    group.throughput(Throughput::Bytes(6 * flat.numel() as u64));
    group.bench_function("together", |bencher| {
        bencher.iter(|| native::cast_together(&weights).expect("libtorch computes"));
    });
    group.bench_function("each by itself", |bencher| {
        bencher.iter(|| weights.iter().map(|weight| weight.to_kind(Kind::BFloat16)).collect::<Vec<_>>());
    });
    group.finish();
}

criterion_group! {
    name = parts;
    config = Criterion::default().sample_size(30).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    targets = peaks, conv_pool, max_pool, batch_norm, dropout, adam, decode, batches, augmentation, small_parts, cast
}
criterion_main!(parts);
