//! What a run does, resolved: defaults, then a file, then flags. What was resolved is saved with the run.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::data::LoadOptions;
use crate::data::augment::AugmentConfig;
use crate::data::image::Resize;
use crate::data::options::{Cache, Channels, ImageSize};
use crate::data::split::{SplitMode, Validation};
use crate::device::DeviceChoice;
use crate::error::{Error, Result, nearest};
use crate::model::Precision;
use crate::train::{OptimizerConfig, OptimizerKind, Schedule, ScheduleKind};

/// A resolved run. Field names are the keys of `--config` files and of `run.json`; the flags are the same words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunConfig {
    /// A known data set's name, or a path.
    pub data: String,
    /// A preset's name, or the path of a Keras JSON.
    pub model: String,
    /// The model whose network and weights the run starts from, in place of `model`.
    pub init_from: Option<String>,
    /// Names of layers that stay as they are, with `*` and `?`.
    pub freeze: Vec<String>,
    /// Epochs of the whole run.
    pub epochs: u64,
    /// Images a batch.
    pub batch_size: usize,
    /// Which optimizer.
    pub optimizer: OptimizerKind,
    /// The learning rate.
    pub lr: f64,
    /// Adam's β₁.
    pub beta1: f64,
    /// Adam's β₂.
    pub beta2: f64,
    /// Adam's ε.
    pub epsilon: f64,
    /// SGD's momentum.
    pub momentum: f64,
    /// Whether SGD's momentum looks ahead.
    pub nesterov: bool,
    /// How the learning rate changes.
    pub schedule: ScheduleKind,
    /// Epochs over which it rises first.
    pub warmup_epochs: f64,
    /// How training images are changed.
    pub augment: AugmentConfig,
    /// The images' size; their own where absent.
    pub image_size: Option<ImageSize>,
    /// The images' channels.
    pub channels: Channels,
    /// What becomes of images of another size.
    pub resize: Resize,
    /// A CSV of images to leave out.
    pub exclude: Option<PathBuf>,
    /// Where the images are kept.
    pub cache: Cache,
    /// Where the validation images come from.
    pub validation: Validation,
    /// How they are chosen.
    pub split_mode: SplitMode,
    /// Where all random numbers come from.
    pub seed: u64,
    /// Where to compute.
    pub device: DeviceChoice,
    /// In what kind of number.
    pub precision: Precision,
    /// CPU threads of an operator; libtorch's choice where absent.
    pub threads: Option<usize>,
    /// The folder of the runs' logs.
    pub logs: PathBuf,
    /// The folder of the saved models.
    pub models: PathBuf,
    /// The saved model's name.
    pub name: String,
    /// The run's name; the time where absent.
    pub run: Option<String>,
    /// How many training images are used at most.
    pub limit_train: Option<usize>,
}

impl Default for RunConfig {
    /// The numbers of the Keras course: Adam(0.002, 0.9, 0.999), batches of 128, 10 epochs.
    fn default() -> Self {
        RunConfig {
            data: "digits".into(),
            model: "keras-cnn".into(),
            init_from: None,
            freeze: Vec::new(),
            epochs: 10,
            batch_size: 128,
            optimizer: OptimizerKind::Adam,
            lr: 0.002,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-7,
            momentum: 0.0,
            nesterov: false,
            schedule: ScheduleKind::Constant,
            warmup_epochs: 0.0,
            augment: AugmentConfig::default(),
            image_size: None,
            channels: Channels::Auto,
            resize: Resize::Stretch,
            exclude: None,
            cache: Cache::Auto,
            validation: Validation::Auto,
            split_mode: SplitMode::Stratified,
            seed: 0,
            device: DeviceChoice::Auto,
            precision: Precision::Fp32,
            threads: None,
            logs: "logs".into(),
            models: "models".into(),
            name: "model".into(),
            run: None,
            limit_train: None,
        }
    }
}

impl RunConfig {
    /// Defaults, overlaid by a file's keys, overlaid by the flags that were given.
    ///
    /// # Errors
    /// A configuration error for an unknown key or a value that cannot be used.
    pub fn resolve(file: Map<String, Value>, flags: Map<String, Value>) -> Result<Self> {
        RunConfig::default().overlaid(file)?.overlaid(flags)
    }

