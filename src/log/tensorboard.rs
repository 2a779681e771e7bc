//! The sink that writes what Keras's TensorBoard callback writes.
//!
//! Folders, tags and steps are those of `keras.callbacks.TensorBoard` in Keras 3 (keras/src/callbacks/tensorboard.py),
//! compared with Keras 3.15:
//!
//! | folder | tag | step |
//! | --- | --- | --- |
//! | `train` | `keras`, the model's JSON | 0 |
//! | `train` | `epoch_<metric>` (`epoch_loss`, `epoch_accuracy` …), `epoch_learning_rate` | epoch, from 0 |
//! | `train` | `batch_<metric>`: running means of the epoch, at every batch that is recorded | batch, from 1 |
//! | `validation` | `epoch_<metric>` | epoch, from 0 |
//! | `validation` | `evaluation_<metric>_vs_iterations` | batches done |
//!
//! With [`Details`] also, where a step is an epoch from 0:
//!
//! | folder | tag | step |
//! | --- | --- | --- |
//! | the run's | `_hparams_/session_start_info`, `_hparams_/session_end_info`, `custom_scalars__config__` | 0 |
//! | the run's | texts | whole epochs when the run began or went on |
//! | the run's | `test_<metric>` | whole epochs |
//! | `train` | `training_images` | 0 |
//! | `validation` | `pr_curve/<class>` | every epoch, at most 100 of a run |
//! | `validation` | `confusion_matrix`, `mistakes` | epochs 1, 2, 4, 8 … and the last one |
//!
//! `train` has `<layer>/<weight>/histogram` every so many epochs where that is asked for, as Keras writes it, and
//! `<layer>/<weight>/gradient/histogram`.
//!
//! Scalars are `simple_value`s, which every version of TensorBoard and of its readers shows; Keras 3 writes tensors.

mod details;

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::event_file::EventFile;
use super::event_records;
use super::event_values::HPARAMS;
use super::{Batch, Ending, Epoch, Event, Sink, Start, Validated};
use crate::error::Result;
use crate::metrics::Scores;

use details::DetailWriter;
pub use details::Details;

/// The beginnings of the tags whose steps are epochs, beside the histograms of layers, which may have any name.
const OF_EPOCHS: [&str; 4] = ["epoch_", "pr_curve/", "confusion_matrix", "mistakes"];

/// Writes a run's events to its folder: curves to `train/` and `validation/`, and [`Details`] where there are any.
///
/// A resumed run goes on in new files of the same folders, without repeating a step.
pub struct TensorBoardSink {
    train: EventFile,
    /// Made with the first validation: a run without one has no such folder.
    validation: Option<EventFile>,
    validation_folder: PathBuf,
    details: Option<DetailWriter>,
}

impl TensorBoardSink {
    /// Opens a new event file in `train/` of `run_folder`, so that a bad place fails before training.
    ///
    /// # Errors
    /// As [`EventFile::create`].
    pub fn create(run_folder: &Path) -> Result<Self> {
        Ok(TensorBoardSink {
            train: EventFile::create(&run_folder.join("train"))?,
            validation: None,
            validation_folder: run_folder.join("validation"),
            details: None,
        })
    }

    /// As [`TensorBoardSink::create`], and writes `details` too. Of a run that goes on, the settings and the end that it had
    /// before are taken out: TensorBoard shows the first ones that it finds.
    ///
    /// # Errors
    /// As [`TensorBoardSink::create`].
    pub fn with_details(run_folder: &Path, details: Details) -> Result<Self> {
        event_records::retain(run_folder, |tag, _| !tag.starts_with(HPARAMS))?;
        let run = EventFile::create(run_folder)?;
        Ok(TensorBoardSink { details: Some(DetailWriter::new(details, run)), ..Self::create(run_folder)? })
    }

    fn start(&mut self, start: &Start) -> Result<()> {
        if start.first_step == 0 {
            self.train.keras_graph(&for_graph_page(&start.model_json))?;
        }
        match &mut self.details {
            Some(details) => details.start(start.epochs, &mut self.train),
            None => Ok(()),
        }
    }

    fn batch(&mut self, batch: &Batch) -> Result<()> {
        for (metric, value) in batch.scores.iter() {
            self.train.scalar(&format!("batch_{metric}"), batch.step, value)?;
        }
        Ok(())
    }

    fn epoch(&mut self, epoch: &Epoch) -> Result<()> {
        let step = epoch.epoch.saturating_sub(1);
        self.details.iter_mut().for_each(|details| details.epochs_done = epoch.epoch);
        for (metric, value) in epoch.train.iter() {
            self.train.scalar(&format!("epoch_{metric}"), step, value)?;
        }
        self.train.scalar("epoch_learning_rate", step, epoch.learning_rate)?;
        self.train.sync()?;
        epoch.validation.map_or(Ok(()), |scores| self.scores(scores, epoch.step, step))
    }

