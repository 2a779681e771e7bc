//! Which training images of a run probably have a wrong label, from what the images did while they were trained on.

use std::collections::HashMap;
use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value};

use super::folder::RunFolder;
use super::prepare;
use super::record::DataRecord;
use crate::config::RunConfig;
use crate::config::resolved::Resolved;
use crate::data::{Dataset, Samples, Split, registry};
use crate::error::{Error, Result};
use crate::files::write_output;
use crate::log::Sinks;
use crate::train::{CheckpointKind, ImageMargins, checkpoint};

/// The training images of a run in the order of suspicion.
#[derive(Debug, Clone)]
pub struct Suspects {
    /// The run's name.
    pub run: String,
    /// The data set's.
    pub data: String,
    /// The epochs that counted.
    pub epochs: u32,
    /// How many images' labels were behind another class in the mean.
    pub num_negative: usize,
    /// The classes, the hardest first.
    pub classes: Vec<ClassMargin>,
    /// Every training image of the run that was counted, the most suspicious first.
    pub ranking: Vec<Suspect>,
    /// The training images; a suspect's `place` is one's number.
    pub samples: Samples,
}

/// A training image that may have a wrong label: a line of the CSV.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Suspect {
    /// From 1.
    pub rank: usize,
    /// Its split in the data set.
    pub split: Split,
    /// Its number there, from 0: images that were left out count, and those that became validation images.
    pub index: usize,
    /// Its file, where it has one.
    pub path: Option<String>,
    /// The class that it is given as.
    pub label: String,
    /// The class that was the strongest of the others in most epochs: see [`ImageMargins::rivals`].
    pub suggested: String,
    /// The area under the margin, in logits: the mean over the epochs of its label's logit minus the largest of the others'.
    pub score: f32,
    /// Its number among the run's training images.
    #[serde(skip)]
    pub place: usize,
}

/// How hard a class was to learn.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassMargin {
    /// Its name.
    pub label: String,
    /// The mean of its images' scores.
    pub margin: f64,
    /// Its training images.
    pub count: usize,
    /// Those with a score below 0.
    pub negative: usize,
}

/// Ranks the training images of `folder`'s run. `data` names them where they lie elsewhere by now. What is to be known of them goes
/// to `sinks`.
///
/// # Errors
/// A model error where the run has no checkpoint or its checkpoint no margins, a data error where the images cannot be read or are
/// not those of the training.
pub fn suspects(folder: &RunFolder, data: Option<&str>, sinks: &mut Sinks) -> Result<Suspects> {
    let changes: Map<String, Value> = data.map(|data| ("data".to_owned(), data.into())).into_iter().collect();
    let Resolved { config, .. } = folder.resolve(&changes)?;
    read(folder)?; // before the images, which take longer
    let splits = prepare::splits(&config, false, sinks)?;
    folder.check_data(&DataRecord::new(&splits))?;
    if let Some(list) = &config.load.exclude {
        sinks
            .note(format!("note: the run left images out already: those of {} are not in the ranking", list.display()));
    }
    rank(folder, &config, &splits)
}

/// As [`suspects`], of the run's own images, `splits`; `config` names their files.
///
/// # Errors
/// As [`suspects`].
pub fn rank(folder: &RunFolder, config: &RunConfig, splits: &Dataset) -> Result<Suspects> {
    let margins = read(folder)?;
    check_count(folder, &margins, splits.train.len())?;
    let paths = paths(config, &splits.train)?;
    let ranking = ranked(splits, &margins, &paths);
    Ok(Suspects {
        run: folder.name.clone(),
        data: splits.name.clone(),
        epochs: margins.counts.iter().copied().max().unwrap_or(0),
        num_negative: ranking.iter().filter(|suspect| suspect.score < 0.0).count(),
        classes: by_class(&splits.classes, &ranking),
        ranking,
        samples: splits.train.clone(),
    })
}

