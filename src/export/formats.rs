//! The table of export formats: what each is called, its files, and how they are written and read back. A format is a
//! variant of [`ExportFormat`], its row here, and where it is not one of Keras's a file of its own beside this one.

use std::path::{Path, PathBuf};

use strum::{Display, EnumMessage, EnumString, VariantArray};

use super::input::{Checked, Subject};
use super::{keras_files, onnx, outputs, pytorch, torchscript};
use crate::error::{Error, Result};
use crate::keras::KerasFormat;

/// What files are called that hold none of the formats here: a name that ends so says another format than was asked for.
const FOREIGN_EXTENSIONS: [&str; 14] =
    ["hdf5", "pth", "ts", "ckpt", "pb", "tflite", "npz", "npy", "pkl", "zip", "toml", "txt", "csv", "bin"];

/// What an export is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, EnumMessage, EnumString, VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum ExportFormat {
    /// FILE.keras: architecture and weights for Keras 3
    Keras,
    /// FILE.json and FILE.weights.h5 for Keras 3
    KerasJson,
    /// FILE.h5: a whole model that Keras 3, Keras 2 and TF 1.15 load
    KerasLegacy,
    /// FILE.json and FILE.h5 (weights) that Keras 3, Keras 2 and TF 1.15 load
    Portable,
    /// FILE.py and FILE.safetensors: an nn.Sequential and its weights
    Pytorch,
    /// FILE.onnx: from stored images to probabilities, for onnxruntime and others
    Onnx,
    /// FILE.pt: the same for PyTorch, as a TorchScript archive
    Torchscript,
}

/// The bytes of each of an export's files.
pub(super) type Contents = Vec<Vec<u8>>;

/// What is to be known of a format.
pub(super) struct FormatRow {
    /// The extensions of its files, the main one first.
    extensions: &'static [&'static str],
    /// The bytes of the files that will lie at these paths.
    ///
    /// # Errors
    /// A model error where the network cannot be said in the format.
    pub to_files: fn(&Subject, &[PathBuf]) -> Result<Contents>,
    /// Reads the files at these paths back, compares every weight with the model's bit for bit, and runs them where they can be
    /// run.
    ///
    /// # Errors
    /// A check error where a file cannot be read or is not the model.
    pub check: fn(&Subject, &[&Path]) -> Result<Checked>,
}

const KERAS: FormatRow = FormatRow {
    extensions: &[".keras"],
    to_files: |subject, _| keras_files::to_files(subject.model, subject.info, KerasFormat::Archive),
    check: |subject, written| {
        outputs::check(subject.model, written, keras_files::outputs, "read back by convnet: every weight the same")
    },
};

const KERAS_JSON: FormatRow = FormatRow {
    extensions: &[".json", ".weights.h5"],
    to_files: |subject, _| keras_files::to_files(subject.model, subject.info, KerasFormat::Json),
    ..KERAS
};

const KERAS_LEGACY: FormatRow = FormatRow {
    extensions: &[".h5"],
    to_files: |subject, _| keras_files::to_files(subject.model, subject.info, KerasFormat::LegacyModel),
    ..KERAS
};

const PORTABLE: FormatRow = FormatRow {
    extensions: &[".json", ".h5"],
    to_files: |subject, _| keras_files::to_files(subject.model, subject.info, KerasFormat::Portable),
    ..KERAS
};

const PYTORCH: FormatRow = FormatRow {
    extensions: &[".py", ".safetensors"],
    to_files: |subject, paths| pytorch::to_files(subject.model, subject.info, paths),
    check: |subject, written| {
        let read =
            "weights read back: every one the same; the script's modules computed by libtorch (no Python was run)";
        outputs::check(subject.model, written, pytorch::outputs, read)
    },
};

const ONNX: FormatRow = FormatRow {
    extensions: &[".onnx"],
    to_files: |subject, _| Ok(vec![onnx::to_file(subject)?]),
    check: |subject, written| onnx::check(subject, written[0]),
};

const TORCHSCRIPT: FormatRow = FormatRow {
    extensions: &[".pt"],
    to_files: |subject, _| Ok(vec![torchscript::to_file(subject)?]),
    check: |subject, written| torchscript::check(subject, written[0]),
};

impl ExportFormat {
    pub(super) fn row(self) -> FormatRow {
        match self {
            ExportFormat::Keras => KERAS,
            ExportFormat::KerasJson => KERAS_JSON,
            ExportFormat::KerasLegacy => KERAS_LEGACY,
            ExportFormat::Portable => PORTABLE,
            ExportFormat::Pytorch => PYTORCH,
            ExportFormat::Onnx => ONNX,
            ExportFormat::Torchscript => TORCHSCRIPT,
        }
    }

    /// Whether it takes images as they are stored and gives probabilities; others hold the network alone.
    pub fn takes_stored_images(self) -> bool {
        match self {
            ExportFormat::Onnx | ExportFormat::Torchscript => true,
            ExportFormat::Keras
            | ExportFormat::KerasJson
            | ExportFormat::KerasLegacy
            | ExportFormat::Portable
            | ExportFormat::Pytorch => false,
        }
    }

    /// Where its files go when the main one is `out`, which may lack its extension.
    ///
    /// # Errors
    /// A configuration error where the name is empty or ends like another format's.
    pub(super) fn paths(self, out: &Path) -> Result<Vec<PathBuf>> {
        let extensions = self.row().extensions;
        let [main, ..] = extensions else { unreachable!("every format has a file") };
        let name = out.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let stem = name.strip_suffix(main).unwrap_or(&name);
        if stem.is_empty() || names_a_format(stem) {
            return Err(Error::config("`out` does not go with the format")
                .expected(format!("a file name that ends in {main}"))
                .got(out.display()));
        }
        Ok(extensions.iter().map(|extension| out.with_file_name(format!("{stem}{extension}"))).collect())
    }
}

/// Whether a file name ends in the extension of a format, of those here or of another program's.
fn names_a_format(name: &str) -> bool {
    let last = |name: &str| Path::new(name).extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let extension = last(name);
    FOREIGN_EXTENSIONS.contains(&&*extension)
        || ExportFormat::VARIANTS
            .iter()
            .flat_map(|format| format.row().extensions)
            .any(|own| last(&format!("name{own}")) == extension)
}

#[cfg(test)]
mod tests;
