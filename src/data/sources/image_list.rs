//! Images with their classes' names and splits, before the names become labels.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::labelled::LabelledImages;
use crate::data::names::quoted;
use crate::data::stored::Identifier;
use crate::data::{LoadOptions, Split};
use crate::error::{Error, Result};
use crate::files::cache::CacheKind;
use crate::files::hex;

/// What images are read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To train on: there are training images, no other split has classes of its own, and images of several sizes, where no size
    /// is asked for, are an error.
    Train,
    /// To look for faults: as many as can be are findings, no errors. Images of several sizes come to the commonest.
    Inspect,
    /// To measure a model on: one split is enough, with any classes. Images of several sizes are an error.
    Measure,
}

/// Which images of each split are kept: their numbers, ascending.
pub(super) type Kept = BTreeMap<Split, Vec<usize>>;

/// The images of a data set, not read yet.
#[derive(Debug, Default)]
pub struct ImageList {
    /// The data set's name.
    pub name: String,
    /// The folder that files' paths are relative to.
    pub root: PathBuf,
    /// In the order that they are to have within their split.
    pub images: LabelledImages,
    /// Classes that are there even where no image has them, each with its split.
    pub class_folders: Vec<(Split, String)>,
    /// The classes in the order of the labels, where a file says it; else they are sorted.
    pub order: Option<Vec<String>>,
    /// What whoever uses it had better know.
    pub notes: Vec<String>,
    /// Of splits that images were left out of: the numbers of the others, ascending.
    pub(super) kept: Kept,
}

impl ImageList {
    /// The classes of a split, with images or only with a folder.
    fn classes_of(&self, split: Split) -> BTreeSet<&str> {
        let folders = self.class_folders.iter().filter(|(other, _)| *other == split).map(|(_, class)| &**class);
        self.images.classes_of(split).into_iter().chain(folders).collect()
    }

    /// The classes in label order: the order that a file gives, else sorted, numbers by value and other names by their letters.
    pub(super) fn classes(&mut self, purpose: Purpose) -> Result<Vec<String>> {
        let found: Vec<(Split, BTreeSet<&str>)> = Split::ALL.map(|split| (split, self.classes_of(split))).into();
        let mut notes = match purpose {
            Purpose::Train => compare_splits(&found)?,
            Purpose::Inspect | Purpose::Measure => Vec::new(),
        };
        let by_letters: BTreeSet<&str> = found.into_iter().flat_map(|(_, classes)| classes).collect();
        let by_letters: Vec<String> = by_letters.into_iter().map(str::to_owned).collect();
        let mut classes = by_letters.clone();
        classes.sort_by(|a, b| compare(a, b));
        if let Some(order) = &self.order {
            classes.clone_from(order);
        } else if classes != by_letters {
            notes.push(format!(
                "classes that are numbers are in the order of their values ({}); Keras and torchvision sort them as text ({}): \
                 a model from there needs that order in the `labels` of its import",
                quoted(&classes),
                quoted(&by_letters)
            ));
        }
        if purpose == Purpose::Train && classes.len() == 1 {
            notes.push(format!("there is only one class, {}: there is nothing to tell apart", quoted(&classes)));
        }
        self.notes.extend(notes);
        Ok(classes)
    }

    /// Where the images' common shape is kept: the name changes when a file or an option does.
    pub(super) fn index_path(&self, options: &LoadOptions) -> Option<PathBuf> {
        let mut identifier = Identifier::default();
        identifier.update(format!("{:?} {}", options.image_size, options.channels));
        self.images.sources().iter().for_each(|image| identifier.add(&image));
        Some(CacheKind::Shapes.folder()?.join(format!("{}.json", hex(&identifier.finish()))))
    }
}

/// What is to be known of splits that lack classes: each split with its classes.
///
/// # Errors
/// A data error where a split has a class that the training images do not have.
fn compare_splits(found: &[(Split, BTreeSet<&str>)]) -> Result<Vec<String>> {
    let Some(((_, train), others)) = found.split_first().filter(|((_, train), _)| !train.is_empty()) else {
        return Ok(Vec::new());
    };
    let mut notes = Vec::new();
    for (split, classes) in others.iter().filter(|(_, classes)| !classes.is_empty() && classes != train) {
        let missing = quoted(&train.difference(classes).collect::<Vec<_>>());
        let alone: Vec<&&str> = classes.difference(train).collect();
        if !alone.is_empty() {
            return Err(Error::data(format!("the classes of train and {split} differ"))
                .got(format!("missing in {split}: {missing}; in {split} alone: {}", quoted(&alone)))
                .help("a class can only be learnt from training images: add some, or take the class out"));
        }
        notes.push(format!("there are no {split} images of the classes {missing}"));
    }
    Ok(notes)
}

/// By value where both are numbers, else as text: `2` before `10`, and one order for any names.
fn compare(a: &str, b: &str) -> std::cmp::Ordering {
    let number = |name: &str| name.parse::<u64>().ok();
    match (number(a), number(b)) {
        (Some(x), Some(y)) => x.cmp(&y).then_with(|| a.cmp(b)),
        (Some(_), None) => std::cmp::Ordering::Less,
        (None, Some(_)) => std::cmp::Ordering::Greater,
        (None, None) => a.cmp(b),
    }
}

#[cfg(test)]
mod tests;
