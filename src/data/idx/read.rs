//! One IDX file: its header is a claim, checked against the bytes that really come.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use crate::data::ImageShape;
use crate::error::{Error, Result};
use crate::files::bounded::{self, BoundedReader};

/// The longest image side that is believed: larger images are no work for a small convolutional network.
const MAX_SIDE_PX: usize = 4096;
/// The most images that are believed: a thousand times MNIST and more.
const MAX_IMAGES: usize = 100_000_000;
/// The most pixel bytes that are read from one file: a data set is held in memory. 16 GiB are 340 times Fashion-MNIST.
const MAX_BYTES: usize = 16 << 30;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// Two zero bytes, the type (8: unsigned byte), the number of dimensions.
const MAGIC_LABELS: u32 = 0x0801;
const MAGIC_IMAGES: u32 = 0x0803;
const MAGIC_IMAGES_WITH_CHANNELS: u32 = 0x0804;

/// The images of one file: `pixels` is `u8 [N, H, W, C]`.
pub(super) struct IdxImages {
    pub count: usize,
    pub shape: ImageShape,
    pub pixels: Vec<u8>,
}

/// Reads a file of images, `u8 [N, H, W]` or `u8 [N, H, W, C]` with C 1 or 3.
///
/// # Errors
/// A data error that names the file, for whatever it claims and does not hold.
pub(super) fn read_images(path: &Path) -> Result<IdxImages> {
    open(path).and_then(|mut reader| images_from(&mut reader)).map_err(|error| error.at_path(path))
}

/// Reads a file of labels, `u8 [N]`.
///
/// # Errors
/// As [`read_images`].
pub(super) fn read_labels(path: &Path) -> Result<Vec<u8>> {
    open(path).and_then(|mut reader| labels_from(&mut reader)).map_err(|error| error.at_path(path))
}

/// The file's bytes, decompressed where they begin as a gzip stream does: names are not trusted either.
fn open(path: &Path) -> Result<Box<dyn Read>> {
    let cannot_open = |source: io::Error| Error::data("cannot read the file").because(source);
    let file = File::open(path).map_err(cannot_open)?;
    let packed = file.metadata().map_err(cannot_open)?.len();
    let mut file = BufReader::with_capacity(1 << 16, file);
    let is_gzip = file.fill_buf().map_err(cannot_open)?.starts_with(&GZIP_MAGIC);
    Ok(if is_gzip { Box::new(BoundedReader::unpacking(MultiGzDecoder::new(file), packed)) } else { Box::new(file) })
}

fn images_from(reader: &mut dyn Read) -> Result<IdxImages> {
    let magic = read_u32(reader)?;
    let [count, height, width] = match magic {
        MAGIC_IMAGES | MAGIC_IMAGES_WITH_CHANNELS => [read_size(reader)?, read_size(reader)?, read_size(reader)?],
        _ => return Err(wrong_magic("0x00000803 (images N, H, W) or 0x00000804 (images N, H, W, C)", magic)),
    };
    let channels = if magic == MAGIC_IMAGES { 1 } else { read_size(reader)? };
    let shape = ImageShape { height, width, channels };
    let expected = num_pixel_bytes(count, shape)?;
    Ok(IdxImages { count, shape, pixels: read_body(reader, expected)? })
}

fn labels_from(reader: &mut dyn Read) -> Result<Vec<u8>> {
    match read_u32(reader)? {
        MAGIC_LABELS => {}
        magic => return Err(wrong_magic("0x00000801 (labels N)", magic)),
    }
    let count = read_size(reader)?;
    check_count(count)?;
    read_body(reader, count)
}

/// N·H·W·C, where all four are believable.
fn num_pixel_bytes(count: usize, shape: ImageShape) -> Result<usize> {
    check_count(count)?;
    for (side, size) in [("height", shape.height), ("width", shape.width)] {
        if !(1..=MAX_SIDE_PX).contains(&size) {
            return Err(Error::data(format!("the images' {side} is out of range"))
                .expected(format!("1 to {MAX_SIDE_PX} pixels"))
                .got(size));
        }
    }
    if ![1, 3].contains(&shape.channels) {
        return Err(Error::data("the number of channels is out of range")
            .expected("1 (grey) or 3 (red, green and blue)")
            .got(shape.channels));
    }
    let num_bytes = shape.num_bytes().and_then(|bytes| bytes.checked_mul(count));
    num_bytes.filter(|&bytes| bytes <= MAX_BYTES).ok_or_else(|| {
        Error::data("the images do not fit in memory")
            .expected(format!("at most {MAX_BYTES} bytes of pixels"))
            .got(format!("{count} images of {shape}"))
    })
}

fn check_count(count: usize) -> Result<()> {
    match count {
        0 => Err(Error::data("the file is empty").expected("at least one image").got("none")),
        1..=MAX_IMAGES => Ok(()),
        _ => Err(Error::data("the number of images is out of range").expected(format!("1 to {MAX_IMAGES}")).got(count)),
    }
}

fn wrong_magic(expected: &str, magic: u32) -> Error {
    let meaning = match magic {
        MAGIC_LABELS => " (labels)",
        MAGIC_IMAGES | MAGIC_IMAGES_WITH_CHANNELS => " (images)",
        0x0802..=0x08ff => " (unsigned bytes, but another number of dimensions)",
        0x0900..=0x0eff => " (IDX, but not of unsigned bytes)",
        _ => " (not an IDX file)",
    };
    Error::data("wrong magic number").expected(expected).got(format!("{magic:#010x}{meaning}")).at("byte 0")
}

fn read_size(reader: &mut dyn Read) -> Result<usize> {
    Ok(read_u32(reader)? as usize)
}

fn read_u32(reader: &mut dyn Read) -> Result<u32> {
    let mut bytes = [0; 4];
    reader.read_exact(&mut bytes).map_err(|source| cannot_read("the header", source))?;
    Ok(u32::from_be_bytes(bytes))
}

/// All that follows the header, which must be `expected` bytes.
///
/// Memory is taken as bytes come, and no more from one byte past `expected` on: a lying header or a small file that decompresses to a
/// huge one costs nothing.
fn read_body(reader: &mut dyn Read, expected: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    bounded::reserve(&mut bytes, expected as u64 + 1);
    let read = reader.take(expected as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|source| cannot_read(&format!("byte {} of {expected} after the header", bytes.len()), source))?;
    if bytes.len() != expected {
        let came = if bytes.len() > expected { "more".to_string() } else { bytes.len().to_string() };
        return Err(Error::data("the header and the size do not agree")
            .expected(format!("{expected} bytes after the header"))
            .got(came)
            .help("get the file again: it is damaged or cut off"));
    }
    bytes.shrink_to_fit();
    Ok(bytes)
}

fn cannot_read(place: &str, source: io::Error) -> Error {
    let what = match source.kind() {
        io::ErrorKind::UnexpectedEof => "the file ends too early",
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => "the gzip stream is damaged",
        _ => "cannot read the file",
    };
    Error::data(what).at(place).help("get the file again").because(source)
}

#[cfg(test)]
mod tests;
