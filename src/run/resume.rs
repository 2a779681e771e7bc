//! Going on with a run: from which checkpoint, whether anything is left to do, what came before.

use std::path::PathBuf;

use serde_json::{Map, Value};

use super::folder::RunFolder;
use super::record::DataRecord;
use crate::config::RunConfig;
use crate::error::{Error, Result};
use crate::log::Sinks;
use crate::log::history::HistoryRow;
use crate::train::{CheckpointKind, Checkpoints, Margins, Optimizer, StopReason, TrainConfig, TrainState, checkpoint};

/// The JSON of the run's last checkpoint, for the images that it was started with. None where the run was killed before it had
/// one: it begins again.
pub fn last_checkpoint(folder: &RunFolder, data: &DataRecord, sinks: &mut Sinks) -> Result<Option<PathBuf>> {
    folder.check_data(data)?;
    let last = folder.checkpoint(CheckpointKind::Last);
    if last.is_file() {
        return Ok(Some(last));
    }
    // the first epoch's row is written before the first checkpoint
    let rows = folder.history().unwrap_or_default();
    if folder.result().is_some() || rows.len() > 1 {
        return Err(Error::model("the run's last checkpoint is not there, though the run had one")
            .at_path(&last)
            .help("restore its files, or start a new run"));
    }
    folder.check_init_from()?;
    sinks.note("note: the run was stopped before its first checkpoint: it begins again");
    Ok(None)
}

/// Restores `optimizer` and `margins` from the last of `checkpoints`; a stage of the run that begins has an optimizer of its own.
pub fn restore(
    config: &RunConfig,
    checkpoints: &Checkpoints,
    state: &TrainState,
    optimizer: &mut Optimizer,
    margins: &mut Margins,
) -> Result<()> {
    if !config.begins_stage(state) {
        checkpoints.restore(optimizer)?;
    }
    checkpoints.restore_margins(margins)
}

/// Where a resumed run goes on.
pub fn resume_line(folder: &RunFolder, state: &TrainState, config: &TrainConfig) -> String {
    let place = match state.batches {
        0 => format!("after epoch {} of {}", state.epochs, config.epochs),
        batches => format!("in epoch {} of {}, after batch {batches}", state.epochs + 1, config.epochs),
    };
    format!("resume: run {} goes on {place} (step {})", folder.name, state.batches_seen)
}

/// The epochs before a resume.
pub fn history_before(folder: &RunFolder, state: &TrainState, sinks: &mut Sinks) -> Vec<HistoryRow> {
    let mut rows = folder.history().unwrap_or_default();
    rows.retain(|row| row.epoch <= state.epochs);
    if (rows.len() as u64) < state.epochs {
        let missing = state.epochs - rows.len() as u64;
        let path = folder.history_path();
        sinks.note(format!("warning: {} lacks {missing} of the epochs before", path.display()));
    }
    rows
}

/// Whether the model of a run that stands at `state` is saved: not where it was trained on since.
fn has_saved_its_model(folder: &RunFolder, state: &TrainState) -> bool {
    folder.result().and_then(|result| result.batches_seen) == Some(state.batches_seen)
}

/// Whether nothing is left to do in `folder`'s run with the settings of `config`: it has come to its end, and its model is saved.
///
/// # Errors
/// A model error where its last checkpoint is damaged.
pub fn is_finished(folder: &RunFolder, config: &RunConfig) -> Result<bool> {
    let last = folder.checkpoint(CheckpointKind::Last);
    if !last.is_file() {
        return Ok(false);
    }
    let state = checkpoint::state(&last)?;
    let train_config = config.train_config(folder.record().data.train, config.stage(state.epochs));
    Ok(state.ending(&train_config).is_some() && has_saved_its_model(folder, &state))
}

/// A run that ended is finished once its model is saved, too: else that is what is left to do, and saving it otherwise.
pub fn check_something_is_left(
    config: &TrainConfig,
    state: &TrainState,
    folder: &RunFolder,
    changed: &Map<String, Value>,
) -> Result<()> {
    let begun = state.epochs + u64::from(state.batches > 0);
    if config.epochs < begun {
        return Err(Error::config("the run is past that epoch")
            .expected(format!("`epochs = {begun}` or more"))
            .got(config.epochs));
    }
    let Some(ending) = state.ending(config) else { return Ok(()) };
    if !has_saved_its_model(folder, state)
        || ["models", "name", "restore_best"].iter().any(|key| changed.contains_key(*key))
    {
        return Ok(());
    }
    let finished = Error::config("the run is finished");
    Err(match ending {
        StopReason::Patience => finished.help("to train on: a larger `patience`"),
        StopReason::Target => finished.help("to train on: another `until`"),
        StopReason::Time => finished.help("to train on: more `time`, counted from the run's start"),
        StopReason::Epochs | StopReason::Stage | StopReason::Signal(_) => finished
            .expected(format!("more than {} epochs", state.epochs))
            .got(config.epochs)
            .help(format!("to train on: `epochs = {}`", state.epochs + 10)),
    })
}
