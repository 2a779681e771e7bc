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
mod tests;
