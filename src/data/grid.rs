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

const PAPER: Rgb<u8> = Rgb([250, 250, 248]);
const INK: Rgb<u8> = Rgb([32, 33, 36]);
const FAINT_INK: Rgb<u8> = Rgb([110, 113, 118]);
const TITLE: TextStyle = TextStyle { weight: FontWeight::Bold, height: RasterHeight::Size24, colour: INK };
const NAME: TextStyle = TextStyle { weight: FontWeight::Bold, height: RasterHeight::Size16, colour: INK };
const NOTE: TextStyle = TextStyle { weight: FontWeight::Regular, height: RasterHeight::Size16, colour: FAINT_INK };

/// Small images are scaled up by the largest whole factor that keeps them within this many pixels.
const ENLARGED_PX: u32 = 96;
/// Larger images than this many pixels are scaled down to it.
const REDUCED_PX: u32 = 128;
/// The longest class name that is printed whole, in letters.
const MAX_NAME_CHARS: usize = 24;
/// The most classes, and the most images of a class, that one picture shows: so that no side is above 12,000 pixels.
const MAX_SHOWN: usize = 80;
/// The longest title that is printed whole, in letters.
const MAX_TITLE_CHARS: usize = 60;
const MARGIN_PX: u32 = 24;
const GAP_PX: u32 = 4;
const LABEL_GAP_PX: u32 = 20;

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
    if !path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("png")) {
        return Err(Error::config("the picture is a PNG")
            .expected("a file name that ends in .png")
            .got(path.display()));
    }
    let png = png_bytes(picture)?;
    let written = write_output(path, |writer| writer.write_all(&png));
    written.map_err(|error| Error::config("cannot write the picture").at_path(path).because(error))
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
fn tile_size(shape: ImageShape) -> (u32, u32) {
    let (width, height) = (shape.width as f64, shape.height as f64);
    let longer = width.max(height);
    let factor = match longer {
        small if small <= f64::from(REDUCED_PX) => (f64::from(ENLARGED_PX) / small).floor().max(1.0),
        large => f64::from(REDUCED_PX) / large,
    };
    let scaled = |side: f64| (side * factor).round().max(1.0) as u32;
    (scaled(width), scaled(height))
}

