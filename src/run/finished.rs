//! A training run that is over, and what is kept of it.

use std::path::PathBuf;

use super::folder::RunFolder;
use super::measure::RunPredictions;
use super::model_files;
use super::profile::RunProfile;
use super::record::{BestEpoch, ProcessShare, RunResult, SourceModel};
use crate::config::RunConfig;
use crate::data::Split;
use crate::data::batches::DataLoader;
use crate::device::Selected;
use crate::error::Result;
use crate::evaluate::stored::{self, PredictionsOrigin};
use crate::evaluate::{Evaluation, calibrate};
use crate::files;
use crate::log::history::HistoryRow;
use crate::log::{self, Sinks};
use crate::model::saved::{self, Destination};
use crate::model::trained_on::TrainedOn;
use crate::model::training_look::TrainingLook;
use crate::model::{Model, ModelInfo};
use crate::train::{Profile, StopReason, TrainState};

/// A training run that is over: by its end, or by a signal.
pub struct FinishedRun {
    /// The settings.
    pub config: RunConfig,
    /// The run's folder.
    pub folder: RunFolder,
    /// The model, with the weights that were saved.
    pub model: Model,
    /// The device that computed.
    pub selected: Selected,
    /// The images that it was trained on.
    pub trained_on: TrainedOn,
    /// The evaluation on the test images, where there are any.
    pub tested: Option<Evaluation>,
    /// What the model says about each test and validation image.
    pub predictions: RunPredictions,
    /// Where training stands.
    pub state: TrainState,
    /// The epochs, those before a resume too.
    pub history: Vec<HistoryRow>,
    /// Why training ended.
    pub ending: StopReason,
    /// Whether the last checkpoint is on the disk.
    pub is_saved: bool,
    /// The model of another run whose place this run's model took, in words.
    pub replaced: Option<String>,
    /// What each process did, where there were several.
    pub processes: Vec<ProcessShare>,
    /// Where the time of training went, if that was noted.
    pub profile: Option<RunProfile>,
}

impl FinishedRun {
    /// The epoch whose weights are saved.
    pub fn saved_epoch(&self) -> u64 {
        let is_best = self.config.best_epoch.restore_best && !self.is_interrupted();
        if is_best { self.state.watch.best_epoch } else { self.state.epochs }
    }

    /// The row of the epoch whose weights are saved.
    pub fn saved_row(&self) -> Option<&HistoryRow> {
        self.history.iter().find(|row| row.epoch == self.saved_epoch())
    }

    /// Whether a signal ended it: then there are checkpoints, but no model, and one that was there before stays.
    pub fn is_interrupted(&self) -> bool {
        matches!(self.ending, StopReason::Signal(_))
    }

    /// The saved model's stem, such as `models/model`.
    pub fn model_stem(&self) -> PathBuf {
        model_files::stem(&self.config)
    }

    /// Writes the trace of a training into the run's folder, and measures the layers. A disk that does not take it is told.
    pub(super) fn keep_profile(&mut self, profile: &Profile, train: &DataLoader, sinks: &mut Sinks) {
        if let Err(error) = profile.write_trace(&self.folder.trace_path()) {
            sinks.note(format!("warning: {}", log::describe(&error)));
        }
        let batch_size = self.config.training.batch_size;
        self.profile = Some(RunProfile::new(profile, &self.model, train, batch_size, sinks));
    }

    /// Saves the model, then writes down in `run.json` that nothing is left to do. A run that a signal ended has checkpoints, but
    /// no model, and one that was there before stays.
    pub(super) fn save(&mut self, labels: Vec<String>, images: Option<TrainingLook>, sinks: &mut Sinks) -> Result<()> {
        if self.is_interrupted() {
            return Ok(());
        }
        let row = self.saved_row();
        let (data, run) = (Some(self.trained_on.clone()), Some(self.folder.name.clone()));
        let calibration = self.predictions.validation.as_ref().and_then(calibrate);
        let (resize, decode) = (self.config.load.resize, self.config.load.decode);
        let mut info = ModelInfo { labels, resize, decode, data, run, calibration, images, ..ModelInfo::default() };
        let of_epoch = row.and_then(|row| row.validation).unwrap_or_default();
        let tested = self.tested.as_ref().map(|tested| tested.sums.scores()).unwrap_or_default();
        info.metrics.extend(of_epoch.iter().map(|(metric, value)| (format!("val_{metric}"), value)));
        info.metrics.extend(tested.iter().map(|(metric, value)| (format!("test_{metric}"), value)));
        let stem = model_files::stem(&self.config);
        self.replaced = model_files::replaced(&self.config, &self.folder.name);
        let to = Destination::pair(&stem);
        saved::save(&self.model, &info, &to)?;
        let SourceModel { weights_sha256 } = SourceModel::of_file(&to.json)?;
        let kept = self.keep_predictions(weights_sha256.as_ref());
        for error in [kept, self.folder.record_result(self.result(weights_sha256))].into_iter().filter_map(Result::err)
        {
            sinks.note(format!("warning: {}; the model is saved", log::describe(&error)));
        }
        Ok(())
    }

    /// Writes the predictions into the run's folder, and removes those of other weights.
    fn keep_predictions(&self, weights_sha256: Option<&String>) -> Result<()> {
        let data = &self.folder.record().data;
        let of_splits = [
            (Split::Test, &self.predictions.test, &data.test_fingerprint),
            (Split::Validation, &self.predictions.validation, &data.validation_fingerprint),
        ];
        for (split, predictions, fingerprint) in of_splits {
            let path = self.folder.predictions(split);
            let origin =
                PredictionsOrigin { images: fingerprint.clone().flatten(), weights_sha256: weights_sha256.cloned() };
            match predictions {
                Some(predictions) => stored::save(&path, predictions, &origin)?,
                // a reader sees by the weights that they are of others
                None => drop(files::remove(&path)),
            }
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
            model: model_files::stem(&self.config).display().to_string(),
            weights_sha256,
            processes: self.processes.clone(),
        }
    }
}
