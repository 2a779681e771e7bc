//! Text in a picture: Noto Sans Mono from the `noto-sans-mono-bitmap` crate, for Latin letters.

use image::{Rgb, RgbImage};
use noto_sans_mono_bitmap::{FontWeight, RasterHeight, RasterizedChar, get_raster};

/// How text looks. Every letter of a style has the same width.
#[derive(Debug, Clone, Copy)]
pub struct TextStyle {
    /// Regular or bold.
    pub weight: FontWeight,
    /// The height of a line, in pixels.
    pub height: RasterHeight,
    /// The letters' colour.
    pub colour: Rgb<u8>,
}

impl TextStyle {
    /// The height of a line, in pixels.
    pub fn height_px(self) -> u32 {
        self.height.val() as u32
    }

    /// The width of `text` on one line, in pixels.
    pub fn width_px(self, text: &str) -> u32 {
        text.chars().count() as u32 * self.letter('?').width() as u32
    }

    /// Draws `text` on one line whose upper left corner is `(left, top)`; what lies outside the canvas is left out.
    pub fn draw(self, canvas: &mut RgbImage, left: u32, top: u32, text: &str) {
        let mut left = left;
        for letter in text.chars().map(|c| self.letter(c)) {
            for (y, row) in (top..).zip(letter.rows()) {
                for (x, &opacity) in (left..).zip(row) {
                    if let Some(pixel) = canvas.get_pixel_mut_checked(x, y) {
                        *pixel = self.blend(*pixel, opacity);
                    }
                }
            }
            left += letter.width() as u32;
        }
    }

    /// The letter's raster; a question mark's where the font has no such letter.
    fn letter(self, c: char) -> RasterizedChar {
        let known = get_raster(c, self.weight, self.height).or_else(|| get_raster('?', self.weight, self.height));
        known.expect("the font has all of ASCII")
    }

    fn blend(self, below: Rgb<u8>, opacity: u8) -> Rgb<u8> {
        let opacity = u32::from(opacity);
        let mix = |ink: u8, paper: u8| (u32::from(ink) * opacity + u32::from(paper) * (255 - opacity) + 127) / 255;
        Rgb([0, 1, 2].map(|channel| mix(self.colour[channel], below[channel]) as u8))
    }
}

/// `text`, or its beginning and "..." where it has more than `max_chars` letters.
pub fn shorten(text: &str, max_chars: usize) -> String {
    if text.chars().count() <= max_chars {
        return text.to_owned();
    }
    let start: String = text.chars().take(max_chars.saturating_sub(3)).collect();
    format!("{}...", start.trim_end())
}

#[cfg(test)]
mod tests;
