//! Whether resuming is exact on this machine: the same short run, uninterrupted and stopped twice, has to come to the same bits.

use std::fs;
use std::path::Path;

use serde_json::Map;

use super::compare::without_times;
use super::execute::{Resume, Run};
use super::finished::FinishedRun;
use super::folder::RunFolder;
use super::prepare;
use super::stop_after::StopAfter;
use crate::config::RunConfig;
use crate::error::{Error, ErrorKind, Result};
use crate::log::Sinks;
use crate::model::saved;
use crate::train::CheckpointKind;

/// Epochs of the short run, and the optimizer steps of each, where there are images enough.
const EPOCHS: u64 = 2;
const STEPS_PER_EPOCH: usize = 6;
/// Epochs where there are images for one optimizer step only.
const SHORT_EPOCHS: u64 = 4;

/// What a check of resuming found: that it is exact, for else it is an error.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ExactResume {
    /// The epochs of the short run.
    pub epochs: u64,
    /// Its batches.
    pub batches: u64,
    /// After which of them it was stopped.
    pub stops: [u64; 2],
    /// The device that computed.
    pub device: String,
}

/// Checks with a short run of `config`, in a temporary folder, that a stopped and resumed run is the uninterrupted one, bit for
/// bit.
///
/// # Errors
/// An error of kind [`ErrorKind::Check`] where it is not, and the errors of [`Run::execute`].
pub fn verify_resume(config: &RunConfig) -> Result<ExactResume> {
    let no_folder = |error| Error::internal("cannot make a temporary folder").because(error);
    let folder = tempfile::tempdir().map_err(no_folder)?;
    let config = short(config, folder.path())?;
    let epochs = config.training.epochs;
    let whole = train(&named(&config, "whole"), None, None)?;
    let batches = whole.state.batches_seen;
    let stops = stops(epochs, batches / epochs, config.training.accumulate as u64);
    let stopped = named(&config, "stopped");
    train(&stopped, None, Some(StopAfter::Batches(stops[0])))?;
    train(&stopped, Some("stopped"), Some(StopAfter::Batches(stops[1])))?;
    let stopped = train(&stopped, Some("stopped"), None)?;
    check_same(&whole, &stopped)?;
    Ok(ExactResume { epochs, batches, stops, device: whole.selected.name })
}

/// `config` with few images and epochs, which writes into `folder`.
fn short(config: &RunConfig, folder: &Path) -> Result<RunConfig> {
    // a last group, and a last batch, that are smaller
    let images = config.training.batch_size * config.training.accumulate * (STEPS_PER_EPOCH - 1)
        + config.training.batch_size.div_ceil(2);
    let splits = prepare::splits(config, false, &mut Sinks::default())?;
    let images = images.max(splits.classes.len()).min(splits.train.len());
    let epochs = if images > config.training.batch_size * config.training.accumulate { EPOCHS } else { SHORT_EPOCHS };
    let mut config = config.clone();
    config.training.epochs = epochs;
    config.network.freeze_epochs = config.network.freeze_epochs.min(epochs - 1);
    config.data.limit_train = Some(images);
    config.outputs.logs = folder.join("logs");
    config.outputs.models = folder.join("models");
    config.training.log_every = Some(1);
    config.training.time = None;
    config.training.until = None;
    config.best_epoch.patience = None;
    config.device.deterministic = true;
    Ok(config)
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
    let mut config = config.clone();
    config.outputs.run = Some(name.to_owned());
    config.outputs.name = name.to_owned();
    config
}

fn train(config: &RunConfig, resume: Option<&str>, stop_after: Option<StopAfter>) -> Result<FinishedRun> {
    let folder = resume.map(|run| RunFolder::resume(run, &config.outputs.logs)).transpose()?;
    let resume = folder.map(|folder| Resume { folder, changed: Map::new() });
    Run { resume, stop_after, ..Run::new(config.clone()) }.execute()
}

fn check_same(whole: &FinishedRun, stopped: &FinishedRun) -> Result<()> {
    let differ = |what: &str| {
        let error =
            Error::new(ErrorKind::Check, format!("a resumed run is not the uninterrupted one: its {what} differs"));
        Err(error
            .at(&whole.selected.name)
            .help("on CUDA some operations round differently each time; try `device = 'cpu'`"))
    };
    let history = |run: &FinishedRun| run.folder.history().map(without_times);
    if history(whole)? != history(stopped)? {
        return differ("history");
    }
    let weights = |run: &FinishedRun| read(&saved::with_suffix(&run.model_stem(), ".safetensors"));
    if weights(whole)? != weights(stopped)? {
        return differ("model");
    }
    match tensors_of_state(whole)? == tensors_of_state(stopped)? {
        true => Ok(()),
        false => differ("optimizer state"),
    }
}

/// The optimizer's tensors in the last checkpoint; its metadata has times in it.
fn tensors_of_state(run: &FinishedRun) -> Result<Vec<u8>> {
    let bytes = saved::load_state(&run.folder.checkpoint(CheckpointKind::Last), u64::MAX >> 1)?.unwrap_or_default();
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
