//! `convnet reproduce`: trains a run again, from what its `run.json` says, and compares.

use std::path::PathBuf;

use serde_json::json;

use super::train::signals::stop_on_signals;
use super::{Globals, output, train};
use crate::cli::names::names;
use convnet::error::{Error, ErrorKind};
use convnet::log::console::ProgressMode;
use convnet::run::reproduce::{Reproduction, reproduce};
use convnet::run::{Difference, RunFolder};

/// Train a run again and compare.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run: its name in --logs, or its folder
    #[arg(value_name = "RUN")]
    run: String,
    /// Where the run's data set lies now, if it was moved
    #[arg(value_name = "DATA", conflicts_with = "data")]
    named_data: Option<String>,
    /// The data set, as a flag
    #[arg(short, long, value_name = "DATA")]
    data: Option<String>,
    /// The folder of the logs
    #[arg(long, value_name = "FOLDER", default_value = "logs")]
    logs: PathBuf,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
    /// How to show progress
    #[arg(long, value_parser = names::<ProgressMode>(), default_value_t = ProgressMode::Auto)]
    progress: ProgressMode,
}

pub fn run(args: Args, globals: Globals) -> anyhow::Result<()> {
    let original = RunFolder::open(&args.run, &args.logs)?;
    let mode = if globals.quiet { ProgressMode::None } else { args.progress };
    let again =
        reproduce(&original, args.named_data.or(args.data), train::sinks(globals, mode), stop_on_signals(true)?)?;
    let Reproduction { epochs, is_whole, difference } = again;
    if args.json {
        let identical = difference.is_none();
        output::json(
            &json!({ "run": original.name, "identical": identical, "epochs": epochs, "difference": difference }),
        )?;
    } else if difference.is_none() {
        let weights = if is_whole { " and the final weights" } else { "" };
        output::result(&format!("identical: every number of {epochs} epochs of {}{weights}\n", original.name))?;
    }
    match difference {
        None => Ok(()),
        Some(difference) => Err(not_reproduced(difference, &original).into()),
    }
}

fn not_reproduced(difference: Difference, original: &RunFolder) -> Error {
    let Difference { epoch, number, before, now } = difference;
    let place = epoch.map_or("after the last epoch".to_owned(), |epoch| format!("epoch {epoch}"));
    let error = Error::new(ErrorKind::Check, format!("the run is not reproduced: {number} differs"));
    let error = error.expected(before).got(now).at(place).at_path(&original.path);
    match original.record().resumes.is_empty() {
        false => error.help("its settings were changed on the way (\"resumes\" in run.json): that may be why"),
        true => error.help("another machine, libtorch, device or number of threads may round differently"),
    }
}
