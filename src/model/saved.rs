//! A saved model: `<name>.json`, Keras's architecture with everything that predicting needs under the key `convnet`, and
//! `<name>.safetensors`, the weights.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tch::{Device, Kind, Tensor};

use super::document::read_bounded;
pub use super::document::read_json;
use super::keras::CompileInfo;
use super::spec::CompiledLoss;
use super::trained_on::TrainedOn;
use super::{Model, OutputKind, Spec};
use crate::data::ImageShape;
use crate::data::image::Resize;
use crate::error::{Error, Result};
use crate::files::{self, hex};

/// The format's version, under `convnet.version`.
const VERSION: u32 = 1;
/// The longest header a weights file may have beside its weights, in bytes.
const MAX_HEADER_BYTES: u64 = 16 << 20;

/// What a model needs of its input.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputInfo {
    /// H, in pixels.
    pub height: usize,
    /// W, in pixels.
    pub width: usize,
    /// C.
    pub channels: usize,
    /// What stored values 0 to 255 are multiplied by.
    pub scale: f64,
    /// How images of another size come to H and W.
    #[serde(default)]
    pub resize: Resize,
}

/// A file beside the JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileInfo {
    /// Its name, in the JSON's own folder.
    file: String,
    /// Its SHA-256, in hexadecimal.
    sha256: String,
}

/// The value of the JSON's key `convnet`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConvnetKey {
    version: u32,
    created_by: String,
    labels: Vec<String>,
    input: InputInfo,
    #[serde(default)]
    metrics: BTreeMap<String, f64>,
    weights: FileInfo,
    /// An optimizer's state: a checkpoint's, with its progress, or an imported model's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<FileInfo>,
    /// What an imported model was compiled with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    compile: Option<CompileInfo>,
    /// What it was trained on, where it was trained here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<TrainedOn>,
    /// The loss that says what the outputs are, where the layers do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    loss: Option<CompiledLoss>,
    /// The run that trained it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run: Option<String>,
}

impl ConvnetKey {
    fn into_info(self) -> ModelInfo {
        let ConvnetKey { labels, metrics, compile, input, data, run, .. } = self;
        ModelInfo { labels, metrics, compile, resize: input.resize, data, run }
    }
}

/// What is known of a model beside its network.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ModelInfo {
    /// The K classes' names, in the order of the outputs.
    pub labels: Vec<String>,
    /// How good it was when it was saved: `val_accuracy` and others.
    pub metrics: BTreeMap<String, f64>,
    /// What Keras compiled it with, where it was imported.
    pub compile: Option<CompileInfo>,
    /// How images of another size come to the network's.
    pub resize: Resize,
    /// What it was trained on; none where it was imported.
    pub data: Option<TrainedOn>,
    /// The name of the run that trained it, where one did.
    pub run: Option<String>,
}

/// Where a model is saved: all files in one folder.
#[derive(Debug, Clone, PartialEq)]
pub struct Destination {
    /// The architecture; it names the other files and is written last.
    pub json: PathBuf,
    /// The weights.
    pub weights: PathBuf,
    /// An optimizer's state, and its bytes.
    pub state: Option<(PathBuf, Vec<u8>)>,
}

impl Destination {
    /// The pair `<stem>.json` and `<stem>.safetensors`.
    pub fn pair(stem: &Path) -> Self {
        let [json, weights] = [".json", ".safetensors"].map(|suffix| with_suffix(stem, suffix));
        Destination { json, weights, state: None }
    }
}

/// Writes the model's files, each whole or not at all: all of them aside first, then renamed, the JSON last.
///
/// # Errors
/// An internal error where the disk does not take it; before the renaming begins, nothing has changed then.
pub fn save(model: &Model, info: &ModelInfo, to: &Destination) -> Result<()> {
    let weights = weights_to_bytes(model)?;
    let state = to.state.as_ref().map(|(path, bytes)| FileInfo::new(path, bytes));
    let document = document(model, info, FileInfo::new(&to.weights, &weights), state);
    let text = serde_json::to_string_pretty(&document).expect("a JSON value is printable") + "\n";
    let mut files = vec![(&to.weights, &weights[..])];
    files.extend(to.state.as_ref().map(|(path, bytes)| (path, &bytes[..])));
    files.push((&to.json, text.as_bytes()));
    let failed = |path: &Path, error| {
        Error::internal("cannot save the model")
            .at_path(path)
            .because(error)
            .help("free some space or choose another folder")
    };
    let mut aside = Vec::new();
    for (path, bytes) in files {
        let file = files::write_aside(path, |writer| writer.write_all(bytes)).map_err(|error| failed(path, error))?;
        aside.push((path, file));
    }
    for (path, file) in aside {
        files::rename_into_place(file, path).map_err(|error| failed(path, error))?;
    }
    Ok(())
}