    /// This configuration with `keys` in place of its own.
    ///
    /// # Errors
    /// As [`RunConfig::resolve`].
    pub fn overlaid(&self, keys: Map<String, Value>) -> Result<Self> {
        let Ok(Value::Object(mut values)) = serde_json::to_value(self) else {
            return Err(Error::config("a value is not a finite number"));
        };
        for (key, value) in keys {
            if !values.contains_key(&key) {
                let known: Vec<&str> = values.keys().map(String::as_str).collect();
                return Err(Error::config(format!("unknown key '{key}'{}", nearest(&key, &known))));
            }
            values.insert(key, value);
        }
        let config: RunConfig = serde_path_to_error::deserialize(Value::Object(values))
            .map_err(|error| Error::config(error.inner().to_string()).at(format!("key {}", error.path())))?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<()> {
        let wrong = |key: &str, expected: &str, got: String| {
            Err(Error::config(format!("{key} cannot be used")).expected(expected).got(got))
        };
        if self.epochs == 0 {
            return wrong("epochs", "at least 1", self.epochs.to_string());
        }
        if self.batch_size == 0 || self.batch_size > 1 << 20 {
            return wrong("batch-size", "1 to 1048576", self.batch_size.to_string());
        }
        if !(self.lr > 0.0 && self.lr.is_finite()) {
            return wrong("lr", "a number above 0", self.lr.to_string());
        }
        for (key, value) in [("beta1", self.beta1), ("beta2", self.beta2), ("momentum", self.momentum)] {
            if !(0.0..1.0).contains(&value) {
                return wrong(key, "0 to below 1", value.to_string());
            }
        }
        if !(self.epsilon > 0.0 && self.epsilon.is_finite()) {
            return wrong("epsilon", "a number above 0", self.epsilon.to_string());
        }
        if !(self.warmup_epochs >= 0.0 && self.warmup_epochs.is_finite()) {
            return wrong("warmup-epochs", "0 or more", self.warmup_epochs.to_string());
        }
        if self.threads == Some(0) || self.limit_train == Some(0) {
            return wrong("threads or limit-train", "at least 1", "0".into());
        }
        for (key, name) in [("name", Some(&self.name)), ("run", self.run.as_ref())] {
            if name.is_some_and(|name| Path::new(name).file_name() != Some(name.as_ref())) {
                return wrong(key, "a plain name without '/'", format!("'{}'", name.map_or("", String::as_str)));
            }
        }
        Ok(())
    }

    /// How the data set is loaded.
    pub fn load_options(&self) -> LoadOptions {
        LoadOptions {
            image_size: self.image_size,
            channels: self.channels,
            resize: self.resize,
            exclude: self.exclude.clone(),
            cache: self.cache,
        }
    }

    /// The optimizer's settings.
    pub fn optimizer_config(&self) -> OptimizerConfig {
        match self.optimizer {
            OptimizerKind::Adam => {
                OptimizerConfig::Adam { beta1: self.beta1, beta2: self.beta2, epsilon: self.epsilon }
            }
            OptimizerKind::Sgd => OptimizerConfig::Sgd { momentum: self.momentum, nesterov: self.nesterov },
        }
    }

    /// The learning rate over the run, of `steps_per_epoch` batches an epoch.
    pub fn schedule(&self, steps_per_epoch: u64) -> Schedule {
        Schedule {
            kind: self.schedule,
            base: self.lr,
            warmup_steps: (self.warmup_epochs * steps_per_epoch as f64).round() as u64,
            total_steps: self.epochs.saturating_mul(steps_per_epoch),
        }
    }
}

/// The keys of a configuration file: JSON where its name ends in `.json`, else TOML.
///
/// # Errors
/// A configuration error where it cannot be read.
pub fn read_file(path: &Path) -> Result<Map<String, Value>> {
    let unusable = |error: Box<dyn std::error::Error + Send + Sync>| {
        Error::config("cannot use the configuration file").at_path(path).because(error)
    };
    let text = std::fs::read_to_string(path).map_err(|error| unusable(error.into()))?;
    match path.extension().is_some_and(|extension| extension == "json") {
        true => serde_json::from_str(&text).map_err(|error| unusable(error.into())),
        false => toml::from_str(&text).map_err(|error| unusable(error.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_defaults() {
        let file = object(json!({ "epochs": 3, "lr": 0.1, "validation": 100 }));
        let config = RunConfig::resolve(file, object(json!({ "lr": 0.2 }))).unwrap();
        assert_eq!((config.epochs, config.lr, config.batch_size), (3, 0.2, 128));
        assert_eq!(config.validation, Validation::Count(100));
    }

    #[test]
    fn a_resolved_run_survives_json() {
        let config = RunConfig { run: Some("a".into()), threads: Some(2), ..RunConfig::default() };
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<RunConfig>(&text).unwrap(), config);
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        for (keys, word) in [
            (json!({ "epoch": 3 }), "did you mean 'epochs'"),
            (json!({ "batch_size": 0 }), "batch-size"),
            (json!({ "lr": -1.0 }), "lr"),
            (json!({ "lr": null }), "lr"),
            (json!({ "beta2": 1.0 }), "beta2"),
            (json!({ "device": "gpu" }), "device"),
            (json!({ "name": "a/b" }), "name"),
            (json!({ "threads": 0 }), "threads"),
        ] {
            let error = RunConfig::resolve(object(keys.clone()), Map::new()).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(word), "{keys}: {error}");
        }
    }
}
