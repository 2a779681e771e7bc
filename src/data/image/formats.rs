//! Every format but JPEG, as the `image` crate decodes it.

use std::io::Cursor;

use image::error::ImageError;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader};

use super::limits::{check_size, describe_start, too_large, unread};
use super::{gif, tiff};
use crate::error::{Error, Result};

/// The kind of image that `bytes` are, told by how they begin.
///
/// # Errors
/// A data error where they are none that is read.
pub(super) fn format_of(bytes: &[u8]) -> Result<ImageFormat> {
    use ImageFormat::{Bmp, Gif, Jpeg, Png, Pnm, Tiff, WebP};
    match image::guess_format(bytes) {
        Ok(format @ (Png | Jpeg | Bmp | Gif | WebP | Tiff)) => Ok(format),
        // P1 to P6; P7 is PAM, which Pillow does not read
        Ok(Pnm) if !bytes.starts_with(b"P7") => Ok(Pnm),
        Ok(format) => Err(unread(format)),
        Err(_) => {
            let expected = "PNG, JPEG, BMP, GIF, WebP, TIFF or PNM";
            Err(Error::data("this is no image").expected(expected).got(describe_start(bytes)))
        }
    }
}

/// The first frame or page, and how it must be turned.
///
/// # Errors
/// A data error where it is damaged, cut short, too large, or of a kind that is not read.
pub(super) fn decode(bytes: &[u8], format: ImageFormat) -> Result<(DynamicImage, Orientation)> {
    let mut decoder = decoder(bytes, format)?;
    let damaged = |error| explain(&error, format);
    if format == ImageFormat::WebP && !has_webp_end(bytes) {
        return Err(Error::data("the WebP image is cut short"));
    }
    let orientation = orientation(&mut decoder, bytes, format)?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(damaged)?;
    if format == ImageFormat::Gif {
        gif::paint_margin(bytes, &mut image);
    }
    Ok((image, orientation))
}

/// A decoder for `bytes` that has read the header and found its size bearable.
///
/// # Errors
/// As [`decode`].
pub(super) fn decoder(bytes: &[u8], format: ImageFormat) -> Result<impl ImageDecoder + '_> {
    if format == ImageFormat::Tiff {
        tiff::check(bytes)?;
    }
    let reader = ImageReader::with_format(Cursor::new(bytes), format);
    let decoder = reader.into_decoder().map_err(|error| explain(&error, format))?;
    let (width, height) = decoder.dimensions();
    check_size(width, height, decoder.total_bytes())?;
    Ok(decoder)
}

/// How the image must be turned.
///
/// # Errors
/// A data error where the file is damaged there.
pub(super) fn orientation(decoder: &mut impl ImageDecoder, bytes: &[u8], format: ImageFormat) -> Result<Orientation> {
    let own = if format == ImageFormat::WebP { webp_orientation(bytes) } else { None };
    own.map_or_else(|| decoder.orientation().map_err(|error| explain(&error, format)), Ok)
}

/// What a WebP's EXIF chunk says (RFC 9649, 2.7.1.5): the decoder overlooks it in animations.
fn webp_orientation(bytes: &[u8]) -> Option<Orientation> {
    let mut rest = bytes.get(12..)?;
    loop {
        let (&name, behind) = rest.split_first_chunk::<4>()?;
        let (&length, behind) = behind.split_first_chunk::<4>()?;
        let length = u32::from_le_bytes(length) as usize;
        if &name == b"EXIF" {
            let chunk = behind.get(..length)?;
            return Orientation::from_exif_chunk(chunk.strip_prefix(b"Exif\0\0").unwrap_or(chunk));
        }
        rest = behind.get(length.checked_next_multiple_of(2)?..)?;
    }
}

/// Whether the file's end is there: its decoder makes up pixels for what is missing, and Pillow refuses such a file. The size
/// behind "RIFF" counts what follows it (RFC 9649, 2.4).
fn has_webp_end(bytes: &[u8]) -> bool {
    match bytes.get(4..).and_then(|rest| rest.first_chunk()) {
        Some(&size) => bytes.len() as u64 >= 8 + u64::from(u32::from_le_bytes(size)),
        None => false,
    }
}

/// What is wrong, with the decoder's innermost reason: the errors around it say the same once more.
pub(super) fn explain(error: &ImageError, format: ImageFormat) -> Error {
    let explained = match error {
        ImageError::Limits(_) => too_large(),
        ImageError::Unsupported(_) => unread(format),
        _ => Error::data(format!("the {format:?} image is damaged or cut short")),
    };
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    explained.because(innermost.to_string().lines().collect::<Vec<_>>().join(" "))
}
