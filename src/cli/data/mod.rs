//! `convnet data`: looks at a data set, looks for faults in it, or fetches one.

mod check;
mod export;
mod show;

use std::path::PathBuf;

use clap::Subcommand;

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
    /// Print counts and pixel statistics; write a picture of some images
    Show(show::Show),
    /// Look for images that cannot be read, duplicates, test images among the training images and other faults
    Check(check::Check),
    /// Write a data set as IDX files, PNG images in class folders or a NumPy .npz
    Export(export::Export),
    /// Fetch a known data set into the cache folder, where it is not there; prints its folder
    Download {
        /// The data set's name
        name: String,
    },
}

/// The data set, and how its images are prepared.
#[derive(Debug, clap::Args)]
struct Source {
    /// The data set: a known name, a file or a folder
    data: String,
    /// Bring all images to this size, in pixels: one side, or height x width (by default their own, if it is the same for all)
    #[arg(long, value_name = "N|HxW")]
    image_size: Option<ImageSize>,
    /// The images' channels: 1 (grey), 3 (colour) or auto
    #[arg(long, value_name = "1|3|auto", default_value_t = Channels::Auto)]
    channels: Channels,
    /// How images of another proportion come to the size
    #[arg(long, value_enum, default_value_t = Resize::Stretch)]
    resize: Resize,
    /// Leave out the images that a CSV names by split and index (data check --out writes one)
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

/// Does what was asked.
///
/// # Errors
/// Where the data set cannot be read, split or fetched, or a file not written.
pub fn run(args: Args, globals: Globals) -> anyhow::Result<()> {
    match args.command {
        Command::Show(args) => show::run(args, globals),
        Command::Check(args) => check::run(args, globals),
        Command::Export(args) => export::run(args, globals),
        Command::Download { name } => {
            let (folder, was_there) = registry::download(&name)?;
            if was_there {
                output::note(globals, &format!("note: {name} is there already"));
            }
            Ok(output::result(&format!("{}\n", folder.display()))?)
        }
    }
}
