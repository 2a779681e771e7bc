//! Training a run again, from what its `run.json` says, to compare.

use std::path::Path;
use std::sync::Arc;

use super::compare::{Difference, compare};
use super::execute::Run;
use super::folder::RunFolder;
use super::record::EndedBy;
use super::stop_after::StopAfter;
use crate::config::RunConfig;
use crate::error::{Error, ErrorKind, Result};
use crate::log::Sinks;
use crate::model::{InputScale, saved};
use crate::train::{CheckpointKind, StopReason, StopSignal};

/// What came of training a run again.
#[derive(Debug, Clone, PartialEq)]
pub struct Reproduction {
    /// The epochs that were compared.
    pub epochs: usize,
    /// Whether the run had come to its end by itself: then its final weights were compared, too.
    pub is_whole: bool,
    /// The first number that is another one the second time.
    pub difference: Option<Difference>,
}

/// Trains `original` again in a temporary folder, with its own settings, threads and device, and compares. `data` is where its
/// images lie now, if elsewhere. A run that is unfinished, or that the clock ended, is compared as far as it went.
///
/// # Errors
/// A configuration error where the run has no whole epoch, and the errors of [`Run::execute`].
pub fn reproduce(
    original: &RunFolder,
    data: Option<String>,
    sinks: Sinks,
    stop: Arc<StopSignal>,
) -> Result<Reproduction> {
    let epochs = original.history()?.len();
    if epochs == 0 {
        let error = Error::config("the run has no whole epoch to compare").at_path(&original.path);
        return Err(error.help("continue it first: convnet train --resume"));
    }
    if let Some(processes) = &original.record().processes {
        return Err(Error::config("the run was trained in several processes, whose sums one process rounds otherwise")
            .expected("a run of one process")
            .got(format!("one of {}", processes.count))
            .at_path(&original.path)
            .help("train it again with as many: the same settings and number give the same bits, and `runs compare` compares"));
    }
    original.check_init_from()?;
    let no_folder = |error| Error::internal("cannot make a temporary folder").because(error);
    let folder = tempfile::tempdir().map_err(no_folder)?;
    let mut config = settings_again(original, folder.path());
    config.data.source = data.unwrap_or(config.data.source);
    let is_whole = original.result().is_some_and(|result| result.ending.is_some_and(|ending| ending != EndedBy::Time));
    let stop_after = Some(StopAfter::Epochs(epochs as u64)).filter(|_| !is_whole);
    let again = Run { stop_after, sinks, stop, ..Run::new(config) }.execute()?;
    original.check_data(&again.folder.record().data)?;
    if let StopReason::Signal(signal) = again.ending
        && again.history.len() < epochs
    {
        return Err(Error::new(ErrorKind::Stopped { signal }, "stopped by a signal before the comparison"));
    }
    Ok(Reproduction { epochs, is_whole, difference: compare(original, &again.folder)? })
}

/// The run's own settings; its threads and device as they were; everything that is written goes to `folder`.
fn settings_again(original: &RunFolder, folder: &Path) -> RunConfig {
    let mut config = original.config();
    config.device.threads = config.device.threads.or(original.record().threads);
    config.device.choice = original.record().device.parse().unwrap_or(config.device.choice);
    config.network.input_scale = config.network.input_scale.or_else(|| scale_of(original));
    config.outputs.logs = folder.join("logs");
    config.outputs.models = folder.join("models");
    config.outputs.run = Some(original.name.clone());
    config.training.save_every = None;
    config.training.time = None;
    config
}

/// What the run multiplied pixels by: versions before the setting did so for every network.
fn scale_of(original: &RunFolder) -> Option<InputScale> {
    let last = original.checkpoint(CheckpointKind::Last);
    InputScale::new(saved::read_json(&last).ok()?.pointer("/convnet/input/scale")?.as_f64()?)
}
