//! Models for other programs: Keras's files, and PyTorch's. Nothing is called done before it was read back.

mod errors;
mod formats;
mod keras_files;
mod pytorch;

use std::path::{Path, PathBuf};

use tch::{Device, Kind, Tensor};

use self::errors::not_the_model;
pub use self::formats::ExportFormat;
use self::formats::FormatRow;

use crate::error::{Error, Result};
use crate::files;
use crate::model::{Model, ModelInfo};
use crate::rng::{Stream, generator, uniform};

/// How many images the export and the model are compared on.
const NUM_PROBES: usize = 4;
/// The largest difference of an output, absolute for small numbers, relative for large ones.
const TOLERANCE: f64 = 1e-5;

/// What was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Exported {
    /// The files, the main one first.
    pub files: Vec<PathBuf>,
    /// Those of them that were there before.
    pub replaced: Vec<PathBuf>,
    /// The largest difference between an output of the export, read back, and one of the model, on probe images.
    pub max_difference: f64,
    /// How the files were compared with the model, for the user.
    pub checked: &'static str,
}

/// Writes `model` as `format` to `out`; its files appear all or none, after they were read back and compared.
///
/// # Errors
/// A model error where the network cannot be said in that format, a configuration error where `out` cannot be written, a
/// check error where what was written is not the model.
pub fn export(model: &Model, info: &ModelInfo, format: ExportFormat, out: &Path) -> Result<Exported> {
    let paths = format.paths(out)?;
    let row = format.row();
    let contents = (row.to_files)(model, info, &paths)?;
    let failed = |path: &Path, error| Error::config("cannot write the export").at_path(path).because(error);
    let mut asides = Vec::new();
    std::fs::create_dir_all(files::folder_of(out)).map_err(|error| failed(out, error))?;
    for (path, bytes) in paths.iter().zip(&contents) {
        asides.push(files::write_aside(path, |writer| writer.write_all(bytes)).map_err(|error| failed(path, error))?);
    }
    let written: Vec<&Path> = asides.iter().map(|aside| aside.path()).collect();
    let max_difference = verify(model, &row, &written)?;
    let replaced = paths.iter().filter(|path| path.exists()).cloned().collect();
    for (path, aside) in paths.iter().zip(asides) {
        files::rename_into_place(aside, path).map_err(|error| failed(path, error))?;
    }
    Ok(Exported { files: paths, replaced, max_difference, checked: row.checked })
}

/// Reads the files back: every weight must be the model's bit for bit, every output within [`TOLERANCE`].
fn verify(model: &Model, row: &FormatRow, written: &[&Path]) -> Result<f64> {
    let images = probes(model)?;
    let expected = tch::no_grad(|| model.predict(&images.to_device(model.device())));
    let got = tch::no_grad(|| (row.outputs)(model, written, &images))?;
    compare(&expected.to_device(Device::Cpu), &got)
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
fn probes(model: &Model) -> Result<Tensor> {
    let shape = model.spec().input_shape.clone().unwrap_or_default();
    let largest = (255.0 * model.input_scale()) as f32;
    let count = NUM_PROBES * shape.iter().product::<usize>();
    let mut random = generator(0, Stream::Show);
    let values: Vec<f32> = (0..count).map(|_| uniform(&mut random, 0.0, largest)).collect();
    let sizes: Vec<i64> = std::iter::once(NUM_PROBES).chain(shape).map(|size| size as i64).collect();
    Ok(Tensor::from_slice(&values).to_kind(Kind::Float).reshape(sizes))
}