fn draw_heading(canvas: &mut RgbImage, [title, description]: &[String; 2]) {
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

fn draw_tile(shape: ImageShape, pixels: &[u8], size: (u32, u32)) -> RgbImage {
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
mod tests {
    use super::*;

    const SHAPE: ImageShape = ImageShape { height: 2, width: 3, channels: 3 };

    /// `per_class` images of each of `num_classes` classes, each of one colour that tells its class (red) and number (green).
    fn plain_images(num_classes: usize, per_class: usize) -> (Samples, Vec<String>) {
        let labels: Vec<i64> = (0..num_classes as i64 * per_class as i64).map(|n| n % num_classes as i64).collect();
        let colour = |(n, &label): (usize, &i64)| [label as u8, (n / num_classes) as u8, 99];
        let pixels = labels.iter().enumerate().map(colour).flat_map(|colour| colour.repeat(6)).collect();
        let names = (0..num_classes).map(|class| format!("class number {class} of them all")).collect();
        (Samples::new(SHAPE, pixels, labels, num_classes).unwrap(), names)
    }

    /// The colours of the tiles, row by row, each checked to be one colour from corner to corner.
    fn tiles(picture: &RgbImage, num_rows: u32, num_tiles: u32) -> Vec<Vec<[u8; 3]>> {
        let (width, height) = tile_size(SHAPE);
        let left = picture.width() - MARGIN_PX - num_tiles * (width + GAP_PX) + GAP_PX;
        let top = picture.height() - MARGIN_PX - num_rows * (height + GAP_PX) + GAP_PX;
        let tile = |row: u32, column: u32| {
            let (x, y) = (left + column * (width + GAP_PX), top + row * (height + GAP_PX));
            let colour = picture.get_pixel(x, y).0;
            assert_eq!(picture.get_pixel(x + width - 1, y + height - 1).0, colour);
            assert_eq!(*picture.get_pixel(x - 1, y), PAPER);
            colour
        };
        (0..num_rows).map(|row| (0..num_tiles).map(|column| tile(row, column)).collect()).collect()
    }

    #[test]
    fn every_row_shows_different_images_of_its_class() {
        let (samples, names) = plain_images(4, 9);
        let config = GridConfig { title: "plain".to_owned(), images_per_class: 5, ..GridConfig::default() };
        let picture = sample_grid(&samples, &names, &config).unwrap();
        for (class, row) in tiles(&picture, 4, 5).into_iter().enumerate() {
            assert!(row.iter().all(|colour| colour[0] == class as u8 && colour[2] == 99), "{row:?}");
            let mut numbers: Vec<u8> = row.iter().map(|colour| colour[1]).collect();
            numbers.sort_unstable();
            numbers.dedup();
            assert_eq!(numbers.len(), 5);
        }
        assert_eq!(picture, sample_grid(&samples, &names, &config).unwrap());
        assert_ne!(picture, sample_grid(&samples, &names, &GridConfig { seed: 1, ..config }).unwrap());
    }

    #[test]
    fn nothing_reaches_into_the_margin() {
        let (samples, mut names) = plain_images(3, 1);
        names[1] = "a name that is much too long for the column it stands in".to_owned();
        for title in ["", "a title that is much longer than all of the images together are wide, and then some"] {
            let config = GridConfig { title: title.to_owned(), ..GridConfig::default() };
            let picture = sample_grid(&samples, &names, &config).unwrap();
            let (right, bottom) = (picture.width() - MARGIN_PX, picture.height() - MARGIN_PX);
            let inside = |x: u32, y: u32| (MARGIN_PX..right).contains(&x) && (MARGIN_PX..bottom).contains(&y);
            let stray = picture.enumerate_pixels().find(|&(x, y, &pixel)| pixel != PAPER && !inside(x, y));
            assert_eq!(stray, None);
        }
    }

    #[test]
    fn images_are_enlarged_by_whole_factors_and_reduced_to_fit() {
        let size = |height, width| tile_size(ImageShape { height, width, channels: 1 });
        assert_eq!(size(28, 28), (84, 84));
        assert_eq!(size(32, 32), (96, 96));
        assert_eq!(size(8, 16), (96, 48));
        assert_eq!(size(100, 128), (128, 100));
        assert_eq!(size(224, 224), (128, 128));
        assert_eq!(size(1, 1000), (128, 1));
    }

    #[test]
    fn more_classes_than_fit_are_counted() {
        let (samples, names) = plain_images(25, 50);
        let config = GridConfig { max_classes: 20, images_per_class: 3, ..GridConfig::default() };
        tiles(&sample_grid(&samples, &names, &config).unwrap(), 20, 3);
        assert_eq!(describe(&samples, 25, 20), "1,250 images · 3 wide × 2 high · 20 of 25 classes shown");
        assert_eq!(count_of(1, "class", "classes"), "1 class");
        assert_eq!(count_of(1_000_000, "image", "images"), "1,000,000 images");
    }

    #[test]
    fn a_class_without_images_is_a_row_without_tiles() {
        let (samples, mut names) = plain_images(2, 2);
        names.push("nothing".to_owned());
        let rows = choose_rows(&samples, &names, &GridConfig::default()).unwrap();
        assert_eq!(rows.iter().map(|row| row.images.len()).collect::<Vec<_>>(), [2, 2, 0]);
        assert_eq!(rows[2].note, "0 images");
        sample_grid(&samples, &names, &GridConfig::default()).unwrap();
    }

    #[test]
    fn means_have_a_tile_a_class_and_count_the_images() {
        let (samples, mut names) = plain_images(2, 3); // greens 0, 1, 2
        let config = GridConfig::default();
        assert_eq!(tiles(&mean_grid(&samples, &names, &config).unwrap(), 2, 1), [[[0, 1, 99]], [[1, 1, 99]]]);
        let counts = |config: &GridConfig| choose_rows(&samples, &names, config).unwrap()[1].note.clone();
        assert_eq!(counts(&config), "3 images");
        names.insert(0, "nothing".to_owned());
        let shifted = Samples::new(SHAPE, vec![7; 18], vec![1], 3).unwrap();
        mean_grid(&shifted, &names, &config).unwrap();
    }

    #[test]
    fn what_cannot_be_shown_is_an_error() {
        let (samples, names) = plain_images(2, 1);
        let none = GridConfig { images_per_class: 0, ..GridConfig::default() };
        assert_eq!(sample_grid(&samples, &names, &none).unwrap_err().exit_code(), 2);
        let error = sample_grid(&samples, &names[..1], &GridConfig::default()).unwrap_err();
        assert!(error.to_string().contains("label 1 has no name"), "{error}");
        let two_channels = Samples::new(ImageShape { channels: 2, ..SHAPE }, vec![0; 12], vec![0], 1).unwrap();
        assert_eq!(sample_grid(&two_channels, &names, &GridConfig::default()).unwrap_err().exit_code(), 3);
    }

    #[test]
    fn the_file_holds_the_picture() {
        let (samples, names) = plain_images(2, 1);
        let picture = sample_grid(&samples, &names, &GridConfig::default()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("samples.png");
        write_png(&path, &picture).unwrap();
        assert_eq!(image::open(&path).unwrap().into_rgb8(), picture);
        write_png(&folder.path().join("new/samples.png"), &picture).unwrap();
        for wrong in ["samples.png/samples.png", "samples.jpg", "samples"] {
            assert_eq!(write_png(&folder.path().join(wrong), &picture).unwrap_err().exit_code(), 2, "{wrong}");
        }
    }
}
