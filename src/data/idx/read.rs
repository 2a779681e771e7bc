//! One IDX file: its header is a claim, checked against the bytes that really come.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use crate::data::ImageShape;
use crate::error::{Error, Result};
use crate::files::bounded::BoundedReader;

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
/// Memory grows as bytes come, and stops growing one byte past `expected`: a lying header or a small file that
/// decompresses to a huge one costs nothing.
fn read_body(reader: &mut dyn Read, expected: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
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
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn idx(magic: u32, sizes: &[u32], body: &[u8]) -> Vec<u8> {
        let header = [magic].iter().chain(sizes).flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
        [&header, body].concat()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read<T>(bytes: &[u8], reader: fn(&Path) -> Result<T>) -> Result<T, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, bytes).unwrap();
        reader(&path).map_err(|error| {
            assert!(error.to_string().contains("/file"), "the error names the file: {error}");
            assert_eq!(error.exit_code(), 3);
            error.to_string()
        })
    }

    fn images_error(bytes: &[u8]) -> String {
        read(bytes, read_images).err().expect("a lie is refused")
    }

    #[test]
    fn plain_and_gzip_read_the_same_whatever_the_name() {
        let body: Vec<u8> = (0..12).collect();
        let plain = idx(MAGIC_IMAGES, &[2, 2, 3], &body);
        for bytes in [plain.clone(), gzip(&plain), [gzip(&plain[..9]), gzip(&plain[9..])].concat()] {
            let images = read(&bytes, read_images).unwrap();
            assert_eq!((images.count, images.pixels), (2, body.clone()));
            assert_eq!(images.shape, ImageShape { height: 2, width: 3, channels: 1 });
        }
        let labels = idx(MAGIC_LABELS, &[3], &[7, 0, 255]);
        assert_eq!(read(&labels, read_labels).unwrap(), [7, 0, 255]);
        assert_eq!(read(&gzip(&labels), read_labels).unwrap(), [7, 0, 255]);
    }

    #[test]
    fn four_dimensions_are_images_with_channels() {
        let images = read(&idx(MAGIC_IMAGES_WITH_CHANNELS, &[1, 1, 2, 3], &[1, 2, 3, 4, 5, 6]), read_images).unwrap();
        assert_eq!(images.shape, ImageShape { height: 1, width: 2, channels: 3 });
        let grey = read(&idx(MAGIC_IMAGES_WITH_CHANNELS, &[2, 1, 1, 1], &[1, 2]), read_images).unwrap();
        assert_eq!(grey.shape.channels, 1);
        for channels in [0, 2, 4, u32::MAX] {
            let error = images_error(&idx(MAGIC_IMAGES_WITH_CHANNELS, &[1, 1, 1, channels], &[0; 4]));
            assert!(error.contains("channels"), "{error}");
        }
    }

    #[test]
    fn magic_numbers_are_told_apart() {
        let labels = idx(MAGIC_LABELS, &[1], &[0]);
        assert!(images_error(&labels).contains("0x00000801 (labels)"));
        let images = idx(MAGIC_IMAGES, &[1, 1, 1], &[0]);
        assert!(read(&images, read_labels).unwrap_err().contains("0x00000803 (images)"));
        for (magic, meaning) in [(0x0d03, "not of unsigned bytes"), (0x0805, "dimensions"), (0x8950_4e47, "not an IDX")]
        {
            let error = images_error(&idx(magic, &[1, 1, 1], &[0]));
            assert!(error.contains(meaning), "{error}");
        }
    }

    #[test]
    fn sizes_out_of_range_are_refused_before_any_byte_is_read() {
        let lies: [([u32; 3], &str); 8] = [
            ([0, 28, 28], "empty"),
            ([100_000_001, 28, 28], "number of images"),
            ([u32::MAX, u32::MAX, u32::MAX], "number of images"),
            ([1, 0, 28], "height"),
            ([1, 28, 0], "width"),
            ([1, 4097, 28], "height"),
            ([1, 28, u32::MAX], "width"),
            ([100_000_000, 4096, 4096], "memory"),
        ];
        for (sizes, part) in lies {
            let error = images_error(&idx(MAGIC_IMAGES, &sizes, &[]));
            assert!(error.contains(part), "{error}");
        }
        assert!(read(&idx(MAGIC_LABELS, &[0], &[]), read_labels).unwrap_err().contains("empty"));
        assert!(read(&idx(MAGIC_LABELS, &[u32::MAX], &[]), read_labels).unwrap_err().contains("number of images"));
    }

    #[test]
    fn a_body_too_short_or_too_long_is_refused() {
        for body in [&[0; 7][..], &[0; 9], &[]] {
            let plain = idx(MAGIC_IMAGES, &[2, 2, 2], body);
            for bytes in [plain.clone(), gzip(&plain)] {
                let error = images_error(&bytes);
                assert!(error.contains("expected 8 bytes after the header"), "{error}");
            }
        }
        for body in [&[0; 2][..], &[0; 4]] {
            let error = read(&idx(MAGIC_LABELS, &[3], body), read_labels).unwrap_err();
            assert!(error.contains("expected 3 bytes"), "{error}");
        }
    }

    #[test]
    fn every_cut_of_a_file_is_an_error() {
        let plain = idx(MAGIC_IMAGES, &[2, 2, 2], &[1, 2, 3, 4, 5, 6, 7, 8]);
        for whole in [plain.clone(), gzip(&plain)] {
            for end in 0..whole.len() {
                images_error(&whole[..end]);
            }
        }
        assert!(images_error(&plain[..6]).contains("ends too early"));
    }

    #[test]
    fn damage_and_trailing_bytes_in_a_gzip_stream_are_errors() {
        let whole = gzip(&idx(MAGIC_IMAGES, &[2, 2, 2], &[1, 2, 3, 4, 5, 6, 7, 8]));
        let mut wrong_checksum = whole.clone();
        wrong_checksum[whole.len() - 8] ^= 1;
        assert!(images_error(&wrong_checksum).contains("gzip stream is damaged"));
        images_error(&[&whole[..], b"tail"].concat());
        assert!(images_error(&[&whole[..], &whole].concat()).contains("got more"));
    }

    /// Counts what is asked of an endless stream of zeros.
    struct Endless {
        header: io::Cursor<Vec<u8>>,
        num_read: usize,
    }

    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let from_header = self.header.read(buffer)?;
            let count = if from_header > 0 { from_header } else { buffer.len() };
            self.num_read += count;
            Ok(count)
        }
    }

    #[test]
    fn a_bomb_is_read_no_further_than_its_header_promises() {
        let header = io::Cursor::new(idx(MAGIC_IMAGES, &[10, 28, 28], &[]));
        let mut bomb = Endless { header, num_read: 0 };
        let error = images_from(&mut bomb).err().expect("it never ends");
        assert!(error.to_string().contains("got more"), "{error}");
        assert_eq!(bomb.num_read, 16 + 10 * 28 * 28 + 1);
    }

    #[test]
    fn a_header_that_promises_gigabytes_is_measured_by_what_comes() {
        let error = images_error(&idx(MAGIC_IMAGES, &[300, 4096, 4096], &[9; 100]));
        assert!(error.contains("expected 5033164800 bytes after the header, got 100"), "{error}");
    }
}
