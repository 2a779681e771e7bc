//! Drawings as files: SVG with its fonts in it, or PNG.

use std::path::Path;

use convnet::data::grid::write_png;
use convnet::drawing::{embed_fonts, rasterize};
use convnet::error::{Error, Result};
use convnet::files::write_output;

/// A drawing's pixels for each of its units: text stays readable on screens with many pixels.
const SCALE: f32 = 2.0;
/// What a drawing may be.
pub const DRAWINGS: [FileKind; 2] = [FileKind::Svg, FileKind::Png];

/// What a file's extension says it is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A picture of pixels.
    Png,
    /// A drawing that can be enlarged.
    Svg,
    /// A table.
    Csv,
}

impl FileKind {
    fn extension(self) -> &'static str {
        match self {
            FileKind::Png => "png",
            FileKind::Svg => "svg",
            FileKind::Csv => "csv",
        }
    }

    /// What `path`'s extension says, which has to be one of `allowed`.
    ///
    /// # Errors
    /// A configuration error where it is none of them.
    pub fn of(path: &Path, allowed: &[FileKind]) -> Result<Self> {
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        allowed.iter().copied().find(|kind| kind.extension() == extension).ok_or_else(|| {
            let names: Vec<String> = allowed.iter().map(|kind| format!(".{}", kind.extension())).collect();
            Error::config("the file's name does not say what it is to be")
                .expected(names.join(" or "))
                .got(path.display())
        })
    }
}

/// Writes `svg` to `path`, which ends in `.svg` or `.png`; the file appears whole or not at all.
///
/// # Errors
/// A configuration error where it ends otherwise or cannot be written.
pub fn write_drawing(path: &Path, svg: &str) -> Result<()> {
    match FileKind::of(path, &DRAWINGS)? {
        FileKind::Png => write_png(path, &rasterize(svg, SCALE)?),
        FileKind::Svg | FileKind::Csv => {
            let written = write_output(path, |writer| writer.write_all(embed_fonts(svg).as_bytes()));
            written.map_err(|error| Error::config("cannot write the drawing").at_path(path).because(error))
        }
    }
}
