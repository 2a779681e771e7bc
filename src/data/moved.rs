//! Images that lie in files, known by where they lie within the folder that holds all of them: a data set that was moved is
//! the same data set.

use std::collections::BTreeSet;
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
    let files = Files::of(samples)?;
    let mut sha256 = Sha256::new();
    let ImageShape { height, width, channels } = preparation.shape;
    sha256.update(format!("{height} {width} {channels} {} {} ", preparation.key(), samples.len()));
    samples.labels().iter().for_each(|label| sha256.update(label.to_le_bytes()));
    let is_read = files.have_at_most(MAX_READ_BYTES)?;
    files.visit(|path| {
        update_text(&mut sha256, path.strip_prefix(&files.root).ok()?);
        let metadata = path.metadata().ok()?;
        sha256.update(metadata.len().to_le_bytes());
        if is_read {
            return update_content(&mut sha256, path).ok();
        }
        let written = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let nanoseconds = written.map_or(0, |time| time.as_nanos() as u64); // since 1970
        sha256.update(nanoseconds.to_le_bytes());
        Some(())
    })?;
    for image in samples.files() {
        update_text(&mut sha256, absolute(image.container())?.strip_prefix(&files.root).ok()?);
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

/// The files that hold images, by their absolute paths. They are found anew each time: a list of a million would be larger than all else
/// that is kept of so many images.
struct Files<'a> {
    samples: &'a Samples,
    /// The innermost folder that all of them lie in.
    root: PathBuf,
    /// All of them, where the images do not have their order.
    listed: Option<BTreeSet<PathBuf>>,
}

impl<'a> Files<'a> {
    /// Of images that are read as they are needed; none where a path cannot be told.
    fn of(samples: &'a Samples) -> Option<Self> {
        let (mut root, mut before, mut are_in_order) = (None, None, true);
        for image in samples.files() {
            let path = absolute(image.container())?;
            if before.as_ref() != Some(&path) {
                are_in_order &= before.as_ref().is_none_or(|before| *before < path);
                root = Some(common_folder(root, &path)?);
                before = Some(path);
            }
        }
        let list = || samples.files().map(|image| absolute(image.container())).collect::<Option<BTreeSet<PathBuf>>>();
        let listed = if are_in_order { None } else { Some(list()?) };
        Some(Files { samples, root: root?, listed })
    }

    /// Calls `visit` with each of them once, in the order of their paths, and gives up where it gives none.
    fn visit(&self, mut visit: impl FnMut(&Path) -> Option<()>) -> Option<()> {
        if let Some(listed) = &self.listed {
            return listed.iter().try_for_each(|path| visit(path));
        }
        let mut before = None;
        for image in self.samples.files() {
            let path = absolute(image.container())?;
            if before.as_ref() != Some(&path) {
                visit(&path)?;
                before = Some(path);
            }
        }
        Some(())
    }

    /// Whether they take at most `num_bytes` together; none where it cannot be told.
    fn have_at_most(&self, num_bytes: u64) -> Option<bool> {
        let (mut total, mut is_readable) = (0_u64, true);
        let counted = self.visit(|path| {
            let metadata = path.metadata().ok();
            is_readable = metadata.is_some();
            total = total.saturating_add(metadata?.len());
            (total <= num_bytes).then_some(()) // enough is known
        });
        is_readable.then_some(counted.is_some())
    }
}

fn absolute(path: &Path) -> Option<PathBuf> {
    std::path::absolute(path).ok()
}

/// The innermost folder that holds `folder`, where there is one yet, and `path`.
fn common_folder(folder: Option<PathBuf>, path: &Path) -> Option<PathBuf> {
    let mut folder = match folder {
        Some(folder) => folder,
        None => path.parent()?.to_owned(),
    };
    while !path.starts_with(&folder) {
        folder.pop().then_some(())?;
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