impl FileInfo {
    fn new(path: &Path, bytes: &[u8]) -> Self {
        let file = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        FileInfo { file, sha256: hex(&Sha256::digest(bytes)) }
    }

    /// The file's bytes, of which there may be at most `max_bytes`, and its path; `what` names it in errors.
    fn read(&self, json_path: &Path, max_bytes: u64, what: &str) -> Result<(PathBuf, Vec<u8>)> {
        if Path::new(&self.file).file_name() != Some(self.file.as_ref()) {
            return Err(Error::model(format!("the {what}' file is not a plain name"))
                .got(format!("'{}'", self.file))
                .at_path(json_path));
        }
        let path = json_path.with_file_name(&self.file);
        let bytes = read_bounded(&path, max_bytes).map_err(|error| error.at_path(&path))?;
        Ok((path, bytes))
    }

    fn check(&self, bytes: &[u8], what: &str) -> Result<()> {
        let actual = hex(&Sha256::digest(bytes));
        match actual.eq_ignore_ascii_case(&self.sha256) {
            true => Ok(()),
            false => Err(Error::model(format!("the {what} are not those that the model's JSON was saved with"))
                .expected(format!("SHA-256 {}", self.sha256))
                .got(actual)
                .help("copy all files again, from one save")),
        }
    }
}

fn document(model: &Model, info: &ModelInfo, weights: FileInfo, state: Option<FileInfo>) -> Value {
    let shape = model.image_shape().unwrap_or(ImageShape { height: 1, width: 1, channels: 1 });
    let ImageShape { height, width, channels } = shape;
    let input = InputInfo { height, width, channels, scale: model.input_scale(), resize: info.resize };
    let metrics = info.metrics.iter().filter(|(_, value)| value.is_finite()).map(|(k, v)| (k.clone(), *v)).collect();
    let key = ConvnetKey {
        version: VERSION,
        created_by: format!("convnet {}", env!("CARGO_PKG_VERSION")),
        labels: info.labels.clone(),
        input,
        metrics,
        weights,
        state,
        compile: info.compile.clone(),
        data: info.data.clone(),
        loss: model.spec().noted_loss().cloned(),
        run: info.run.clone(),
    };
    let mut document = model.spec().to_json();
    document["convnet"] = json!(key);
    document
}

fn weights_to_bytes(model: &Model) -> Result<Vec<u8>> {
    let named = model.weights().iter().map(|weight| (weight.name.clone(), weight.tensor.shallow_clone()));
    to_safetensors(named, [("format".to_owned(), "pt".to_owned())].into())
}

/// f32 tensors as the bytes of a safetensors file.
pub(crate) fn to_safetensors(
    tensors: impl Iterator<Item = (String, Tensor)>,
    metadata: HashMap<String, String>,
) -> Result<Vec<u8>> {
    let values: Vec<(String, Vec<usize>, Vec<u8>)> = tensors
        .map(|(name, tensor)| {
            let shape = tensor.size().iter().map(|&size| size as usize).collect();
            (name, shape, bytes_of(&tensor))
        })
        .collect();
    let views = values.iter().map(|(name, shape, bytes)| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes).expect("the bytes are the shape's");
        (name, view)
    });
    safetensors::serialize(views, Some(metadata))
        .map_err(|error| Error::internal("cannot write tensors").because(error))
}

/// The values of an f32 tensor in row-major order, little-endian.
fn bytes_of(tensor: &Tensor) -> Vec<u8> {
    // waits for the device
    let flat = tensor.detach().to_device(Device::Cpu).to_kind(Kind::Float).contiguous().view([-1]);
    let values = Vec::<f32>::try_from(&flat).expect("a flat f32 tensor on the CPU");
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Loads the model whose JSON is at `json_path` onto `device`. Every weight's name, shape and kind and the weights' checksum
/// are checked.
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
    let (mut spec, key) = parse(&document).map_err(|error| error.at_path(json_path))?;
    prepare(&mut spec)?;
    let model = Model::new(spec, key.input.scale, device, 0).map_err(|error| error.at_path(json_path))?;
    check_key(&model, &key).map_err(|error| error.at("convnet").at_path(json_path))?;
    load_weights(&model, &key.weights, json_path)?;
    let InputInfo { height, width, channels, .. } = key.input;
    let model = model.with_image_shape(ImageShape { height, width, channels })?;
    Ok((model, key.into_info()))
}

/// What is known of the saved model at `json_path` beside its network.
///
/// # Errors
/// A model error where the file cannot be read.
pub fn info(json_path: &Path) -> Result<ModelInfo> {
    let (_, key) = parse(&read_json(json_path)?).map_err(|error| error.at_path(json_path))?;
    Ok(key.into_info())
}

