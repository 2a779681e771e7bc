//! A saved model's JSON: Keras's architecture, and under the key `convnet` everything else that predicting needs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::super::calibration::Calibration;
use super::super::checksum::sha256;
use super::super::json_file::read_bounded;
use super::super::spec::CompiledLoss;
use super::super::trained_on::TrainedOn;
use super::super::training_look::TrainingLook;
use super::super::{Model, Spec};
use super::golden::Golden;
use super::info::{CompileInfo, InputInfo, ModelInfo};
use crate::data::ImageShape;
use crate::error::{Error, Result};
use crate::files::hex;

/// The format's version, under `convnet.version`. In version 1 the JSON had no checksum of itself and no golden outputs.
pub(super) const VERSION: u32 = 2;

/// A file beside the JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileInfo {
    /// Its name, in the JSON's own folder.
    file: String,
    /// Its SHA-256, in hexadecimal.
    sha256: String,
}

/// The value of the JSON's key `convnet`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConvnetKey {
    version: u32,
    created_by: String,
    pub labels: Vec<String>,
    pub input: InputInfo,
    #[serde(default)]
    metrics: BTreeMap<String, f64>,
    pub weights: FileInfo,
    /// An optimizer's state: a checkpoint's, with its progress, or an imported model's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<FileInfo>,
    /// What an imported model was compiled with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compile: Option<CompileInfo>,
    /// What it was trained on, where it was trained here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<TrainedOn>,
    /// The loss that says what the outputs are, where the layers do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    loss: Option<CompiledLoss>,
    /// Whether calls with `training=False` hold in training, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    inference_calls: bool,
    /// The run that trained it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run: Option<String>,
    /// What the model's confidence is worth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    calibration: Option<Calibration>,
    /// What its training images look like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    images: Option<TrainingLook>,
    /// What it computed of a few images when it was saved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub golden: Option<Golden>,
    /// The JSON's checksum: see [`super::super::seal`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    json_sha256: Option<String>,
}

impl ConvnetKey {
    /// What is known of the model beside its network.
    pub fn into_info(self) -> ModelInfo {
        let ConvnetKey { labels, metrics, compile, input, data, run, calibration, images, .. } = self;
        let (resize, decode) = (input.resize, input.decode);
        ModelInfo { labels, metrics, compile, resize, decode, data, run, calibration, images }
    }
}

impl FileInfo {
    /// `path`, whose content `sha256` has taken in.
    pub fn new(path: &Path, sha256: Sha256) -> Self {
        let file = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        FileInfo { file, sha256: hex(&sha256.finalize()) }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.file
    }

    /// Its SHA-256, in hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The file's bytes, of which there may be at most `max_bytes`, and its path; `what` names it in errors.
    pub fn read(&self, json_path: &Path, max_bytes: u64, what: &str) -> Result<(PathBuf, Vec<u8>)> {
        if Path::new(&self.file).file_name() != Some(self.file.as_ref()) {
            return Err(Error::model(format!("the {what}' file is not a plain name"))
                .got(format!("'{}'", self.file))
                .at_path(json_path));
        }
        let path = json_path.with_file_name(&self.file);
        let bytes = read_bounded(&path, max_bytes).map_err(|error| error.at_path(&path))?;
        Ok((path, bytes))
    }

    /// Checks that `bytes` are those that the model was saved with; `what` names them in errors.
    pub fn check(&self, bytes: &[u8], what: &str) -> Result<()> {
        let actual = sha256(bytes);
        match actual.eq_ignore_ascii_case(&self.sha256) {
            true => Ok(()),
            false => Err(Error::model(format!("the {what} are not those that the model's JSON was saved with"))
                .expected(format!("SHA-256 {}", self.sha256))
                .got(actual)
                .help("copy all files again, from one save")),
        }
    }
}

/// The model's JSON: Keras's architecture, and everything else under the key `convnet`.
pub(super) fn document(
    model: &Model,
    info: &ModelInfo,
    weights: FileInfo,
    state: Option<FileInfo>,
    golden: Option<Golden>,
) -> Value {
    let shape = model.image_shape().unwrap_or(ImageShape { height: 1, width: 1, channels: 1 });
    let input = info.input(shape, model.input_scale());
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
        inference_calls: model.spec().has_inference_calls(),
        run: info.run.clone(),
        calibration: info.calibration.clone(),
        images: info.images.clone(),
        golden,
        json_sha256: None, // when all else is said
    };
    let mut document = model.spec().to_json();
    document["convnet"] = json!(key);
    document
}

/// The network and the key `convnet` of a saved model's JSON.
///
/// # Errors
/// A model error that names the key which cannot be used.
pub(super) fn parse(document: &Value) -> Result<(Spec, ConvnetKey)> {
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

/// Checks that what `key` says goes with the network.
pub(super) fn check_key(model: &Model, key: &ConvnetKey) -> Result<()> {
    if !(1..=VERSION).contains(&key.version) {
        return Err(Error::model("the file is of another version")
            .expected(format!("1 to {VERSION}"))
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
    if let Some(Calibration { temperature, .. }) = &key.calibration
        && !(temperature.is_finite() && *temperature > 0.0)
    {
        return Err(Error::model("the temperature cannot be divided by")
            .expected("a number above 0")
            .got(temperature)
            .at("calibration.temperature"));
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
