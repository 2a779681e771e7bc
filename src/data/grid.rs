//! A picture of a data set: a few images of each class, with the classes' names, as PNG.

use std::io::Cursor;
use std::path::Path;

use image::imageops::{self, FilterType};
use image::{ImageFormat, Rgb, RgbImage};
use noto_sans_mono_bitmap::{FontWeight, RasterHeight};

use super::font::{TextStyle, shorten};
use super::statistics::mean_images;
use super::{ImageShape, Samples, size_text};
use crate::error::{Error, Result};
use crate::files::write_output;
use crate::rng::{self, Stream};

pub(super) const PAPER: Rgb<u8> = Rgb([250, 250, 248]);
const INK: Rgb<u8> = Rgb([32, 33, 36]);
const FAINT_INK: Rgb<u8> = Rgb([110, 113, 118]);
pub(super) const TITLE: TextStyle = TextStyle { weight: FontWeight::Bold, height: RasterHeight::Size24, colour: INK };
pub(super) const NAME: TextStyle = TextStyle { weight: FontWeight::Bold, height: RasterHeight::Size16, colour: INK };
pub(super) const NOTE: TextStyle =
    TextStyle { weight: FontWeight::Regular, height: RasterHeight::Size16, colour: FAINT_INK };

/// Small images are scaled up by the largest whole factor that keeps them within this many pixels.
const ENLARGED_PX: u32 = 96;
/// Larger images than this many pixels are scaled down to it.
const REDUCED_PX: u32 = 128;
/// The longest class name that is printed whole, in letters.
const MAX_NAME_CHARS: usize = 24;
/// The most classes, and the most images of a class, that one picture shows: so that no side is above 12,000 pixels.
const MAX_SHOWN: usize = 80;
/// The longest title that is printed whole, in letters.
pub(super) const MAX_TITLE_CHARS: usize = 60;
pub(super) const MARGIN_PX: u32 = 24;
pub(super) const GAP_PX: u32 = 4;
pub(super) const LABEL_GAP_PX: u32 = 20;

/// What a sample grid shows.
#[derive(Debug, Clone)]
pub struct GridConfig {
    /// Printed at the top: the data set's name.
    pub title: String,
    /// Chooses the images.
    pub seed: u64,
    /// Images of each class, at most: 1 to 80.
    pub images_per_class: usize,
    /// Classes, at most: 1 to 80. Where there are more, the first ones are shown, and the picture says so.
    pub max_classes: usize,
}

impl Default for GridConfig {
    fn default() -> Self {
        GridConfig { title: String::new(), seed: 0, images_per_class: 10, max_classes: 20 }
    }
}

/// A picture with a row for each class: its name, its number of images, and some of them, chosen by chance.
///
/// `classes`: the K names, in label order.
///
/// # Errors
/// A configuration error where `config` is out of range; a data error where the images have neither 1 nor 3 channels or
/// cannot be read, or a label has no name.
pub fn sample_grid(samples: &Samples, classes: &[String], config: &GridConfig) -> Result<RgbImage> {
    changed_grid(samples, classes, config, |_, pixels| pixels)
}

/// [`sample_grid`] with each image as `change` makes it, from its number in `samples` and its pixels `u8 [H, W, C]`.
///
/// # Errors
/// As [`sample_grid`].
pub fn changed_grid(
    samples: &Samples,
    classes: &[String],
    config: &GridConfig,
    change: impl Fn(usize, Vec<u8>) -> Vec<u8>,
) -> Result<RgbImage> {
    check(samples, config)?;
    let rows = choose_rows(samples, classes, config)?;
    let tile = |index: usize| Ok(change(index, samples.image(index)?.into_owned()));
    draw_grid(samples, classes.len(), config, &rows, tile)
}

/// A picture with a row for each class: its name, its number of images, and their mean.
///
/// # Errors
/// As [`sample_grid`].
pub fn mean_grid(samples: &Samples, classes: &[String], config: &GridConfig) -> Result<RgbImage> {
    check(samples, config)?;
    let means = mean_images(samples, classes.len())?; // none of classes without images
    let mut rows = choose_rows(samples, classes, config)?;
    for (row, label) in rows.iter_mut().zip(0..) {
        row.images = means.labels().iter().position(|&other| other == label).into_iter().collect();
    }
    draw_grid(samples, classes.len(), config, &rows, |index| Ok(means.image(index)?.into_owned()))
}

