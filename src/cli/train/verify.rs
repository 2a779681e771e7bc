//! `--verify-resume`: the same short run, uninterrupted and stopped twice, has to come to the same bits.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, json};

use super::run_folder::RunFolder;
use super::session::{Finished, Session, StopAfter};
use crate::cli::{Globals, output};
use crate::config::RunConfig;
use crate::data::registry;
use crate::data::split::split;
use crate::error::{Error, ErrorKind, Result};
use crate::log::console::ProgressMode;
use crate::log::history::{self, HistoryRow};
use crate::model::saved;
use crate::train::{CheckpointKind, Checkpoints, StopSignal};

/// Epochs of the short run, and the optimizer steps of each, where there are images enough.
const EPOCHS: u64 = 2;
const STEPS_PER_EPOCH: usize = 6;
/// Epochs where there are images for one optimizer step only.
const SHORT_EPOCHS: u64 = 4;

/// Runs it with the settings of `config`, in a temporary folder.
pub fn run(config: &RunConfig, as_json: bool, globals: Globals) -> Result<()> {
    let no_folder = |error| Error::internal("cannot make a temporary folder").because(error);
    let folder = tempfile::tempdir().map_err(no_folder)?;
    // a last group, and a last batch, that are smaller
    let images = config.batch_size * config.accumulate * (STEPS_PER_EPOCH - 1) + config.batch_size.div_ceil(2);
    let dataset = registry::load_with(&config.data, &config.load_options())?;
    let parts = split(dataset, &config.validation, config.split_mode, config.limit_train, config.seed)?;
    let images = images.max(parts.classes.len()).min(parts.train.len());
    let epochs = if images > config.batch_size * config.accumulate { EPOCHS } else { SHORT_EPOCHS };
    let config = RunConfig {
        epochs,
        limit_train: Some(images),
        logs: folder.path().join("logs"),
        models: folder.path().join("models"),
        log_every: Some(1),
        time: None,
        until: None,
        patience: None,
        deterministic: true,
        ..config.clone()
    };
    let whole = train(&named(&config, "whole"), None, None, globals)?;
    let batches = whole.progress.batches_seen;
    let stops = stops(epochs, batches / epochs, config.accumulate as u64);
    train(&named(&config, "stopped"), None, Some(StopAfter::Batches(stops[0])), globals)?;
    train(&named(&config, "stopped"), Some("stopped"), Some(StopAfter::Batches(stops[1])), globals)?;
    let stopped = train(&named(&config, "stopped"), Some("stopped"), None, globals)?;
    compare(&whole, &stopped)?;
    if as_json {
        let device = &whole.selected.name;
        let report = json!({ "exact": true, "epochs": epochs, "batches": batches, "stops": stops, "device": device });
        return output::json(&report);
    }
    output::result(&format!(
        "resuming is exact here: {epochs} epochs, {batches} batches on {}, stopped after batches {} and {}: the same \
         weights, optimizer state and history, bit for bit\n",
        whole.selected.name, stops[0], stops[1]
    ))
}

/// After which of a run's batches it is stopped: at the ends of optimizer steps of `accumulate` batches, a third and three
/// quarters of the way.
fn stops(epochs: u64, batches_per_epoch: u64, accumulate: u64) -> [u64; 2] {
    let steps_per_epoch = batches_per_epoch.div_ceil(accumulate);
    let batch_of = |step: u64| {
        let within = (step % steps_per_epoch * accumulate).min(batches_per_epoch);
        step / steps_per_epoch * batches_per_epoch + within
    };
    let steps = epochs * steps_per_epoch;
    [batch_of((steps / 3).max(1)), batch_of(steps * 3 / 4)]
}

fn named(config: &RunConfig, name: &str) -> RunConfig {
    RunConfig { run: Some(name.to_owned()), name: name.to_owned(), ..config.clone() }
}

fn train(
    config: &RunConfig,
    resume: Option<&str>,
    stop_after: Option<StopAfter>,
    globals: Globals,
) -> Result<Finished> {
    let resumed = resume.map(|run| RunFolder::resume(run, &config.logs)).transpose()?;
    let session = Session {
        config: config.clone(),
        resumed: resumed.map(|folder| (folder, Map::new())),
        progress: ProgressMode::None,
        globals: Globals { quiet: true, ..globals },
        stop: Arc::new(StopSignal::new(0)),
        stop_after,
        checks_data: false,
        origins: None,
    };
    session.run()
}

fn compare(whole: &Finished, stopped: &Finished) -> Result<()> {
    let differ = |what: &str| {
        let error =
            Error::new(ErrorKind::Check, format!("a resumed run is not the uninterrupted one: its {what} differs"));
        Err(error
            .at(&whole.selected.name)
            .help("on CUDA some operations round differently each time; try --device cpu"))
    };
    let history = |finished: &Finished| history::read(&finished.folder.history()).map(without_times);
    if history(whole)? != history(stopped)? {
        return differ("history");
    }
    let weights =
        |finished: &Finished| read(&finished.config.models.join(format!("{}.safetensors", finished.config.name)));
    if weights(whole)? != weights(stopped)? {
        return differ("model");
    }
    match tensors_of_state(whole)? == tensors_of_state(stopped)? {
        true => Ok(()),
        false => differ("optimizer state"),
    }
}

/// The rows with no times in them.
pub fn without_times(rows: Vec<HistoryRow>) -> Vec<HistoryRow> {
    rows.into_iter().map(|row| HistoryRow { seconds: 0.0, images_per_second: 0.0, ..row }).collect()
}

/// The optimizer's tensors in the last checkpoint; its metadata has times in it.
fn tensors_of_state(finished: &Finished) -> Result<Vec<u8>> {
    let last = Checkpoints::new(&finished.folder.checkpoints(), &[]).json_path(CheckpointKind::Last);
    let bytes = saved::load_state(&last, u64::MAX >> 1)?.unwrap_or_default();
    let header = bytes.first_chunk().map_or(0, |length| u64::from_le_bytes(*length) as usize).saturating_add(8);
    Ok(bytes.get(header..).unwrap_or_default().to_vec())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| Error::internal("cannot read what was saved").at_path(path).because(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_stopped_twice_between_its_optimizer_steps() {
        assert_eq!(stops(2, 6, 1), [4, 9]);
        assert_eq!(stops(2, 46, 8), [32, 46 + 24]); // 6 steps an epoch, the last of 6 batches
        assert_eq!(stops(4, 1, 1), [1, 3]);
        assert_eq!(stops(4, 5, 8), [5, 15]);
    }
}
