//! `run.json`: what a run was asked for, with what it computed, and what came of it.

mod processes;

use std::path::Path;
use std::{fs, io};

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::config::{RunConfig, paths};
use crate::data::{Dataset, Samples, moved};
use crate::device::Selected;
use crate::error::{Error, Result};
use crate::files;
use crate::libtorch;
use crate::metrics::Scores;
use crate::model::{Model, saved};
use crate::train::{Monitor, StopReason};

pub use processes::{ProcessShare, Processes};

/// The version of `run.json` that is written. Files without one are of version 1, which had the same keys.
const VERSION: u32 = 2;
/// The longest `run.json` that is read, in bytes: it holds a network's architecture.
const MAX_BYTES: u64 = 64 << 20;

/// The content of `run.json`. What a later version adds is kept when the file is written again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The version of the file's form.
    #[serde(default = "first_version")]
    pub version: u32,
    /// What was asked for, with what resumes changed. Relative paths are those of the folder where the run was started.
    pub config: RunConfig,
    /// The programs that computed.
    pub versions: Versions,
    /// The device that computed, as `--device` takes it.
    pub device: String,
    /// CPU threads of an operator.
    #[serde(default)]
    pub threads: Option<usize>,
    /// The network's parameters.
    #[serde(default)]
    pub parameters: usize,
    /// The network's Keras JSON.
    #[serde(default)]
    pub architecture: Value,
    /// The images.
    pub data: DataRecord,
    /// Where the files that `config` names lie: see [`paths::absolute`].
    #[serde(default)]
    pub paths: Map<String, Value>,
    /// The GPU's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<String>,
    /// What the launcher that began the run is known again by, where it starts processes again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launch: Option<String>,
    /// The processes that trained it last, where there were several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes: Option<Processes>,
    /// The model that the run was started from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init_from: Option<SourceModel>,
    /// When the run was started: RFC 3339, in UTC. Versions before did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<String>,
    /// What the last training of the run failed at, in words; absent where a signal or its end stopped it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// The settings that were changed when the run was resumed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resumes: Vec<ChangedSettings>,
    /// What came of the run; absent until its model is saved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<RunResult>,
    /// What this version does not know.
    #[serde(flatten)]
    unknown: Map<String, Value>,
}

/// The versions of the programs that computed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// This program's.
    pub convnet: String,
    /// That of the Rust bindings to libtorch.
    pub tch: String,
    /// libtorch's.
    pub libtorch: String,
}

impl Versions {
    /// Those of this program.
    fn of_this_program() -> Self {
        Versions {
            convnet: env!("CARGO_PKG_VERSION").into(),
            tch: env!("CONVNET_TCH_VERSION").into(),
            libtorch: libtorch::EXPECTED_VERSION.into(),
        }
    }
}

/// A model that a run was started from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceModel {
    /// The SHA-256 of its weights' file.
    pub weights_sha256: Option<String>,
}

impl SourceModel {
    /// That of `model`, as `--init-from` takes it.
    ///
    /// # Errors
    /// A model error where it is not there.
    pub fn read(model: &str) -> Result<Self> {
        Self::of_file(&saved::locate(model)?)
    }

    /// That of the model whose JSON is at `json_path`.
    ///
    /// # Errors
    /// A model error where it cannot be read.
    pub fn of_file(json_path: &Path) -> Result<Self> {
        let document = saved::read_json(json_path)?;
        let weights_sha256 = document.pointer("/convnet/weights/sha256").and_then(Value::as_str).map(str::to_owned);
        Ok(SourceModel { weights_sha256 })
    }
}