/// The margins in the run's last checkpoint.
fn read(folder: &RunFolder) -> Result<ImageMargins> {
    let last = folder.checkpoint(CheckpointKind::Last);
    if !last.is_file() {
        return Err(Error::model("the run has no checkpoint yet, which keeps what its images did")
            .at_path(&last)
            .help("wait for its first epoch's end, or resume the run"));
    }
    checkpoint::margins(&last, folder.record().data.classes.len())?.ok_or_else(|| {
        Error::model("the run did not note what its training images did: an older version trained it")
            .at_path(&last)
            .help("train again: every run notes it")
    })
}

fn check_count(folder: &RunFolder, margins: &ImageMargins, num_images: usize) -> Result<()> {
    if margins.counts.len() != num_images {
        return Err(Error::model("the checkpoint's margins are of other images")
            .expected(format!("{num_images} images"))
            .got(margins.counts.len())
            .at_path(&folder.path));
    }
    if margins.counts.iter().all(|&count| count == 0) {
        return Err(Error::config("the run has no margins: every image that it trained on was mixed with another")
            .at_path(&folder.path)
            .help("train without mixup and cutmix to find suspects"));
    }
    Ok(())
}

/// The files of the training images by their numbers; none where they are no files.
fn paths(config: &RunConfig, train: &Samples) -> Result<HashMap<usize, String>> {
    let of = |samples: &Samples| -> HashMap<usize, String> {
        let path = |index| Some((samples.number(index), samples.file(index)?.to_string()));
        (0..samples.len()).filter_map(path).collect()
    };
    match train.file(0) {
        None if !registry::is_built_in(&config.data.source) => {
            // decoded images have forgotten their files
            Ok(of(&registry::open(&config.data.source, &config.load)?.train))
        }
        _ => Ok(of(train)),
    }
}

/// The images that were counted, those with the smallest score first; of equals the first in the data set.
fn ranked(splits: &Dataset, margins: &ImageMargins, paths: &HashMap<usize, String>) -> Vec<Suspect> {
    let Dataset { train, classes, .. } = splits;
    let mut places: Vec<usize> = (0..train.len()).filter(|&place| margins.counts[place] > 0).collect();
    places.sort_by(|&a, &b| margins.means[a].total_cmp(&margins.means[b])); // stable
    let suspect = |(rank, place): (usize, usize)| {
        let index = train.number(place);
        Suspect {
            rank,
            split: Split::Train,
            index,
            path: paths.get(&index).cloned(),
            label: classes[train.labels()[place] as usize].clone(),
            suggested: classes[margins.rivals[place]].clone(),
            score: margins.means[place],
            place,
        }
    };
    (1..).zip(places).map(suspect).collect()
}

/// Every class with images, the hardest first.
fn by_class(classes: &[String], ranking: &[Suspect]) -> Vec<ClassMargin> {
    let of_class = |label: &String| {
        let scores: Vec<f32> =
            ranking.iter().filter(|suspect| suspect.label == *label).map(|suspect| suspect.score).collect();
        let sum: f64 = scores.iter().map(|&score| f64::from(score)).sum();
        let negative = scores.iter().filter(|score| **score < 0.0).count();
        ClassMargin { label: label.clone(), margin: sum / scores.len() as f64, count: scores.len(), negative }
    };
    let mut all: Vec<ClassMargin> = classes.iter().map(of_class).filter(|class| class.count > 0).collect();
    all.sort_by(|a, b| a.margin.total_cmp(&b.margin));
    all
}

impl Suspects {
    /// The first `count` of the ranking; all where there are fewer.
    pub fn first(&self, count: usize) -> &[Suspect] {
        &self.ranking[..count.min(self.ranking.len())]
    }
}

/// Writes `suspects` as a CSV that `exclude` takes: `rank,split,index,path,label,suggested,score`.
///
/// # Errors
/// A configuration error where the file cannot be written.
pub fn write_csv(path: &Path, suspects: &[Suspect]) -> Result<()> {
    let written = write_output(path, |writer| {
        let mut table = csv::Writer::from_writer(writer);
        suspects.iter().try_for_each(|suspect| table.serialize(suspect))?;
        table.flush()
    });
    written.map_err(|error| Error::config("cannot write the suspects").at_path(path).because(error))
}

#[cfg(test)]
mod tests;
