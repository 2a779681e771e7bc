//! Where an image's encoded bytes lie: a file, a part of an archive, or memory.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use flate2::read::DeflateDecoder;
use sha2::{Digest, Sha256};

use super::image::{self, Header, MAX_FILE_BYTES, Preparation};
use crate::error::{Error, Result};

/// How much of a file is read to find its size and colours; more, where that is not enough.
const HEADER_BYTES: u64 = 16 << 10;

/// An image that is read and decoded when it is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoredImage {
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
}

impl StoredImage {
    /// The prepared pixels, `u8 [H, W, C]`.
    ///
    /// # Errors
    /// A data error that names the image, as [`image::decode`].
    pub fn decode(&self, preparation: Preparation) -> Result<Vec<u8>> {
        let decoded = self.bytes().and_then(|bytes| image::decode_bytes(&bytes, preparation));
        decoded.map_err(|error| error.at(self))
    }

    /// The encoded bytes.
    ///
    /// # Errors
    /// A data error where they cannot be read or are more than an image file may have.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        if let StoredImage::File(path) = self {
            return image::read(path);
        }
        let mut bytes = Vec::new();
        let unreadable = |error: io::Error| Error::data("cannot read the image").because(error);
        self.reader().and_then(|reader| reader.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
        match bytes.len() as u64 > MAX_FILE_BYTES {
            true => Err(Error::data("the image file is too large").expected(format!("at most {MAX_FILE_BYTES} bytes"))),
            false => Ok(bytes),
        }
    }

    /// The kind, the size and the colours, read from the beginning where that is enough.
    ///
    /// # Errors
    /// A data error that names the image, where it cannot be read or is none.
    pub fn header(&self) -> Result<Header> {
        let mut start = Vec::new();
        let read = self.reader().and_then(|reader| reader.take(HEADER_BYTES).read_to_end(&mut start));
        match read.ok().and_then(|_| image::header(&start).ok()) {
            Some(header) => Ok(header),
            None => self.bytes().and_then(|bytes| image::header(&bytes)).map_err(|error| error.at(self)),
        }
    }

    fn reader(&self) -> io::Result<Box<dyn Read + '_>> {
        Ok(match self {
            StoredImage::File(path) => {
                // a pipe would wait for ever
                if !path.metadata()?.is_file() {
                    return Err(io::Error::other("not a file"));
                }
                Box::new(File::open(path)?)
            }
            StoredImage::Part { archive, start, length, is_deflated, .. } => {
                let mut file = File::open(archive)?;
                file.seek(SeekFrom::Start(*start))?;
                let part = file.take(*length);
                if *is_deflated { Box::new(DeflateDecoder::new(part)) } else { Box::new(part) }
            }
            StoredImage::Memory { bytes, .. } => Box::new(&bytes[..]),
        })
    }

    /// The file's name, without its folder.
    pub fn file_name(&self) -> &Path {
        match self {
            StoredImage::File(path) => path,
            StoredImage::Part { name, .. } | StoredImage::Memory { name, .. } => Path::new(name),
        }
    }

    /// Adds to `sha256` what changes when the image does: its name, its size and, for a file, when it was written.
    pub(super) fn identify(&self, sha256: &mut Sha256) {
        sha256.update(self.to_string());
        let numbers = match self {
            StoredImage::File(path) => path.metadata().map_or([0; 2], |metadata| {
                let written = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
                [metadata.len(), written.map_or(0, |time| time.as_nanos() as u64)]
            }),
            StoredImage::Part { start, length, .. } => [*start, *length],
            StoredImage::Memory { bytes, .. } => {
                sha256.update(bytes);
                [0; 2]
            }
        };
        numbers.iter().for_each(|number| sha256.update(number.to_le_bytes()));
    }
}

impl fmt::Display for StoredImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoredImage::File(path) => write!(f, "{}", path.display()),
            StoredImage::Part { archive, name, .. } | StoredImage::Memory { archive, name, .. } => {
                write!(f, "{}/{name}", archive.display())
            }
        }
    }
}
