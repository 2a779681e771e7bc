//! Which files of a folder are images.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::left_out::LeftOut;
use crate::error::{Error, Result};
use crate::files::walk::{is_hidden, walk};

/// What image files are called, in small letters.
pub(in crate::data) const EXTENSIONS: [&str; 13] =
    ["png", "jpg", "jpeg", "jfif", "bmp", "gif", "webp", "tif", "tiff", "ppm", "pgm", "pbm", "pnm"];

/// Whether `path` is called as image files are: an extension of an image format, and no dot in front (`._cat.jpg` holds
/// macOS's notes about `cat.jpg`).
pub fn is_image_name(path: &Path) -> bool {
    let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default().to_ascii_lowercase();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    EXTENSIONS.contains(&extension.as_str()) && !is_hidden(&name)
}

/// What a folder holds.
#[derive(Debug, Default)]
pub struct Listing {
    /// Its image files, sorted by path: at least one.
    pub images: Vec<PathBuf>,
    /// A sentence about its other files, where there are any.
    pub note: Option<String>,
}

/// The image files in `folder` and the folders below it, known by their names. Hidden files and folders, and those of systems,
/// are passed over; a folder that several links lead to is listed once.
///
/// # Errors
/// A data error where a folder cannot be read, where folders are nested too deeply, and where there is no image.
pub fn list_folder(folder: &Path) -> Result<Listing> {
    let (mut images, mut others) = (Vec::new(), LeftOut::default());
    walk(folder, &mut |entry| {
        match () {
            () if entry.is_folder => {}
            () if is_image_name(&entry.path) => images.push(entry.path.clone()),
            () => others.add(&entry.path),
        }
        Ok(())
    })?;
    if images.is_empty() {
        let expected = format!("files that end in {}", EXTENSIONS.map(|extension| format!(".{extension}")).join(", "));
        let got = if others.is_empty() { "none".to_owned() } else { others.to_string() };
        let error = Error::data("there is no image in the folder").expected(expected).got(got).at_path(folder);
        return Err(match others.advice() {
            Some(advice) => error.help(advice),
            None => error,
        });
    }
    images.sort();
    Ok(Listing { images, note: others.note() })
}

/// As [`list_folder`], the images alone.
///
/// # Errors
/// As [`list_folder`].
pub fn list_images(folder: &Path) -> Result<Vec<PathBuf>> {
    Ok(list_folder(folder)?.images)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn images_are_listed_in_order_without_hidden_ones_and_links_in_a_circle() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for name in ["b/2.PNG", "b/1.jpeg", "a/x/3.webp", "a/notes.txt", "a/._1.jpg", ".cache/4.png", "0.gif", "png"] {
            fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            fs::write(root.join(name), b"").unwrap();
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink(root, root.join("b/circle")).unwrap();
        let expected = ["0.gif", "a/x/3.webp", "b/1.jpeg", "b/2.PNG"].map(|name| root.join(name));
        assert_eq!(list_images(root).unwrap(), expected);
        assert_eq!(list_folder(root).unwrap().note.unwrap(), "left out: 1 without an extension, 1 .txt");
        let phone = tempfile::tempdir().unwrap();
        fs::write(phone.path().join("1.HEIC"), b"").unwrap();
        let error = list_images(phone.path()).unwrap_err().to_string();
        assert!(error.contains("got 1 .heic") && error.contains("convert"), "{error}");
        let empty = tempfile::tempdir().unwrap();
        assert!(list_images(empty.path()).unwrap_err().to_string().contains("no image in the folder"));
        assert!(list_images(&root.join("0.gif")).unwrap_err().to_string().contains("cannot list"));
    }
}
