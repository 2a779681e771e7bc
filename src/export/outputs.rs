//! Compares what an export's network gives with what the model gives, for formats that hold the network alone.

use std::path::Path;

use tch::{Device, Kind, Tensor};

use super::errors::not_the_model;
use super::input::Checked;
use crate::error::Result;
use crate::model::Model;
use crate::rng::{Stream, generator, uniform};

/// How many images the export and the model are compared on.
const NUM_PROBES: usize = 4;
/// The largest difference of an output, absolute for small numbers, relative for large ones.
const TOLERANCE: f64 = 1e-5;

/// Reads the files `written` back with `outputs`, which compares every weight with the model's bit for bit and computes the
/// outputs `f32 [B, classes]` of images `f32 [B, …]`: each has to be within [`TOLERANCE`]. `read` is what `outputs` does, in
/// words.
///
/// # Errors
/// A check error where an output is another, and those of `outputs`.
pub(super) fn check(
    model: &Model,
    written: &[&Path],
    outputs: fn(&Model, &[&Path], &Tensor) -> Result<Tensor>,
    read: &str,
) -> Result<Checked> {
    let images = probes(model);
    let expected = tch::no_grad(|| model.predict(&images.to_device(model.device())));
    let got = tch::no_grad(|| outputs(model, written, &images))?;
    let largest = compare(&expected.to_device(Device::Cpu), &got)?;
    Ok(Checked { how: format!("{read}, outputs within {largest:.1e}"), max_difference: Some(largest) })
}

/// The largest difference of two networks' outputs.
fn compare(expected: &Tensor, got: &Tensor) -> Result<f64> {
    if expected.size() != got.size() {
        return Err(not_the_model()
            .expected(format!("outputs {:?}", expected.size()))
            .got(format!("{:?}", got.size())));
    }
    // where both are the same infinity, or no number, they agree
    let same = got.eq_tensor(expected).logical_or(&got.isnan().logical_and(&expected.isnan()));
    let difference = ((got - expected).abs() / expected.abs().clamp_min(1.0)).masked_fill(&same, 0.0);
    let largest = difference.max().double_value(&[]);
    match largest <= TOLERANCE {
        true => Ok(largest),
        false => Err(not_the_model().expected(format!("outputs within {TOLERANCE}")).got(largest)), // NaN too
    }
}

/// Images that fill the range of scaled pixels: `f32 [NUM_PROBES, …]`, the same every time.
fn probes(model: &Model) -> Tensor {
    let shape = model.spec().input_shape.clone().unwrap_or_default();
    let largest = (255.0 * model.input_scale()) as f32;
    let count = NUM_PROBES * shape.iter().product::<usize>();
    let mut random = generator(0, Stream::Show);
    let values: Vec<f32> = (0..count).map(|_| uniform(&mut random, 0.0, largest)).collect();
    let sizes: Vec<i64> = std::iter::once(NUM_PROBES).chain(shape).map(|size| size as i64).collect();
    Tensor::from_slice(&values).to_kind(Kind::Float).reshape(sizes)
}
