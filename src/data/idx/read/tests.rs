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
    for (magic, meaning) in [(0x0d03, "not of unsigned bytes"), (0x0805, "dimensions"), (0x8950_4e47, "not an IDX")] {
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
