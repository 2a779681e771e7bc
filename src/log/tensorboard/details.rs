//! What TensorBoard shows of a run beside its curves: settings, texts, pictures, precision and recall.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use image::RgbImage;
use serde_json::{Map, Value};
use tensorboard_proto::api::Status;

use super::super::event_file::EventFile;
use super::super::event_values::Lines;
use super::super::pr_curve::PrCurve;
use super::super::{Distributions, Ending, Validated, event_values};
use crate::data::batches::SingleImages;
use crate::data::font::shorten;
use crate::data::grid::png_bytes;
use crate::data::sheet::{SecondLine, Sheet, Tile, contact_sheet};
use crate::drawing;
use crate::error::Result;
use crate::evaluate::Predictions;
use crate::metrics::{Metric, Scores};

/// The classes, the first ones, of which precision and recall are kept: 4.9 kB each, an epoch.
const MAX_CURVES: usize = 20;
/// Epochs, evenly spaced, of which precision and recall are kept, and as many as TensorBoard shows.
const MAX_CURVE_EPOCHS: u64 = 100;
/// The classes up to which a confusion matrix can be read.
const MAX_MATRIX_CLASSES: usize = 100;
/// Numbers in the predictions, images × classes, above which they are not asked for: 64 MB.
const MAX_PREDICTIONS: usize = 1 << 24;
/// Mistakes on a sheet, and in a row of it.
const NUM_MISTAKES: usize = 20;
const NUM_COLUMNS: usize = 4;
const MAX_NAME_CHARS: usize = 14;

/// What a run tells TensorBoard of itself.
#[derive(Default)]
pub struct Details {
    /// The settings that tell it from other runs, by their keys, for the page of hyperparameters.
    pub settings: Map<String, Value>,
    /// Texts in Markdown, by their tags.
    pub texts: Vec<(&'static str, String)>,
    /// Training images as the network sees them.
    pub samples: Option<RgbImage>,
    /// The K classes' names.
    pub classes: Vec<String>,
    /// The validation images, where they can be drawn.
    pub validation: Option<SingleImages>,
    /// Whole epochs of the run before: 0 for a new one.
    pub first_epoch: u64,
}

impl Details {
    /// Whether each prediction on `num_images` validation images is wanted: for many classes and images that takes too much memory.
    pub fn want_predictions(num_images: usize, num_classes: usize) -> bool {
        num_images > 0 && num_images.saturating_mul(num_classes) <= MAX_PREDICTIONS
    }
}

/// Writes [`Details`] as a run goes on.
pub(super) struct DetailWriter {
    details: Details,
    /// In the run's own folder: hyperparameters are found there.
    run: EventFile,
    /// The last epoch of the run, from 1.
    epochs: u64,
    /// Whole epochs of the run.
    pub epochs_done: u64,
    /// The last epoch, where its pictures are still to be drawn: of a run that ends early they are.
    undrawn: Option<Validated>,
}

impl DetailWriter {
    pub fn new(details: Details, run: EventFile) -> Self {
        DetailWriter { epochs_done: details.first_epoch, details, run, epochs: 1, undrawn: None }
    }

    /// What is known before the first step; a run begins its stages one after the other.
    pub fn start(&mut self, epochs: u64, train: &mut EventFile) -> Result<()> {
        self.epochs = epochs;
        let settings = std::mem::take(&mut self.details.settings);
        if !settings.is_empty() {
            self.run.value(0, event_values::session_start(&settings, now()))?;
            self.run.value(0, layout(self.details.classes.len()))?;
        }
        for (tag, text) in std::mem::take(&mut self.details.texts) {
            self.run.value(self.details.first_epoch, event_values::text(tag, &text))?;
        }
        match self.details.samples.take() {
            Some(picture) => put(train, "training_images", 0, &picture),
            None => Ok(()),
        }
    }

    /// Precision and recall of an epoch, and its pictures where they are due.
    pub fn validated(&mut self, validated: &Validated, file: &mut EventFile) -> Result<()> {
        let Validated { epoch, predictions } = validated;
        let step = epoch.saturating_sub(1);
        if step % self.epochs.div_ceil(MAX_CURVE_EPOCHS).max(1) == 0 {
            for (class, name) in self.details.classes.iter().enumerate().take(MAX_CURVES) {
                file.value(
                    step,
                    event_values::pr_curve(&format!("pr_curve/{name}"), &PrCurve::of_class(predictions, class)),
                )?;
            }
        }
        self.undrawn = None;
        if epoch.is_power_of_two() || *epoch == self.epochs {
            return self.draw(predictions, step, file);
        }
        self.undrawn = Some(Validated { epoch: *epoch, predictions: Arc::clone(predictions) });
        Ok(())
    }

