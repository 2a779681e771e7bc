//! Where each value of a run comes from, for `--print-config`.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{OutputConfig, RunConfig};
use crate::data::LoadOptions;
use crate::data::config::DataConfig;
use crate::device::DeviceConfig;
use crate::error::Result;
use crate::model::config::NetworkConfig;
use crate::settings::Absent;
use crate::train::{BestEpochConfig, LearningRateConfig, OptimizerSettings, TrainConfig};

/// Where a value comes from; later ones win.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// Nobody said anything else.
    Default,
    /// The run that is resumed.
    ResumedRun,
    /// What the model of `--init-from` was compiled with in Keras.
    TrainedModel,
    /// `--config`.
    File,
    /// A flag.
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Origin::Default => "default",
            Origin::ResumedRun => "resumed run",
            Origin::TrainedModel => "trained model",
            Origin::File => "file",
            Origin::Flag => "flag",
        })
    }
}

/// What the parts' settings stand for where they have no value, because the data or the clock decides.
fn absent() -> impl Iterator<Item = &'static Absent> {
    let parts = [
        DataConfig::ABSENT,
        LoadOptions::ABSENT,
        NetworkConfig::ABSENT,
        TrainConfig::ABSENT,
        OptimizerSettings::ABSENT,
        LearningRateConfig::ABSENT,
        BestEpochConfig::ABSENT,
        DeviceConfig::ABSENT,
        OutputConfig::ABSENT,
    ];
    parts.into_iter().flatten()
}

/// The words for the default of `key` where it has no value, because the data, the run or the clock decides.
pub fn words_of_default(key: &str) -> Option<&'static str> {
    absent().find(|(absent, _)| *absent == key).map(|(_, words)| *words)
}

/// A run's values with their origins.
#[derive(Debug, Clone, PartialEq)]
pub struct Origins {
    values: Map<String, Value>,
    origins: BTreeMap<String, Origin>,
}

impl Origins {
    /// `layers` are the keys that each origin gave, the winning ones last; all others are defaults.
    ///
    /// # Errors
    /// As [`RunConfig::keys`].
    pub fn new(config: &RunConfig, layers: &[(Origin, &Map<String, Value>)]) -> Result<Self> {
        let values = config.keys()?;
        let given = layers.iter().flat_map(|(origin, keys)| keys.keys().map(|key| (key.clone(), *origin)));
        Ok(Origins { values, origins: given.collect() })
    }

    /// The same origins, of the values of `config`.
    ///
    /// # Errors
    /// As [`Origins::new`].
    pub fn of_values(&self, config: &RunConfig) -> Result<Self> {
        Ok(Origins { origins: self.origins.clone(), ..Origins::new(config, &[])? })
    }

    /// Where `key`'s value comes from.
    pub(super) fn of(&self, key: &str) -> Origin {
        self.origins.get(key).copied().unwrap_or(Origin::Default)
    }

    /// `key`'s value.
    pub(super) fn value(&self, key: &str) -> Option<&Value> {
        self.values.get(key)
    }

    /// The settings that are not defaults, with their origins: `epochs = 3 (flag)`.
    pub fn given(&self) -> Vec<String> {
        let given = self.values.iter().filter(|(key, _)| self.origins.contains_key(*key));
        given.map(|(key, value)| format!("{key} = {value} ({})", self.of(key))).collect()
    }

    /// One TOML line a key, its origin behind it: a file that `--config` takes. What has no value, because the data or the
    /// clock decides, is a comment that says so.
    pub fn to_toml(&self) -> String {
        let lines = self.values.iter().map(|(key, value)| {
            let setting = match toml::Value::try_from(value) {
                Ok(value) if !value.is_table() => format!("{key} = {value}"),
                Ok(toml::Value::Table(table)) => format!("{key} = {{ {} }}", inline(&table)),
                _ => words_of_default(key).map_or(format!("# {key}"), |words| format!("# {key}: {words}")),
            };
            (setting, self.of(key))
        });
        let lines: Vec<(String, Origin)> = lines.collect();
        let width = lines.iter().map(|(setting, _)| setting.chars().count()).max().unwrap_or(0).min(40);
        lines.iter().map(|(setting, origin)| format!("{setting:<width$}  # {origin}\n")).collect()
    }

    /// `{"epochs": {"value": 10, "origin": "default"}, …}`.
    pub fn to_json(&self) -> Value {
        let entry = |(key, value): (&String, &Value)| (key.clone(), json!({ "value": value, "origin": self.of(key) }));
        Value::Object(self.values.iter().map(entry).collect())
    }
}

/// `"dog" = 2.0, "cat" = 1.0`.
fn inline(table: &toml::Table) -> String {
    let entry = |(key, value): (&String, &toml::Value)| format!("{} = {value}", toml::Value::from(key.as_str()));
    table.iter().map(entry).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
