//! Leaves images out that a CSV names: the findings of `convnet data check`, or the user's own list.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::image_list::{ImageList, Kept};
use super::table::Table;
use crate::data::numbers::Numbers;
use crate::data::stored::ImageSource;
use crate::data::{Split, Splits};
use crate::error::{Error, Result};

/// What a list's lines can name.
struct KnownImages<'a> {
    /// The class of each image of a split.
    classes: BTreeMap<Split, Vec<&'a str>>,
    /// An image's path relative to the data set, where it has a file.
    path: &'a dyn Fn(Split, usize) -> Option<PathBuf>,
}

/// `splits` without the images that the CSV `list` names by `split` and `index`.
///
/// # Errors
/// A data error that names the line, where it names no image of the data set, or where no image of a split, or of a class in
/// it, would be left.
pub(super) fn from_splits(splits: Splits, list: &Path) -> Result<Splits> {
    let name = |label: &i64| splits.classes[*label as usize].as_str();
    let classes =
        splits.samples.iter().map(|(&split, samples)| (split, samples.labels().iter().map(name).collect())).collect();
    let kept = kept(list, &KnownImages { classes, path: &|_, _| None })?;
    splits.map(|split, samples| match kept.get(&split) {
        Some(kept) => samples.select(kept)?.numbered(Numbers::of(kept.iter().copied())?),
        None => Ok(samples),
    })
}

/// As [`from_splits`], for images that are not read yet: one that is left out has no say in the others' shape.
///
/// # Errors
/// As [`from_splits`]; and where an image has another path than the list says, relative to the data set.
pub(super) fn from_images(mut labelled: ImageList, list: &Path) -> Result<ImageList> {
    let (mut classes, mut places) = (BTreeMap::<_, Vec<_>>::new(), BTreeMap::<_, Vec<_>>::new());
    for (place, split) in labelled.images.splits().iter().enumerate() {
        classes.entry(*split).or_default().push(labelled.images.class(place));
        places.entry(*split).or_default().push(place);
    }
    let path = |split, index: usize| {
        let place: usize = *places.get(&split)?.get(index)?;
        Some(relative(&labelled.images.sources().get(place)?, &labelled.root))
    };
    let kept = kept(list, &KnownImages { classes, path: &path })?;
    let mut numbers: BTreeMap<Split, std::ops::RangeFrom<usize>> = BTreeMap::new();
    let images = labelled.images.iter().filter(|image| {
        let number = numbers.entry(image.split).or_insert(0..).next();
        let kept = kept.get(&image.split);
        kept.zip(number).is_none_or(|(kept, number)| kept.binary_search(&number).is_ok())
    });
    labelled.images = images.collect();
    labelled.kept = kept;
    Ok(labelled)
}

/// An image's path without that of its data set's folder, manifest or archive.
fn relative(image: &ImageSource, root: &Path) -> PathBuf {
    match image {
        ImageSource::File(path) => path.strip_prefix(root).unwrap_or(path).to_owned(),
        ImageSource::Part { name, .. } | ImageSource::Memory { name, .. } | ImageSource::Row { name, .. } => {
            PathBuf::from(name.trim_start_matches(['.', '/']))
        }
    }
}

/// What `list` leaves of the splits that it names.
fn kept(list: &Path, listing: &KnownImages) -> Result<Kept> {
    let excluded = read(list, listing).map_err(|error| error.at_path(list))?;
    let kept = excluded.into_iter().map(|(split, excluded)| {
        let classes = &listing.classes[&split];
        let kept: Vec<usize> = (0..classes.len()).filter(|index| !excluded.contains(index)).collect();
        check_classes(classes, &kept, split).map(|()| (split, kept))
    });
    kept.collect::<Result<Kept>>().map_err(|error| error.at_path(list))
}

/// No class may vanish.
fn check_classes(classes: &[&str], kept: &[usize], split: Split) -> Result<()> {
    if kept.is_empty() {
        return Err(Error::data(format!("every image of {split} is excluded")).help("keep some of them"));
    }
    let left: BTreeSet<&str> = kept.iter().map(|&index| classes[index]).collect();
    match classes.iter().find(|class| !left.contains(*class)) {
        None => Ok(()),
        Some(class) => Err(Error::data(format!("every image of {class} in {split} is excluded"))
            .help("keep some of them, or take the class out of all splits")),
    }
}

fn read(list: &Path, listing: &KnownImages) -> Result<BTreeMap<Split, BTreeSet<usize>>> {
    let mut table = Table::open(list, "the list of images to exclude", &["split", "index"])?;
    let columns = ["split", "index", "path"].map(|name| table.column(name));
    let mut excluded: BTreeMap<Split, BTreeSet<usize>> = BTreeMap::new();
    loop {
        let row = table.next().and_then(|record| {
            let Some(record) = record else { return Ok(None) };
            let [split, index, path] = columns.map(|column| column.and_then(|at| record.get(at)).unwrap_or_default());
            check(listing, split, index, path).map(Some)
        });
        match row.map_err(|error| error.at(format!("line {}", table.line())))? {
            Some((split, index)) => drop(excluded.entry(split).or_default().insert(index)),
            None => return Ok(excluded),
        }
    }
}

/// The image that a line names, where it names one of the data set.
fn check(listing: &KnownImages, split: &str, index: &str, path: &str) -> Result<(Split, usize)> {
    let known = Split::from_name(split).and_then(|name| Some((name, listing.classes.get(&name)?)));
    let (split, classes) = known.ok_or_else(|| {
        let splits: Vec<String> = listing.classes.keys().map(ToString::to_string).collect();
        Error::data("the data set has no such split").expected(splits.join(" or ")).got(format!("'{split}'"))
    })?;
    let index = index.parse().ok().filter(|index| (0..classes.len()).contains(index)).ok_or_else(|| {
        Error::data(format!("{split} has no such image")).expected(format!("0 to {}", classes.len() - 1)).got(index)
    })?;
    match (listing.path)(split, index) {
        // the list's path begins with what the data set was called then
        Some(file) if !path.is_empty() && !Path::new(path).ends_with(&file) => {
            let error = Error::data(format!("image {index} of {split} is another one than when the list was written"));
            Err(error.expected(path).got(file.display()).help("write the list anew with convnet data check"))
        }
        _ => Ok((split, index)),
    }
}
