//! `convnet data check`.

use std::path::PathBuf;

use serde::Serialize;

use super::{Globals, Source, output};
use crate::data::check::{CheckConfig, CheckReport, Counts, check_with, write_csv};
use crate::data::registry;

#[derive(Debug, clap::Args)]
pub struct Check {
    #[command(flatten)]
    source: Source,
    /// Write the images that had better be left out, as --exclude takes them (without those that --exclude names now)
    #[arg(long, value_name = "FILE.csv")]
    out: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Document<'a> {
    counts: Counts,
    #[serde(flatten)]
    report: &'a CheckReport,
}

/// Prints what was found. Findings are no failure.
pub fn run(args: Check, globals: Globals) -> anyhow::Result<()> {
    let options = args.source.options();
    let dataset = registry::open(&args.source.data, &options)?;
    output::notes(globals, &dataset.notes);
    let config = CheckConfig { finds_other_sizes: options.image_size.is_none(), ..CheckConfig::default() };
    let report = check_with(&dataset, &config)?;
    if let Some(path) = &args.out {
        let written = output::written(path);
        write_csv(path, &report)?;
        output::note(globals, &written);
    }
    match args.json {
        true => output::json(&Document { counts: report.counts(), report: &report })?,
        false => output::result(&report.to_string())?,
    }
    Ok(())
}
