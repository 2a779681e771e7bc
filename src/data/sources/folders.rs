//! Class folders on disk: what lies below a folder.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::ImageList;
use super::class_names;
use super::tree::Tree;
use crate::data::idx;
use crate::data::image::is_image_name;
use crate::data::names::is_hidden;
use crate::data::stored::ImageSource;
use crate::error::{Error, Result};

/// The deepest folder below the data set's.
const MAX_DEPTH: usize = 32;

/// The class folders below `folder`. Hidden files and folders are passed over; files that are no images by their names are
/// counted; links are followed, each folder once.
///
/// # Errors
/// A data error where a folder cannot be listed, a name is no UTF-8, or nothing is there that looks like class folders.
pub(super) fn read_folder(folder: &Path) -> Result<ImageList> {
    let mut tree = Tree::default();
    list(folder, &mut Vec::new(), &mut HashSet::new(), &mut tree)?;
    let labelled = tree.into_labelled(idx::folder_name(folder)).map_err(|error| error.at_path(folder))?;
    Ok(ImageList { root: folder.to_owned(), ..labelled })
}

fn list(folder: &Path, above: &mut Vec<String>, seen: &mut HashSet<PathBuf>, tree: &mut Tree) -> Result<()> {
    let unreadable = |error: io::Error| Error::data("cannot list the folder").at_path(folder).because(error);
    if above.len() > MAX_DEPTH {
        return Err(Error::data(format!("folders are nested more than {MAX_DEPTH} deep")).at_path(folder));
    }
    if !seen.insert(fs::canonicalize(folder).map_err(unreadable)?) {
        return Ok(());
    }
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let kind = entry.file_type().map_err(unreadable)?;
        let path = entry.path();
        let is_folder = if kind.is_symlink() { path.is_dir() } else { kind.is_dir() };
        if !is_hidden(&entry.file_name().to_string_lossy()) {
            entries.push((path, is_folder));
        }
    }
    entries.sort();
    for (path, is_folder) in entries {
        let name = path.file_name().unwrap_or_default();
        if is_folder {
            let name = name.to_str().ok_or_else(|| {
                Error::data("a folder's name is not UTF-8").at_path(&path).help("rename it: it names a class")
            })?;
            above.push(name.to_owned());
            tree.folders.push(above.clone());
            list(&path, above, seen, tree)?;
            above.pop();
        } else {
            let parts: Vec<String> = above.iter().cloned().chain([name.to_string_lossy().into_owned()]).collect();
            let class_names = if name == class_names::FILE { class_names::read(&path)? } else { None };
            match class_names {
                Some(names) => drop(tree.class_names.insert(parts, names)),
                None if is_image_name(&path) => tree.images.push((parts, ImageSource::File(path))),
                None => tree.left_out.add(&path),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn links_in_a_circle_hidden_files_and_names_that_are_no_utf_8() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;
        let folder = tempfile::tempdir().unwrap();
        for class in ["a", "b", ".hidden"] {
            fs::create_dir(folder.path().join(class)).unwrap();
            for name in [&b"1.png"[..], b"._1.png", b"notes.txt", b"\xff\xfe.png"] {
                fs::write(folder.path().join(class).join(OsStr::from_bytes(name)), b"").unwrap();
            }
        }
        std::os::unix::fs::symlink(folder.path(), folder.path().join("b/circle")).unwrap();
        assert_eq!(read_folder(folder.path()).unwrap().images.len(), 4);
        fs::create_dir(folder.path().join(OsStr::from_bytes(b"\xff"))).unwrap();
        assert!(read_folder(folder.path()).unwrap_err().to_string().contains("not UTF-8"));
    }
}
