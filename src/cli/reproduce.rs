//! `convnet reproduce`: trains a run again, from what its `run.json` says, and compares.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::train::run_folder::RunFolder;
use super::train::session::{Finished, Session, StopAfter};
use super::train::signals::stop_on_signals;
use super::train::without_times;
use super::{Globals, output};
use crate::config::RunConfig;
use crate::error::{Error, ErrorKind, Result};
use crate::log::console::ProgressMode;
use crate::log::history::{self, HistoryRow};
use crate::model::{InputScale, saved};
use crate::train::{CheckpointKind, Checkpoints, StopReason};

/// Train a run again and compare.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run: its name in --logs, or its folder
    #[arg(value_name = "RUN")]
    run: String,
    /// Where the run's images lie now, if elsewhere
    #[arg(long, value_name = "D")]
    data: Option<String>,
    /// The folder of the logs
    #[arg(long, value_name = "FOLDER", default_value = "logs")]
    logs: PathBuf,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
    /// How to show progress
    #[arg(long, value_enum, default_value_t = ProgressMode::Auto)]
    progress: ProgressMode,
}

pub fn run(args: Args, globals: Globals) -> anyhow::Result<()> {
    let original = RunFolder::open(&args.run, &args.logs)?;
    let rows = without_times(history::read(&original.history())?);
    if rows.is_empty() {
        let error = Error::config("the run has no whole epoch to compare").at_path(&original.path);
        return Err(error.help("continue it first: convnet train --resume").into());
    }
    original.check_init_from()?;
    let folder = tempfile::tempdir()?;
    let mut config = again(&original, folder.path())?;
    config.data = args.data.unwrap_or(config.data);
    let mode = if globals.quiet { ProgressMode::None } else { args.progress };
    let session = Session {
        // an unfinished run, or one that ended by the clock, is compared as far as it went
        stop_after: Some(StopAfter::Epochs(rows.len() as u64)).filter(|_| !ended_by_itself(&original)),
        config,
        resumed: None,
        progress: mode,
        globals,
        stop: stop_on_signals()?,
        checks_data: false,
        origins: None,
    };
    let finished = session.run()?;
    original.check_data(&finished.folder.description()["data"])?;
    let again = without_times(history::read(&finished.folder.history())?);
    if let StopReason::Signal(signal) = finished.ending
        && again.len() < rows.len()
    {
        return Err(Error::new(ErrorKind::Stopped { signal }, "stopped by a signal before the comparison").into());
    }
    let difference = first_difference(&rows, &again).or_else(|| weights_differ(&original, &finished));
    if args.json {
        let identical = difference.is_none();
        output::json(
            &json!({ "run": original.name, "identical": identical, "epochs": rows.len(), "difference": difference }),
        )?;
    } else if difference.is_none() {
        output::result(&identical_line(&original, rows.len()))?;
    }
    match difference {
        None => Ok(()),
        Some(difference) => Err(difference.error(&original).into()),
    }
}

/// The run's own settings; its threads and device as they were; everything that is written goes to `folder`.
fn again(original: &RunFolder, folder: &std::path::Path) -> Result<RunConfig> {
    let config = original.config()?;
    let device = original.description()["device"].as_str().and_then(|device| device.parse().ok());
    Ok(RunConfig {
        threads: config.threads.or(original.threads()),
        input_scale: config.input_scale.or_else(|| scale_of(original)),
        device: device.unwrap_or(config.device),
        logs: folder.join("logs"),
        models: folder.join("models"),
        run: Some(original.name.clone()),
        save_every: None,
        time: None,
        ..config
    })
}

/// What the run multiplied pixels by: versions before the setting did so for every network.
fn scale_of(original: &RunFolder) -> Option<InputScale> {
    let last = Checkpoints::new(&original.checkpoints(), &[]).json_path(CheckpointKind::Last);
    InputScale::new(saved::read_json(&last).ok()?.pointer("/convnet/input/scale")?.as_f64()?)
}

/// Whether the run ended by its epochs or its numbers.
fn ended_by_itself(original: &RunFolder) -> bool {
    let ending = original.description().pointer("/result/ending").and_then(Value::as_str);
    ending.is_some_and(|ending| ending != "time")
}

/// The first number that is another one the second time.
#[derive(Debug, PartialEq, serde::Serialize)]
struct Difference {
    /// From 1; none for the final weights.
    epoch: Option<u64>,
    number: String,
    before: Value,
    now: Value,
}

impl Difference {
    fn error(&self, original: &RunFolder) -> Error {
        let place = self.epoch.map_or("after the last epoch".to_owned(), |epoch| format!("epoch {epoch}"));
        let error = Error::new(ErrorKind::Check, format!("the run is not reproduced: {} differs", self.number));
        let error = error.expected(&self.before).got(&self.now).at(place).at_path(&original.path);
        match original.description().get("resumes") {
            Some(_) => error.help("its settings were changed on the way (\"resumes\" in run.json): that may be why"),
            None => error.help("another machine, libtorch, device or number of threads may round differently"),
        }
    }
}

fn first_difference(before: &[HistoryRow], now: &[HistoryRow]) -> Option<Difference> {
    for (index, before) in before.iter().enumerate() {
        let epoch = Some(before.epoch);
        let Some(now) = now.get(index) else {
            return Some(Difference { epoch, number: "epoch".into(), before: json!(before.epoch), now: Value::Null });
        };
        let [before, now] = [json!(before), json!(now)];
        let numbers = before.as_object().into_iter().flatten();
        if let Some((number, before)) = numbers.into_iter().find(|(number, value)| now.get(*number) != Some(*value)) {
            let (number, before, now) = (number.clone(), before.clone(), now[number].clone());
            return Some(Difference { epoch, number, before, now });
        }
    }
    None
}

fn weights_differ(original: &RunFolder, finished: &Finished) -> Option<Difference> {
    let sha256 = |folder: &RunFolder| folder.description().pointer("/result/weights_sha256").cloned();
    let (before, now) = (sha256(original)?, sha256(&finished.folder)?);
    (before != now).then(|| Difference { epoch: None, number: "weights' SHA-256".into(), before, now })
}

fn identical_line(original: &RunFolder, epochs: usize) -> String {
    let weights = if ended_by_itself(original) { " and the final weights" } else { "" };
    format!("identical: every number of {epochs} epochs of {}{weights}\n", original.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(epoch: u64, loss: f64) -> HistoryRow {
        HistoryRow {
            epoch,
            loss,
            accuracy: 0.5,
            val_loss: None,
            val_accuracy: Some(0.25),
            learning_rate: 0.1,
            seconds: 0.0,
            images_per_second: 0.0,
        }
    }

    #[test]
    fn the_first_number_that_differs_is_named() {
        let before = [row(1, 0.5), row(2, 0.25)];
        assert_eq!(first_difference(&before, &before), None);
        let now = [row(1, 0.5), HistoryRow { val_accuracy: Some(0.3), ..row(2, 0.25) }];
        let difference = first_difference(&before, &now).unwrap();
        assert_eq!((difference.epoch, difference.number.as_str()), (Some(2), "val_accuracy"));
        assert_eq!((difference.before, difference.now), (json!(0.25), json!(0.3)));
        let nearly = [row(1, f64::from_bits(0.5f64.to_bits() + 1)), row(2, 0.25)];
        assert_eq!(first_difference(&before, &nearly).unwrap().epoch, Some(1));
        assert_eq!(first_difference(&before, &before[..1]).unwrap().number, "epoch");
    }
}
