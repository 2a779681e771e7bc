//! Leaves images out that a CSV names: the findings of `convnet data check`, or the user's own list.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;

use crate::data::{Dataset, Samples, Split};
use crate::error::{Error, Result};

/// A line of the CSV; further columns are passed over.
#[derive(Debug, Deserialize)]
struct Row {
    split: String,
    index: usize,
    /// The image's file, where it has one: it has to be this one.
    #[serde(default)]
    path: String,
}

/// `dataset` without the images that the CSV `path` names by `split` and `index`.
///
/// # Errors
/// A data error that names the line, where it names no image of the data set, or where no image of a split, or of a class in
/// it, would be left.
pub(super) fn exclude(dataset: Dataset, path: &Path) -> Result<Dataset> {
    let excluded = read(&dataset, path).map_err(|error| error.at_path(path))?;
    let classes = dataset.classes.clone();
    let without = dataset.map(|split, samples| match excluded.get(&split) {
        None => Ok(samples),
        Some(excluded) => without(&samples, excluded, split, &classes),
    });
    without.map_err(|error| error.at_path(path))
}

/// `samples` without the images `excluded`. No class may vanish.
fn without(samples: &Samples, excluded: &BTreeSet<usize>, split: Split, classes: &[String]) -> Result<Samples> {
    let kept: Vec<usize> = (0..samples.len()).filter(|index| !excluded.contains(index)).collect();
    let left = samples.select(&kept).map_err(|_| Error::data(format!("every image of {split} is excluded")))?;
    let counts = [samples.class_counts(classes.len()), left.class_counts(classes.len())];
    match (0..classes.len()).find(|&class| counts[0][class] > 0 && counts[1][class] == 0) {
        None => Ok(left),
        Some(class) => Err(Error::data(format!("every image of {} in {split} is excluded", classes[class]))
            .help("keep some of them, or take the class out of all splits")),
    }
}

fn read(dataset: &Dataset, path: &Path) -> Result<BTreeMap<Split, BTreeSet<usize>>> {
    let unreadable = |error| Error::data("cannot read the list of images to exclude").because(error);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(path).map_err(unreadable)?;
    let mut excluded: BTreeMap<Split, BTreeSet<usize>> = BTreeMap::new();
    for (line, row) in (2..).zip(reader.deserialize()) {
        let row: Row = row.map_err(unreadable)?;
        let split = check(dataset, &row).map_err(|error| error.at(format!("line {line}")))?;
        excluded.entry(split).or_default().insert(row.index);
    }
    Ok(excluded)
}

/// The split that the row names, where it names an image of the data set.
fn check(dataset: &Dataset, row: &Row) -> Result<Split> {
    let split = Split::from_name(&row.split);
    let samples = dataset.splits().find(|(name, _)| Some(*name) == split);
    let (split, samples) = samples.ok_or_else(|| {
        let splits: Vec<String> = dataset.splits().map(|(split, _)| split.to_string()).collect();
        Error::data("the data set has no such split").expected(splits.join(" or ")).got(format!("'{}'", row.split))
    })?;
    if row.index >= samples.len() {
        return Err(Error::data(format!("{split} has no such image"))
            .expected(format!("0 to {}", samples.len() - 1))
            .got(row.index));
    }
    match samples.file(row.index).map(ToString::to_string) {
        Some(file) if !row.path.is_empty() && file != row.path => {
            let error =
                Error::data(format!("image {} of {split} is another one than when the list was written", row.index));
            Err(error.expected(&row.path).got(file).help("write the list anew with convnet data check"))
        }
        _ => Ok(split),
    }
}
