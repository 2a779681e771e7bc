//! Initial weights by Keras's formulas, drawn from the run's seed: the same on every machine and device.

use rand_chacha::ChaCha8Rng;

use super::spec::{Distribution, Fan, Initializer, WeightInfo};
use crate::rng;

/// The standard deviation of a standard normal cut off at ±2 (as TensorFlow and Keras have it).
const TRUNCATED_STDDEV: f64 = 0.879_625_661_034_239_8;

/// The values of `weight` in its own shape's row-major order, drawn from `generator`.
pub fn initial_values(weight: &WeightInfo, generator: &mut ChaCha8Rng) -> Vec<f32> {
    let count = weight.num_elements();
    let (fan_in, fan_out) = fans(&weight.keras_shape);
    let uniform =
        |limit: f64, generator: &mut ChaCha8Rng| draw(count, || rng::uniform(generator, -limit as f32, limit as f32));
    match weight.initializer {
        Initializer::GlorotUniform => uniform((6.0 / (fan_in + fan_out)).sqrt(), generator),
        Initializer::HeUniform => uniform((6.0 / fan_in).sqrt(), generator),
        Initializer::LecunUniform => uniform((3.0 / fan_in).sqrt(), generator),
        Initializer::GlorotNormal => scaled_normal(count, (2.0 / (fan_in + fan_out)).sqrt(), generator),
        Initializer::HeNormal => scaled_normal(count, (2.0 / fan_in).sqrt(), generator),
        Initializer::LecunNormal => scaled_normal(count, (1.0 / fan_in).sqrt(), generator),
        Initializer::Zeros => vec![0.0; count],
        Initializer::Ones => vec![1.0; count],
        Initializer::Constant { value } => vec![value as f32; count],
        Initializer::RandomNormal { mean, stddev } => draw(count, || (mean + stddev * normal(generator)) as f32),
        Initializer::TruncatedNormal { mean, stddev } => {
            draw(count, || (mean + stddev * truncated_normal(generator)) as f32)
        }
        Initializer::RandomUniform { minval, maxval } => {
            draw(count, || rng::uniform(generator, minval as f32, maxval as f32))
        }
        Initializer::VarianceScaling { scale, mode, distribution } => {
            let fan = match mode {
                Fan::In => fan_in,
                Fan::Out => fan_out,
                Fan::Average => (fan_in + fan_out) / 2.0,
            };
            let variance = scale / fan.max(1.0);
            match distribution {
                Distribution::TruncatedNormal => scaled_normal(count, variance.sqrt(), generator),
                Distribution::UntruncatedNormal => draw(count, || (variance.sqrt() * normal(generator)) as f32),
                Distribution::Uniform => uniform((3.0 * variance).sqrt(), generator),
            }
        }
        Initializer::Identity { gain } => weight.to_torch(&identity(&weight.keras_shape, gain)),
        Initializer::Orthogonal { gain } => weight.to_torch(&orthogonal(&weight.keras_shape, gain, generator)),
    }
}

fn draw(count: usize, mut value: impl FnMut() -> f32) -> Vec<f32> {
    (0..count).map(|_| value()).collect()
}

/// Inputs and outputs of one unit, from the Keras shape: the last two axes times the product of all before them.
fn fans(keras_shape: &[usize]) -> (f64, f64) {
    match *keras_shape {
        [] => (1.0, 1.0),
        [size] => (size as f64, size as f64),
        [ref receptive @ .., inputs, outputs] => {
            let receptive: f64 = receptive.iter().map(|&size| size as f64).product();
            (inputs as f64 * receptive, outputs as f64 * receptive)
        }
    }
}

/// Normal values redrawn beyond two standard deviations, scaled so that what is left has `stddev`.
fn scaled_normal(count: usize, stddev: f64, generator: &mut ChaCha8Rng) -> Vec<f32> {
    let scale = stddev / TRUNCATED_STDDEV;
    draw(count, || (truncated_normal(generator) * scale) as f32)
}

/// A standard normal value, redrawn beyond ±2.
fn truncated_normal(generator: &mut ChaCha8Rng) -> f64 {
    loop {
        let value = normal(generator);
        if value.abs() <= 2.0 {
            return value;
        }
    }
}

/// `gain` on the diagonal of a matrix of `shape`, row-major.
fn identity(shape: &[usize], gain: f64) -> Vec<f32> {
    let columns = shape.last().copied().unwrap_or(1);
    let count = shape.iter().product::<usize>();
    (0..count).map(|index| if index / columns == index % columns { gain as f32 } else { 0.0 }).collect()
}

/// The orthogonal factor of a random normal matrix, all axes but the last by the last, row-major: orthonormal columns, or
/// rows where there are fewer of them. Gram and Schmidt's process, twice for f64's rounding, is QR with a positive diagonal.
fn orthogonal(shape: &[usize], gain: f64, generator: &mut ChaCha8Rng) -> Vec<f32> {
    let columns = shape.last().copied().unwrap_or(1);
    let rows = shape.iter().product::<usize>() / columns.max(1);
    let (count, length) = (rows.min(columns), rows.max(columns));
    let mut vectors: Vec<Vec<f64>> = Vec::with_capacity(count);
    for _ in 0..count {
        let mut vector: Vec<f64> = (0..length).map(|_| normal(generator)).collect();
        for other in vectors.iter().chain(&vectors) {
            let along = dot(&vector, other);
            vector.iter_mut().zip(other).for_each(|(x, y)| *x -= along * y);
        }
        let norm = dot(&vector, &vector).sqrt();
        vector.iter_mut().for_each(|x| *x /= norm);
        vectors.push(vector);
    }
    let at = |row: usize, column: usize| if rows >= columns { vectors[column][row] } else { vectors[row][column] };
    (0..rows * columns).map(|index| (gain * at(index / columns, index % columns)) as f32).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// A standard normal value (Box and Muller 1958).
fn normal(generator: &mut ChaCha8Rng) -> f64 {
    let radius = (-2.0 * libm::log(1.0 - f64::from(rng::uniform(generator, 0.0, 1.0)))).sqrt();
    radius * libm::cos(std::f64::consts::TAU * f64::from(rng::uniform(generator, 0.0, 1.0)))
}

#[cfg(test)]
mod tests;
