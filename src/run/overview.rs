//! The runs of a logs folder side by side: what each was asked for, how far it came, what came of it.

use std::fs;
use std::path::{Path, PathBuf};

use rayon::iter::{IntoParallelIterator, ParallelIterator};
use serde::Serialize;
use serde_json::{Map, Value};
use strum::Display;

use super::folder::{RunFolder, is_training};
use crate::config::RunConfig;
use crate::error::{Error, Result, nearest};
use crate::log::history::HistoryRow;
use crate::metrics::{Metric, Scores};

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Display)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum RunStatus {
    /// Its model is saved.
    Done,
    /// A process trains it.
    Running,
    /// It was stopped by a signal, or killed, and can go on.
    Stopped,
    /// It ended with an error.
    Failed,
}

/// A run in a few words: what `convnet runs list --json` prints of it.
#[derive(Debug, Clone, Serialize)]
pub struct RunOverview {
    /// The run's name.
    pub run: String,
    /// When it was started: RFC 3339, in UTC. Of runs of older versions, when its folder was locked first.
    pub started: Option<String>,
    /// The network: a preset, a file, or the model that it started from.
    pub model: String,
    /// The data set, as it was named.
    pub data: String,
    /// Every setting by its key.
    pub settings: Map<String, Value>,
    /// Epochs that are done.
    pub epochs: u64,
    /// The best validation accuracy of an epoch; none where there are no validation images.
    pub val_accuracy: Option<f64>,
    /// The scores on the test images, once it is done and where there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<Scores>,
    /// Where it stands.
    pub status: RunStatus,
    /// What it failed at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// Its folder.
    #[serde(skip)]
    pub folder: PathBuf,
}

/// The runs of a folder.
#[derive(Debug, Default)]
pub struct RunList {
    /// Those that can be read, the one that was started first at the top.
    pub runs: Vec<RunOverview>,
    /// What cannot be read of the others.
    pub faults: Vec<Error>,
}

/// The columns that are no settings. `test_loss` and the others of [`Metric`] stand for the scores on the test images.
const COLUMNS: [&str; 8] = ["run", "started", "status", "model", "data", "epochs", "val_accuracy", "failure"];
/// What those of the test images begin with.
const TEST: &str = "test_";

/// The runs in `logs`. Folders without a `run.json` are none; one that is broken is told and costs no other.
///
/// # Errors
/// A configuration error where there is no such folder.
pub fn list_runs(logs: &Path) -> Result<RunList> {
    let no_folder = |error| {
        let error = Error::config("cannot read the folder of the logs").at_path(logs).because(error);
        error.help("`logs` names another")
    };
    let entries = fs::read_dir(logs).map_err(no_folder)?;
    let mut names: Vec<String> = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.retain(|name| !name.starts_with(".unfinished-") && logs.join(name).join("run.json").is_file());
    names.sort();
    let read: Vec<_> = names.into_par_iter().map(|name| RunOverview::read(&logs.join(name))).collect();
    let mut list = RunList::default();
    for one in read {
        match one {
            Ok((run, fault)) => {
                list.runs.push(run);
                list.faults.extend(fault);
            }
            Err(fault) => list.faults.push(fault),
        }
    }
    list.runs.sort_by(|a, b| a.started.cmp(&b.started)); // stable
    Ok(list)
}

impl RunOverview {
    /// The run in `folder`, and what is wrong with its history, if anything.
    fn read(folder: &Path) -> Result<(Self, Option<Error>)> {
        let run = RunFolder::open(&folder.to_string_lossy(), folder.parent().unwrap_or(Path::new("")))?;
        let (history, fault) = match run.history_path().exists() {
            true => run.history().map_or_else(|error| (Vec::new(), Some(error)), |rows| (rows, None)),
            false => (Vec::new(), None), // a run that was just begun
        };
        Ok((RunOverview::new(&run, &history)?, fault))
    }

