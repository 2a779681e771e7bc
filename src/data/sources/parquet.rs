//! Parquet files of images, as Hugging Face's hub has them: a folder of them, or one. Several are looked at at a time; images
//! stay in the files and are decoded later.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use super::image_folder::left_out_note;
use super::image_list::ImageList;
use super::labelled::LabelledImage;
use super::shards::{Shard, check_all_there, find, has_ending, number_of, same_classes, with_splits};
use crate::data::names::quoted;
use crate::data::parquet::{self, KeptPages, MAGIC, ParquetImages};
use crate::data::stored::ImageSource;
use crate::data::{Split, idx};
use crate::device::threads;
use crate::error::{Error, Result};
use crate::files::walk::list;

/// How a file's name ends, in small letters.
const ENDING: &str = ".parquet";
/// What the hub calls the folder of the files.
const DATA: &str = "data";
/// How many files are looked at to tell whether they hold images.
const PROBES: usize = 4;

/// Whether Parquet files lie in `folder`, in a split's folder in it, or in a folder in it that has nothing else.
///
/// # Errors
/// A data error where it cannot be listed.
pub(super) fn has_files(folder: &Path) -> Result<bool> {
    let (_, files) = below(folder)?;
    if files.iter().take(PROBES).any(|(path, _)| parquet::has_images(path)) {
        return Ok(true);
    }
    // without images in it, it is a data set only where there is nothing else that could be one
    let is_alone = list(folder)?.iter().all(|entry| entry.path.is_file() || holds_files(&entry.path));
    Ok(is_alone && files.iter().take(PROBES).any(|(path, _)| is_parquet(path)))
}

/// The images of the files in `folder`, in their order. A file's split is that of its folder or of its name, `train` where no
/// file's says one.
///
/// # Errors
/// A data error where a file is damaged or missing, lacks images or labels, or names other classes than the others, and where
/// its split cannot be told.
pub(super) fn read_folder(folder: &Path) -> Result<ImageList> {
    let (place, files) = below(folder)?;
    let files = with_splits(files).and_then(|files| check_all_there(&files).map(|()| files));
    let files = files.map_err(|error| error.at_path(&place))?;
    let mut all = read_files(&files)?;
    if place != folder && place.file_name().is_none_or(|name| name != DATA) {
        all.notes.push(format!("read from {}", place.display()));
    }
    all.notes.extend(left_out_note(folder, &all.images, "beside the Parquet files")?);
    Ok(ImageList { name: idx::folder_name(folder), root: folder.to_owned(), ..all })
}

/// The images of the one file at `path`.
///
/// # Errors
/// As [`read_folder`].
pub(super) fn read_file(path: &Path) -> Result<ImageList> {
    let files = with_splits(vec![(path.to_owned(), None)]).map_err(|error| error.at_path(path))?;
    let mut all = read_files(&files)?;
    all.notes.extend(number_of(path).filter(|(.., total)| *total > 1).map(|(_, number, total)| {
        format!("read from one file of {total}, number {number}: name the folder to read all")
    }));
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(ImageList { name, root: path.parent().unwrap_or(Path::new("")).to_owned(), ..all })
}

/// Where the files lie: in `folder`, or in the one folder in it that has any (`data` on the hub, or a configuration's name).
///
/// # Errors
/// A data error where several folders have some.
fn below(folder: &Path) -> Result<(PathBuf, Vec<Shard>)> {
    let files = find(folder, is_named)?;
    if !files.is_empty() {
        return Ok((folder.to_owned(), files));
    }
    let mut found = Vec::new();
    for entry in list(folder)?.into_iter().filter(|entry| entry.is_folder) {
        let files = find(&entry.path, is_named)?;
        if !files.is_empty() {
            found.push((entry.path, files));
        }
    }
    match found.len() {
        0 => Ok((folder.to_owned(), Vec::new())),
        1 => Ok(found.remove(0)),
        _ => {
            let names: Vec<String> = found.iter().map(|(path, _)| path.display().to_string()).collect();
            Err(Error::data("there are Parquet files of several data sets in the folder")
                .expected("one")
                .got(quoted(&names))
                .at_path(folder)
                .help("name one of them with `data`"))
        }
    }
}

fn is_named(path: &Path) -> bool {
    has_ending(path, &[ENDING])
}

fn holds_files(folder: &Path) -> bool {
    find(folder, is_named).is_ok_and(|files| !files.is_empty())
}

fn is_parquet(path: &Path) -> bool {
    let mut start = [0; MAGIC.len()];
    File::open(path).is_ok_and(|mut file| file.read_exact(&mut start).is_ok()) && start == MAGIC
}

fn read_files(files: &[(PathBuf, Split)]) -> Result<ImageList> {
    let kept = Arc::new(KeptPages::default());
    let open = |(path, _): &(PathBuf, Split)| parquet::open(path, &kept).map_err(|error| error.at_path(path));
    let opened: Vec<Result<ParquetImages>> = threads::install(|| files.par_iter().map(open).collect())?;
    let (mut list, mut unread) = (ImageList::default(), Vec::new());
    let mut order: Option<Option<Vec<String>>> = None;
    for ((path, split), opened) in files.iter().zip(opened) {
        let ParquetImages { images, labels, classes, unread: others } = opened?;
        same_classes(&mut order, classes).map_err(|error| error.at_path(path))?;
        let labelled = (0..).zip(labels).map(|(row, class)| {
            let image = ImageSource::row(images.clone(), row);
            LabelledImage { split: *split, class, image }
        });
        list.images.extend(labelled);
        others.into_iter().for_each(|name| {
            if !unread.contains(&name) {
                unread.push(name);
            }
        });
    }
    list.order = order.flatten();
    list.notes.extend((!unread.is_empty()).then(|| format!("left out: the columns {}", quoted(&unread))));
    Ok(list)
}

#[cfg(test)]
mod tests;
