//! The result of a run as one JSON document: epochs, best epoch, test scores, files.

use serde::Serialize;

use super::finished::FinishedRun;
use super::folder::RunFolder;
use super::profile::RunProfile;
use super::record::ProcessShare;
use crate::log::history::HistoryRow;
use crate::metrics::Scores;
use crate::model::Precision;

/// What came of a run: what `convnet train --json` prints.
#[derive(Debug, Clone, Serialize)]
pub struct RunReport {
    /// The run's name.
    pub run: String,
    /// The saved model's stem; none where a signal ended the run.
    pub model: Option<String>,
    /// The epochs.
    pub epochs: Vec<HistoryRow>,
    /// The network's parameters.
    pub parameters: usize,
    /// The device that computed.
    pub device: String,
    /// CPU threads of an operator.
    pub threads: Option<usize>,
    /// The kind of number that it computed in.
    pub precision: Precision,
    /// The random seed.
    pub seed: u64,
    /// The time that it took, in seconds.
    pub total_seconds: f64,
    /// The scores on the test images, where there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<Scores>,
    /// What each process did, where there were several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub processes: Vec<ProcessShare>,
    /// Where the time of training went, if that was noted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<RunProfile>,
    /// The epoch whose weights were saved.
    #[serde(skip)]
    pub saved_epoch: Option<u64>,
}

impl RunReport {
    /// Of a run that took `total_seconds`.
    pub fn new(run: &FinishedRun, total_seconds: f64) -> Self {
        RunReport {
            run: run.folder.name.clone(),
            model: Some(run.model_stem().display().to_string()).filter(|_| !run.is_interrupted()),
            epochs: run.history.clone(),
            parameters: run.model.plan().num_parameters(),
            device: run.selected.name.clone(),
            threads: usize::try_from(tch::get_num_threads()).ok(),
            precision: run.config.network.precision,
            seed: run.config.training.seed,
            total_seconds,
            test: run.tested.as_ref().map(|tested| tested.sums.scores()),
            processes: run.processes.clone(),
            profile: run.profile.clone(),
            saved_epoch: Some(run.saved_epoch()),
        }
    }

    /// Of a run that was finished before. Its time is that of the training alone.
    ///
    /// # Errors
    /// A configuration error where its history cannot be read.
    pub fn read(folder: &RunFolder) -> Result<Self, crate::error::Error> {
        let record = folder.record();
        let result = folder.result();
        let saved_epoch = result.and_then(|result| match record.config.best_epoch.restore_best {
            true => result.best.map(|best| best.epoch),
            false => Some(result.epochs),
        });
        Ok(RunReport {
            run: folder.name.clone(),
            model: result.map(|result| result.model.clone()),
            epochs: folder.history()?,
            parameters: record.parameters,
            device: record.device.clone(),
            threads: record.threads,
            precision: record.config.network.precision,
            seed: record.config.training.seed,
            total_seconds: result.map_or(0.0, |result| result.seconds),
            test: result.and_then(|result| result.test),
            processes: result.map(|result| result.processes.clone()).unwrap_or_default(),
            profile: None,
            saved_epoch,
        })
    }

    /// The row of the epoch whose weights were saved.
    pub fn saved_row(&self) -> Option<&HistoryRow> {
        self.epochs.iter().find(|row| Some(row.epoch) == self.saved_epoch)
    }
}
