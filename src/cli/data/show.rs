//! `convnet data show`: counts, pixel statistics and a picture of a data set.

use std::path::{Path, PathBuf};

use image::RgbImage;

use super::{Globals, Source, output};
use crate::cli::inline;
use crate::cli::names::names;
use convnet::data::augment::{AugmentConfig, augment_one};
use convnet::data::grid::{GridConfig, changed_grid, mean_grid, write_png};
use convnet::data::registry;
use convnet::data::split::{SplitMode, Validation, split};
use convnet::data::statistics::DatasetSummary;
use convnet::error::Result;

#[derive(Debug, clap::Args)]
pub struct Show {
    #[command(flatten)]
    source: Source,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
    /// The picture to write [default: the data set's name with .png, in the current folder]
    #[arg(short, long, value_name = "FILE.png")]
    out: Option<PathBuf>,
    /// Draw each class's mean image to this file too
    #[arg(long, value_name = "FILE.png")]
    mean: Option<PathBuf>,
    /// Split off validation images, as train does: a count, a fraction (0.1), a fold (2/5: the second of five), test or none
    #[arg(long, value_name = "COUNT|FRACTION|FOLD|test|none")]
    validation: Option<Validation>,
    /// How the validation images are chosen; tail takes the last ones, as Keras does
    #[arg(long, value_parser = names::<SplitMode>(), default_value_t = SplitMode::Stratified)]
    split_mode: SplitMode,
    /// Show the images as train --augment sees them in its first epoch (without mixup and cutmix)
    #[arg(long, value_name = "none|light|strong|LIST", default_value = "none")]
    augment: AugmentConfig,
    /// Random seed of the validation images and the picture
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

/// Prints the counts and statistics of a data set and draws some images of each class.
pub fn run(args: Show, globals: Globals) -> anyhow::Result<()> {
    let dataset = registry::load_with(args.source.set.name(), &args.source.options())?;
    output::notes(globals, &dataset.notes);
    let dataset = match &args.validation {
        None => dataset,
        Some(validation) => split(dataset, validation, args.split_mode, None, args.seed)?,
    };
    let picture = GridConfig { title: dataset.name.clone(), seed: args.seed, ..GridConfig::default() };
    let shape = dataset.train.shape();
    let picture = changed_grid(&dataset.train, &dataset.classes, &picture, |number, pixels| {
        augment_one(&args.augment, shape, number, &pixels, args.seed)
    })?;
    let path = args.out.unwrap_or_else(|| default_path(&dataset.name));
    write(&picture, &path, args.json, globals)?;
    if let Some(path) = &args.mean {
        let means = GridConfig { title: format!("{}: means", dataset.name), ..GridConfig::default() };
        write(&mean_grid(&dataset.train, &dataset.classes, &means)?, path, args.json, globals)?;
    }
    let summary = DatasetSummary::new(&dataset)?;
    match args.json {
        true => output::json(&summary)?,
        false => output::result(&summary.to_string())?,
    }
    Ok(())
}

/// Writes a picture, and shows it where nobody reads JSON and the terminal can.
fn write(picture: &RgbImage, path: &Path, is_json: bool, globals: Globals) -> Result<()> {
    let written = output::written(path);
    write_png(path, picture)?;
    if !is_json && !globals.quiet {
        inline::show(picture)?;
    }
    output::note(globals, &written);
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
