//! Images that lie in files, known by where they lie within the folder that holds all of them: a data set that was moved is
//! the same data set.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};

use super::stored::ImageSource;
use super::{ImageShape, Samples};
use crate::files::hex;

/// Files that take more together are known by when they were written, not by their content: to read them all before each
/// training would take longer than a second or two.
const MAX_READ_BYTES: u64 = 512 << 20;

/// A fingerprint of images that are read from files as they are needed: their shape, preparation and labels, and of each
/// file its path within the folder that holds all of them, its length and its content; of files that take more than 512 MiB
/// together, the time when they were written in place of the content, as `mv`, `cp -a` and `rsync -a` keep it. `None` where
/// the images are in memory ([`Samples::fingerprint`] does not depend on a place then) or a file cannot be read.
pub fn relative_fingerprint(samples: &Samples) -> Option<String> {
    let preparation = samples.preparation()?;
    let images = || (0..samples.len()).filter_map(|index| samples.file(index));
    let files = files_of(images())?;
    let root = common_folder(files.keys())?;
    let mut sha256 = Sha256::new();
    let ImageShape { height, width, channels } = preparation.shape;
    sha256.update(format!("{height} {width} {channels} {} {} ", preparation.key(), samples.len()));
    samples.labels().iter().for_each(|label| sha256.update(label.to_le_bytes()));
    let is_read = files.values().map(|file| file.length).sum::<u64>() <= MAX_READ_BYTES;
    for (path, file) in &files {
        update_text(&mut sha256, path.strip_prefix(&root).ok()?);
        sha256.update(file.length.to_le_bytes());
        match is_read {
            true => update_content(&mut sha256, path).ok()?,
            false => sha256.update(file.nanoseconds.to_le_bytes()),
        }
    }
    for image in images() {
        update_text(&mut sha256, absolute(image.container())?.strip_prefix(&root).ok()?);
        match &image {
            ImageSource::File(_) => {}
            ImageSource::Part { name, start, length, .. } => {
                update_text(&mut sha256, Path::new(name));
                [start, length].iter().for_each(|number| sha256.update(number.to_le_bytes()));
            }
            ImageSource::Memory { name, .. } => update_text(&mut sha256, Path::new(name)),
            ImageSource::Row { row, .. } => sha256.update(row.to_le_bytes()),
        }
    }
    Some(hex(&sha256.finalize()))
}

/// What a directory says of a file.
struct FileEntry {
    length: u64,
    /// When it was written: nanoseconds since 1970.
    nanoseconds: u64,
}

/// Every file that holds one of `images`, by its absolute path.
fn files_of(images: impl Iterator<Item = ImageSource>) -> Option<BTreeMap<PathBuf, FileEntry>> {
    let mut files = BTreeMap::new();
    for image in images {
        let path = absolute(image.container())?;
        if files.contains_key(&path) {
            continue;
        }
        let metadata = path.metadata().ok()?;
        let written = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let nanoseconds = written.map_or(0, |time| time.as_nanos() as u64);
        files.insert(path, FileEntry { length: metadata.len(), nanoseconds });
    }
    Some(files)
}

fn absolute(path: &Path) -> Option<PathBuf> {
    std::path::absolute(path).ok()
}

/// The innermost folder that all of `paths` lie in.
fn common_folder<'a>(mut paths: impl Iterator<Item = &'a PathBuf>) -> Option<PathBuf> {
    let mut folder = paths.next()?.parent()?.to_owned();
    for path in paths {
        while !path.starts_with(&folder) {
            folder = folder.parent()?.to_owned();
        }
    }
    Some(folder)
}

/// Ended by a zero, which no path holds.
fn update_text(sha256: &mut Sha256, path: &Path) {
    sha256.update(path.as_os_str().as_encoded_bytes());
    sha256.update([0]);
}

fn update_content(sha256: &mut Sha256, path: &Path) -> io::Result<()> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(()),
            count => sha256.update(&buffer[..count]),
        }
    }
}

#[cfg(test)]
mod tests;
