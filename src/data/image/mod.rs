//! Image files, decoded and resized: the one decoder that every command uses.
//!
//! The pixels are those of Pillow, and so of Keras's `load_img`: colours become grey as in `convert("L")`, an alpha channel
//! is dropped as in `convert("RGB")`, and then the image is resized as in `resize(size, BILINEAR)`, to within 1 of 255. JPEG
//! comes from libjpeg, which is Pillow's decoder, too; `scripts/fixtures/odd_images.py` and `tests/it/odd_images.rs` compare
//! files of every kind, whole and damaged. Two things differ on purpose: the EXIF orientation is applied (Pillow's
//! `ImageOps.exif_transpose`), and 16-bit samples are scaled to 8 bits instead of cut.

mod formats;
mod gif;
mod guard;
mod jpeg;
mod left_out;
mod limits;
mod list;
mod resize;
mod tiff;

use std::fs::{self, File};
use std::io;
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat};

pub(super) use left_out::LeftOut;
use limits::check_size;
pub(super) use limits::{MAX_FILE_BYTES, describe_start, file_too_large};
pub(super) use list::EXTENSIONS;
pub use list::{Listing, is_image_name, list_folder, list_images};
pub use resize::{Preprocessing, Resize};

use super::ImageShape;
use crate::error::{Error, Result};
use crate::files::bounded::read_up_to;
use crate::native;

/// The image in the file `path` as `u8 [H, W, C]`, row-major, prepared as `preparation` says.
///
/// Reads PNG, JPEG, BMP, GIF, WebP, TIFF and PNM (the first frame or page), known by their content, whatever the file's name.
///
/// # Errors
/// A data error where the file cannot be read, is no such image, is damaged, cut short or too large, where its decoder
/// panics, and where the wanted shape has neither 1 nor 3 channels.
pub fn decode(path: &Path, preparation: impl Into<Preprocessing>) -> Result<Vec<u8>> {
    let decoded = read(path).and_then(|bytes| decode_bytes(&bytes, preparation));
    decoded.map_err(|error| error.at_path(path))
}

/// As [`decode`], of a file's bytes.
///
/// # Errors
/// As [`decode`].
pub fn decode_bytes(bytes: &[u8], preparation: impl Into<Preprocessing>) -> Result<Vec<u8>> {
    let preparation = preparation.into();
    preparation.check()?;
    guard::caught(|| {
        let image = decode_upright(bytes)?;
        let (width, height) = (image.width() as usize, image.height() as usize);
        let (channels, pixels) = match image.color().has_color() {
            true => (3, image.into_rgb8().into_raw()),
            false => (1, image.into_luma8().into_raw()),
        };
        preparation.apply(pixels, ImageShape { height, width, channels })
    })
}

/// What an image file's beginning tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageHeader {
    /// The kind of file.
    pub format: ImageFormat,
    /// H, W (as the image is meant to be looked at) and C: 1 where it has no colour, else 3.
    pub shape: ImageShape,
}

/// Reads no more than it must of an image file's bytes, which may be its beginning alone.
///
/// # Errors
/// A data error where they are no image, or too few to tell.
pub fn header(bytes: &[u8]) -> Result<ImageHeader> {
    guard::caught(|| {
        let format = formats::format_of(bytes)?;
        let ((width, height), has_color, orientation) = match format {
            ImageFormat::Jpeg => {
                let head = jpeg_head(bytes)?;
                ((head.frame.width.into(), head.frame.height.into()), head.frame.channels > 1, head.orientation)
            }
            _ => {
                let mut decoder = formats::decoder(bytes, format)?;
                let orientation = formats::orientation(&mut decoder, bytes, format)?;
                (decoder.dimensions(), decoder.color_type().has_color(), orientation)
            }
        };
        // the four that turn it by 90 degrees
        let is_turned = (5..=8).contains(&orientation.to_exif());
        let (width, height) = if is_turned { (height, width) } else { (width, height) };
        let channels = if has_color { 3 } else { 1 };
        Ok(ImageHeader { format, shape: ImageShape { height: height as usize, width: width as usize, channels } })
    })
}

/// The file's bytes, where it is a file and of a size that an image can have.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    let unreadable = |error: io::Error| Error::data("cannot read the image").because(error);
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        let got = if metadata.is_dir() { "a folder" } else { "a device, pipe or socket" };
        return Err(Error::data("this is no image").expected("a file").got(got));
    }
    let bytes = File::open(path).and_then(|file| read_up_to(file, MAX_FILE_BYTES)).map_err(unreadable)?;
    bytes.ok_or_else(|| file_too_large().got(metadata.len()))
}

/// The image as it is meant to be looked at, in its own size and colours.
fn decode_upright(bytes: &[u8]) -> Result<DynamicImage> {
    let (mut image, orientation): (_, Orientation) = match formats::format_of(bytes)? {
        ImageFormat::Jpeg => {
            let head = jpeg_head(bytes)?;
            (jpeg::decode(bytes, head.frame)?, head.orientation)
        }
        format => formats::decode(bytes, format)?,
    };
    image.apply_orientation(orientation);
    Ok(image)
}

