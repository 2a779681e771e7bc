//! Where an image's encoded bytes lie: a file, a part of an archive, a row of a table, or memory.

mod list;

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use flate2::Crc;
use flate2::read::DeflateDecoder;
use sha2::{Digest, Sha256};

use super::image::{self, ImageHeader, MAX_FILE_BYTES, Preprocessing};
use super::parquet::{self, ImageColumn};
use crate::error::{Error, Result};
use crate::files::bounded::read_up_to;
pub use list::ImageSources;

/// How much of a file is read to find its size and colours; more, where that is not enough.
const HEADER_BYTES: u64 = 16 << 10;

/// An image that is read and decoded when it is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageSource {
    /// A file of its own.
    File(PathBuf),
    /// A part of an archive that can be read without the rest.
    Part {
        /// The archive.
        archive: Arc<Path>,
        /// The image's name in it.
        name: String,
        /// Its first byte in the archive.
        start: u64,
        /// Its bytes in the archive.
        length: u64,
        /// Whether they are deflated (RFC 1951).
        is_deflated: bool,
        /// The CRC-32 of the encoded image, where the archive has it.
        checksum: Option<u32>,
    },
    /// Out of an archive that can be read from its beginning only.
    Memory {
        /// The archive.
        archive: Arc<Path>,
        /// The image's name in it.
        name: String,
        /// The encoded image.
        bytes: Arc<[u8]>,
    },
    /// A row of a Parquet file.
    Row {
        /// The file's images.
        images: Arc<ImageColumn>,
        /// The image's name in it.
        name: String,
        /// Which row it is, from 0.
        row: u64,
    },
}

impl ImageSource {
    /// The image in `row`.
    pub fn row(images: Arc<ImageColumn>, row: u64) -> Self {
        ImageSource::Row { images, name: parquet::row_name(row), row }
    }

    /// Writes the prepared pixels, `u8 [H, W, C]`, to `target`; after an error there is anything in it.
    ///
    /// # Errors
    /// A data error that names the image, as [`image::decode`].
    pub fn decode_into(&self, preparation: Preprocessing, target: &mut [u8]) -> Result<()> {
        let decoded = self.bytes().and_then(|bytes| image::decode_bytes_into(&bytes, preparation, target));
        decoded.map_err(|error| error.at(self))
    }

    /// The encoded bytes.
    ///
    /// # Errors
    /// A data error where they cannot be read or are more than an image file may have.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        if let ImageSource::File(path) = self {
            return image::read(path);
        }
        if let ImageSource::Row { images, row, .. } = self {
            let bytes = images.image(*row)?;
            return match bytes.len() as u64 <= MAX_FILE_BYTES {
                true => Ok(bytes),
                false => Err(image::file_too_large()),
            };
        }
        let unreadable = |error: io::Error| Error::data("cannot read the image").because(error);
        let bytes = self.reader().and_then(|reader| read_up_to(reader, MAX_FILE_BYTES)).map_err(unreadable)?;
        let bytes = bytes.ok_or_else(image::file_too_large)?;
        self.check_sum(&bytes).map(|()| bytes)
    }

    /// Compares with the archive's checksum, where it has one.
    fn check_sum(&self, bytes: &[u8]) -> Result<()> {
        let ImageSource::Part { checksum: Some(expected), .. } = self else { return Ok(()) };
        let mut sum = Crc::new();
        sum.update(bytes);
        match sum.sum() == *expected {
            true => Ok(()),
            false => Err(Error::data("the image is damaged: it is not what was put into the archive")
                .expected(format!("CRC-32 {expected:08x}"))
                .got(format!("{:08x}", sum.sum()))
                .help("copy the archive again")),
        }
    }

    /// The same image under another name in its archive.
    pub(super) fn renamed(&self, new: &str) -> Self {
        let mut image = self.clone();
        match &mut image {
            ImageSource::File(_) => {}
            ImageSource::Part { name, .. } | ImageSource::Memory { name, .. } | ImageSource::Row { name, .. } => {
                new.clone_into(name)
            }
        }
        image
    }

    /// The kind, the size and the colours, read from the beginning where that is enough.
    ///
    /// # Errors
    /// A data error that names the image, where it cannot be read or is none.
    pub fn header(&self) -> Result<ImageHeader> {
        let mut start = Vec::new();
        let read = self.reader().and_then(|reader| reader.take(HEADER_BYTES).read_to_end(&mut start));
        match read.ok().and_then(|_| image::header(&start).ok()) {
            Some(header) => Ok(header),
            None => self.bytes().and_then(|bytes| image::header(&bytes)).map_err(|error| error.at(self)),
        }
    }

    fn reader(&self) -> io::Result<Box<dyn Read + '_>> {
        Ok(match self {
            ImageSource::File(path) => {
                // a pipe would wait for ever
                if !path.metadata()?.is_file() {
                    return Err(io::Error::other("not a file"));
                }
                Box::new(File::open(path)?)
            }
            ImageSource::Part { archive, start, length, is_deflated, .. } => {
                let mut file = File::open(archive)?;
                file.seek(SeekFrom::Start(*start))?;
                let part = file.take(*length);
                if *is_deflated { Box::new(DeflateDecoder::new(part)) } else { Box::new(part) }
            }
            ImageSource::Memory { bytes, .. } => Box::new(&bytes[..]),
            ImageSource::Row { images, row, .. } => {
                Box::new(Cursor::new(images.image(*row).map_err(io::Error::other)?))
            }
        })
    }

    /// The file that holds it: its own, or the archive.
    pub(super) fn container(&self) -> &Path {
        match self {
            ImageSource::File(path) => path,
            ImageSource::Part { archive, .. } | ImageSource::Memory { archive, .. } => archive,
            ImageSource::Row { images, .. } => images.path(),
        }
    }

    /// The file's name, without its folder.
    pub fn file_name(&self) -> &Path {
        match self {
            ImageSource::File(path) => path,
            ImageSource::Part { name, .. } | ImageSource::Memory { name, .. } | ImageSource::Row { name, .. } => {
                Path::new(name)
            }
        }
    }
}

