//! Labelled images to measure a model on: which data set, which of its images, and what the model calls their classes.

use std::collections::BTreeSet;
use std::path::Path;

use super::{Globals, output};
use convnet::data::names::{are_numbers, composed, quoted};
use convnet::data::split::{Validation, split};
use convnet::data::{ImageShape, LoadOptions, Samples, Split, Splits, registry, sources};
use convnet::error::{Error, Result};
use convnet::model::ModelInfo;
use convnet::model::trained_on::{TrainedOn, digest_of_labels};
use convnet::run::RunFolder;

/// Which data set and split to load, and how its classes are matched with the model's.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The data set; that of the training where absent.
    pub source: Option<&'a str>,
    /// Its split; the test images where absent, or what there is.
    pub split: Option<Split>,
    /// Whether classes are matched by their numbers, whatever they are called.
    pub by_number: bool,
}

/// The loaded split of a data set, its labels in the model's order of classes.
#[derive(Debug)]
pub struct LabelledSplit {
    /// The data set, as it was named.
    pub source: String,
    /// Which of its images.
    pub split: Split,
    /// The images; their labels are the model's.
    pub samples: Samples,
    /// The K classes' names, as the model has them; the data set's where the model has numbers only.
    pub classes: Vec<String>,
}

/// The images that are `wanted` to measure the model that `model` names on, which takes images of `shape`. What is to be known
/// of them is said on stderr.
///
/// # Errors
/// A configuration error where no data set is named and the model does not know its own; a data error where there are no such
/// images, and where their classes are not the model's.
pub fn find(
    model: &str,
    info: &ModelInfo,
    shape: ImageShape,
    wanted: Wanted,
    globals: Globals,
) -> Result<LabelledSplit> {
    let trained_on = match &info.data {
        Some(data) => Some(data.clone()),
        None => of_run(model),
    };
    let source = match (wanted.source, &trained_on) {
        (Some(source), _) => source.to_owned(),
        (None, Some(trained_on)) => trained_on.source.clone(),
        (None, None) => {
            return Err(Error::config("the model does not say what it was trained on")
                .expected("--data")
                .help("name the data set to measure it on: --data fashion-mnist, or a file or a folder"));
        }
    };
    note_upright(&source, trained_on.as_ref(), globals);
    let own = trained_on.filter(|trained_on| trained_on.source == registry::canonical(&source));
    let exclude = own.as_ref().and_then(|own| own.exclude.clone());
    if let Some(list) = &exclude {
        output::note(globals, &format!("note: without the images that the training left out ({})", list.display()));
    }
    let options = LoadOptions { exclude, ..LoadOptions::of_model(info.preparation(shape)) };
    let splits = registry::find(&source, &options)?;
    output::notes(globals, &splits.notes);
    let (split, chosen) = choose(splits, wanted.split, own.as_ref(), globals)?;
    let is_named = |name: Option<&str>| name.is_some_and(registry::has_digits_for_classes);
    let naming = Naming {
        labels_are_names: is_named(info.data.as_ref().map(|data| data.name.as_str())),
        classes_are_names: is_named(Some(&chosen.name)),
        by_number: wanted.by_number,
    };
    let chosen = in_model_classes(chosen, split, &info.labels, naming, globals)?;
    note_order(&chosen.classes, info, globals);
    let Splits { classes, mut samples, .. } = sources::finish(chosen, &options)?;
    let samples = samples.remove(&split).expect("it was chosen");
    Ok(LabelledSplit { source, split, samples, classes })
}

/// What the run in the folder `model` was trained on, where its checkpoints are older than the key that says it.
fn of_run(model: &str) -> Option<TrainedOn> {
    let path = Path::new(model);
    let config = RunFolder::open(model, path.parent()?).ok().filter(|_| path.is_dir())?.config();
    Some(config.trained_on(&config.data.source, None))
}

/// EMNIST's images lie on their side, unless they are turned.
fn note_upright(source: &str, trained_on: Option<&TrainedOn>, globals: Globals) {
    let Some(trained_on) = trained_on else { return };
    let [now, then] = [source, &trained_on.source].map(registry::split_upright);
    if registry::canonical(now.0) == registry::canonical(then.0) && now.1 != then.1 {
        output::note(
            globals,
            &format!("warning: the model was trained on {}: those images are turned the other way", trained_on.source),
        );
    }
}

/// The images of one split. Validation images of the data that the model was trained on are those that it was validated on.
fn choose(splits: Splits, wanted: Option<Split>, own: Option<&TrainedOn>, globals: Globals) -> Result<(Split, Splits)> {
    let has = |split: Split| splits.samples.contains_key(&split);
    let takes_validation = own.is_some_and(|own| own.validation != Validation::None);
    let split = wanted.unwrap_or_else(|| match () {
        () if has(Split::Test) => Split::Test,
        () if has(Split::Validation) || takes_validation => Split::Validation,
        () => Split::Train,
    });
    if let (Split::Validation, Some(own)) = (split, own) {
        return Ok((split, validated_on(splits, own, globals)?));
    }
    let Splits { name, classes, mut samples, .. } = splits;
    let there: Vec<String> = samples.keys().map(Split::to_string).collect();
    let chosen = samples.remove(&split).ok_or_else(|| {
        let error = Error::data(format!("the data set has no {split} images"));
        let error = error.expected(format!("--split {}", there.join(" or "))).got(split).at(&name);
        match split {
            Split::Validation => error.help(
                "only of the data that a model was trained on is it known which training images were for validation",
            ),
            Split::Train | Split::Test => error,
        }
    })?;
    Ok((split, Splits { name, classes, samples: [(split, chosen)].into(), notes: Vec::new() }))
}

