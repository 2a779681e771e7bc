//! A contact sheet: images in rows, each with a few lines of text below it, as PNG.

use image::{RgbImage, imageops};

use super::ImageShape;
use super::font::shorten;
use super::grid::{self, GAP_PX, LABEL_GAP_PX, MARGIN_PX, MAX_TITLE_CHARS, NAME, NOTE, PAPER, TITLE};
use crate::error::{Error, Result};

/// The most images on a sheet: so that no side is above 12,000 pixels.
pub const MAX_TILES: usize = 200;
/// Images in a row.
const COLUMNS: usize = 10;
/// The longest line below an image, in letters.
const MAX_LINE_CHARS: usize = 18;

/// An image of a sheet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    /// `u8 [H, W, C]`.
    pub pixels: Vec<u8>,
    /// What stands below it: the first line bold, the others faint; all tiles have as many.
    pub lines: Vec<String>,
}

/// A sheet with `title`, a line of `note` below it, and `tiles` of `shape` in rows of ten.
///
/// # Errors
/// A configuration error for no tile or more than [`MAX_TILES`]; a data error where images have neither 1 nor 3 channels, or not
/// `shape`.
pub fn contact_sheet(title: &str, note: &str, shape: ImageShape, tiles: &[Tile]) -> Result<RgbImage> {
    check(shape, tiles)?;
    let heading = [shorten(title, MAX_TITLE_CHARS), note.to_owned()];
    let layout = SheetLayout::new(shape, tiles, &heading);
    let mut canvas = RgbImage::from_pixel(layout.width_px, layout.height_px, PAPER);
    grid::draw_heading(&mut canvas, &heading);
    for (place, tile) in tiles.iter().enumerate() {
        draw_tile(&mut canvas, &layout, shape, place, tile);
    }
    Ok(canvas)
}

fn check(shape: ImageShape, tiles: &[Tile]) -> Result<()> {
    if !(1..=MAX_TILES).contains(&tiles.len()) {
        let error = Error::config("a sheet cannot show that many images");
        return Err(error.expected(format!("1 to {MAX_TILES}")).got(tiles.len()));
    }
    if ![1, 3].contains(&shape.channels) {
        return Err(Error::data("images of 1 or 3 channels can be shown").got(shape));
    }
    match tiles.iter().find(|tile| Some(tile.pixels.len()) != shape.num_bytes()) {
        None => Ok(()),
        Some(tile) => {
            let error = Error::data("the images of a sheet have one shape").expected(format!("{shape} bytes"));
            Err(error.got(tile.pixels.len()))
        }
    }
}

/// Where things are, in pixels.
struct SheetLayout {
    image: (u32, u32),
    column_px: u32,
    row_px: u32,
    top_px: u32,
    width_px: u32,
    height_px: u32,
}

impl SheetLayout {
    fn new(shape: ImageShape, tiles: &[Tile], heading: &[String; 2]) -> Self {
        let image = grid::tile_size(shape);
        let line_px = |tile: &Tile| tile.lines.iter().map(|line| NAME.width_px(&shorten(line, MAX_LINE_CHARS))).max();
        let text_px = tiles.iter().filter_map(line_px).max().unwrap_or(0);
        let num_lines = tiles.iter().map(|tile| tile.lines.len()).max().unwrap_or(0) as u32;
        let column_px = image.0.max(text_px) + LABEL_GAP_PX;
        let row_px = image.1 + GAP_PX + num_lines * NOTE.height_px() + LABEL_GAP_PX;
        let top_px = MARGIN_PX + TITLE.height_px() + NOTE.height_px() + LABEL_GAP_PX;
        let heading_px = TITLE.width_px(&heading[0]).max(NOTE.width_px(&heading[1]));
        let columns = tiles.len().min(COLUMNS) as u32;
        SheetLayout {
            image,
            column_px,
            row_px,
            top_px,
            width_px: (columns * column_px - LABEL_GAP_PX).max(heading_px) + 2 * MARGIN_PX,
            height_px: top_px + tiles.len().div_ceil(COLUMNS) as u32 * row_px - LABEL_GAP_PX + MARGIN_PX,
        }
    }
}

fn draw_tile(canvas: &mut RgbImage, layout: &SheetLayout, shape: ImageShape, place: usize, tile: &Tile) {
    let left = MARGIN_PX + (place % COLUMNS) as u32 * layout.column_px;
    let top = layout.top_px + (place / COLUMNS) as u32 * layout.row_px;
    let picture = grid::draw_tile(shape, &tile.pixels, layout.image);
    imageops::replace(canvas, &picture, i64::from(left), i64::from(top));
    let text_top = top + layout.image.1 + GAP_PX;
    for (number, line) in (0..).zip(&tile.lines) {
        let style = if number == 0 { NAME } else { NOTE };
        style.draw(canvas, left, text_top + number * NOTE.height_px(), &shorten(line, MAX_LINE_CHARS));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tile(value: u8) -> Tile {
        Tile { pixels: vec![value; 4], lines: vec!["cat".into(), "-> dog".into()] }
    }

    const SHAPE: ImageShape = ImageShape { height: 2, width: 2, channels: 1 };

    #[test]
    fn eleven_images_take_two_rows() {
        let sheet = |count: usize| contact_sheet("title", "note", SHAPE, &vec![tile(200); count]).unwrap();
        let [one, ten, eleven] = [1, 10, 11].map(|count| sheet(count).dimensions());
        assert!(ten.0 > one.0 && ten.1 == one.1, "{one:?} {ten:?}");
        assert!(eleven.0 == ten.0 && eleven.1 > ten.1, "{ten:?} {eleven:?}");
        let picture = sheet(11);
        let reds = picture.pixels().filter(|pixel| pixel.0 == [200; 3]).count();
        assert_eq!(reds, 11 * 96 * 96, "every image is enlarged to 96 pixels");
    }

    #[test]
    fn what_no_sheet_can_show_is_an_error() {
        for (tiles, shape) in [
            (vec![], SHAPE),
            (vec![tile(0); MAX_TILES + 1], SHAPE),
            (vec![tile(0)], ImageShape { channels: 2, ..SHAPE }),
            (vec![tile(0)], ImageShape { height: 3, ..SHAPE }),
        ] {
            contact_sheet("", "", shape, &tiles).unwrap_err();
        }
    }
}