/// What the saved model at `json_path` was compiled with in Keras, where it was imported, and what its outputs mean.
///
/// # Errors
/// A model error where the file cannot be read, or the network is not a classifier.
pub fn compile_info(json_path: &Path) -> Result<Option<(CompileInfo, OutputKind)>> {
    let (spec, key) = parse(&read_json(json_path)?).map_err(|error| error.at_path(json_path))?;
    let output = spec.output_kind().map_err(|error| error.at_path(json_path))?;
    Ok(key.compile.map(|compile| (compile, output)))
}

/// The state that a checkpoint's JSON names: its bytes, checked. `None` where it names none.
///
/// # Errors
/// A model error where the file cannot be read or is not the one that was saved.
pub fn load_state(json_path: &Path, max_bytes: u64) -> Result<Option<Vec<u8>>> {
    let (_, key) = parse(&read_json(json_path)?).map_err(|error| error.at_path(json_path))?;
    let Some(file) = key.state else { return Ok(None) };
    let (path, bytes) = file.read(json_path, max_bytes, "state's values")?;
    file.check(&bytes, "state's values").map_err(|error| error.at_path(&path))?;
    Ok(Some(bytes))
}

fn parse(document: &Value) -> Result<(Spec, ConvnetKey)> {
    let spec = Spec::from_json(document)?;
    let key = document.get("convnet").ok_or_else(|| {
        Error::model("the file says nothing about labels, input and weights")
            .expected("the key \"convnet\", which convnet writes")
            .help("a Keras file has to be imported first")
    })?;
    let key: ConvnetKey = serde_path_to_error::deserialize(key)
        .map_err(|error| Error::model(error.inner().to_string()).at(format!("convnet.{}", error.path())))?;
    Ok((spec, key))
}

fn check_key(model: &Model, key: &ConvnetKey) -> Result<()> {
    if key.version != VERSION {
        return Err(Error::model("the file is of another version")
            .expected(VERSION)
            .got(key.version)
            .at("version")
            .help("use the version of convnet that wrote it"));
    }
    model.spec().check_classifies()?;
    if key.labels.len() != model.num_classes() {
        return Err(Error::model("labels and outputs do not go together")
            .expected(format!("{} labels", model.num_classes()))
            .got(key.labels.len())
            .at("labels"));
    }
    let InputInfo { height, width, channels, .. } = key.input;
    if !model.spec().takes(ImageShape { height, width, channels }) {
        return Err(Error::model("the input is not the network's")
            .expected(format!("{:?}", model.spec().input_shape.as_deref().unwrap_or_default()))
            .got(format!("{:?}", [height, width, channels]))
            .at("input"));
    }
    Ok(())
}

fn load_weights(model: &Model, weights: &FileInfo, json_path: &Path) -> Result<()> {
    let num_parameters: usize = model.plan().iter().map(|layer| layer.num_parameters()).sum();
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

/// An f32 tensor from a safetensors file.
pub(crate) fn tensor_of(view: &TensorView) -> Tensor {
    let (bytes, _) = view.data().as_chunks::<4>();
    let values: Vec<f32> = bytes.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    let shape: Vec<i64> = view.shape().iter().map(|&size| size as i64).collect();
    Tensor::from_slice(&values).reshape(shape)
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

/// The folder of the runs' logs, where nobody says otherwise.
pub const LOGS: &str = "logs";

/// Where the folder of a run may lie, the first choice first: `run` is its name in `logs`, or its path.
pub fn run_places(run: &str, logs: &Path) -> [PathBuf; 2] {
    [logs.join(run), PathBuf::from(run)]
}

/// Where a model's JSON lies. `model` is a stem (`models/model`), one of its two files, or a run: its name in `logs`, or its
/// folder (the best checkpoint, else the last). A model's files win over a run of the same name.
///
/// # Errors
/// A model error that says what was looked for.
pub fn locate(model: &str) -> Result<PathBuf> {
    let stem = model.strip_suffix(".json").or_else(|| model.strip_suffix(".safetensors")).unwrap_or(model);
    let mut candidates = vec![with_suffix(Path::new(stem), ".json")];
    for run in run_places(model, Path::new(LOGS)).into_iter().filter(|run| run.is_dir()) {
        candidates.extend(["best.json", "last.json"].map(|file| run.join("checkpoints").join(file)));
    }
    candidates.iter().find(|candidate| candidate.is_file()).cloned().ok_or_else(|| {
        let looked_for: Vec<String> = candidates.iter().map(|path| path.display().to_string()).collect();
        Error::model(format!("there is no model '{model}'"))
            .expected(looked_for.join(" or "))
            .help("train one first: convnet train; or name a stem such as models/model, or a run: its name or folder in logs/")
    })
}

/// `models/v1.5` and `.json` as `models/v1.5.json`: the suffix is added, nothing is taken away.
pub fn with_suffix(stem: &Path, suffix: &str) -> PathBuf {
    let mut path = stem.as_os_str().to_owned();
    path.push(suffix);
    PathBuf::from(path)
}
