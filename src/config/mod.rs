//! The configuration of a run: defaults, overridden by a file, overridden by flags; `run.json` keeps the resolved values.

mod build;
mod check;
pub mod compiled;
pub mod effects;
pub mod file;
pub mod origin;
mod outputs;
pub mod paths;
pub mod resolved;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::data::LoadOptions;
use crate::data::config::DataConfig;
use crate::device::DeviceConfig;
use crate::error::{Error, Result, nearest};
use crate::model::config::NetworkConfig;
use crate::train::{BestEpochConfig, LearningRateConfig, OptimizerSettings, TrainConfig};

pub use outputs::OutputConfig;

/// The settings of a run: those of its parts, which own them with their defaults and checks.
///
/// Configuration files and `run.json` have all keys side by side, and the flags are the same words. The defaults are the numbers
/// of the Keras course: Adam(0.002, 0.9, 0.999), batches of 128, 10 epochs.
///
/// ```
/// use convnet::config::RunConfig;
///
/// let mut config = RunConfig::default();
/// config.data.source = "fashion-mnist".into();
/// config.training.epochs = 3;
/// assert_eq!(config, RunConfig::from_toml("data = 'fashion-mnist'\nepochs = 3")?);
/// # Ok::<(), convnet::error::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct RunConfig {
    /// Which images.
    #[serde(flatten)]
    pub data: DataConfig,
    /// How they are loaded.
    #[serde(flatten)]
    pub load: LoadOptions,
    /// Which network.
    #[serde(flatten)]
    pub network: NetworkConfig,
    /// How long and in which batches it is trained.
    #[serde(flatten)]
    pub training: TrainConfig,
    /// With which optimizer.
    #[serde(flatten)]
    pub optimizer: OptimizerSettings,
    /// At which learning rate.
    #[serde(flatten)]
    pub learning_rate: LearningRateConfig,
    /// Which epoch is the best.
    #[serde(flatten)]
    pub best_epoch: BestEpochConfig,
    /// Where it computes.
    #[serde(flatten)]
    pub device: DeviceConfig,
    /// Where what is written.
    #[serde(flatten)]
    pub outputs: OutputConfig,
}

impl RunConfig {
    /// Reads a configuration file's TOML; what it leaves out has its default.
    ///
    /// # Errors
    /// A configuration error where it is no TOML, for an unknown key or a value that cannot be used.
    pub fn from_toml(text: &str) -> Result<Self> {
        let keys = toml::from_str(text).map_err(|error| Error::config("that is no TOML").because(error))?;
        RunConfig::default().overlaid(keys)
    }

    /// Merges the defaults, a file's keys and the flags that were given; later ones win.
    ///
    /// # Errors
    /// A configuration error for an unknown key or a value that cannot be used.
    pub fn resolve(file: Map<String, Value>, flags: Map<String, Value>) -> Result<Self> {
        RunConfig::default().overlaid(merged([file, flags]))
    }

    /// The settings by their keys.
    ///
    /// # Errors
    /// As [`keys_of`].
    pub fn keys(&self) -> Result<Map<String, Value>> {
        keys_of(self)
    }

    /// A copy of this configuration with the values of `keys`.
    ///
    /// # Errors
    /// As [`RunConfig::resolve`].
    pub fn overlaid(&self, keys: Map<String, Value>) -> Result<Self> {
        let mut values = self.keys()?;
        for (key, value) in keys {
            if !values.contains_key(&key) {
                let known: Vec<&str> = values.keys().map(String::as_str).collect();
                return Err(Error::config(format!("unknown key '{key}'{}", nearest(&key, &known))));
            }
            values.insert(key, value);
        }
        let config = RunConfig::from_keys(values)?;
        config.check()?;
        Ok(config)
    }

    /// Each part takes its own of `keys`.
    fn from_keys(mut keys: Map<String, Value>) -> Result<Self> {
        let config = RunConfig {
            data: part(&mut keys)?,
            load: part(&mut keys)?,
            network: part(&mut keys)?,
            training: part(&mut keys)?,
            optimizer: part(&mut keys)?,
            learning_rate: part(&mut keys)?,
            best_epoch: part(&mut keys)?,
            device: part(&mut keys)?,
            outputs: part(&mut keys)?,
        };
        match keys.keys().next() {
            None => Ok(config),
            Some(key) => Err(Error::config(format!("unknown key '{key}'"))),
        }
    }
}

impl<'de> Deserialize<'de> for RunConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        RunConfig::from_keys(Map::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// The fields of a struct of settings by their keys.
///
/// # Errors
/// A configuration error where a path has no text: files and `run.json` could not keep it.
pub fn keys_of(settings: &impl Serialize) -> Result<Map<String, Value>> {
    let unwritable = |error| {
        let error = Error::config("a setting cannot be used").because(error);
        error.expected("text in UTF-8, which run.json can keep").help("rename the file or folder")
    };
    match serde_json::to_value(settings).map_err(unwritable)? {
        Value::Object(keys) => Ok(keys),
        _ => unreachable!("settings are structs"),
    }
}

/// A part from its own of `keys`, which lose them.
fn part<T: Serialize + DeserializeOwned + Default>(keys: &mut Map<String, Value>) -> Result<T> {
    let Ok(Value::Object(mut own)) = serde_json::to_value(T::default()) else {
        unreachable!("a part is a struct of plain values")
    };
    for (key, value) in &mut own {
        if let Some(given) = keys.shift_remove(key) {
            *value = given;
        }
    }
    serde_path_to_error::deserialize(Value::Object(own))
        .map_err(|error| Error::config(error.inner().to_string()).at(format!("key {}", error.path())))
}

/// What Keras and this program take one of only: a layer that says one of them takes the others of the layers below back.
const CLIPS: [&str; 3] = ["clip_value", "clip_norm", "global_clip_norm"];

/// Merges layers of keys; later ones win.
pub fn merged<const N: usize>(layers: [Map<String, Value>; N]) -> Map<String, Value> {
    layers.into_iter().fold(Map::new(), |mut below, above| {
        if CLIPS.iter().any(|key| above.contains_key(*key)) {
            below.retain(|key, _| !CLIPS.contains(&key.as_str()));
        }
        below.extend(above);
        below
    })
}

#[cfg(test)]
mod tests;
