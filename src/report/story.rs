//! What is known of a run: what it was asked for, its epochs, what its model says about each image, its images.

use super::data_facts::DataFacts;
use super::split_scores::SplitScores;
use crate::data::{Dataset, Split};
use crate::error::{Result, describe};
use crate::evaluate::{Predictions, calibrate};
use crate::log::history::HistoryRow;
use crate::log::tensorboard::batch_losses;
use crate::model::Calibration;
use crate::run::overview::RunOverview;
use crate::run::suspects::{self, Suspects};
use crate::run::{RunFolder, RunRecord, kept_predictions};

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
    /// Where it stands, among others.
    pub overview: RunOverview,
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
        let overview = RunOverview::new(folder, &history)?;
        let (test, validation) =
            (kept(folder, Split::Test, &mut missing), kept(folder, Split::Validation, &mut missing));
        let calibration = validation.as_ref().and_then(calibrate);
        let temperature = calibration.as_ref().map(|calibration| calibration.temperature);
        let scores =
            |split| move |predictions| SplitScores::new(split, predictions, &folder.record().data.classes, temperature);
        let (test, validation) = (test.map(scores(Split::Test)), validation.map(scores(Split::Validation)));
        let images = with_images.then(|| crate::run::images(folder));
        let images = images.and_then(|images| had(images, "No pictures and data facts", &mut missing));
        let data = images.as_ref().map(|images| DataFacts::find(images, test.as_ref()));
        let data = data.and_then(|data| had(data, "The data was not checked", &mut missing));
        let suspects = images.as_ref().map(|images| suspects::rank(folder, &folder.config(), images));
        let suspects = suspects.and_then(|suspects| had(suspects, "No suspicious labels", &mut missing));
        let name = folder.name.clone();
        let batch_losses = batch_losses(&folder.path);
        Ok(Story {
            name,
            record,
            history,
            batch_losses,
            overview,
            test,
            validation,
            calibration,
            images,
            data,
            suspects,
            missing,
        })
    }

    /// The scores that the page is about: of the test images, else of the validation images.
    pub fn scores(&self) -> Option<&SplitScores> {
        self.test.as_ref().or(self.validation.as_ref())
    }
}

/// What was read; where it could not be, `missing` gets a sentence that begins with `what`.
fn had<T>(read: Result<T>, what: &str, missing: &mut Vec<String>) -> Option<T> {
    read.inspect_err(|error| missing.push(format!("{what}: {}.", describe(error)))).ok()
}

/// What the run's model says about the images of `split`, where it was kept.
fn kept(folder: &RunFolder, split: Split, missing: &mut Vec<String>) -> Option<Predictions> {
    // a run that goes on has kept none yet, and one without such images never
    if !folder.predictions(split).exists() {
        return None;
    }
    let what = format!("No scores on {split} images");
    let kept = had(kept_predictions(folder, split), &what, missing)?;
    kept.inspect_err(|why| missing.push(format!("{what}: {why}."))).ok()
}
