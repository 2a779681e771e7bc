//! `convnet data export`.

use std::path::PathBuf;

use super::{Globals, Source, output};
use crate::data::export::{ExportFormat, export};
use crate::data::registry;

#[derive(Debug, clap::Args)]
pub struct Export {
    #[command(flatten)]
    source: Source,
    /// The form
    #[arg(long, value_enum)]
    format: ExportFormat,
    /// The folder, or for npz the file
    #[arg(long, value_name = "PATH")]
    out: PathBuf,
}

/// Writes the data set; where it lies then goes to stdout.
pub fn run(args: Export, globals: Globals) -> anyhow::Result<()> {
    let dataset = registry::load_with(&args.source.data, &args.source.options())?;
    output::notes(globals, &dataset.notes);
    let is_there = args.out.is_file() || args.out.read_dir().is_ok_and(|mut entries| entries.next().is_some());
    export(&dataset, args.format, &args.out)?;
    let place = if is_there { ", over what was there" } else { "" };
    output::note(globals, &(format!("wrote {} as {:?}", dataset.name, args.format).to_lowercase() + place));
    Ok(output::result(&format!("{}\n", args.out.display()))?)
}
