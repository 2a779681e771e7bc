//! Class folders: `cat/1.png`, or `train/cat/1.png`, `val/cat/2.png`, `test/cat/3.png`.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Labelled, LabelledImage};
use crate::data::image::{self, is_image_name};
use crate::data::stored::StoredImage;
use crate::data::{Split, idx};
use crate::error::{Error, Result};

/// The deepest folder below the data set's.
const MAX_DEPTH: usize = 32;

/// What lies below a data set's folder or in an archive: paths relative to it, in their parts.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// Files that are images by their names.
    pub images: Vec<(Vec<String>, StoredImage)>,
    /// Folders.
    pub folders: Vec<Vec<String>>,
}

/// The class folders below `folder`. Hidden files and folders are passed over, and so are files that are no images by their
/// names; links are followed, each folder once.
///
/// # Errors
/// A data error where a folder cannot be listed, a name is no UTF-8, or nothing is there that looks like class folders.
pub(super) fn read_folder(folder: &Path) -> Result<Labelled> {
    let mut tree = Tree::default();
    list(folder, &mut Vec::new(), &mut HashSet::new(), &mut tree)?;
    let labelled = tree.into_labelled(idx::folder_name(folder)).map_err(|error| error.at_path(folder))?;
    Ok(Labelled { root: folder.to_owned(), ..labelled })
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
        if !is_hidden(&entry.file_name().to_string_lossy()) && (is_folder || is_image_name(&path)) {
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
            let parts = above.iter().cloned().chain([name.to_string_lossy().into_owned()]).collect();
            tree.images.push((parts, StoredImage::File(path)));
        }
    }
    Ok(())
}

/// Whether a file or folder of this name is none of a data set's: macOS's archives have notes in `__MACOSX`.
pub(in crate::data) fn is_hidden(name: &str) -> bool {
    name.starts_with('.') || name == "__MACOSX"
}

impl Tree {
    /// Tells splits and classes by the folders' names.
    ///
    /// # Errors
    /// As [`read_folder`].
    pub fn into_labelled(mut self, name: String) -> Result<Labelled> {
        if self.images.is_empty() {
            return Err(Error::data("there are no images in class folders")
                .expected(format!("folders as train/<class>/ or <class>/ with {}", image::EXTENSIONS.join(", ")))
                .got("no such file"));
        }
        self.strip_common_folder();
        self.images.sort_by(|(a, _), (b, _)| a.cmp(b));
        let is_split = self.images.iter().any(|(parts, _)| parts.len() > 1 && Split::from_name(&parts[0]).is_some());
        if !is_split {
            self.check_no_splits_below()?;
        }
        let images = self.images.into_iter().map(|(parts, image)| {
            let (split, class) = place(&parts[..parts.len() - 1], is_split).map_err(|error| error.at(&image))?;
            Ok(LabelledImage { split, class, image })
        });
        let images = images.collect::<Result<Vec<_>>>()?;
        let depth = if is_split { 2 } else { 1 };
        let folders = self.folders.iter().filter(|parts| parts.len() == depth);
        let empty_classes = folders.filter_map(|parts| place(parts, is_split).ok()).collect();
        Ok(Labelled { name, images, empty_classes, ..Labelled::default() })
    }

    /// A stray image beside a common folder of `train/` and `test/`, or in it, would make one class of all that is below.
    fn check_no_splits_below(&self) -> Result<()> {
        // a split, then a class, then a file
        let place = |parts: &[String]| {
            (1..parts.len().saturating_sub(2)).find(|&depth| Split::from_name(&parts[depth]).is_some())
        };
        let first = self.images.iter().find_map(|(parts, _)| Some(&parts[..place(parts)?]));
        let Some(common) = first else { return Ok(()) };
        let split_of = |parts: &[String]| match parts.starts_with(common) && place(parts) == Some(common.len()) {
            true => Split::from_name(&parts[common.len()]),
            false => None,
        };
        let splits: HashSet<Split> = self.images.iter().filter_map(|(parts, _)| split_of(parts)).collect();
        let stray = self.images.iter().find(|(parts, _)| split_of(parts).is_none());
        let is_one_class = self.images.iter().all(|(parts, _)| parts[0] == common[0]);
        match stray {
            Some((_, image)) if splits.contains(&Split::Train) && (splits.len() > 1 || is_one_class) => {
                Err(Error::data("an image lies beside the folders of the splits")
                    .expected(format!("all images in {0}/train/<class>/ and the like", common.join("/")))
                    .at(image)
                    .help("move or remove it"))
            }
            _ => Ok(()),
        }
    }

