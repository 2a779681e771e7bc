//! Image files, decoded and resized: the one decoder that every command uses.
//!
//! The pixels are those of Pillow, and so of Keras's `load_img`: colours become grey as in `convert("L")`, an alpha channel
//! is dropped as in `convert("RGB")`, and then the image is resized as in `resize(size, BILINEAR)`, to within 1 of 255. JPEG
//! comes from libjpeg, which is Pillow's decoder, too; `scripts/fixtures/odd_images.py` and `tests/it/odd_images.rs` compare
//! files of every kind, whole and damaged. Two things differ on purpose: the EXIF orientation is applied (Pillow's
//! `ImageOps.exif_transpose`), and 16-bit samples are scaled to 8 bits instead of cut.

mod formats;
mod gif;
pub(in crate::data) mod guard;
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
pub use limits::is_too_large;
pub(super) use limits::{MAX_FILE_BYTES, describe_start, file_too_large};
pub(super) use list::EXTENSIONS;
pub use list::{Listing, is_image_name, list_folder, list_images};
pub use resize::{Decode, Preprocessing, Resize};

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
    let mut pixels = preparation.black()?;
    decode_bytes_into(bytes, preparation, &mut pixels).map(|()| pixels)
}

/// As [`decode_bytes`], into `target`, an image of the wanted shape; after an error there is anything in it.
///
/// # Errors
/// As [`decode_bytes`].
pub fn decode_bytes_into(bytes: &[u8], preparation: Preprocessing, target: &mut [u8]) -> Result<()> {
    preparation.check()?;
    guard::caught(broken, || {
        let image = decode_upright(bytes, &preparation)?;
        let (width, height) = (image.width() as usize, image.height() as usize);
        let (channels, pixels) = match image.color().has_color() {
            true => (3, image.into_rgb8().into_raw()),
            false => (1, image.into_luma8().into_raw()),
        };
        preparation.apply_into(&pixels, ImageShape { height, width, channels }, target)
    })
}

/// Whether `bytes` begin as an image of a kind that is read.
///
/// # Errors
/// A data error where they do not.
pub fn check_kind(bytes: &[u8]) -> Result<()> {
    formats::format_of(bytes).map(|_| ())
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
    guard::caught(broken, || {
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
        let (width, height) = if is_turned(orientation) { (height, width) } else { (width, height) };
        let channels = if has_color { 3 } else { 1 };
        Ok(ImageHeader { format, shape: ImageShape { height: height as usize, width: width as usize, channels } })
    })
}

/// Whether it turns an image by 90 degrees: four of the eight do.
fn is_turned(orientation: Orientation) -> bool {
    (5..=8).contains(&orientation.to_exif())
}

/// That an image's decoder broke down.
fn broken() -> Error {
    Error::data("the image cannot be decoded: its decoder fails on it, so it is damaged or very unusual")
        .help("convert it to PNG, or leave it out")
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

/// The image as it is meant to be looked at, in its own colours, and in its own size where `preparation` says no less.
fn decode_upright(bytes: &[u8], preparation: &Preprocessing) -> Result<DynamicImage> {
    let (mut image, orientation): (_, Orientation) = match formats::format_of(bytes)? {
        ImageFormat::Jpeg => {
            let head = jpeg_head(bytes)?;
            let (width, height) = (head.frame.width.into(), head.frame.height.into());
            let (width, height) = if is_turned(head.orientation) { (height, width) } else { (width, height) };
            (jpeg::decode(bytes, head.frame, preparation.eighths(width, height))?, head.orientation)
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
mod tests;