impl fmt::Display for ImageSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ImageSource::File(path) => write!(f, "{}", path.display()),
            ImageSource::Part { archive, name, .. } | ImageSource::Memory { archive, name, .. } => {
                write!(f, "{}/{name}", archive.display())
            }
            ImageSource::Row { images, name, .. } => write!(f, "{}/{name}", images.path().display()),
        }
    }
}

/// Hashes what changes when images do: their absolute names, their sizes and when their files, or the archives that they are
/// parts of, were written. Folders and archives are looked at once.
#[derive(Default)]
pub(super) struct Identifier {
    sha256: Sha256,
    /// Folders as they were named, and as they are without links.
    folders: HashMap<PathBuf, PathBuf>,
    archives: HashMap<PathBuf, FileStamp>,
}

/// A file's own path, its length, and when it was written: nanoseconds since 1970.
#[derive(Clone, Default)]
struct FileStamp {
    path: PathBuf,
    numbers: [u64; 2],
}

impl Identifier {
    /// The SHA-256 of everything that was added.
    pub(super) fn finish(self) -> [u8; 32] {
        self.sha256.finalize().into()
    }

    /// Adds what else makes a difference.
    pub(super) fn update(&mut self, text: impl AsRef<[u8]>) {
        self.sha256.update(text);
    }

    /// Adds `image`.
    pub(super) fn add(&mut self, image: &ImageSource) {
        let written = match image {
            ImageSource::File(path) => {
                let folder = path.parent().unwrap_or(Path::new(""));
                let folder = match self.folders.get(folder) {
                    Some(folder) => folder.clone(),
                    None => self.folders.entry(folder.to_owned()).or_insert(canonical(folder)).clone(),
                };
                FileStamp { path: folder.join(path.file_name().unwrap_or_default()), numbers: length_and_time(path) }
            }
            ImageSource::Part { .. } | ImageSource::Memory { .. } | ImageSource::Row { .. } => {
                let archive = image.container();
                match self.archives.get(archive) {
                    Some(stamp) => stamp.clone(),
                    None => {
                        let stamp = FileStamp { path: canonical(archive), numbers: length_and_time(archive) };
                        self.archives.entry(archive.to_owned()).or_insert(stamp).clone()
                    }
                }
            }
        };
        self.sha256.update(written.path.as_os_str().as_encoded_bytes());
        written.numbers.iter().for_each(|number| self.sha256.update(number.to_le_bytes()));
        match image {
            ImageSource::File(_) => {}
            ImageSource::Part { name, start, length, .. } => {
                self.sha256.update(name);
                [start, length].iter().for_each(|number| self.sha256.update(number.to_le_bytes()));
            }
            ImageSource::Memory { name, bytes, .. } => {
                self.sha256.update(name);
                self.sha256.update(bytes);
            }
            ImageSource::Row { row, .. } => self.sha256.update(row.to_le_bytes()),
        }
    }
}

/// Without links, as far as it is there.
fn canonical(path: &Path) -> PathBuf {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    path.canonicalize().or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.to_owned())
}

/// Zeros where there is no file.
fn length_and_time(path: &Path) -> [u64; 2] {
    path.metadata().map_or([0; 2], |metadata| {
        let written = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        [metadata.len(), written.map_or(0, |time| time.as_nanos() as u64)]
    })
}

#[cfg(test)]
mod tests;
