//! `convnet data`: inspects, checks, downloads and exports data sets.

mod check;
mod export;
mod show;

use std::path::PathBuf;

use clap::Subcommand;

use super::help::examples;
use super::{Globals, output};
use crate::data::image::Resize;
use crate::data::options::{Channels, ImageSize};
use crate::data::{LoadOptions, registry};

/// What `convnet data` is told.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print counts and pixel statistics; draw some images of each class
    #[command(after_help = examples::DATA_SHOW)]
    Show(show::Show),
    /// Find unreadable images, duplicates, test images among the training images and other faults
    #[command(after_help = examples::DATA_CHECK)]
    Check(check::Check),
    /// Export a data set as IDX files, class folders of PNG images or a NumPy .npz
    #[command(after_help = examples::DATA_EXPORT)]
    Export(export::Export),
    /// Download a known data set into the cache folder if it is not there yet, and print its folder
    #[command(after_help = examples::DATA_DOWNLOAD)]
    Download {
        #[command(flatten)]
        set: DataSet,
    },
}

/// The data set, named with or without `--data`.
#[derive(Debug, clap::Args)]
struct DataSet {
    /// The data set: a known name (digits, fashion-mnist, …), a folder of classes or IDX files, a manifest or an archive
    #[arg(value_name = "DATA", required_unless_present = "data", conflicts_with = "data")]
    named_data: Option<String>,
    /// The data set, as a flag
    #[arg(short, long, value_name = "DATA")]
    data: Option<String>,
}

impl DataSet {
    fn name(&self) -> &str {
        self.named_data.as_deref().or(self.data.as_deref()).expect("clap requires one of them")
    }
}

/// The data set, and how its images are prepared.
#[derive(Debug, clap::Args)]
struct Source {
    #[command(flatten)]
    set: DataSet,
    /// Resize all images to this, in pixels: one side, or height x width [default: the images' own size, if all have the same]
    #[arg(long, value_name = "N|HxW")]
    image_size: Option<ImageSize>,
    /// The images' channels: 1 (grayscale), 3 (RGB) or auto
    #[arg(long, value_name = "1|3|auto", default_value_t = Channels::Auto)]
    channels: Channels,
    /// How to fit images with another aspect ratio
    #[arg(long, value_enum, default_value_t = Resize::Stretch)]
    resize: Resize,
    /// Leave out the images that a CSV lists by split and index (data check --out writes one)
    #[arg(long, value_name = "FILE.csv")]
    exclude: Option<PathBuf>,
}

impl Source {
    fn options(&self) -> LoadOptions {
        LoadOptions {
            image_size: self.image_size,
            channels: self.channels,
            resize: self.resize,
            exclude: self.exclude.clone(),
            ..LoadOptions::default()
        }
    }
}

/// Runs the subcommand.
///
/// # Errors
/// Where the data set cannot be read, split or fetched, or a file not written.
pub fn run(args: Args, globals: Globals) -> anyhow::Result<()> {
    match args.command {
        Command::Show(args) => show::run(args, globals),
        Command::Check(args) => check::run(args, globals),
        Command::Export(args) => export::run(args, globals),
        Command::Download { set } => {
            let (folder, was_there) = registry::download(set.name())?;
            if was_there {
                output::note(globals, &format!("note: {} is there already", set.name()));
            }
            Ok(output::result(&format!("{}\n", folder.display()))?)
        }
    }
}
