//! What all forms are written with: folders, PNG files, and a look at what is there already.

use std::fs;
use std::io;
use std::path::Path;

use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};

use crate::data::{ImageShape, Split};
use crate::error::{Error, Result};

/// That the data set cannot be written to `path`.
pub(super) fn cannot_write(path: &Path) -> impl Fn(io::Error) -> Error {
    move |error| Error::config("cannot write the data set").at_path(path).because(error)
}

/// Makes a folder and those above it.
pub(super) fn make_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(cannot_write(path))
}

/// Images of another data set beside those that are written would become part of it.
pub(super) fn check_no_images_there(folder: &Path) -> Result<()> {
    for split in fs::read_dir(folder).into_iter().flatten() {
        let split = split.map_err(cannot_write(folder))?;
        let is_split = split.file_name().to_str().and_then(Split::from_name).is_some();
        if is_split && fs::read_dir(split.path()).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(Error::config("there are images already where the data set is to be written")
                .expected("a new or an empty folder")
                .at_path(&split.path())
                .help("remove the folder, or choose another"));
        }
    }
    Ok(())
}

/// `pixels`: `u8 [H, W, C]`, as a PNG file.
pub(super) fn encode_png(pixels: &[u8], shape: ImageShape) -> Result<Vec<u8>> {
    let colour = if shape.channels == 1 { ExtendedColorType::L8 } else { ExtendedColorType::Rgb8 };
    let mut png = Vec::new();
    let written = PngEncoder::new(&mut png).write_image(pixels, shape.width as u32, shape.height as u32, colour);
    written.map_err(|error| Error::internal("cannot make a PNG").because(error))?;
    Ok(png)
}

/// Files of another data set whose names have this `ending` would become part of what is written to `folder`.
pub(super) fn check_none_there(folder: &Path, ending: &str) -> Result<()> {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.map_err(cannot_write(folder))?.path();
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(ending)) {
            return Err(Error::config(format!(
                "there are .{ending} files already where the data set is to be written"
            ))
            .expected("a new or an empty folder")
            .at_path(&path)
            .help("remove them, or choose another folder"));
        }
    }
    Ok(())
}
