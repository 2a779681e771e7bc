//! A saved model: `<name>.json`, Keras's architecture with everything that predicting needs under the key `convnet`, and
//! `<name>.safetensors`, the weights.

mod document;
mod golden;
mod info;
mod locate;
mod parts;
mod tensors;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensors};
use sha2::{Digest, Sha256};
use tch::Device;
use tempfile::NamedTempFile;

pub use self::golden::GoldenComparison;
pub use self::info::{CompileInfo, InputInfo, ModelInfo};
pub use self::locate::{LOGS, locate, run_places, with_suffix};
pub use self::parts::{SavedParts, seal};
pub use self::tensors::TensorFile;
pub(crate) use self::tensors::{bytes_of, tensor_of};
pub use super::json_file::read_json;
use super::seal::to_text;
use super::{Calibration, Model, OutputKind, Spec};
use crate::data::ImageShape;
use crate::error::{Error, Result};
use crate::files;
use document::{ConvnetKey, FileInfo};
use golden::Golden;

/// The longest header a weights file may have beside its weights, in bytes.
const MAX_HEADER_BYTES: u64 = 16 << 20;

/// Where a model is saved: all files in one folder.
#[derive(Debug)]
pub struct Destination {
    /// The architecture; it names the other files and is written last.
    pub json: PathBuf,
    /// The weights.
    pub weights: PathBuf,
    /// An optimizer's state, and where it is to lie.
    pub state: Option<(PathBuf, TensorFile)>,
    /// Whether the model gets golden outputs, by which it is verified: a pass of 16 images.
    pub has_golden: bool,
}

impl Destination {
    /// The pair `<stem>.json` and `<stem>.safetensors`.
    pub fn pair(stem: &Path) -> Self {
        let [json, weights] = [".json", ".safetensors"].map(|suffix| with_suffix(stem, suffix));
        Destination { json, weights, state: None, has_golden: true }
    }
}

/// Writes the model's files, each whole or not at all: all of them aside first, then renamed, the JSON last.
///
/// # Errors
/// An internal error where the disk does not take it, a device error where libtorch fails; before the renaming begins, nothing has
/// changed then.
pub fn save(model: &Model, info: &ModelInfo, to: &Destination) -> Result<()> {
    let golden = if to.has_golden { Golden::of(model)? } else { None };
    let (weights, weights_info) = write_aside(&to.weights, &weights_file(model)?)?;
    let state = to.state.as_ref().map(|(path, state)| write_aside(path, state)).transpose()?;
    let (state, state_info) = state.unzip();
    let text = to_text(document::document(model, info, weights_info, state_info, golden));
    let json = files::write_aside(&to.json, |writer| writer.write_all(text.as_bytes()));
    let json = json.map_err(|error| not_saved(&to.json, error))?;
    let state = state.zip(to.state.as_ref()).map(|(file, (path, _))| (file, path));
    for (file, path) in [(weights, &to.weights)].into_iter().chain(state).chain([(json, &to.json)]) {
        files::rename_into_place(file, path).map_err(|error| not_saved(path, error))?;
    }
    Ok(())
}

/// The first half of writing `tensors` to `path` ([`files::write_aside`]), and what the JSON is to say of that file.
fn write_aside(path: &Path, tensors: &TensorFile) -> Result<(NamedTempFile, FileInfo)> {
    let mut sha256 = Sha256::new();
    let file = files::write_aside(path, |writer| tensors.write(&mut Hashed { writer, sha256: &mut sha256 }));
    let file = file.map_err(|error| not_saved(path, error))?;
    Ok((file, FileInfo::new(path, sha256)))
}

/// Hashes what is written.
struct Hashed<'a> {
    writer: &'a mut dyn Write,
    sha256: &'a mut Sha256,
}

impl Write for Hashed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.writer.write(bytes)?;
        self.sha256.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

fn not_saved(path: &Path, error: io::Error) -> Error {
    let failed = Error::internal("cannot save the model").at_path(path).because(error);
    failed.help("free some space or choose another folder")
}

/// Writes what the confidence of the saved model at `json_path` is worth into its JSON.
///
/// # Errors
/// A model error where the file cannot be read, an internal one where the disk does not take the new one.
pub fn set_calibration(json_path: &Path, calibration: &Calibration) -> Result<()> {
    let mut document = read_json(json_path)?;
    document::parse(&document).map_err(|error| error.at_path(json_path))?;
    document["convnet"]["calibration"] = serde_json::to_value(calibration).expect("plain numbers and text");
    let text = to_text(document);
    files::write_atomically(json_path, |writer| writer.write_all(text.as_bytes()))
        .map_err(|error| Error::internal("cannot save the calibration").at_path(json_path).because(error))
}

fn weights_file(model: &Model) -> Result<TensorFile> {
    let named = model.weights().iter().map(|weight| (weight.name.clone(), weight.tensor.shallow_clone()));
    TensorFile::new(named, [("format".to_owned(), "pt".to_owned())].into())
}

