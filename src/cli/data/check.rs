//! `convnet data check`: unreadable images, duplicates, leaks between splits and other faults.

use std::path::PathBuf;

use serde::Serialize;

use super::{Globals, Source, output};
use crate::cli::spelling::with_flags;
use convnet::data::check::{CheckConfig, CheckReport, Counts, check_with, write_csv};
use convnet::data::registry;

#[derive(Debug, clap::Args)]
pub struct Check {
    #[command(flatten)]
    source: Source,
    /// Write the images to leave out, for --exclude of train (without those that --exclude lists now)
    #[arg(short, long, value_name = "FILE.csv")]
    out: Option<PathBuf>,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct CheckDocument<'a> {
    counts: Counts,
    #[serde(flatten)]
    report: &'a CheckReport,
}

/// Prints the faults of a data set; faults do not make the command fail.
pub fn run(args: Check, globals: Globals) -> anyhow::Result<()> {
    let options = args.source.options();
    let dataset = registry::open(args.source.set.name(), &options)?;
    output::notes(globals, &dataset.notes);
    let config = CheckConfig { finds_other_sizes: options.image_size.is_none(), ..CheckConfig::default() };
    let report = check_with(&dataset, &config)?;
    if let Some(path) = &args.out {
        let written = output::written(path);
        write_csv(path, &report)?;
        output::note(globals, &written);
    }
    match args.json {
        true => output::json(&CheckDocument { counts: report.counts(), report: &report })?,
        false => output::result(&with_flags(&report.to_string()))?,
    }
    Ok(())
}
