//! `convnet data show`.

use std::path::PathBuf;

use super::{Globals, Source, output};
use crate::data::grid::{GridConfig, sample_grid, write_png};
use crate::data::registry;
use crate::data::split::{Parts, SplitMode, Validation, split};
use crate::data::statistics::DatasetSummary;

#[derive(Debug, clap::Args)]
pub struct Show {
    #[command(flatten)]
    source: Source,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// The picture's file (by default the data set's name with .png, in the current folder)
    #[arg(long, value_name = "FILE.png")]
    out: Option<PathBuf>,
    /// Take validation images out of the training images, as training does: a count, a fraction, test or none
    #[arg(long)]
    validation: Option<Validation>,
    /// How the validation images are chosen; tail takes the last ones, as Keras does
    #[arg(long, value_enum, default_value_t = SplitMode::Stratified)]
    split_mode: SplitMode,
    /// Chooses the validation images and the picture's
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// Prints a summary and writes a picture.
pub fn run(args: Show, globals: Globals) -> anyhow::Result<()> {
    let dataset = registry::load_with(&args.source.data, &args.source.options())?;
    let parts = match &args.validation {
        None => Parts::from(dataset),
        Some(validation) => split(dataset, validation, args.split_mode, None, args.seed)?,
    };
    let picture = GridConfig { title: parts.name.clone(), seed: args.seed, ..GridConfig::default() };
    let picture = sample_grid(&parts.train, &parts.classes, &picture)?;
    let path = args.out.unwrap_or_else(|| default_path(&parts.name));
    write_png(&path, &picture)?;
    output::note(globals, &format!("wrote {}", path.display()));
    let (validation, test) = (parts.validation.as_ref(), parts.test.as_ref());
    let summary = DatasetSummary::new(&parts.name, &parts.classes, &parts.train, validation, test)?;
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
