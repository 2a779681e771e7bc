//! A picture of images beside one another, each with words below it.

use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};
use noto_sans_mono_bitmap::{FontWeight, RasterHeight};

use super::ImageShape;
use super::font::{TextStyle, shorten};
use crate::error::{Error, Result};

const PAPER: Rgb<u8> = Rgb([255, 255, 255]);
const INK: Rgb<u8> = Rgb([27, 27, 27]);
const MUTED: Rgb<u8> = Rgb([89, 89, 89]);
const TITLE: TextStyle = TextStyle { weight: FontWeight::Bold, height: RasterHeight::Size24, colour: INK };
const FIRST: TextStyle = TextStyle { weight: FontWeight::Bold, height: RasterHeight::Size16, colour: INK };
const OTHERS: TextStyle = TextStyle { weight: FontWeight::Regular, height: RasterHeight::Size16, colour: MUTED };
/// The longer side of an image on the sheet, in pixels.
const SIDE_PX: u32 = 144;
const MARGIN_PX: u32 = 20;
const GAP_PX: u32 = 14;
const COLUMNS: usize = 6;
/// A sheet has at most so many images: no side is above 12,000 pixels.
pub const MAX_TILES: usize = 300;
/// The longest title, in letters: what is above the narrowest sheet.
const MAX_TITLE_CHARS: usize = 70;
/// Letters of a line that fit below an image.
const MAX_LINE_CHARS: usize = 18;

/// An image with the words below it.
#[derive(Debug, Clone)]
pub struct Tile {
    /// `u8 [H, W, C]`.
    pub pixels: Vec<u8>,
    /// The lines below; the first one is bold.
    pub lines: Vec<String>,
}

/// A sheet of `tiles`, whose images are of `shape`, below a `title`; the first [`MAX_TILES`] where there are more.
///
/// # Errors
/// A data error where images have neither 1 nor 3 channels, or another size than `shape` says.
pub fn contact_sheet(shape: ImageShape, tiles: &[Tile], title: &str) -> Result<RgbImage> {
    if ![1, 3].contains(&shape.channels) {
        return Err(Error::data("images of 1 or 3 channels can be shown").got(shape));
    }
    let tiles = &tiles[..tiles.len().min(MAX_TILES)];
    let title = shorten(title, MAX_TITLE_CHARS);
    let size = tile_size(shape);
    let num_lines = tiles.iter().map(|tile| tile.lines.len() as u32).max().unwrap_or(0);
    let cell = [SIDE_PX.max(OTHERS.width_px(&"m".repeat(MAX_LINE_CHARS))), size.1 + 4 + num_lines * OTHERS.height_px()];
    let columns = COLUMNS.min(tiles.len().max(1)) as u32;
    let rows = tiles.len().div_ceil(COLUMNS) as u32;
    let top = MARGIN_PX + TITLE.height_px() + GAP_PX;
    let width = (columns * (cell[0] + GAP_PX) - GAP_PX).max(TITLE.width_px(&title)) + 2 * MARGIN_PX;
    let mut canvas = RgbImage::from_pixel(width, top + rows * (cell[1] + GAP_PX) + MARGIN_PX, PAPER);
    TITLE.draw(&mut canvas, MARGIN_PX, MARGIN_PX, &title);
    for (number, tile) in (0..).zip(tiles) {
        let left = MARGIN_PX + number % columns * (cell[0] + GAP_PX);
        let tile_top = top + number / columns * (cell[1] + GAP_PX);
        let picture = scaled(shape, &tile.pixels, size)?;
        imageops::replace(&mut canvas, &picture, i64::from(left), i64::from(tile_top));
        for (line_number, line) in (0..).zip(&tile.lines) {
            let style = if line_number == 0 { FIRST } else { OTHERS };
            let line_top = tile_top + size.1 + 4 + line_number * OTHERS.height_px();
            style.draw(&mut canvas, left, line_top, &shorten(line, MAX_LINE_CHARS));
        }
    }
    Ok(canvas)
}

/// Width and height of an image on the sheet: small ones keep their pixels' edges.
fn tile_size(shape: ImageShape) -> (u32, u32) {
    let longer = shape.width.max(shape.height).max(1) as f64;
    let factor = f64::from(SIDE_PX) / longer;
    let factor = if factor >= 1.0 { factor.floor() } else { factor };
    let side = |length: usize| ((length as f64 * factor).round() as u32).max(1);
    (side(shape.width), side(shape.height))
}

fn scaled(shape: ImageShape, pixels: &[u8], (width, height): (u32, u32)) -> Result<RgbImage> {
    let rgb = match shape.channels {
        1 => pixels.iter().flat_map(|&grey| [grey; 3]).collect(),
        _ => pixels.to_vec(),
    };
    let image = RgbImage::from_raw(shape.width as u32, shape.height as u32, rgb)
        .filter(|_| shape.num_bytes() == Some(pixels.len()))
        .ok_or_else(|| Error::data("an image has another size than the others").expected(shape).got(pixels.len()))?;
    let filter = if width >= image.width() { FilterType::Nearest } else { FilterType::Triangle };
    Ok(imageops::resize(&image, width, height, filter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sheet_has_a_place_for_each_image() {
        for (shape, count) in [((28, 28, 1), 50), ((500, 300, 3), 7), ((1, 1, 3), 1), ((28, 28, 1), 0)] {
            let shape = ImageShape { height: shape.0, width: shape.1, channels: shape.2 };
            let pixels = vec![200; shape.num_bytes().unwrap()];
            let lines = vec!["Ankle boot".to_owned(), "a name that is longer than the picture is wide".to_owned()];
            let sheet = contact_sheet(shape, &vec![Tile { pixels, lines }; count], "mistakes").unwrap();
            assert!(sheet.width() < 1_200 && sheet.height() < 2_500, "{}x{}", sheet.width(), sheet.height());
        }
    }

    #[test]
    fn images_that_cannot_be_shown_are_refused() {
        let shape = ImageShape { height: 2, width: 2, channels: 4 };
        assert!(contact_sheet(shape, &[], "t").is_err());
        let shape = ImageShape { height: 2, width: 2, channels: 1 };
        assert!(contact_sheet(shape, &[Tile { pixels: vec![0; 5], lines: Vec::new() }], "t").is_err());
    }
}
