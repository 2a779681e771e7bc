//! A contact sheet: single images in rows, with a few words below each.

use image::{Rgb, RgbImage, imageops};
use noto_sans_mono_bitmap::{FontWeight, RasterHeight};

use super::ImageShape;
use super::font::{TextStyle, shorten};
use super::grid::{GAP_PX, MARGIN_PX, MAX_TITLE_CHARS, NAME, NOTE, PAPER, TITLE, draw_tile, tile_size};
use crate::error::{Error, Result};

/// The colour of what is wrong: Okabe's and Ito's vermilion, darkened so that small letters can be read.
const WRONG: TextStyle =
    TextStyle { weight: FontWeight::Regular, height: RasterHeight::Size16, colour: Rgb([176, 62, 0]) };
/// Between two rows.
const ROW_GAP_PX: u32 = 12;
/// The most tiles of a sheet.
pub const MAX_TILES: usize = 400;
/// The longest line below an image, in letters.
const MAX_LINE_CHARS: usize = 24;

/// What a sheet shows.
pub struct Sheet {
    /// At the top.
    pub title: String,
    /// Below it.
    pub note: String,
    /// Images in a row.
    pub columns: usize,
    /// What the second line below an image says; the first is bold, the others faint.
    pub second: SecondLine,
    /// The images.
    pub tiles: Vec<Tile>,
}

/// What the second line below an image says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecondLine {
    /// What the image was taken for, and is not.
    Wrong,
    /// Anything else.
    Note,
}

impl SecondLine {
    /// The looks of the line with this number.
    fn style(self, number: usize) -> TextStyle {
        match (number, self) {
            (0, _) => NAME,
            (1, SecondLine::Wrong) => WRONG,
            (_, SecondLine::Wrong | SecondLine::Note) => NOTE,
        }
    }
}

/// An image of a sheet.
pub struct Tile {
    /// `u8 [H, W, C]`.
    pub pixels: Vec<u8>,
    /// What stands below it.
    pub lines: Vec<String>,
}

/// The picture of `sheet`, whose images have `shape`.
///
/// # Errors
/// A data error where the images have neither 1 nor 3 channels or not as many pixels as `shape` says, a configuration error where
/// there are too many.
pub fn contact_sheet(shape: ImageShape, sheet: &Sheet) -> Result<RgbImage> {
    check(shape, sheet)?;
    let (width, height) = tile_size(shape);
    let text_px = |tile: &Tile| tile.lines.iter().map(|line| NAME.width_px(&shorten(line, MAX_LINE_CHARS))).max();
    let column_px = sheet.tiles.iter().filter_map(text_px).max().unwrap_or(0).max(width) + 3 * GAP_PX;
    let num_lines = sheet.tiles.iter().map(|tile| tile.lines.len()).max().unwrap_or(0);
    let row_px = height + num_lines as u32 * NOTE.height_px() + ROW_GAP_PX;
    let columns = sheet.columns.min(sheet.tiles.len()).max(1) as u32;
    let num_rows = (sheet.tiles.len() as u32).div_ceil(columns);
    let title = shorten(&sheet.title, MAX_TITLE_CHARS);
    let rows_top = MARGIN_PX + TITLE.height_px() + NOTE.height_px() + ROW_GAP_PX;
    let inner_px = (columns * column_px).max(TITLE.width_px(&title)).max(NOTE.width_px(&sheet.note));
    let mut canvas = RgbImage::from_pixel(2 * MARGIN_PX + inner_px, rows_top + num_rows * row_px + MARGIN_PX, PAPER);
    TITLE.draw(&mut canvas, MARGIN_PX, MARGIN_PX, &title);
    NOTE.draw(&mut canvas, MARGIN_PX, MARGIN_PX + TITLE.height_px(), &sheet.note);
    for (tile, number) in sheet.tiles.iter().zip(0..) {
        let place = [MARGIN_PX + number % columns * column_px, rows_top + number / columns * row_px];
        draw(&mut canvas, shape, tile, sheet.second, place);
    }
    Ok(canvas)
}

fn check(shape: ImageShape, sheet: &Sheet) -> Result<()> {
    if ![1, 3].contains(&shape.channels) {
        return Err(Error::data("images of 1 or 3 channels can be shown").got(shape));
    }
    if sheet.tiles.len() > MAX_TILES || sheet.columns == 0 {
        return Err(Error::config("a sheet cannot show that many images").expected(MAX_TILES).got(sheet.tiles.len()));
    }
    match sheet.tiles.iter().find(|tile| Some(tile.pixels.len()) != shape.num_bytes()) {
        Some(tile) => {
            let got = format!("{} bytes", tile.pixels.len());
            Err(Error::data("an image has another size").expected(shape).got(got))
        }
        None => Ok(()),
    }
}

/// Draws a tile whose upper left corner is at `left` and `top`.
fn draw(canvas: &mut RgbImage, shape: ImageShape, tile: &Tile, second: SecondLine, [left, mut top]: [u32; 2]) {
    let size = tile_size(shape);
    imageops::replace(canvas, &draw_tile(shape, &tile.pixels, size), i64::from(left), i64::from(top));
    top += size.1;
    for (number, line) in tile.lines.iter().enumerate() {
        second.style(number).draw(canvas, left, top, &shorten(line, MAX_LINE_CHARS));
        top += NOTE.height_px();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet(num_tiles: usize) -> Sheet {
        let tile =
            |number: usize| Tile { pixels: vec![number as u8; 12], lines: ["a", "b", "c"].map(str::to_owned).to_vec() };
        Sheet {
            title: "t".into(),
            note: "n".into(),
            columns: 3,
            second: SecondLine::Wrong,
            tiles: (0..num_tiles).map(tile).collect(),
        }
    }

    #[test]
    fn tiles_lie_in_rows() {
        let shape = ImageShape { height: 2, width: 2, channels: 3 };
        let [one, three, four] = [1, 3, 4].map(|count| contact_sheet(shape, &sheet(count)).unwrap());
        assert!(one.width() < three.width() && one.height() == three.height());
        assert!(four.width() == three.width() && four.height() > three.height());
        assert!(three.pixels().any(|pixel| pixel.0 == [2, 2, 2]));
    }

    #[test]
    fn what_cannot_be_shown_is_refused() {
        let shape = ImageShape { height: 2, width: 2, channels: 3 };
        assert!(contact_sheet(ImageShape { channels: 4, ..shape }, &sheet(1)).is_err());
        assert!(contact_sheet(ImageShape { height: 3, ..shape }, &sheet(1)).is_err());
        assert!(contact_sheet(shape, &sheet(MAX_TILES + 1)).is_err());
        assert!(contact_sheet(shape, &Sheet { columns: 0, ..sheet(1) }).is_err());
    }
}
