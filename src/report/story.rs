//! What is known of a run: what it was asked for, its epochs, what its model says about each image, its images.

use serde_json::{Map, Value};

use super::data_facts::DataFacts;
use super::split_scores::SplitScores;
use crate::config::RunConfig;
use crate::data::{Dataset, Split};
use crate::error::{Result, describe};
use crate::evaluate::Predictions;
use crate::evaluate::stored::{self, StoredPredictions};
use crate::log::history::HistoryRow;
use crate::log::tensorboard::batch_losses;
use crate::model::{Calibration, ModelInfo, saved};
use crate::run::record::EndedBy;
use crate::run::suspects::{self, Suspects};
use crate::run::{RunFolder, RunRecord};

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Its model is saved.
    Done(Option<EndedBy>),
    /// It is not done: it trains, or it was stopped and can be resumed.
    Unfinished,
}

/// What is known of a run.
pub struct Story {
    /// The run's name.
    pub name: String,
    /// What `run.json` says.
    pub record: RunRecord,
    /// The epochs so far.
    pub history: Vec<HistoryRow>,
    /// The training loss within the epochs: batches done in the run, and the running mean of their epoch.
    pub batch_losses: Vec<(u64, f64)>,
    /// How far it has come.
    pub status: Status,
    /// The settings that are not the defaults, by their keys.
    pub changed: Map<String, Value>,
    /// What the model is worth on the test images, where it was measured.
    pub test: Option<SplitScores>,
    /// And on the validation images.
    pub validation: Option<SplitScores>,
    /// What the model's confidence is worth.
    pub calibration: Option<Calibration>,
    /// The images, where they are at hand.
    pub images: Option<Dataset>,
    /// What was found in them.
    pub data: Option<DataFacts>,
    /// The training images whose labels are probably wrong, where the run noted what they did and they are at hand.
    pub suspects: Option<Suspects>,
    /// What could not be had, and why: the page says so.
    pub missing: Vec<String>,
}

impl Story {
    /// Reads `folder`'s run. The images are read, too, where `with_images`: a page without them has no pictures of mistakes.
    ///
    /// # Errors
    /// A configuration error where the history cannot be read.
    pub fn read(folder: &RunFolder, with_images: bool) -> Result<Self> {
        let record = folder.record().clone();
        let mut missing = Vec::new();
        let history = match folder.history_path().exists() {
            true => folder.history()?,
            false => Vec::new(),
        };
        let status = match folder.result() {
            Some(result) => Status::Done(result.ending),
            None => Status::Unfinished,
        };
        let info = info(folder);
        let calibration = info.and_then(|info| info.calibration);
        let temperature = calibration.as_ref().map(|calibration| calibration.temperature);
        let mut scores = |split: Split| match kept(folder, split) {
            Ok(kept) => kept.map(|kept| SplitScores::new(split, kept, &record.data.classes, temperature)),
            Err(text) => {
                missing.push(text);
                None
            }
        };
        let (test, validation) = (scores(Split::Test), scores(Split::Validation));
        let images = match with_images.then(|| crate::run::images(folder)) {
            Some(Ok(images)) => Some(images),
            Some(Err(error)) => {
                missing.push(format!("No pictures and data facts: {}.", describe(&error)));
                None
            }
            None => None,
        };
        let data = match images.as_ref().map(|images| DataFacts::find(images, test.as_ref())).transpose() {
            Ok(data) => data,
            Err(error) => {
                missing.push(format!("The data was not checked: {}.", describe(&error)));
                None
            }
        };
        // a run that noted nothing has none
        let suspects = images.as_ref().and_then(|images| suspects::rank(folder, &folder.config(), images).ok());
        let (name, changed) = (folder.name.clone(), changed(&record.config)?);
        let batch_losses = batch_losses(&folder.path);
        Ok(Story {
            name,
            record,
            history,
            batch_losses,
            status,
            changed,
            test,
            validation,
            calibration,
            images,
            data,
            suspects,
            missing,
        })
    }

    /// The row of the epoch whose weights are saved; the best so far where none is yet.
    pub fn saved_row(&self) -> Option<&HistoryRow> {
        let result = self.record.result.as_ref();
        let best = result.and_then(|result| result.best).map(|best| best.epoch);
        let epoch = match (self.record.config.best_epoch.restore_best, best) {
            (true, Some(best)) => best,
            _ => result.map_or(u64::MAX, |result| result.epochs),
        };
        self.history.iter().find(|row| row.epoch == epoch).or(self.history.last())
    }

    /// The scores that the page is about: of the test images, else of the validation images.
    pub fn scores(&self) -> Option<&SplitScores> {
        self.test.as_ref().or(self.validation.as_ref())
    }
}

/// What the run's saved model says about the images of `split`; none where it was not kept. In words, why it cannot be used.
fn kept(folder: &RunFolder, split: Split) -> std::result::Result<Option<Predictions>, String> {
    let path = folder.predictions(split);
    if !path.exists() {
        return Ok(None);
    }
    let StoredPredictions { predictions, origin } =
        stored::load(&path).map_err(|error| format!("No scores on {split} images: {}.", describe(&error)))?;
    let weights = folder.result().and_then(|result| result.weights_sha256.clone());
    let num_classes = folder.record().data.classes.len();
    match () {
        () if weights.is_none() || origin.weights_sha256 != weights => {
            Err(format!("No scores on {split} images: those that were kept are of other weights."))
        }
        () if predictions.num_classes != num_classes || predictions.is_empty() => {
            Err(format!("No scores on {split} images: those that were kept are of other classes."))
        }
        () => Ok(Some(predictions)),
    }
}

/// What is known of the run's saved model, where it is still the run's.
fn info(folder: &RunFolder) -> Option<ModelInfo> {
    let result = folder.result()?;
    let info = saved::info(&saved::locate(&result.model).ok()?).ok()?;
    (info.run.as_ref() == Some(&folder.name)).then_some(info)
}

/// The settings that are not the defaults.
fn changed(config: &RunConfig) -> Result<Map<String, Value>> {
    let defaults = RunConfig::default().keys()?;
    Ok(config.keys()?.into_iter().filter(|(key, value)| defaults.get(key) != Some(value)).collect())
}
