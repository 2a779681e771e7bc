//! Class folders on disk: what lies below a folder.

use std::path::Path;

use super::image_list::ImageList;
use super::tree::Tree;
use super::{class_names, image_folder};
use crate::data::idx;
use crate::data::image::is_image_name;
use crate::data::stored::ImageSource;
use crate::error::{Error, Result};
use crate::files::walk::{Entry, walk};

/// The class folders below `folder`. Hidden files and folders are passed over; files that are no images by their names are
/// counted; links are followed, each folder once.
///
/// # Errors
/// A data error where a folder cannot be listed, a name is no UTF-8, or nothing is there that looks like class folders.
pub(super) fn read_folder(folder: &Path) -> Result<ImageList> {
    let mut tree = Tree::default();
    walk(folder, &mut |entry| add(entry, folder, &mut tree))?;
    let labelled = tree.into_labelled(idx::folder_name(folder)).map_err(|error| match image_folder::advice(folder) {
        Some(advice) => error.help(advice),
        None => error,
    });
    let labelled = labelled.map_err(|error| error.at_path(folder))?;
    Ok(ImageList { root: folder.to_owned(), ..labelled })
}

/// Adds what lies below `root`.
fn add(entry: &Entry, root: &Path, tree: &mut Tree) -> Result<()> {
    let path = &entry.path;
    if entry.is_folder && entry.name().to_str().is_none() {
        let error = Error::data("a folder's name is not UTF-8").at_path(path);
        return Err(error.help("rename it: it names a class"));
    }
    let below = path.strip_prefix(root).unwrap_or(path);
    let parts: Vec<String> = below.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if entry.is_folder {
        tree.folders.push(parts);
        return Ok(());
    }
    let class_names = if entry.name() == class_names::FILE { class_names::read(path)? } else { None };
    match class_names {
        Some(names) => drop(tree.class_names.insert(parts, names)),
        None if is_image_name(path) => tree.add_image(&parts[..parts.len() - 1], ImageSource::File(path.clone())),
        None => tree.left_out.add(path),
    }
    Ok(())
}

#[cfg(test)]
mod tests;
