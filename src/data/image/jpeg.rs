//! JPEG files: what their headers tell, and their pixels as Pillow has them.

use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, RgbImage};

use crate::error::{Error, Result};
use crate::native::jpeg::{self, Frame};

/// What stands before a JPEG's first scan.
#[derive(Debug, PartialEq)]
pub(super) struct JpegHeader {
    pub frame: Frame,
    pub orientation: Orientation,
}

/// Reads the segments up to the frame header (ITU-T T.81, B.1 and B.2.2).
///
/// # Errors
/// A data error where there is none, or one of a kind that is not read.
pub(super) fn head(bytes: &[u8]) -> Result<JpegHeader> {
    let mut orientation = None;
    let mut at = 2;
    while let Some(&[first, marker]) = bytes.get(at..).and_then(|rest| rest.first_chunk()) {
        match (first, marker) {
            (0xff, 0xff) => at += 1,
            // markers without a segment
            (0xff, 0x00 | 0x01 | 0xd0..=0xd8) => at += 2,
            // the pixels, or the end
            (0xff, 0xd9 | 0xda) => return Err(Error::data("the Jpeg image is damaged: it has no frame header")),
            (0xff, _) => {
                let body = segment(bytes, at).ok_or_else(|| Error::data("the Jpeg image is cut short"))?;
                match marker {
                    0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                        let orientation = orientation.unwrap_or(Orientation::NoTransforms);
                        return Ok(JpegHeader { frame: frame(marker, body)?, orientation });
                    }
                    0xe1 if orientation.is_none() => {
                        orientation = body.strip_prefix(b"Exif\0\0").and_then(Orientation::from_exif_chunk);
                    }
                    _ => {}
                }
                at += 4 + body.len();
            }
            // what is no marker is passed over, as in libjpeg
            _ => at += 1,
        }
    }
    Err(Error::data("the Jpeg image is cut short"))
}

/// The segment of the marker at `at`, behind its length.
fn segment(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let length = usize::from(u16::from_be_bytes(*bytes.get(at + 2..)?.first_chunk()?));
    bytes.get(at + 4..at + 2 + length.max(2))
}

fn frame(marker: u8, body: &[u8]) -> Result<Frame> {
    let &[precision, y1, y2, x1, x2, channels] =
        body.first_chunk().ok_or_else(|| Error::data("the Jpeg image is damaged: its frame header is too short"))?;
    let unread = |expected: &str, got: String| {
        let help = "convert it to PNG, or to a usual JPEG";
        Err(Error::data("this kind of Jpeg image cannot be read").expected(expected).got(got).help(help))
    };
    if !matches!(marker, 0xc0..=0xc2 | 0xc9 | 0xca) {
        return unread("baseline, extended or progressive coding", "a lossless or hierarchical one".to_owned());
    }
    if precision != 8 {
        return unread("8 bits for each sample", precision.to_string());
    }
    if ![1, 3, 4].contains(&channels) {
        return unread("1, 3 or 4 components", channels.to_string());
    }
    let (width, height) = (u16::from_be_bytes([x1, x2]), u16::from_be_bytes([y1, y2]));
    if width == 0 || height == 0 {
        return unread("a size in the frame header", format!("{width}×{height} pixels"));
    }
    Ok(Frame { width, height, channels })
}

/// The image in so many eighths of its size, not yet turned upright.
///
/// # Errors
/// A data error where it is damaged, cut short, or of a kind that libjpeg does not read.
pub(super) fn decode(bytes: &[u8], frame: Frame, eighths: u8) -> Result<DynamicImage> {
    let damaged = |sentence: String| Error::data("the Jpeg image cannot be decoded").because(sentence);
    let pixels = jpeg::decode(bytes, frame, eighths).map_err(damaged)?;
    let (width, height) = frame.size_in_eighths(eighths);
    let of_size = "as many pixels as its size says";
    Ok(match frame.channels {
        1 => GrayImage::from_raw(width, height, pixels).expect(of_size).into(),
        3 => RgbImage::from_raw(width, height, pixels).expect(of_size).into(),
        _ => RgbImage::from_raw(width, height, rgb_of_inverted(&pixels)).expect(of_size).into(),
    })
}

/// CMYK as Adobe's programs put it into JPEG files, where 0 is full ink: Pillow takes every CMYK file for such a one. The
/// colours are those of its `convert("RGB")`.
fn rgb_of_inverted(pixels: &[u8]) -> Vec<u8> {
    let colours = pixels.as_chunks::<4>().0.iter();
    colours
        .flat_map(|&[cyan, magenta, yellow, black]| [cyan, magenta, yellow].map(|ink| lit(255 - ink, black)))
        .collect()
}

/// What light `white` (255 − black) leaves of `ink`, rounded as in Pillow.
fn lit(ink: u8, white: u8) -> u8 {
    let product = u32::from(ink) * u32::from(white) + 128;
    white.saturating_sub((((product >> 8) + product) >> 8) as u8)
}

#[cfg(test)]
mod tests;
