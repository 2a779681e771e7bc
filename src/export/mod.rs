//! Models for other programs: Keras's files, and PyTorch's. Nothing is called done before it was read back.

mod pytorch;

use std::path::{Path, PathBuf};

use tch::{Device, Kind, Tensor};

use crate::error::{Error, ErrorKind, Result};
use crate::files;
use crate::keras::{self, KerasFormat, KerasModel};
use crate::model::{Model, ModelInfo};
use crate::rng::{Stream, generator, uniform};

/// How many images the export and the model are compared on.
const NUM_PROBES: usize = 4;
/// The largest difference of an output, absolute for small numbers, relative for large ones.
const TOLERANCE: f64 = 1e-5;

/// What files are called that hold something else: a name that ends so says another format than was asked for.
const OTHER_EXTENSIONS: [&str; 21] = [
    "keras",
    "json",
    "h5",
    "hdf5",
    "py",
    "safetensors",
    "onnx",
    "pt",
    "pth",
    "ts",
    "ckpt",
    "pb",
    "tflite",
    "npz",
    "npy",
    "pkl",
    "zip",
    "toml",
    "txt",
    "csv",
    "bin",
];

/// What an export is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
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
}

/// What was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Exported {
    /// The files, the main one first.
    pub files: Vec<PathBuf>,
    /// Those of them that were there before.
    pub replaced: Vec<PathBuf>,
    /// The largest difference between an output of the export, read back, and one of the model, on probe images.
    pub max_difference: f64,
}

impl ExportFormat {
    /// The extensions of its files, the main one first.
    fn extensions(self) -> &'static [&'static str] {
        match self {
            ExportFormat::Keras => &[".keras"],
            ExportFormat::KerasJson => &[".json", ".weights.h5"],
            ExportFormat::KerasLegacy => &[".h5"],
            ExportFormat::Portable => &[".json", ".h5"],
            ExportFormat::Pytorch => &[".py", ".safetensors"],
        }
    }

    /// Where its files go when the main one is `out`, which may lack its extension.
    fn paths(self, out: &Path) -> Result<Vec<PathBuf>> {
        let [main, ..] = self.extensions() else { unreachable!("every format has a file") };
        let name = out.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let stem = name.strip_suffix(main).unwrap_or(&name);
        let extension = Path::new(stem).extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        if stem.is_empty() || OTHER_EXTENSIONS.contains(&extension.as_str()) {
            return Err(Error::config("`out` does not go with the format")
                .expected(format!("a file name that ends in {main}"))
                .got(out.display()));
        }
        Ok(self.extensions().iter().map(|extension| out.with_file_name(format!("{stem}{extension}"))).collect())
    }
}

/// Writes `model` as `format` to `out`; its files appear all or none, after they were read back and compared.
///
/// # Errors
/// A model error where the network cannot be said in that format, a configuration error where `out` cannot be written, a
/// check error where what was written is not the model.
pub fn export(model: &Model, info: &ModelInfo, format: ExportFormat, out: &Path) -> Result<Exported> {
    let paths = format.paths(out)?;
    let export = Content::new(model, info, format, &paths)?;
    let failed = |path: &Path, error| Error::config("cannot write the export").at_path(path).because(error);
    let mut asides = Vec::new();
    std::fs::create_dir_all(files::folder_of(out)).map_err(|error| failed(out, error))?;
    for (path, bytes) in paths.iter().zip(&export.files) {
        asides.push(files::write_aside(path, |writer| writer.write_all(bytes)).map_err(|error| failed(path, error))?);
    }
    let written: Vec<&Path> = asides.iter().map(|aside| aside.path()).collect();
    let max_difference = export.verify(model, &written)?;
    let replaced = paths.iter().filter(|path| path.exists()).cloned().collect();
    for (path, aside) in paths.iter().zip(asides) {
        files::rename_into_place(aside, path).map_err(|error| failed(path, error))?;
    }
    Ok(Exported { files: paths, replaced, max_difference })
}

/// What an export's files are to hold.
struct Content {
    files: Vec<Vec<u8>>,
    /// The network of a PyTorch export.
    network: Option<pytorch::Network>,
}

impl Content {
    fn new(model: &Model, info: &ModelInfo, format: ExportFormat, paths: &[PathBuf]) -> Result<Self> {
        let form = match format {
            ExportFormat::Keras => KerasFormat::Archive,
            ExportFormat::KerasJson => KerasFormat::Json,
            ExportFormat::KerasLegacy => KerasFormat::LegacyModel,
            ExportFormat::Portable => KerasFormat::Portable,
            ExportFormat::Pytorch => {
                let network = pytorch::Network::new(model)?;
                let weights = paths.last().and_then(|path| path.file_name()).unwrap_or_default().to_string_lossy();
                let script = network.script(model, &info.labels, &weights);
                let files = vec![script.into_bytes(), network.weights_to_bytes()?];
                return Ok(Content { files, network: Some(network) });
            }
        };
        Ok(Content { files: keras::to_files(model, &info.labels, form)?, network: None })
    }

    /// Reads the files back: every weight must be the model's bit for bit, every output within [`TOLERANCE`].
    fn verify(&self, model: &Model, written: &[&Path]) -> Result<f64> {
        let images = probes(model)?;
        let expected = tch::no_grad(|| model.predict(&images.to_device(model.device())));
        let got = match &self.network {
            None => tch::no_grad(|| read_keras(model, written).map(|read| read.predict(&images)))?,
            Some(network) => {
                let weights = std::fs::read(written[1]).map_err(|error| unreadable().because(error))?;
                tch::no_grad(|| network.forward(&images, &weights))?
            }
        };
        compare(&expected.to_device(Device::Cpu), &got)
    }
}

/// The model in Keras's files, its weights compared.
fn read_keras(model: &Model, written: &[&Path]) -> Result<Model> {
    let read = KerasModel::open(written[0], written.get(1).copied()).map_err(|error| unreadable().because(error))?;
    let read = read.build(model.input_scale(), Device::Cpu).map_err(|error| unreadable().because(error))?;
    for (ours, theirs) in model.weights().iter().zip(read.weights()) {
        if !ours.tensor.to_device(Device::Cpu).equal(&theirs.tensor) {
            return Err(not_the_model().got(format!("another {}", ours.name)));
        }
    }
    Ok(read)
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

fn unreadable() -> Error {
    Error::new(ErrorKind::Check, "the export cannot be read back")
}

fn not_the_model() -> Error {
    Error::new(ErrorKind::Check, "the export, read back, is not the model")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_after_the_main_one() {
        let paths = |format: ExportFormat, out: &str| {
            let paths = format.paths(Path::new(out))?;
            Ok::<_, Error>(paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>())
        };
        assert_eq!(paths(ExportFormat::Keras, "a/b.keras").unwrap(), ["a/b.keras"]);
        assert_eq!(paths(ExportFormat::Keras, "a/b.v2").unwrap(), ["a/b.v2.keras"]);
        assert_eq!(paths(ExportFormat::KerasJson, "b").unwrap(), ["b.json", "b.weights.h5"]);
        assert_eq!(paths(ExportFormat::Portable, "b.json").unwrap(), ["b.json", "b.h5"]);
        for out in ["b.h5", ".keras", "", "b.json.keras", "m.onnx", "m.PT", "m.zip"] {
            assert_eq!(paths(ExportFormat::Keras, out).unwrap_err().exit_code(), 2, "{out}");
        }
    }
}