fn jpeg_head(bytes: &[u8]) -> Result<jpeg::JpegHeader> {
    let head = jpeg::head(bytes)?;
    let native::jpeg::Frame { width, height, channels } = head.frame;
    check_size(width.into(), height.into(), u64::from(width) * u64::from(height) * u64::from(channels))?;
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/images");
    const SHAPE: ImageShape = ImageShape { height: 9, width: 13, channels: 3 };

    /// Expected values: Pillow 13.0.0, by scripts/fixtures/images.py.
    #[test]
    fn every_kind_of_file_gives_pillows_pixels() {
        let expected = fs::read_to_string(Path::new(FIXTURES).join("expected.txt")).unwrap();
        for line in expected.lines() {
            let [name, width, height, channels, hex] = *line.split(' ').collect::<Vec<_>>() else { panic!("{line}") };
            let [width, height, channels] = [width, height, channels].map(|number| number.parse().unwrap());
            let pixels = decode(&Path::new(FIXTURES).join(name), ImageShape { height, width, channels }).unwrap();
            let expected = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap());
            let upright = (width, height) == (13, 9) || name.starts_with("orientation_");
            let tolerance = u8::from(!upright);
            assert_eq!(pixels.len(), hex.len() / 2, "{name}");
            let worst = pixels.iter().zip(expected).map(|(pixel, expected)| pixel.abs_diff(expected)).max();
            assert!(worst <= Some(tolerance), "{name} {width}×{height}×{channels}: {worst:?} off");
        }
        assert_eq!(expected.lines().count(), 2 * (30 + 4));
    }

    #[test]
    fn an_image_that_is_cut_short_is_an_error_wherever_it_is_cut() {
        for path in list_images(Path::new(FIXTURES)).unwrap() {
            let (bytes, pixels) = (fs::read(&path).unwrap(), decode(&path, SHAPE).unwrap());
            for length in (0..bytes.len()).rev().step_by(13) {
                // what lies behind the first frame's pixels may be missing
                if let Ok(rest) = decode_bytes(&bytes[..length], SHAPE) {
                    assert_eq!(rest, pixels, "{} cut to {length} bytes", path.display());
                }
            }
            assert!(decode_bytes(&bytes[..bytes.len() / 2], SHAPE).is_err(), "{}", path.display());
        }
    }

    fn message_for(bytes: &[u8]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image.png");
        fs::write(&path, bytes).unwrap();
        let error = decode(&path, SHAPE).unwrap_err();
        assert_eq!(error.exit_code(), 3);
        let message = error.to_string();
        assert!(message.contains("image.png"), "{message}");
        message
    }

    #[test]
    fn a_file_that_is_no_image_is_told_by_what_it_begins_with() {
        assert!(message_for(b"").contains("got an empty file"));
        assert!(message_for(b"<!DOCTYPE html><html>").contains(r#"got text: "<!DOCTYPE html><""#));
        assert!(message_for(b"\x1f\x8b\x08\0").contains("got bytes 1f 8b 08 00"));
        assert!(message_for(b"\x76\x2f\x31\x01").contains("OpenExr image cannot be read"));
    }

    #[test]
    fn headers_that_lie_about_the_size_are_refused_before_any_memory_is_taken() {
        let mut png = fs::read(Path::new(FIXTURES).join("rgb.png")).unwrap();
        png[16..24].copy_from_slice(&[0, 0, 0x7f, 0xff, 0, 0, 0x7f, 0xff]);
        let mut sum = flate2::Crc::new();
        sum.update(&png[12..29]);
        png[29..33].copy_from_slice(&sum.sum().to_be_bytes());
        assert!(message_for(&png).contains("got 32767×32767 pixels"));
        let mut bmp = fs::read(Path::new(FIXTURES).join("rgb.bmp")).unwrap();
        bmp[18..26].copy_from_slice(&[0xff, 0x7f, 0, 0, 0xff, 0x7f, 0, 0]);
        assert!(message_for(&bmp).contains("got 32767×32767 pixels"));
        let mut gif = fs::read(Path::new(FIXTURES).join("palette.gif")).unwrap();
        gif[6..10].copy_from_slice(&[0xff; 4]);
        assert!(message_for(&gif).contains("got 65535×65535 pixels"));
        // a segment that is longer than the file
        assert!(message_for(b"\xff\xd8\xff\xe0\xff\xff\xff\xd9").contains("cut short"));
    }

    #[test]
    fn what_is_no_readable_file_or_no_possible_shape_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let (image, huge) = (Path::new(FIXTURES).join("rgb.png"), folder.path().join("huge.png"));
        File::create(&huge).unwrap().set_len(MAX_FILE_BYTES + 1).unwrap();
        let refused = |path: &Path, shape| decode(path, shape).unwrap_err().to_string();
        assert!(refused(folder.path(), SHAPE).contains("got a folder"));
        assert!(refused(&folder.path().join("none.png"), SHAPE).contains("cannot read the image"));
        assert!(refused(&huge, SHAPE).contains("file is too large"));
        assert!(refused(&image, ImageShape { channels: 2, ..SHAPE }).contains("1 or 3 channels"));
        assert!(refused(&image, ImageShape { width: 0, ..SHAPE }).contains("got 0"));
        assert!(refused(&image, ImageShape { height: 1 << 40, ..SHAPE }).contains("cannot have that size"));
    }
}