    fn scores(&mut self, scores: Scores, batches: u64, epoch: u64) -> Result<()> {
        let file = opened(&mut self.validation, &self.validation_folder)?;
        for (metric, value) in scores.iter() {
            file.scalar(&format!("evaluation_{metric}_vs_iterations"), batches, value)?;
        }
        for (metric, value) in scores.iter() {
            file.scalar(&format!("epoch_{metric}"), epoch, value)?;
        }
        file.sync()
    }

    fn validated(&mut self, validated: &Validated) -> Result<()> {
        let Some(details) = &mut self.details else { return Ok(()) };
        details.validated(validated, opened(&mut self.validation, &self.validation_folder)?)
    }

    fn over(&mut self, ending: Ending, test: Option<Scores>) -> Result<()> {
        match &mut self.details {
            Some(details) => details.over(ending, test, self.validation.as_mut()),
            None => Ok(()),
        }
    }
}

/// The file, which is made where it is not there yet.
fn opened<'a>(file: &'a mut Option<EventFile>, folder: &Path) -> Result<&'a mut EventFile> {
    match file {
        Some(file) => Ok(file),
        none => Ok(none.insert(EventFile::create(folder)?)),
    }
}

/// The training loss within the epochs of a run, as its logs have it: batches done, and the running mean of their epoch. Empty
/// where there are no logs, or they cannot be read.
pub fn batch_losses(run_folder: &Path) -> Vec<(u64, f64)> {
    event_records::scalars(&run_folder.join("train"), "batch_loss").unwrap_or_default()
}

/// Takes the points out of a run's logs that lie behind its first `epochs` epochs and `steps` batches: it goes on from there
/// with other settings, and the points of the old ones would stand among the new.
///
/// # Errors
/// An internal error where a log cannot be read or written.
pub fn rewind(run_folder: &Path, epochs: u64, steps: u64) -> Result<()> {
    let is_kept = |tag: &str, step: u64| is_before(tag, step, epochs, steps);
    event_records::retain(run_folder, is_kept)?;
    event_records::retain(&run_folder.join("train"), is_kept)?;
    event_records::retain(&run_folder.join("validation"), is_kept)
}

/// Whether `tag` had a point at `step` when the run stood at `epochs` whole epochs and `steps` batches.
fn is_before(tag: &str, step: u64, epochs: u64, steps: u64) -> bool {
    let is_of_epoch = tag.ends_with("/histogram") || OF_EPOCHS.iter().any(|start| tag.starts_with(start));
    match is_of_epoch {
        true => step < epochs,
        false if tag.starts_with("batch_") || tag.starts_with("evaluation_") => step <= steps,
        // what was said when the run began, or went on
        false => step == 0 || step < epochs,
    }
}

impl Sink for TensorBoardSink {
    fn on(&mut self, event: &Event) -> Result<()> {
        match event {
            Event::Start(start) => self.start(start),
            Event::Batch(batch) if batch.is_recorded => self.batch(batch),
            Event::Validated(validated) => self.validated(validated),
            Event::Distributions(told) => details::distributions(told, &mut self.train),
            Event::Epoch(epoch) => self.epoch(epoch),
            Event::Saving | Event::End => self.train.sync(),
            &Event::Over { ending, test } => self.over(ending, test),
            Event::Batch(_) | Event::Validating | Event::Warning(_) => Ok(()),
            Event::Testing { .. } | Event::Note(_) | Event::Detail(_) => Ok(()),
        }
    }
}

/// A model's JSON as TensorBoard 2.20's graph page reads it: of a Functional network that is an element of a Sequential it
/// takes the input's name alone, where Keras 3 writes `[name, 0, 0]`. It reads Keras 3's form everywhere else.
fn for_graph_page(model_json: &str) -> String {
    fn adapt(network: &mut Value) {
        let is_sequential = network["class_name"] == "Sequential";
        let layers = network.pointer_mut("/config/layers").and_then(Value::as_array_mut);
        for layer in layers.into_iter().flatten() {
            if let (true, Some(input)) = (is_sequential, layer.pointer_mut("/config/input_layers"))
                && let Some(name @ Value::String(_)) = input.get(0)
            {
                *input = Value::Array(vec![name.clone()]);
            }
            adapt(layer);
        }
    }
    match serde_json::from_str(model_json) {
        Ok(mut model) => {
            adapt(&mut model);
            model.to_string()
        }
        Err(_) => model_json.to_owned(),
    }
}

#[cfg(test)]
pub(super) mod tests;
