//! Data sets: images as `u8 [N, H, W, C]`, labels as `i64 [N]`, and where they come from.

pub mod augment;
pub mod batches;
pub mod check;
mod decoded;
pub mod digits;
pub mod export;
pub(crate) mod font;
pub mod grid;
pub mod idx;
pub mod image;
pub mod npy;
pub mod options;
pub mod prefetch;
pub mod registry;
mod samples;
pub mod sources;
pub mod split;
pub mod statistics;
pub mod stored;
mod unpacked;

use std::fmt;

use crate::error::Result;

pub use options::LoadOptions;
pub use samples::Samples;

/// Height, width and channels of every image of a data set, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct ImageShape {
    /// H, in pixels.
    pub height: usize,
    /// W, in pixels.
    pub width: usize,
    /// C: 1 grey, 3 red, green and blue.
    pub channels: usize,
}

impl ImageShape {
    /// Bytes of one image: H·W·C. `None` where the product does not fit.
    pub fn num_bytes(self) -> Option<usize> {
        self.height.checked_mul(self.width)?.checked_mul(self.channels)
    }
}

impl fmt::Display for ImageShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}×{}×{}", self.height, self.width, self.channels)
    }
}

/// A data set: training images, perhaps validation and test images, and the classes' names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    /// What it is called in messages and in `run.json`: a known name or a folder's name.
    pub name: String,
    /// The K classes' names, in label order.
    pub classes: Vec<String>,
    /// The training images.
    pub train: Samples,
    /// Its own validation images, where it has any: same shape, same classes.
    pub validation: Option<Samples>,
    /// The test images, where the data set has them: same shape, same classes.
    pub test: Option<Samples>,
}

impl Dataset {
    /// The splits that are there, training first, with their names.
    pub fn splits(&self) -> impl Iterator<Item = (Split, &Samples)> {
        let splits = [
            (Split::Train, Some(&self.train)),
            (Split::Validation, self.validation.as_ref()),
            (Split::Test, self.test.as_ref()),
        ];
        splits.into_iter().filter_map(|(split, samples)| Some((split, samples?)))
    }

    /// The data set with `change` done to each of its splits.
    ///
    /// # Errors
    /// What `change` returns.
    pub fn map(self, mut change: impl FnMut(Split, Samples) -> Result<Samples>) -> Result<Self> {
        Ok(Dataset {
            train: change(Split::Train, self.train)?,
            validation: self.validation.map(|samples| change(Split::Validation, samples)).transpose()?,
            test: self.test.map(|samples| change(Split::Test, samples)).transpose()?,
            ..self
        })
    }
}

/// What images are there for.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// To learn from.
    Train,
    /// To look at after each epoch.
    #[value(alias = "val")]
    Validation,
    /// To measure at the end.
    Test,
}

impl Split {
    /// What folders and columns call the splits.
    pub const NAMES: [&str; 7] = ["train", "training", "val", "valid", "validation", "test", "testing"];

    /// The split that a folder or a column names: one of [`Split::NAMES`], in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "train" | "training" => Some(Split::Train),
            "val" | "valid" | "validation" => Some(Split::Validation),
            "test" | "testing" => Some(Split::Test),
            _ => None,
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Split::Train => "train",
            Split::Validation => "validation",
            Split::Test => "test",
        })
    }
}