    /// The pictures of step `step`.
    fn draw(&self, predictions: &Predictions, step: u64, file: &mut EventFile) -> Result<()> {
        let classes = &self.details.classes;
        if classes.len() <= MAX_MATRIX_CLASSES {
            let title = format!("Validation images after epoch {}", step + 1);
            let svg = drawing::confusion_matrix(classes, &predictions.confusion(), &title);
            put(file, "confusion_matrix", step, &drawing::rasterize(&svg, 1.0)?)?;
        }
        match self.mistakes(predictions, step)? {
            Some(picture) => put(file, "mistakes", step, &picture),
            None => Ok(()),
        }
    }

    /// A sheet of the mistakes that the model is surest of.
    fn mistakes(&self, predictions: &Predictions, step: u64) -> Result<Option<RgbImage>> {
        let Some(images) = &self.details.validation else { return Ok(None) };
        let wrong = predictions.mistakes();
        let name = |class: usize| shorten(self.details.classes.get(class).map_or("?", |name| name), MAX_NAME_CHARS);
        let tile = |&index: &usize| {
            let (truth, predicted) = (predictions.labels[index], predictions.classes[index]);
            let per_cent = format!("{:.0} %", predictions.confidence(index) * 100.0);
            Ok(Tile { pixels: images.image(index)?, lines: vec![name(truth), name(predicted), per_cent] })
        };
        let tiles = wrong.iter().take(NUM_MISTAKES).map(tile).collect::<Result<Vec<Tile>>>()?;
        if tiles.is_empty() {
            return Ok(None);
        }
        let title = format!("Surest mistakes after epoch {}", step + 1);
        // no longer than the sheet is wide: TensorBoard shows it 350 pixels wide at first
        let note = format!("{} of {}: true class, taken for, how sure", tiles.len(), wrong.len());
        let sheet = Sheet { title, note, columns: NUM_COLUMNS, second: SecondLine::Wrong, tiles };
        contact_sheet(images.shape(), &sheet).map(Some)
    }

    /// The end of the run.
    pub fn over(&mut self, ending: Ending, test: Option<Scores>, validation: Option<&mut EventFile>) -> Result<()> {
        if let (Ending::Success, Some(Validated { epoch, predictions }), Some(file)) =
            (ending, self.undrawn.take(), validation)
        {
            self.draw(&predictions, epoch.saturating_sub(1), file)?;
        }
        for (metric, value) in test.into_iter().flat_map(Scores::iter) {
            self.run.scalar(&format!("test_{metric}"), self.epochs_done, value)?;
        }
        let status = match ending {
            Ending::Success => Status::STATUS_SUCCESS,
            Ending::Interrupted => Status::STATUS_UNKNOWN,
            Ending::Failure => Status::STATUS_FAILURE,
        };
        self.run.value(0, event_values::session_end(status, now()))?;
        self.run.sync()
    }
}

/// The histograms of an epoch.
pub(super) fn distributions(told: &Distributions, train: &mut EventFile) -> Result<()> {
    let step = told.epoch.saturating_sub(1);
    told.histograms.iter().try_for_each(|histogram| train.value(step, event_values::histogram(histogram)))
}

/// Training beside validation: by epochs under one tag, within epochs by batches under two.
fn layout(num_classes: usize) -> tensorboard_proto::summary::Summary_Value {
    let metrics: Vec<Metric> = Metric::of(num_classes).collect();
    let label = |metric: &Metric| metric.definition().label.to_owned();
    let by_epoch = |metric: &Metric| Lines { title: label(metric), tags: vec![format!("epoch_{metric}")] };
    let rate = Lines { title: "learning rate".to_owned(), tags: vec!["epoch_learning_rate".to_owned()] };
    let by_batch = |metric: &Metric| Lines {
        title: label(metric),
        tags: vec![format!("batch_{metric}"), format!("evaluation_{metric}_vs_iterations")],
    };
    event_values::layout(&[
        ("Training and validation by epoch", metrics.iter().map(by_epoch).chain([rate]).collect()),
        ("Training and validation by batch", metrics.iter().map(by_batch).collect()),
    ])
}

fn put(file: &mut EventFile, tag: &str, step: u64, picture: &RgbImage) -> Result<()> {
    file.value(step, event_values::picture(tag, [picture.width(), picture.height()], png_bytes(picture)?))
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
