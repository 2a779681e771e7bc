//! The files of a run's model: where they go, that they can be written, what they replace.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use super::execute::FinishedRun;
use super::record::{BestEpoch, RunResult, SourceModel};
use crate::config::RunConfig;
use crate::error::{Error, Result};
use crate::log::{self, Sinks};
use crate::model::ModelInfo;
use crate::model::saved::{self, Destination};

/// The stem of the model's files, such as `models/model`.
pub fn stem(config: &RunConfig) -> PathBuf {
    config.outputs.models.join(&config.outputs.name)
}

/// Makes the folders of logs and models where they are missing and tries a file in each, so that a bad place is known before
/// an hour of training.
pub fn check_places(config: &RunConfig) -> Result<()> {
    for (folder, what) in [(&config.outputs.logs, "logs"), (&config.outputs.models, "models")] {
        fs::create_dir_all(folder).and_then(|()| tempfile::tempfile_in(folder).map(drop)).map_err(|error| {
            let unwritable = Error::config(format!("cannot write the {what}")).at_path(folder);
            unwritable.because(error).help(format!("choose another folder with --{what}"))
        })?;
    }
    let stem = stem(config);
    for path in [".json", ".safetensors"].map(|suffix| saved::with_suffix(&stem, suffix)) {
        if path.is_dir() {
            return Err(Error::config("cannot write the model")
                .got("a folder")
                .at_path(&path)
                .help("choose another --name"));
        }
    }
    Ok(())
}

/// The model that the model of run `run` takes the place of, in words; none where there is none, or it is the run's own.
pub fn replaced(config: &RunConfig, run: &str) -> Option<String> {
    let stem = stem(config);
    let path = saved::with_suffix(&stem, ".json");
    if !path.is_file() {
        return None;
    }
    let document = saved::read_json(&path).unwrap_or_default();
    match document.pointer("/convnet/run").and_then(Value::as_str) {
        Some(own) if own == run => None,
        Some(other) => Some(format!("{} (of run {other})", stem.display())),
        None => Some(stem.display().to_string()),
    }
}

impl FinishedRun {
    /// Saves the model, then writes down in `run.json` that nothing is left to do. A run that a signal ended has checkpoints, but
    /// no model, and one that was there before stays.
    pub(super) fn save(&mut self, labels: Vec<String>, sinks: &mut Sinks) -> Result<()> {
        if self.is_interrupted() {
            return Ok(());
        }
        let row = self.saved_row();
        let (data, run) = (Some(self.trained_on.clone()), Some(self.folder.name.clone()));
        let mut info = ModelInfo { labels, resize: self.config.load.resize, data, run, ..ModelInfo::default() };
        info.metrics.extend(row.and_then(|row| row.val_accuracy).map(|accuracy| ("val_accuracy".into(), accuracy)));
        info.metrics.extend(self.tested.as_ref().map(|tested| ("test_accuracy".into(), tested.sums.scores().accuracy)));
        let stem = stem(&self.config);
        self.replaced = replaced(&self.config, &self.folder.name);
        saved::save(&self.model, &info, &Destination::pair(&stem))?;
        let SourceModel { weights_sha256 } = SourceModel::read(&stem.to_string_lossy())?;
        if let Err(error) = self.folder.record_result(self.result(weights_sha256)) {
            sinks.note(format!("warning: {}; the model is saved", log::describe(&error)));
        }
        Ok(())
    }

    /// What `run.json` keeps of it; `weights_sha256` is the saved model's.
    fn result(&self, weights_sha256: Option<String>) -> RunResult {
        let state = &self.state;
        let monitor = self.config.best_epoch.early_stopping().monitor;
        RunResult {
            ending: Some(self.ending.into()),
            epochs: state.epochs,
            batches_seen: Some(state.batches_seen),
            seconds: state.seconds,
            best: state.watch.best.map(|value| BestEpoch { monitor, value, epoch: state.watch.best_epoch }),
            test: self.tested.as_ref().map(|tested| tested.sums.scores()),
            model: stem(&self.config).display().to_string(),
            weights_sha256,
        }
    }
}
