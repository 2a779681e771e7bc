//! Models for other programs: Keras's files, PyTorch's, ONNX and TorchScript. Nothing is called done before it was read back.

mod errors;
mod formats;
mod input;
mod keras_files;
mod onnx;
mod outputs;
mod pytorch;
mod torchscript;
mod windows;

use std::path::{Path, PathBuf};

pub use self::formats::ExportFormat;
pub use self::input::ExportInput;
use self::input::Subject;

use crate::error::{Error, Result};
use crate::files;
use crate::model::{Model, ModelInfo};

/// What was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Exported {
    /// The files, the main one first.
    pub files: Vec<PathBuf>,
    /// Those of them that were there before.
    pub replaced: Vec<PathBuf>,
    /// The largest difference between an output of the export, read back, and one of the model, on probe images; none where the
    /// export could not be run here.
    pub max_difference: Option<f64>,
    /// How the files were compared with the model, and how well they agree, for the user.
    pub checked: String,
}

/// Writes `model` as `format` to `out`; its files appear all or none, after they were read back and compared.
///
/// # Errors
/// A model error where the network cannot be said in that format, a configuration error where `out` cannot be written, a
/// check error where what was written is not the model.
pub fn export(model: &Model, info: &ModelInfo, format: ExportFormat, out: &Path) -> Result<Exported> {
    write(&Subject { model, info, input: ExportInput::default() }, format, out)
}

/// As [`export`], of a format that takes stored images and gives probabilities, which takes them as `input` says.
///
/// # Errors
/// As [`export`], and a configuration error where the format holds the network alone.
pub fn export_taking(
    input: ExportInput,
    model: &Model,
    info: &ModelInfo,
    format: ExportFormat,
    out: &Path,
) -> Result<Exported> {
    match format.takes_stored_images() {
        true => write(&Subject { model, info, input }, format, out),
        false => Err(Error::config("`input` does not go with the format")
            .expected("`format` onnx or torchscript, which take images as they are stored")
            .got(format)),
    }
}

fn write(subject: &Subject, format: ExportFormat, out: &Path) -> Result<Exported> {
    let paths = format.paths(out)?;
    let row = format.row();
    let contents = (row.to_files)(subject, &paths)?;
    let failed = |path: &Path, error| Error::config("cannot write the export").at_path(path).because(error);
    let mut asides = Vec::new();
    std::fs::create_dir_all(files::folder_of(out)).map_err(|error| failed(out, error))?;
    for (path, bytes) in paths.iter().zip(&contents) {
        asides.push(files::write_aside(path, |writer| writer.write_all(bytes)).map_err(|error| failed(path, error))?);
    }
    let written: Vec<&Path> = asides.iter().map(|aside| aside.path()).collect();
    let checked = (row.check)(subject, &written)?;
    let replaced = paths.iter().filter(|path| path.exists()).cloned().collect();
    for (path, aside) in paths.iter().zip(asides) {
        files::rename_into_place(aside, path).map_err(|error| failed(path, error))?;
    }
    Ok(Exported { files: paths, replaced, max_difference: checked.max_difference, checked: checked.how })
}
