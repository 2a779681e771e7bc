//! `convnet data`: inspects, checks, downloads and exports data sets.

mod check;
mod export;
mod show;
mod source;
mod suspects;

use clap::Subcommand;

use super::help::examples;
use super::{Globals, output};
use convnet::data::registry;
use source::{DataSet, Source};

/// What `convnet data` is told.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: DataCommand,
}

#[derive(Debug, Subcommand)]
enum DataCommand {
    /// Print counts and pixel statistics; draw some images of each class
    #[command(after_help = examples::DATA_SHOW)]
    Show(show::Show),
    /// Find unreadable images, duplicates, test images among the training images and other faults
    #[command(after_help = examples::DATA_CHECK)]
    Check(check::Check),
    /// Rank the training images of a run by how probably their labels are wrong
    #[command(after_help = examples::DATA_SUSPECTS)]
    Suspects(suspects::Args),
    /// Export a data set as IDX files, class folders of PNG images, a NumPy .npz, WebDataset shards or Parquet files
    #[command(after_help = examples::DATA_EXPORT)]
    Export(export::Export),
    /// Download a known data set into the cache folder if it is not there yet, and print its folder
    #[command(after_help = examples::DATA_DOWNLOAD)]
    Download {
        #[command(flatten)]
        set: DataSet,
    },
}

/// Runs the subcommand.
///
/// # Errors
/// Where the data set cannot be read, split or fetched, or a file not written.
pub fn run(args: Args, globals: Globals) -> anyhow::Result<()> {
    match args.command {
        DataCommand::Show(args) => show::run(args, globals),
        DataCommand::Check(args) => check::run(args, globals),
        DataCommand::Suspects(args) => suspects::run(args, globals),
        DataCommand::Export(args) => export::run(args, globals),
        DataCommand::Download { set } => {
            let (folder, was_there) = registry::download(set.name())?;
            if was_there {
                output::note(globals, &format!("note: {} is there already", set.name()));
            }
            Ok(output::result(&format!("{}\n", folder.display()))?)
        }
    }
}
