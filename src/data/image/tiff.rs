//! Kinds of TIFF that are refused by name, as their pixels would not be those of Pillow.

use std::io::Cursor;

use image::ImageFormat;
use tiff::decoder::Decoder;
use tiff::tags::Tag;

use super::limits::unread;
use crate::error::{Error, Result};

/// Values of tags (TIFF 6.0).
const WHITE_IS_ZERO: u64 = 0;
const PLANAR: u64 = 2;
const MULTIPLIED_ALPHA: u64 = 1;
const JPEGS: [u64; 2] = [6, 7];

/// Looks at the first page's tags.
///
/// # Errors
/// A data error where it is of a kind that is not read, or its pixels are nowhere.
pub(super) fn check(bytes: &[u8]) -> Result<()> {
    // a file that this cannot open is one that the image crate, which opens it by the same means, explains
    let Ok(mut decoder) = Decoder::new(Cursor::new(bytes)) else { return Ok(()) };
    let mut first = |tag| decoder.get_tag_u64_vec(tag).ok().and_then(|values| values.first().copied());
    let is = |kind: &str| Err(unread(ImageFormat::Tiff).got(kind));
    if first(Tag::Compression).is_some_and(|compression| JPEGS.contains(&compression)) {
        return is("one that is compressed as JPEG");
    }
    if first(Tag::PlanarConfiguration) == Some(PLANAR) && first(Tag::Predictor).is_some_and(|predictor| predictor > 1) {
        return is("one with a predictor in separate planes");
    }
    let is_negative = first(Tag::PhotometricInterpretation) == Some(WHITE_IS_ZERO);
    if is_negative && (first(Tag::BitsPerSample) == Some(16) || first(Tag::PlanarConfiguration) == Some(PLANAR)) {
        return is("16 bits of grey, or a plane of its own, of which 0 is white");
    }
    if first(Tag::ExtraSamples) == Some(MULTIPLIED_ALPHA) {
        return is("colours that are multiplied by their alpha");
    }
    if first(Tag::SamplesPerPixel).is_some_and(|samples| samples > 4) {
        return is("more than 4 samples for each pixel");
    }
    for tag in [Tag::StripOffsets, Tag::StripByteCounts, Tag::TileOffsets, Tag::TileByteCounts] {
        if decoder.get_tag_u64_vec(tag).is_ok_and(|values| values.contains(&0)) {
            return Err(Error::data("the Tiff image is damaged: a part of its pixels is nowhere"));
        }
    }
    Ok(())
}