/// Loads the model whose JSON is at `json_path` onto `device`. Every weight's name, shape and kind and the checksums of the JSON and
/// the weights are checked.
///
/// # Errors
/// A model error that says which file, layer or key is wrong.
pub fn load(json_path: &Path, device: Device) -> Result<(Model, ModelInfo)> {
    load_with(json_path, device, |_| Ok(()))
}

/// As [`load`], with what `prepare` makes of the layers: a resumed run freezes its own again.
///
/// # Errors
/// As [`load`], and those of `prepare`.
pub fn load_with(
    json_path: &Path,
    device: Device,
    prepare: impl FnOnce(&mut Spec) -> Result<()>,
) -> Result<(Model, ModelInfo)> {
    let document = read_json(json_path)?;
    let (mut spec, key) = document::parse(&document).map_err(|error| error.at_path(json_path))?;
    prepare(&mut spec)?;
    Ok((build(spec, &key, json_path, device)?, key.into_info()))
}

/// The model of a JSON that says `spec` and `key`, with its weights.
fn build(spec: Spec, key: &ConvnetKey, json_path: &Path, device: Device) -> Result<Model> {
    let model = Model::new(spec, key.input.scale, device, 0).map_err(|error| error.at_path(json_path))?;
    document::check_key(&model, key).map_err(|error| error.at("convnet").at_path(json_path))?;
    load_weights(&model, &key.weights, json_path)?;
    let InputInfo { height, width, channels, .. } = key.input;
    model.with_image_shape(ImageShape { height, width, channels })
}

/// What is known of the saved model at `json_path` beside its network.
///
/// # Errors
/// A model error where the file cannot be read.
pub fn info(json_path: &Path) -> Result<ModelInfo> {
    let (_, key) = document::parse(&read_json(json_path)?).map_err(|error| error.at_path(json_path))?;
    Ok(key.into_info())
}

/// What the saved model at `json_path` was compiled with in Keras, where it was imported, and what its outputs mean.
///
/// # Errors
/// A model error where the file cannot be read, or the network is not a classifier.
pub fn compile_info(json_path: &Path) -> Result<Option<(CompileInfo, OutputKind)>> {
    let (spec, key) = document::parse(&read_json(json_path)?).map_err(|error| error.at_path(json_path))?;
    let output = spec.output_kind().map_err(|error| error.at_path(json_path))?;
    Ok(key.compile.map(|compile| (compile, output)))
}

/// The state that a checkpoint's JSON names: its bytes, checked. `None` where it names none.
///
/// # Errors
/// A model error where the file cannot be read or is not the one that was saved.
pub fn load_state(json_path: &Path, max_bytes: u64) -> Result<Option<Vec<u8>>> {
    let (_, key) = document::parse(&read_json(json_path)?).map_err(|error| error.at_path(json_path))?;
    let Some(file) = key.state else { return Ok(None) };
    let (path, bytes) = file.read(json_path, max_bytes, "state's values")?;
    file.check(&bytes, "state's values").map_err(|error| error.at_path(&path))?;
    Ok(Some(bytes))
}

fn load_weights(model: &Model, weights: &FileInfo, json_path: &Path) -> Result<()> {
    let num_parameters = model.plan().num_parameters();
    let (path, bytes) = weights.read(json_path, num_parameters as u64 * 4 + MAX_HEADER_BYTES, "weights")?;
    let at_path = |error: Error| error.at_path(&path);
    let file = SafeTensors::deserialize(&bytes).map_err(|error| {
        at_path(
            Error::model("the weights are not a safetensors file").because(error).help("copy or save the model again"),
        )
    })?;
    check_weights(model, &file).map_err(at_path)?;
    weights.check(&bytes, "weights").map_err(at_path)?;
    for weight in model.weights() {
        let values = tensor_of(&file.tensor(&weight.name).expect("checked above"));
        tch::no_grad(|| weight.tensor.shallow_clone().copy_(&values));
    }
    Ok(())
}

/// Each weight of the network is in the file with its shape and kind, and the file has no other.
fn check_weights(model: &Model, file: &SafeTensors) -> Result<()> {
    let another = "these are the weights of another model, or the file is damaged";
    for weight in model.weights() {
        let view = file.tensor(&weight.name).map_err(|_| {
            let there = file.names().join(", ");
            Error::model(format!("the weight {} is missing", weight.name)).got(there).help(another)
        })?;
        let shape: Vec<usize> = weight.tensor.size().iter().map(|&size| size as usize).collect();
        if view.shape() != shape {
            return Err(Error::model(format!("the weight {} has another shape", weight.name))
                .expected(format!("{shape:?}"))
                .got(format!("{:?}", view.shape()))
                .help(another));
        }
        if view.dtype() != Dtype::F32 {
            return Err(Error::model(format!("the weight {} is of another kind", weight.name))
                .expected("F32")
                .got(format!("{:?}", view.dtype()))
                .help(another));
        }
    }
    match file.names().iter().find(|name| !model.weights().iter().any(|weight| weight.name == **name)) {
        None => Ok(()),
        Some(name) => Err(Error::model("a weight is not the network's").got(name).help(another)),
    }
}
