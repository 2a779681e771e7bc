//! Which images a `convnet data` command looks at.

use std::path::PathBuf;

use crate::cli::names::names;
use convnet::data::LoadOptions;
use convnet::data::image::Resize;
use convnet::data::options::{Channels, ImageSize};

/// The data set, named with or without `--data`.
#[derive(Debug, clap::Args)]
pub(super) struct DataSet {
    /// The data set: a known name (digits, fashion-mnist, …), a folder of classes or IDX files, a manifest or an archive
    #[arg(value_name = "DATA", required_unless_present = "data", conflicts_with = "data")]
    named_data: Option<String>,
    /// The data set, as a flag
    #[arg(short, long, value_name = "DATA")]
    data: Option<String>,
}

impl DataSet {
    /// What it is called.
    pub fn name(&self) -> &str {
        self.named_data.as_deref().or(self.data.as_deref()).expect("clap requires one of them")
    }
}

/// The data set, and how its images are prepared.
#[derive(Debug, clap::Args)]
pub(super) struct Source {
    #[command(flatten)]
    pub set: DataSet,
    /// Resize all images to this, in pixels: one side, or height x width [default: the images' own size, if all have the same]
    #[arg(long, value_name = "N|HxW")]
    pub image_size: Option<ImageSize>,
    /// The images' channels: 1 (grayscale), 3 (RGB) or auto
    #[arg(long, value_name = "1|3|auto", default_value_t = Channels::Auto)]
    pub channels: Channels,
    /// How to fit images with another aspect ratio
    #[arg(long, value_parser = names::<Resize>(), default_value_t = Resize::Stretch)]
    pub resize: Resize,
    /// Leave out the images that a CSV lists by split and index (data check --out writes one)
    #[arg(long, value_name = "FILE.csv")]
    pub exclude: Option<PathBuf>,
}

impl Source {
    /// How the images are loaded.
    pub fn options(&self) -> LoadOptions {
        LoadOptions {
            image_size: self.image_size,
            channels: self.channels,
            resize: self.resize,
            exclude: self.exclude.clone(),
            ..LoadOptions::default()
        }
    }
}