    /// Archives often hold one folder with everything in it.
    fn strip_common_folder(&mut self) {
        while let Some((first, _)) = self.images.first()
            && let Some(common) = first.first().cloned()
            && Split::from_name(&common).is_none()
            && self.images.iter().all(|(parts, _)| parts.len() > 2 && parts[0] == common)
        {
            self.images.iter_mut().for_each(|(parts, _)| drop(parts.remove(0)));
            self.folders.retain_mut(|parts| parts.len() > 1 && parts.remove(0) == common);
        }
    }
}

/// The split and the class that an image's folders name.
fn place(folders: &[String], is_split: bool) -> Result<(Split, String)> {
    let (split, below) = match (is_split, folders) {
        (false, below) => (Split::Train, below),
        (true, [first, below @ ..]) => match Split::from_name(first) {
            Some(split) => (split, below),
            None => {
                return Err(Error::data("images lie beside the folders of the splits")
                    .expected(format!("all images in folders called {}", Split::NAMES.join(", ")))
                    .got(format!("{first}/")));
            }
        },
        (true, []) => return Err(Error::data("an image lies beside the folders of the splits")),
    };
    match below.first() {
        Some(class) => Ok((split, class.clone())),
        None => Err(Error::data("an image lies beside the class folders").expected("each image in its class's folder")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(paths: &[&str]) -> Result<Labelled> {
        let parts = |path: &str| path.split('/').map(String::from).collect::<Vec<_>>();
        let images = paths.iter().filter(|path| path.ends_with("png"));
        let images = images.map(|path| (parts(path), StoredImage::File(path.into()))).collect();
        let folders = paths.iter().filter(|path| !path.ends_with("png")).map(|path| parts(path)).collect();
        Tree { images, folders }.into_labelled("set".into())
    }

    fn places(paths: &[&str]) -> Vec<String> {
        let images = tree(paths).unwrap().images;
        images.iter().map(|image| format!("{} {} {}", image.split, image.class, image.image)).collect()
    }

    #[test]
    fn folders_name_splits_and_classes() {
        assert_eq!(places(&["dog/b.png", "cat/deep/a.png"]), ["train cat cat/deep/a.png", "train dog dog/b.png"]);
        assert_eq!(
            places(&["Train/dog/b.png", "VALID/dog/a.png", "test/dog/c.png"]),
            ["train dog Train/dog/b.png", "validation dog VALID/dog/a.png", "test dog test/dog/c.png"]
        );
        assert_eq!(
            places(&["set/Training/a/1.png", "set/testing/a/2.png"]),
            ["train a set/Training/a/1.png", "test a set/testing/a/2.png"]
        );
        assert_eq!(places(&["cat/test/x/1.png", "dog/1.png"]), ["train cat cat/test/x/1.png", "train dog dog/1.png"]);
        assert_eq!(places(&["set/v2/a/1.png", "set/v2/b/2.png"]), ["train a set/v2/a/1.png", "train b set/v2/b/2.png"]);
        assert_eq!(places(&["set/train/a/1.png"]), ["train a set/train/a/1.png"]);
        let labelled = tree(&["train", "train/cat", "train/dog", "train/dog/x", "train/cat/1.png"]).unwrap();
        assert_eq!(labelled.empty_classes, [(Split::Train, "cat".into()), (Split::Train, "dog".into())]);
    }

    #[test]
    fn images_in_no_class_are_errors_that_name_one() {
        for (paths, part) in [
            (
                &["train/cat/1.png", "train/2.png"][..],
                "beside the class folders: expected each image in its class's folder (train/2.png)",
            ),
            (&["train/cat/1.png", "extra/cat/2.png"], "got extra/ (extra/cat/2.png)"),
            (&["cat/1.png", "2.png"], "(2.png)"),
            (&["train/cat/1.png", "2.png"], "(2.png)"),
            (&["set/train/cat/1.png", "set/test/cat/2.png", "set/3.png"], "(set/3.png)"),
            (&["set/train/cat/1.png", "set/test/cat/2.png", "a/3.png"], "set/train/<class>/ and the like (a/3.png)"),
            (&["set/train/cat/1.png", "set/train/dog/2.png", "set/3.png"], "(set/3.png)"),
            (&["x/set/train/cat/1.png", "x/set/test/cat/2.png", "x/set/cat/3.png"], "(x/set/cat/3.png)"),
            (&["a/train/cat/1.png", "a/test/cat/2.png", "b/train/cat/3.png"], "(b/train/cat/3.png)"),
            (&[], "no images in class folders"),
        ] {
            let error = tree(paths).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }

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