fn check(samples: &Samples, config: &GridConfig) -> Result<()> {
    for (name, count) in [("images of a class", config.images_per_class), ("classes", config.max_classes)] {
        if !(1..=MAX_SHOWN).contains(&count) {
            return Err(Error::config(format!("a picture cannot show that many {name}"))
                .expected(format!("1 to {MAX_SHOWN}"))
                .got(count));
        }
    }
    if ![1, 3].contains(&samples.shape().channels) {
        return Err(Error::data("images of 1 or 3 channels can be shown").got(samples.shape()));
    }
    Ok(())
}

/// `pixels`: the image (`u8 [H, W, C]`) of each number that the rows name.
fn draw_grid(
    samples: &Samples,
    num_classes: usize,
    config: &GridConfig,
    rows: &[ClassRow],
    pixels: impl Fn(usize) -> Result<Vec<u8>>,
) -> Result<RgbImage> {
    let heading = [shorten(&config.title, MAX_TITLE_CHARS), describe(samples, num_classes, rows.len())];
    let layout = GridLayout::new(samples.shape(), rows, &heading);
    let mut canvas = RgbImage::from_pixel(layout.width_px, layout.height_px, PAPER);
    draw_heading(&mut canvas, &heading);
    for (row, top) in rows.iter().zip((layout.rows_top_px..).step_by(layout.row_step_px as usize)) {
        draw_row(&mut canvas, &layout, row, top, samples.shape(), &pixels)?;
    }
    Ok(canvas)
}

/// Writes the picture as PNG; the file appears whole or not at all.
///
/// # Errors
/// A configuration error where the file cannot be written, or is called as another kind of file.
pub fn write_png(path: &Path, picture: &RgbImage) -> Result<()> {
    check_png(path)?;
    let png = png_bytes(picture)?;
    let written = write_output(path, |writer| writer.write_all(&png));
    written.map_err(|error| Error::config("cannot write the picture").at_path(path).because(error))
}

/// Refuses a name of another kind of file: before what takes long.
///
/// # Errors
/// A configuration error.
pub fn check_png(path: &Path) -> Result<()> {
    match path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("png")) {
        true => Ok(()),
        false => {
            Err(Error::config("the picture is a PNG").expected("a file name that ends in .png").got(path.display()))
        }
    }
}

/// The picture as PNG.
///
/// # Errors
/// An internal error where it cannot be encoded.
pub fn png_bytes(picture: &RgbImage) -> Result<Vec<u8>> {
    let mut png = Cursor::new(Vec::new());
    let encoded = picture.write_to(&mut png, ImageFormat::Png);
    encoded.map_err(|error| Error::internal("cannot make a PNG").because(error))?;
    Ok(png.into_inner())
}

/// One class of the picture.
struct ClassRow {
    name: String,
    note: String,
    images: Vec<usize>,
}

fn choose_rows(samples: &Samples, classes: &[String], config: &GridConfig) -> Result<Vec<ClassRow>> {
    let mut of_class = vec![Vec::new(); classes.len()];
    for (index, &label) in samples.labels().iter().enumerate() {
        let nameless = || Error::data(format!("label {label} has no name")).got(format!("{} names", classes.len()));
        usize::try_from(label).ok().and_then(|label| of_class.get_mut(label)).ok_or_else(nameless)?.push(index);
    }
    let mut random = rng::generator(config.seed, Stream::Show);
    let row = |(name, mut images): (&String, Vec<usize>)| {
        let note = count_of(images.len(), "image", "images");
        rng::shuffle(&mut random, &mut images);
        images.truncate(config.images_per_class);
        ClassRow { name: shorten(name, MAX_NAME_CHARS), note, images }
    };
    Ok(classes.iter().zip(of_class).take(config.max_classes).map(row).collect())
}

/// The line below the title.
fn describe(samples: &Samples, num_classes: usize, num_shown: usize) -> String {
    let images = count_of(samples.len(), "image", "images");
    let classes = count_of(num_classes, "class", "classes");
    let classes = if num_shown < num_classes { format!("{num_shown} of {classes} shown") } else { classes };
    let ImageShape { height, width, .. } = samples.shape();
    format!("{images} · {} · {classes}", size_text(width, height))
}