/// The validation images of the training, chosen as they were then.
fn validated_on(splits: Splits, own: &TrainedOn, globals: Globals) -> Result<Splits> {
    let name = splits.name.clone();
    let parts = split(splits.into_dataset()?, &own.validation, own.split_mode, None, own.seed)?;
    let validation = parts.validation.ok_or_else(|| {
        Error::data("the model was trained without validation images")
            .expected("--split train or test")
            .got(Split::Validation)
            .at(&name)
    })?;
    if own.validation_labels.as_ref().is_some_and(|digest| *digest != digest_of_labels(&validation)) {
        let text = "warning: the data set has changed since the training: images that the model was trained on may be among these";
        output::note(globals, text);
    }
    let samples = [(Split::Validation, validation)].into();
    Ok(Splits { name, classes: parts.classes, samples, notes: Vec::new() })
}

/// Whether names that are numbers are names all the same, as the digits' are.
#[derive(Debug, Clone, Copy, Default)]
struct Naming {
    labels_are_names: bool,
    classes_are_names: bool,
    /// Whether the numbers count whatever the names are.
    by_number: bool,
}

/// `splits`, of which `split` was chosen, with the model's `labels` for its classes, matched by name, whatever their order; it
/// may have fewer. Numbers are compared where one side has nothing but numbers for names.
fn in_model_classes(
    splits: Splits,
    split: Split,
    labels: &[String],
    naming: Naming,
    globals: Globals,
) -> Result<Splits> {
    let used: BTreeSet<usize> = splits.samples[&split].labels().iter().map(|&label| label as usize).collect();
    let map = match matched(&splits.classes, &used, labels, naming).map_err(|error| error.at(&splits.name))? {
        Matching::Names(map) => map,
        Matching::Numbers => {
            let note = "note: classes are compared by their numbers, as the names of the data set and the model differ";
            output::note(globals, note);
            (0..splits.classes.len() as i64).collect()
        }
    };
    let classes = match are_numbers(labels) && splits.classes.len() == labels.len() {
        true => splits.classes.clone(),
        false => labels.to_vec(),
    };
    let there: BTreeSet<i64> = used.iter().map(|&label| map[label]).collect();
    let missing: Vec<&String> =
        (0..).zip(&classes).filter(|(label, _)| !there.contains(label)).map(|(_, name)| name).collect();
    if !missing.is_empty() {
        output::note(globals, &format!("note: there are no {split} images of the classes {}", quoted(&missing)));
    }
    let splits = splits.map(|_, samples| samples.relabelled(&map, labels.len()))?;
    Ok(Splits { classes, ..splits })
}

/// How a data set's classes go with a model's.
#[derive(Debug, PartialEq)]
enum Matching {
    /// The model's label of each class, 0 for those that are not used.
    Names(Vec<i64>),
    /// By their numbers.
    Numbers,
}

/// Matches `classes`, of which those in `used` have images, with a model's `labels`.
fn matched(classes: &[String], used: &BTreeSet<usize>, labels: &[String], naming: Naming) -> Result<Matching> {
    let labels_composed: Vec<_> = labels.iter().map(|label| composed(label)).collect();
    let position = |class: &String| labels_composed.iter().position(|label| *label == composed(class));
    let positions: Vec<Option<usize>> = classes.iter().map(position).collect();
    let unknown: Vec<&String> = used.iter().filter(|&&at| positions[at].is_none()).map(|&at| &classes[at]).collect();
    if unknown.is_empty() && !naming.by_number {
        return Ok(Matching::Names(positions.iter().map(|at| at.unwrap_or(0) as i64).collect()));
    }
    let is_numbered =
        (are_numbers(labels) && !naming.labels_are_names) || (are_numbers(classes) && !naming.classes_are_names);
    let largest = used.last().copied().unwrap_or(0);
    if !naming.by_number && !is_numbered {
        let what = match unknown.len() == used.len() {
            true => "the data set's classes are others than the model's",
            false => "the model does not know all of the data set's classes",
        };
        return Err(Error::data(what)
            .expected(quoted(labels))
            .got(quoted(&unknown))
            .help("--match-by-number compares the classes' numbers, whatever they are called"));
    }
    match largest < labels.len() {
        true => Ok(Matching::Numbers),
        false => Err(Error::data("the data set has more classes than the model")
            .expected(format!("numbers from 0 to {}", labels.len() - 1))
            .got(format!("{largest} ({:?})", classes[largest]))),
    }
}

/// A model that was imported without names may have the order of its folders in Keras or torchvision.
fn note_order(classes: &[String], info: &ModelInfo, globals: Globals) {
    if info.data.is_none() && info.labels.len() > 10 && are_numbers(&info.labels) && are_numbers(classes) {
        let note = "note: the model's classes are numbers; if it was trained on folders called so in Keras or torchvision, its \
                    outputs are in the order 0, 1, 10, 11, … 2, and import needs --labels in that order";
        output::note(globals, note);
    }
}

#[cfg(test)]
mod tests;
