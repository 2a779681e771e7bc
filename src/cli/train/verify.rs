//! `--verify-resume`: the same short run, uninterrupted and stopped twice, has to come to the same bits.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde_json::Map;

use super::run_folder::RunFolder;
use super::session::{Finished, Session, StopAfter};
use crate::cli::{Globals, output};
use crate::config::RunConfig;
use crate::data::registry;
use crate::data::split::split;
use crate::error::{Error, ErrorKind, Result};
use crate::log::console::Progress as ProgressMode;
use crate::log::history::{self, HistoryRow};
use crate::train::StopSignal;

/// Epochs of the short run, and the optimizer steps of each.
const EPOCHS: u64 = 2;
const STEPS_PER_EPOCH: usize = 6;

/// Runs it with the settings of `config`, in a temporary folder.
pub fn run(config: &RunConfig, globals: Globals) -> Result<()> {
    let no_folder = |error| Error::internal("cannot make a temporary folder").because(error);
    let folder = tempfile::tempdir().map_err(no_folder)?;
    // a last group, and a last batch, that are smaller
    let images = config.batch_size * config.accumulate * (STEPS_PER_EPOCH - 1) + config.batch_size.div_ceil(2);
    let dataset = registry::load_with(&config.data, &config.load_options())?;
    let parts = split(dataset, &config.validation, config.split_mode, config.limit_train, config.seed)?;
    let config = RunConfig {
        epochs: EPOCHS,
        limit_train: Some(images.min(parts.train.len())),
        logs: folder.path().join("logs"),
        models: folder.path().join("models"),
        log_every: Some(1),
        time: None,
        until: None,
        patience: None,
        ..config.clone()
    };
    let whole = train(&named(&config, "whole"), None, None, globals)?;
    let batches = whole.progress.steps;
    let stops = [batches / 3, batches * 3 / 4];
    train(&named(&config, "stopped"), None, Some(StopAfter::Batches(stops[0])), globals)?;
    train(&named(&config, "stopped"), Some("stopped"), Some(StopAfter::Batches(stops[1])), globals)?;
    let stopped = train(&named(&config, "stopped"), Some("stopped"), None, globals)?;
    compare(&whole, &stopped)?;
    output::result(&format!(
        "resuming is exact here: {EPOCHS} epochs, {batches} batches on {}, stopped after batches {} and {}: the same \
         weights, optimizer state and history, bit for bit\n",
        whole.selected.name, stops[0], stops[1]
    ))
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
        looks_for_faults: false,
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
    let history = |finished: &Finished| history::read(&finished.folder.path.join("history.csv")).map(without_times);
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
    let path = finished.folder.checkpoints().join(format!("last.{}.state.safetensors", finished.progress.steps));
    let bytes = read(&path)?;
    let header = bytes.first_chunk().map_or(0, |length| u64::from_le_bytes(*length) as usize).saturating_add(8);
    Ok(bytes.get(header..).unwrap_or_default().to_vec())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| Error::internal("cannot read what was saved").at_path(path).because(error))
}
