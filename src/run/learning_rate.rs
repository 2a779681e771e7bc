//! Finding a learning rate: a range test on the network and the images that a run would train.

use std::path::{Path, PathBuf};
use std::{fs, io};

use super::prepare::{self, PreparedNetwork};
use crate::config::RunConfig;
use crate::data::batches::DataLoader;
use crate::distributed::Group;
use crate::error::{Error, Result};
use crate::log::Sinks;
use crate::log::event_file::EventFile;
use crate::model::saved;
use crate::train::range_test::{RangePoint, RangeTest, suggest};

/// The rates of a test, which rise by the same factor from step to step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RateRange {
    /// The first rate.
    pub start: f64,
    /// The last rate, unless the loss explodes before.
    pub end: f64,
    /// How many optimizer steps are made.
    pub steps: u64,
}

/// What a test found.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundRate {
    /// The rate at which half of the loss's fall is done; none where it falls nowhere.
    pub suggestion: Option<f64>,
    /// The smoothed losses.
    pub points: Vec<RangePoint>,
    /// The test's folder in `logs/`, with TensorBoard's curve in it.
    pub folder: PathBuf,
}

/// Tests `range` on the network, the images and the optimizer of `config`, in steps as [`super::Run`] makes them. `listen`
/// hears of each step, counted from 1.
///
/// # Errors
/// A configuration error where the range cannot be used, and those of a run that begins.
pub fn find_learning_rate(
    config: &RunConfig,
    range: RateRange,
    sinks: &mut Sinks,
    listen: impl FnMut(u64, RangePoint),
) -> Result<FoundRate> {
    let RateRange { start, end, steps } = range;
    check(range)?;
    config.check()?;
    let selected = prepare::device(config, &Group::alone(), sinks)?;
    let splits = prepare::splits(config, false, sinks)?;
    let network = prepare::network(config, &splits, None, config.stage(0), &selected, sinks)?;
    let PreparedNetwork { model, mut optimizer, train_config } = network;
    let train = DataLoader::new(&splits.train, selected.device)?;
    let folder = new_folder(config)?;
    let test = RangeTest { start, end, steps, config: train_config };
    let points = test.run_with(&model, &mut optimizer, &train, listen).inspect_err(|_| {
        // only where nothing is in it: its name is free again
        let _ = fs::remove_dir(&folder);
    })?;
    log_points(&points, &folder.join("lr_find"))?;
    Ok(FoundRate { suggestion: suggest(&points), points, folder })
}

fn check(RateRange { start, end, steps }: RateRange) -> Result<()> {
    if !(start > 0.0 && end > start && end.is_finite()) {
        let expected = "0 < `start_lr` < `end_lr`";
        return Err(Error::config("the range of rates cannot be used")
            .expected(expected)
            .got(format!("{start}, {end}")));
    }
    if steps < 20 {
        return Err(Error::config("steps cannot be used").expected("at least 20").got(steps));
    }
    Ok(())
}

/// `logs/<run>`, made new. Without `--run` the time, after `lr-find-`, and a number behind it where another began in the same
/// second.
fn new_folder(config: &RunConfig) -> Result<PathBuf> {
    let unwritable = |error: io::Error, folder: &Path| {
        Error::config("cannot write the logs").at_path(folder).because(error).help("choose another `logs` or `run`")
    };
    fs::create_dir_all(&config.outputs.logs).map_err(|error| unwritable(error, &config.outputs.logs))?;
    let now = || jiff::Zoned::now().strftime("lr-find-%Y%m%d-%H%M%S").to_string();
    let first = config.outputs.logs.join(config.outputs.run.clone().unwrap_or_else(now));
    let mut folder = first.clone();
    for attempt in 2..1000 {
        match fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && config.outputs.run.is_none() => {
                folder = saved::with_suffix(&first, &format!("-{attempt}"));
            }
            Err(error) => return Err(unwritable(error, &folder)),
        }
    }
    Err(Error::config("cannot write the logs").at_path(&folder).help("choose another `logs` or `run`"))
}

/// For TensorBoard: loss and rate by step.
fn log_points(points: &[RangePoint], folder: &Path) -> Result<()> {
    let mut file = EventFile::create(folder)?;
    for (step, point) in (0..).zip(points) {
        file.scalar("lr_find_loss", step, point.loss)?;
        file.scalar("lr_find_learning_rate", step, point.learning_rate)?;
    }
    file.sync()
}
