//! `convnet data`: looks at a data set, or fetches one.

use std::path::PathBuf;

use clap::Subcommand;

use super::{Globals, output};
use crate::data::grid::{GridConfig, sample_grid, write_png};
use crate::data::registry;
use crate::data::split::{Validation, split};
use crate::data::statistics::DatasetSummary;

/// What `convnet data` is told.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print counts and pixel statistics; write a picture of some images
    Show(Show),
    /// Fetch a known data set into the cache folder
    Download {
        /// The data set's name
        name: String,
    },
}

#[derive(Debug, clap::Args)]
struct Show {
    /// The data set: a known name, a file or a folder
    data: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// The picture's file (by default the data set's name with .png, in the current folder)
    #[arg(long, value_name = "FILE.png")]
    out: Option<PathBuf>,
    /// Take validation images out of the training images, as training does: a count, a fraction, test or none
    #[arg(long, default_value_t = Validation::None)]
    validation: Validation,
    /// Chooses the validation images and the picture's
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// Does what was asked.
///
/// # Errors
/// Where the data set cannot be read, split or fetched, or the picture not written.
pub fn run(args: Args, globals: Globals) -> anyhow::Result<()> {
    match args.command {
        Command::Show(args) => show(args, globals),
        Command::Download { name } => {
            let folder = registry::download(&name)?;
            Ok(output::result(&format!("{}\n", folder.display()))?)
        }
    }
}

fn show(args: Show, globals: Globals) -> anyhow::Result<()> {
    let parts = split(registry::load(&args.data)?, &args.validation, None, args.seed)?;
    let picture = GridConfig { title: parts.name.clone(), seed: args.seed, ..GridConfig::default() };
    let picture = sample_grid(&parts.train, &parts.classes, &picture)?;
    let path = args.out.unwrap_or_else(|| default_path(&parts.name));
    write_png(&path, &picture)?;
    output::note(globals, &format!("wrote {}", path.display()));
    let (validation, test) = (parts.validation.as_ref(), parts.test.as_ref());
    let summary = DatasetSummary::new(&parts.name, &parts.classes, &parts.train, validation, test);
    match args.json {
        true => output::json(&summary)?,
        false => output::result(&summary.to_string())?,
    }
    Ok(())
}

/// In the current folder, whatever the data set is called.
fn default_path(name: &str) -> PathBuf {
    PathBuf::from(name.replace(['/', '\\'], "-") + ".png")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_lies_in_the_current_folder() {
        assert_eq!(default_path("digits"), PathBuf::from("digits.png"));
        assert_eq!(default_path("../v1.5"), PathBuf::from("..-v1.5.png"));
    }
}
