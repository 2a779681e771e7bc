//! What lies around a GIF's first frame where that is smaller than the picture.

use image::DynamicImage;

/// The first frame: left, top, width and height, in pixels; and the colour around it.
#[derive(Debug, PartialEq)]
struct Margin {
    frame: [u32; 4],
    colour: [u8; 3],
}

/// Paints what lies around the first frame as Pillow does: in the colour of the palette's transparent entry, else its first.
pub(super) fn paint_margin(bytes: &[u8], image: &mut DynamicImage) {
    let Some(Margin { frame: [left, top, width, height], colour }) = margin(bytes) else { return };
    let DynamicImage::ImageRgba8(image) = image else { return };
    if [left, top, width, height] == [0, 0, image.width(), image.height()] {
        return;
    }
    let is_within = |at: u32, start: u32, length: u32| at >= start && at - start < length;
    for (x, y, pixel) in image.enumerate_pixels_mut() {
        if !is_within(x, left, width) || !is_within(y, top, height) {
            pixel.0[..3].copy_from_slice(&colour);
        }
    }
}

/// Reads the blocks up to the first frame (GIF89a specification, 17 to 23).
fn margin(bytes: &[u8]) -> Option<Margin> {
    let word = |at: usize| Some(u32::from(u16::from_le_bytes([*bytes.get(at)?, *bytes.get(at + 1)?])));
    // where a palette that a packed field tells of ends
    let palette_end = |at: usize, packed: u8| if packed & 0x80 == 0 { at } else { at + 3 * (2 << (packed & 7)) };
    let mut at = palette_end(13, *bytes.get(10)?);
    let mut palette = bytes.get(13..at)?;
    let mut index = 0;
    while bytes.get(at)? == &0x21 {
        // a graphic control extension: its size, flags, delay (2 bytes), transparent entry
        if bytes.get(at + 1)? == &0xf9 && bytes.get(at + 3)? & 1 == 1 {
            index = usize::from(*bytes.get(at + 6)?);
        }
        at += 2;
        while let size @ 1.. = *bytes.get(at)? {
            at += 1 + usize::from(size);
        }
        at += 1;
    }
    if bytes.get(at)? != &0x2c {
        return None;
    }
    let frame = [word(at + 1)?, word(at + 3)?, word(at + 5)?, word(at + 7)?];
    let own = bytes.get(at + 10..palette_end(at + 10, *bytes.get(at + 9)?))?;
    palette = if own.is_empty() { palette } else { own };
    Some(Margin { frame, colour: palette.as_chunks::<3>().0.get(index).copied().unwrap_or_default() })
}

#[cfg(test)]
mod tests;
