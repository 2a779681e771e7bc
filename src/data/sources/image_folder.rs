//! Hugging Face's `imagefolder`: images in a folder, or in one for each split, and a `metadata.csv`, `metadata.jsonl` or
//! `metadata.parquet` that names them with their labels.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};

use super::image_list::ImageList;
use super::labelled::LabelledImages;
use super::manifest;
use super::shards::same_classes;
use crate::data::image::is_image_name;
use crate::data::stored::ImageSource;
use crate::data::{Split, idx};
use crate::error::{Error, Result};
use crate::files::walk::{list, walk};

/// What the file is called that names the images.
const FILES: [&str; 3] = ["metadata.csv", "metadata.jsonl", "metadata.parquet"];

/// A file that names images, and the split whose folder it lies in.
struct Metadata {
    path: PathBuf,
    split: Option<Split>,
}

/// Whether such a file with the columns `file_name` and `label` lies in `folder` or in a split's folder in it.
///
/// # Errors
/// A data error where it cannot be listed.
pub(super) fn has_metadata(folder: &Path) -> Result<bool> {
    Ok(!find(folder)?.is_empty())
}

/// The images that the metadata of `folder` and of its splits' folders name. Images that they do not name are left out, which a
/// note says.
///
/// # Errors
/// A data error where the metadata cannot be used, where a file name leads out of its folder, and where two files of metadata
/// speak of one folder.
pub(super) fn read_folder(folder: &Path) -> Result<ImageList> {
    let found = find(folder)?;
    check_one_each(&found).map_err(|error| error.at_path(folder))?;
    let (mut images, mut order) = (LabelledImages::default(), None);
    for Metadata { path, split } in &found {
        let list = manifest::read_metadata(path, *split)?;
        same_classes(&mut order, list.order).map_err(|error| error.at_path(path))?;
        images.extend(list.images.iter());
    }
    let notes = left_out_note(folder, &images, "that no metadata names")?.into_iter().collect();
    let name = idx::folder_name(folder);
    Ok(ImageList { name, root: folder.to_owned(), images, order: order.flatten(), notes, ..ImageList::default() })
}

/// What to do about metadata in `folder` that is no use, where it holds no class folders either.
pub(super) fn advice(folder: &Path) -> Option<String> {
    let path = candidates(folder).ok()?.into_iter().next()?.path;
    Some(format!("{} names the classes where it has the columns file_name and label", path.display()))
}

fn find(folder: &Path) -> Result<Vec<Metadata>> {
    let found = candidates(folder)?.into_iter();
    Ok(found.filter(|file| manifest::has_labelled_files(&file.path)).collect())
}

/// The files with such names in `folder` and in the splits' folders in it.
fn candidates(folder: &Path) -> Result<Vec<Metadata>> {
    let mut folders = vec![(folder.to_owned(), None)];
    for entry in list(folder)?.into_iter().filter(|entry| entry.is_folder) {
        let split = entry.name().to_str().and_then(Split::from_name);
        folders.extend(split.map(|split| (entry.path, Some(split))));
    }
    let files =
        folders.into_iter().flat_map(|(folder, split)| FILES.map(|name| Metadata { path: folder.join(name), split }));
    Ok(files.filter(|file| file.path.is_file()).collect())
}

/// Two files could name one image with two labels.
fn check_one_each(found: &[Metadata]) -> Result<()> {
    let is_of_one_folder = |a: &Metadata, b: &Metadata| a.split.is_none() || a.path.parent() == b.path.parent();
    match found.windows(2).find(|pair| is_of_one_folder(&pair[0], &pair[1])) {
        None => Ok(()),
        Some(pair) => Err(Error::data("two files name the images of one folder")
            .expected("one file of metadata, in the folder itself or in each split's folder")
            .got(format!("{} and {}", pair[0].path.display(), pair[1].path.display()))
            .help("remove one of them")),
    }
}

/// What to say of image files below `folder` that are none of `images`, but lie there as `how` says.
///
/// # Errors
/// A data error where a folder cannot be listed.
pub(super) fn left_out_note(folder: &Path, images: &LabelledImages, how: &str) -> Result<Option<String>> {
    let file = |image: ImageSource| match image {
        ImageSource::File(path) => Some(path),
        ImageSource::Part { .. } | ImageSource::Memory { .. } | ImageSource::Row { .. } => None,
    };
    // 64 bits of each: of a million, two have the same once in forty million times
    let hasher = RandomState::new();
    let named: HashSet<u64> = images.sources().iter().filter_map(file).map(|path| hasher.hash_one(path)).collect();
    let (mut count, mut first) = (0, None);
    walk(folder, &mut |entry| {
        if !entry.is_folder && is_image_name(&entry.path) && !named.contains(&hasher.hash_one(&entry.path)) {
            count += 1;
            first.get_or_insert_with(|| entry.path.clone());
        }
        Ok(())
    })?;
    Ok(first.map(|first| match count {
        1 => format!("left out: an image {how}, {}", first.display()),
        _ => format!("left out: {count} images {how}, {} the first", first.display()),
    }))
}

#[cfg(test)]
mod tests;