/// Settings that were changed when a run was resumed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChangedSettings {
    /// After how many batches.
    pub step: u64,
    /// The new values by their keys.
    pub changed: Map<String, Value>,
}

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// Why training ended.
    pub ending: Option<EndedBy>,
    /// Whole epochs of the run.
    pub epochs: u64,
    /// Batches of the whole run.
    #[serde(rename = "steps", default)]
    pub batches_seen: Option<u64>,
    /// Wall time of the training in seconds, without the time it was not running.
    #[serde(default)]
    pub seconds: f64,
    /// The best epoch, where one could be told from another.
    pub best: Option<BestEpoch>,
    /// The scores on the test images, where there are any.
    pub test: Option<Scores>,
    /// The saved model's stem.
    pub model: String,
    /// The SHA-256 of the saved weights' file.
    #[serde(default)]
    pub weights_sha256: Option<String>,
    /// What each process did since the last resume, where there were several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub processes: Vec<ProcessShare>,
}

/// The best epoch of a run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BestEpoch {
    /// What made it the best.
    pub monitor: Monitor,
    /// Its value.
    pub value: f64,
    /// The epoch, from 1.
    pub epoch: u64,
}

/// Why a training ended, as `run.json` says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EndedBy {
    /// The last epoch was done.
    Epochs,
    /// Too many epochs went by without a better one.
    Patience,
    /// The number that was asked for was reached.
    Target,
    /// The time was over.
    Time,
    /// A signal came.
    Signal,
}

impl From<StopReason> for EndedBy {
    fn from(reason: StopReason) -> Self {
        match reason {
            StopReason::Epochs | StopReason::Stage => EndedBy::Epochs,
            StopReason::Patience => EndedBy::Patience,
            StopReason::Target => EndedBy::Target,
            StopReason::Time => EndedBy::Time,
            StopReason::Signal(_) => EndedBy::Signal,
        }
    }
}

/// A fingerprint of images: absent where the version that wrote the file made none, null where there were no such images.
pub type Fingerprint = Option<Option<String>>;

/// A run's images, by what tells them from others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataRecord {
    /// The data set's name.
    pub name: String,
    /// The classes' names, in the order of their numbers.
    pub classes: Vec<String>,
    /// The number of training images.
    pub train: usize,
    /// The number of validation images.
    pub validation: Option<usize>,
    /// The number of test images.
    pub test: Option<usize>,
    /// Of the training images' pixels and labels.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub fingerprint: Fingerprint,
    /// Of the validation images.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub validation_fingerprint: Fingerprint,
    /// Of the test images.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub test_fingerprint: Fingerprint,
    /// As `fingerprint`, but for where the files lie: absent where images are no files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relative_fingerprint: Option<String>,
    /// Of the validation images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relative_validation_fingerprint: Option<String>,
    /// Of the test images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relative_test_fingerprint: Option<String>,
}

/// A key that is there, with null or with a value.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Fingerprint, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

fn first_version() -> u32 {
    1
}

impl DataRecord {
    /// What is to be known again of `splits`. Reads every image.
    pub fn new(splits: &Dataset) -> Self {
        let Dataset { train, validation, test, .. } = splits;
        let fingerprint = |samples: Option<&Samples>| Some(samples.map(Samples::fingerprint));
        let relative = |samples: Option<&Samples>| samples.and_then(moved::relative_fingerprint);
        DataRecord {
            name: splits.name.clone(),
            classes: splits.classes.clone(),
            train: train.len(),
            validation: validation.as_ref().map(Samples::len),
            test: test.as_ref().map(Samples::len),
            fingerprint: fingerprint(Some(train)),
            validation_fingerprint: fingerprint(validation.as_ref()),
            test_fingerprint: fingerprint(test.as_ref()),
            relative_fingerprint: relative(Some(train)),
            relative_validation_fingerprint: relative(validation.as_ref()),
            relative_test_fingerprint: relative(test.as_ref()),
        }
    }

    /// Whether `other`'s test images are these; none where either has none, or an older version made no fingerprint.
    pub fn same_test_images(&self, other: &DataRecord) -> Option<bool> {
        let known = |data: &DataRecord| data.test_fingerprint.clone().flatten();
        let is_moved = self.relative_test_fingerprint.is_some()
            && self.relative_test_fingerprint == other.relative_test_fingerprint;
        Some(known(self)? == known(other)? || is_moved)
    }