/// `60,000 images`, `1 class`.
fn count_of(count: usize, one: &str, many: &str) -> String {
    let digits = count.to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().filter_map(|group| str::from_utf8(group).ok()).collect();
    format!("{} {}", groups.join(","), if count == 1 { one } else { many })
}

/// Where things are, in pixels.
struct GridLayout {
    tile: (u32, u32),
    tiles_left_px: u32,
    rows_top_px: u32,
    row_step_px: u32,
    row_px: u32,
    width_px: u32,
    height_px: u32,
}

impl GridLayout {
    fn new(shape: ImageShape, rows: &[ClassRow], heading: &[String; 2]) -> Self {
        let tile = tile_size(shape);
        let label_px = rows.iter().map(|row| NAME.width_px(&row.name).max(NOTE.width_px(&row.note))).max().unwrap_or(0);
        let num_tiles = rows.iter().map(|row| row.images.len() as u32).max().unwrap_or(0);
        let tiles_left_px = MARGIN_PX + label_px + LABEL_GAP_PX;
        let tiles_px = (num_tiles * (tile.0 + GAP_PX)).saturating_sub(GAP_PX);
        let heading_px = TITLE.width_px(&heading[0]).max(NOTE.width_px(&heading[1]));
        let rows_top_px = MARGIN_PX + TITLE.height_px() + NOTE.height_px() + LABEL_GAP_PX;
        let row_px = tile.1.max(NAME.height_px() + NOTE.height_px());
        let row_step_px = row_px + GAP_PX;
        let height_px = rows_top_px + rows.len() as u32 * row_step_px - GAP_PX + MARGIN_PX;
        let width_px = (tiles_left_px + tiles_px).max(MARGIN_PX + heading_px) + MARGIN_PX;
        GridLayout { tile, tiles_left_px, rows_top_px, row_step_px, row_px, width_px, height_px }
    }
}

/// Width and height of one image in the picture.
pub(super) fn tile_size(shape: ImageShape) -> (u32, u32) {
    let (width, height) = (shape.width as f64, shape.height as f64);
    let longer = width.max(height);
    let factor = match longer {
        small if small <= f64::from(REDUCED_PX) => (f64::from(ENLARGED_PX) / small).floor().max(1.0),
        large => f64::from(REDUCED_PX) / large,
    };
    let scaled = |side: f64| (side * factor).round().max(1.0) as u32;
    (scaled(width), scaled(height))
}

pub(super) fn draw_heading(canvas: &mut RgbImage, [title, description]: &[String; 2]) {
    TITLE.draw(canvas, MARGIN_PX, MARGIN_PX, title);
    NOTE.draw(canvas, MARGIN_PX, MARGIN_PX + TITLE.height_px(), description);
}

fn draw_row(
    canvas: &mut RgbImage,
    layout: &GridLayout,
    row: &ClassRow,
    top: u32,
    shape: ImageShape,
    pixels: &impl Fn(usize) -> Result<Vec<u8>>,
) -> Result<()> {
    let name_top = top + (layout.row_px - NAME.height_px() - NOTE.height_px()) / 2;
    NAME.draw(canvas, MARGIN_PX, name_top, &row.name);
    NOTE.draw(canvas, MARGIN_PX, name_top + NAME.height_px(), &row.note);
    let tile_top = top + (layout.row_px - layout.tile.1) / 2;
    let lefts = (layout.tiles_left_px..).step_by((layout.tile.0 + GAP_PX) as usize);
    for (&index, left) in row.images.iter().zip(lefts) {
        let tile = draw_tile(shape, &pixels(index)?, layout.tile);
        imageops::replace(canvas, &tile, i64::from(left), i64::from(tile_top));
    }
    Ok(())
}

pub(super) fn draw_tile(shape: ImageShape, pixels: &[u8], size: (u32, u32)) -> RgbImage {
    let rgb = match shape.channels {
        1 => pixels.iter().flat_map(|&grey| [grey; 3]).collect(),
        _ => pixels.to_vec(),
    };
    let image =
        RgbImage::from_raw(shape.width as u32, shape.height as u32, rgb).expect("there are 3 bytes for each pixel");
    let filter = if size.0 >= image.width() { FilterType::Nearest } else { FilterType::Triangle };
    imageops::resize(&image, size.0, size.1, filter)
}

#[cfg(test)]
mod tests;
