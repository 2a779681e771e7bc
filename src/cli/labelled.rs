//! A data set as a model sees it: which of its images, and what the model calls their classes.

use super::{Globals, output};
use crate::data::{Dataset, Samples, Split};
use crate::error::{Error, Result};

/// The images of `split`.
pub fn choose(dataset: Dataset, split: Split) -> Result<Samples> {
    let name = dataset.name.clone();
    let there: Vec<String> = dataset.splits().map(|(split, _)| split.to_string()).collect();
    let samples = match split {
        Split::Train => Some(dataset.train),
        Split::Validation => dataset.validation,
        Split::Test => dataset.test,
    };
    samples.ok_or_else(|| {
        Error::data(format!("the data set has no {split} images"))
            .expected(format!("--split {}", there.join(" or ")))
            .got(split)
            .at(name)
    })
}

/// `dataset` with the model's `labels` for its classes, matched by name, whatever their order; it may have fewer. Where no name
/// is the same, the numbers are taken to be, and a note says so.
///
/// # Errors
/// A data error that names a class which the model does not know, where it knows others.
pub fn in_model_classes(dataset: Dataset, labels: &[String], globals: Globals) -> Result<Dataset> {
    if labels.is_empty() || dataset.classes == labels {
        return Ok(dataset);
    }
    let position = |class: &String| labels.iter().position(|label| label == class);
    let positions: Vec<Option<usize>> = dataset.classes.iter().map(position).collect();
    if positions.iter().all(Option::is_none) {
        let note = "note: the data set names its classes differently than the model; numbers are compared";
        output::note(globals, note);
        return Ok(dataset);
    }
    if let Some(unknown) = positions.iter().position(Option::is_none) {
        return Err(Error::data("the model does not know all of the data set's classes")
            .expected(labels.join(", "))
            .got(&dataset.classes[unknown])
            .at(&dataset.name));
    }
    let map: Vec<i64> = positions.into_iter().flatten().map(|position| position as i64).collect();
    let dataset = dataset.map(|_, samples| samples.relabelled(&map, labels.len()))?;
    Ok(Dataset { classes: labels.to_vec(), ..dataset })
}
