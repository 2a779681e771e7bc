//! A data set in its splits: what a source holds, and what a training needs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use strum::{Display, EnumMessage, EnumString, VariantArray};

use super::samples::Samples;
use crate::error::{Error, Result};

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
    /// What whoever uses it had better know, a sentence each: files that were left out, say.
    pub notes: Vec<String>,
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
}

/// What a source of images holds: some of the splits, at least one. A [`Dataset`] has training images, this may have none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Splits {
    /// As [`Dataset::name`].
    pub name: String,
    /// As [`Dataset::classes`].
    pub classes: Vec<String>,
    /// The splits that are there: all of one shape, all of these classes.
    pub samples: BTreeMap<Split, Samples>,
    /// As [`Dataset::notes`].
    pub notes: Vec<String>,
}

impl Splits {
    /// The splits with `change` done to each.
    ///
    /// # Errors
    /// What `change` returns.
    pub fn map(self, mut change: impl FnMut(Split, Samples) -> Result<Samples>) -> Result<Self> {
        let changed = self.samples.into_iter().map(|(split, samples)| Ok((split, change(split, samples)?)));
        Ok(Splits { samples: changed.collect::<Result<_>>()?, ..self })
    }

    /// Refuses to go on without training images.
    pub(crate) fn require_train(&self) -> Result<()> {
        if self.samples.contains_key(&Split::Train) {
            return Ok(());
        }
        let there: Vec<String> = self.samples.keys().map(Split::to_string).collect();
        Err(Error::data("there are no training images")
            .expected("at least one")
            .got(format!("{} images alone", there.join(" and ")))
            .at(&self.name)
            .help("images to measure a model on go to convnet evaluate"))
    }

    /// The data set, for training.
    ///
    /// # Errors
    /// A data error where there are no training images.
    pub fn into_dataset(mut self) -> Result<Dataset> {
        self.require_train()?;
        let train = self.samples.remove(&Split::Train).expect("it was looked for");
        let [validation, test] = [Split::Validation, Split::Test].map(|split| self.samples.remove(&split));
        Ok(Dataset { name: self.name, classes: self.classes, train, validation, test, notes: self.notes })
    }
}

impl From<Dataset> for Splits {
    fn from(dataset: Dataset) -> Self {
        let Dataset { name, classes, train, validation, test, notes } = dataset;
        let samples = [(Split::Train, Some(train)), (Split::Validation, validation), (Split::Test, test)];
        let samples = samples.into_iter().filter_map(|(split, samples)| Some((split, samples?))).collect();
        Splits { name, classes, samples, notes }
    }
}

/// What images are there for.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    Display,
    EnumMessage,
    EnumString,
    VariantArray,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Split {
    /// To learn from.
    Train,
    /// To look at after each epoch.
    #[strum(to_string = "validation", serialize = "val")]
    Validation,
    /// To measure at the end.
    Test,
}

impl Split {
    /// All of them, in their order.
    pub const ALL: [Split; 3] = [Split::Train, Split::Validation, Split::Test];
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
