//! Decoded images in a file of the cache folder: read image by image, they take no memory and need no decoding.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::files::{cache, folder_of};

/// Part of the file's name: a file that another version decoded otherwise is not used.
const VERSION: u32 = 3;

/// An open file of N decoded images, `u8 [N, H, W, C]`.
#[derive(Debug)]
pub struct PixelCache {
    file: File,
    path: PathBuf,
    image_bytes: usize,
}

impl PixelCache {
    /// The file in `folder` of the images with this `fingerprint`, made where it is not there. There are `count` images of
    /// `image_bytes` bytes each; `decode` calls what it is given with their pixels, in order and in pieces.
    ///
    /// # Errors
    /// What `decode` returns; a configuration error where the file cannot be written or read.
    pub fn open(
        folder: &Path,
        fingerprint: &str,
        (count, image_bytes): (usize, usize),
        decode: impl FnOnce(&mut dyn FnMut(&[u8])) -> Result<()>,
    ) -> Result<Self> {
        let path = folder.join(format!("{VERSION}-{fingerprint}.u8"));
        let too_many = || Error::data("the images have too many pixels");
        let num_bytes = count.checked_mul(image_bytes).ok_or_else(too_many)?;
        let unusable = |error: io::Error| unusable(&path, num_bytes).because(error);
        let is_there = || path.metadata().is_ok_and(|metadata| metadata.len() == num_bytes as u64);
        // one process of several decodes, the others wait for it
        let _lock = if is_there() { None } else { Lock::wait_for(&path) };
        if is_there() {
            return Ok(PixelCache { file: File::open(&path).map_err(unusable)?, image_bytes, path });
        }
        let mut unreadable = None;
        let written = cache::write(&path, |writer| {
            let mut outcome = Ok(());
            let decoded = decode(&mut |pixels| {
                if outcome.is_ok() {
                    outcome = writer.write_all(pixels);
                }
            });
            unreadable = decoded.err();
            if unreadable.is_some() { Err(io::Error::other("an image cannot be read")) } else { outcome }
        });
        if let Some(error) = unreadable {
            return Err(error);
        }
        written.map_err(unusable)?;
        Ok(PixelCache { file: File::open(&path).map_err(unusable)?, image_bytes, path })
    }

    /// Image `index`, `u8 [H, W, C]`.
    ///
    /// # Errors
    /// A data error where the file cannot be read any more.
    pub fn image(&self, index: usize) -> Result<Vec<u8>> {
        use std::os::unix::fs::FileExt;
        let mut pixels = vec![0; self.image_bytes];
        let read = self.file.read_exact_at(&mut pixels, (index * self.image_bytes) as u64);
        read.map_err(|error| Error::data("cannot read a decoded image").at_path(&self.path).because(error))?;
        Ok(pixels)
    }
}

impl PartialEq for PixelCache {
    /// A path stands for one content.
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path
    }
}

impl Eq for PixelCache {}

/// The right to make a file, which one process has at a time.
struct Lock {
    path: PathBuf,
    /// Held as long as this lives.
    _file: File,
}

impl Lock {
    /// Waits for other processes that make the file at `path`. None where the file system has no locks, or takes no file: then each
    /// makes its own, and one stays.
    fn wait_for(path: &Path) -> Option<Self> {
        std::fs::create_dir_all(folder_of(path)).ok()?;
        let path = path.with_extension("lock");
        let file = File::create(&path).ok()?;
        file.lock().ok()?;
        Some(Lock { path, _file: file })
    }
}

impl Drop for Lock {
    /// Whoever waits has the file open already.
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn unusable(path: &Path, num_bytes: usize) -> Error {
    Error::config("cannot keep decoded images on the disk").at_path(path).help(format!(
        "they take {} MiB: free some space (what else lies in {} can be deleted: it is made again where it is needed), set \
         XDG_CACHE_HOME to a folder on a larger disk, or use `cache = 'none'`",
        num_bytes.div_ceil(1 << 20),
        folder_of(path).display()
    ))
}