    /// Refuses `now`, the images at hand, where they are not these.
    ///
    /// # Errors
    /// A data error that says which images are others.
    pub fn check_same(&self, now: &DataRecord) -> Result<()> {
        for ((which, before, relative_before), (_, now, relative_now)) in
            self.fingerprints().into_iter().zip(now.fingerprints())
        {
            // files that lie elsewhere by now, as they were
            let is_moved = relative_before.is_some() && relative_before == relative_now;
            if !is_moved && before.is_some() && before != now {
                let shown = |fingerprint: &Fingerprint| Value::from(fingerprint.clone().flatten());
                return Err(Error::data(format!("the {which} images are not those that the run was started with"))
                    .expected(format!("fingerprint {}", shown(before)))
                    .got(shown(now)));
            }
        }
        Ok(())
    }

    /// Of which images, their fingerprint, and the one without their place.
    fn fingerprints(&self) -> [(&'static str, &Fingerprint, &Option<String>); 3] {
        [
            ("training", &self.fingerprint, &self.relative_fingerprint),
            ("validation", &self.validation_fingerprint, &self.relative_validation_fingerprint),
            ("test", &self.test_fingerprint, &self.relative_test_fingerprint),
        ]
    }
}

impl RunRecord {
    /// A run of `config` that is about to begin, with `model` on `selected`; `launch` is what its launcher is known again by.
    ///
    /// # Errors
    /// A model error where the model to start from is not there any more.
    pub fn new(
        config: &RunConfig,
        data: DataRecord,
        model: &Model,
        selected: &Selected,
        launch: Option<String>,
    ) -> Result<Self> {
        Ok(RunRecord {
            version: VERSION,
            config: config.clone(),
            versions: Versions::of_this_program(),
            device: selected.name.clone(),
            threads: usize::try_from(tch::get_num_threads()).ok(),
            parameters: model.plan().num_parameters(),
            architecture: model.spec().to_json(),
            data,
            paths: paths::absolute(config),
            gpu: selected.gpu.clone(),
            launch,
            processes: None,
            init_from: config.network.init_from.as_deref().map(SourceModel::read).transpose()?,
            started: Some(jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
            failure: None,
            resumes: Vec::new(),
            result: None,
            unknown: Map::new(),
        })
    }

    /// Reads the `run.json` at `path`.
    ///
    /// # Errors
    /// A configuration error where it cannot be read, is no description of a run or of a later version.
    pub fn read(path: &Path) -> Result<Self> {
        let broken = || {
            let error = Error::config("the run's description cannot be used").at_path(path);
            error.help("the run cannot go on; its checkpoints are models that can")
        };
        let length = path.metadata().map_err(|error| broken().because(error))?.len();
        if length > MAX_BYTES {
            return Err(broken().expected(format!("at most {MAX_BYTES} bytes")).got(length));
        }
        let text = fs::read_to_string(path).map_err(|error| broken().because(error))?;
        let mut json = serde_json::Deserializer::from_str(&text);
        let record: RunRecord = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let place = error.path().to_string();
            let error = Error::config("the run's description cannot be used").because(error.into_inner());
            let error = if place == "." { error } else { error.at(place) };
            error.at_path(path).help("the run cannot go on; its checkpoints are models that can")
        })?;
        match record.version {
            1..=VERSION => Ok(record),
            later => Err(broken()
                .expected(format!("version {VERSION} or below"))
                .got(later)
                .help("use the version of convnet that wrote it")),
        }
    }

    /// Writes `run.json` into `folder`; it appears whole.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        files::write_atomically(&folder.join("run.json"), |writer| writer.write_all(text.as_bytes()))
    }
}

#[cfg(test)]
mod tests;
