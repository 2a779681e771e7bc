//! `convnet data export`: a data set as IDX files, class folders of PNG images, a NumPy archive, WebDataset's shards
//! or Parquet files.

use std::path::PathBuf;

use super::{Globals, Source, output};
use crate::cli::names::names;
use convnet::data::export::{DatasetFormat, export};
use convnet::data::registry;

#[derive(Debug, clap::Args)]
pub struct Export {
    #[command(flatten)]
    source: Source,
    /// File format
    #[arg(long, value_parser = names::<DatasetFormat>())]
    format: DatasetFormat,
    /// The folder to write, or for npz the file
    #[arg(short, long, value_name = "PATH")]
    out: PathBuf,
}

/// Writes the data set and prints the path that was written.
pub fn run(args: Export, globals: Globals) -> anyhow::Result<()> {
    let dataset = registry::load_with(args.source.set.name(), &args.source.options())?;
    output::notes(globals, &dataset.notes);
    let is_there = args.out.is_file() || args.out.read_dir().is_ok_and(|mut entries| entries.next().is_some());
    export(&dataset, args.format, &args.out)?;
    let place = if is_there { ", over what was there" } else { "" };
    output::note(globals, &(format!("wrote {} as {:?}", dataset.name, args.format).to_lowercase() + place));
    Ok(output::result(&format!("{}\n", args.out.display()))?)
}