    /// That of `run`, whose epochs are `history`.
    ///
    /// # Errors
    /// A configuration error where its settings cannot be shown.
    pub fn new(run: &RunFolder, history: &[HistoryRow]) -> Result<Self> {
        let (record, config) = (run.record(), &run.record().config);
        let of_epoch = |row: &HistoryRow| row.validation.and_then(|scores| scores.get(Metric::Accuracy));
        let status = match (is_training(&run.path), &record.result, &record.failure) {
            (true, ..) => RunStatus::Running,
            (_, _, Some(_)) => RunStatus::Failed,
            (_, Some(_), _) => RunStatus::Done,
            (_, None, None) => RunStatus::Stopped,
        };
        Ok(RunOverview {
            run: run.name.clone(),
            started: record.started.clone().or_else(|| first_locked(&run.path)),
            model: config.network.init_from.clone().unwrap_or_else(|| config.network.model.clone()),
            data: config.data.source.clone(),
            settings: config.keys()?,
            epochs: history
                .last()
                .map_or_else(|| record.result.as_ref().map_or(0, |result| result.epochs), |row| row.epoch),
            val_accuracy: history.iter().filter_map(of_epoch).max_by(f64::total_cmp),
            test: record.result.as_ref().and_then(|result| result.test),
            status,
            failure: record.failure.clone(),
            folder: run.path.clone(),
        })
    }

    /// The value of a column or setting; null where the run has none.
    pub fn value(&self, key: &str) -> Value {
        if let Some(metric) = key.strip_prefix(TEST).and_then(Metric::named) {
            return self.test.and_then(|test| test.get(metric)).into();
        }
        match key {
            "run" => self.run.as_str().into(),
            "started" => self.started.clone().into(),
            "status" => self.status.to_string().into(),
            "model" => self.model.as_str().into(),
            "data" => self.data.as_str().into(),
            "epochs" => self.epochs.into(),
            "val_accuracy" => self.val_accuracy.into(),
            "failure" => self.failure.clone().into(),
            setting => self.settings.get(setting).cloned().unwrap_or_default(),
        }
    }
}

/// Refuses a word that is neither a column nor a setting.
///
/// # Errors
/// A configuration error that names what is near.
pub fn check_key(key: &str) -> Result<()> {
    let settings = RunConfig::default().keys()?;
    let tests: Vec<String> = Metric::all().map(|metric| format!("{TEST}{metric}")).collect();
    let known: Vec<&str> = COLUMNS
        .into_iter()
        .chain(tests.iter().map(String::as_str))
        .chain(settings.keys().map(String::as_str))
        .collect();
    match known.contains(&key) {
        true => Ok(()),
        false => Err(Error::config(format!("runs have no column or setting '{key}'{}", nearest(key, &known)))),
    }
}

/// The settings in which the runs differ, by their keys, each with the values of all; without the places of what is written, and
/// what has a column of its own.
pub fn differing_settings(runs: &[&RunOverview]) -> Vec<(String, Vec<Value>)> {
    let Some(first) = runs.first() else { return Vec::new() };
    let own = ["run", "logs", "models", "name"];
    let keys = first.settings.keys().filter(|key| !own.contains(&key.as_str()));
    let values = |key: &String| (key.clone(), runs.iter().map(|run| run.value_of_setting(key)).collect::<Vec<Value>>());
    keys.map(values).filter(|(_, values)| values.iter().any(|value| *value != values[0])).collect()
}

impl RunOverview {
    fn value_of_setting(&self, key: &str) -> Value {
        self.settings.get(key).cloned().unwrap_or_default()
    }

    /// The settings that are not the defaults, by their keys; without the run's name.
    ///
    /// # Errors
    /// None in practice: the defaults are plain values.
    pub fn given_settings(&self) -> Result<Map<String, Value>> {
        let defaults = RunConfig::default().keys()?;
        let is_given = |(key, value): &(&String, &Value)| *key != "run" && defaults.get(*key) != Some(*value);
        let given = self.settings.iter().filter(is_given);
        Ok(given.map(|(key, value)| (key.clone(), value.clone())).collect())
    }
}

/// A value as people read it: text without quotes, `-` for none.
pub fn value_text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

/// When the folder's lock was made: with the folder.
fn first_locked(folder: &Path) -> Option<String> {
    let made = fs::metadata(folder.join("lock")).and_then(|lock| lock.modified()).ok()?;
    let made = jiff::Timestamp::try_from(made).ok()?;
    Some(made.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

#[cfg(test)]
mod tests;
