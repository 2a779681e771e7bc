//! PNG of an SVG.

use std::sync::{Arc, LazyLock};

use image::RgbImage;
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb::Database};

use super::svg::{BOLD, REGULAR};
use crate::error::{Error, Result};

/// The widest and highest picture, in pixels.
const MAX_SIDE_PX: u32 = 16_384;

/// The fonts that drawings use.
static FONTS: LazyLock<Arc<Database>> = LazyLock::new(|| Arc::new(own_fonts()));
/// Those and the system's, which takes longer: for names of classes in other scripts, where the system has a font for them.
static ALL_FONTS: LazyLock<Arc<Database>> = LazyLock::new(|| {
    let mut fonts = own_fonts();
    fonts.load_system_fonts();
    Arc::new(fonts)
});

fn own_fonts() -> Database {
    let mut fonts = Database::new();
    fonts.load_font_data(REGULAR.to_vec());
    fonts.load_font_data(BOLD.to_vec());
    fonts.set_sans_serif_family("DejaVu Sans");
    fonts
}

/// Whether our own fonts have `c`: they go to Cyrillic, and have punctuation, arrows and signs.
fn is_own(c: char) -> bool {
    (c as u32) < 0x460 || ('\u{2000}'..'\u{2800}').contains(&c)
}

/// The picture of `svg`, `scale` times as large as it says, or as large as a picture may be, on white.
///
/// # Errors
/// An internal error where it is no SVG, a configuration error where it is larger than a picture may be.
pub fn rasterize(svg: &str, scale: f32) -> Result<RgbImage> {
    let fonts = if svg.chars().all(is_own) { &FONTS } else { &ALL_FONTS };
    let options = Options { fontdb: Arc::clone(fonts), ..Options::default() };
    let tree = Tree::from_str(svg, &options).map_err(|error| Error::internal("cannot draw").because(error))?;
    let longer = tree.size().width().max(tree.size().height());
    let scale = scale.min(MAX_SIDE_PX as f32 / longer);
    if scale < 1.0 {
        return Err(Error::config("the drawing is too large to be read in a picture of pixels")
            .expected(format!("at most {MAX_SIDE_PX} pixels on a side"))
            .got(longer)
            .help("write it as .svg"));
    }
    let side = |length: f32| ((length * scale).ceil() as u32).clamp(1, MAX_SIDE_PX);
    let (width, height) = (side(tree.size().width()), side(tree.size().height()));
    let mut canvas = Pixmap::new(width, height).ok_or_else(|| Error::internal("the drawing is too large"))?;
    canvas.fill(resvg::tiny_skia::Color::WHITE);
    resvg::render(&tree, Transform::from_scale(scale, scale), &mut canvas.as_mut());
    // on white, each pixel is opaque
    let rgb = canvas.data().chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
    Ok(RgbImage::from_raw(width, height, rgb).expect("three bytes for each pixel"))
}

/// [`rasterize`], as the bytes of a PNG file.
///
/// # Errors
/// As [`rasterize`].
pub fn png_bytes(svg: &str, scale: f32) -> Result<Vec<u8>> {
    let mut png = std::io::Cursor::new(Vec::new());
    let written = rasterize(svg, scale)?.write_to(&mut png, image::ImageFormat::Png);
    written.map_err(|error| Error::internal("cannot make a PNG").because(error))?;
    Ok(png.into_inner())
}
