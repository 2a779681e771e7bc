//! Brings an image to a data set's or a model's shape, as Pillow does it.

use std::fmt;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use serde::{Deserialize, Serialize};
use strum::{Display, EnumMessage, EnumString, VariantArray};

use super::limits::MAX_SIDE_PX;
use crate::data::ImageShape;
use crate::error::{Error, Result};

/// What becomes of an image whose sides are in another proportion than the wanted ones.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, Display, EnumMessage, EnumString, VariantArray,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Resize {
    /// Its proportion changes: Pillow's `resize`, Keras's default.
    #[default]
    Stretch,
    /// All of it is shown, with black beside or above and below: Pillow's `ImageOps.pad`.
    Fit,
    /// Its middle is shown: Pillow's `ImageOps.fit`, Keras's `crop_to_aspect_ratio`.
    Crop,
}

/// How JPEG files are decoded that are much larger than the wanted images.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, Display, EnumMessage, EnumString, VariantArray,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Decode {
    /// All their pixels, as Pillow does.
    #[default]
    Exact,
    /// To a half, a quarter or an eighth of their size, as long as that is no less than the wanted one: Pillow's `draft`.
    Fast,
}

impl Decode {
    /// Whether it is the default, which files need not name.
    pub fn is_exact(&self) -> bool {
        *self == Decode::Exact
    }
}

/// How images are prepared for a model: the same in training and in prediction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preprocessing {
    /// The wanted shape. C is 1 (grey) or 3 (red, green and blue).
    pub shape: ImageShape,
    /// How an image of another size comes to it.
    pub resize: Resize,
    /// How large JPEG files are decoded.
    pub decode: Decode,
}

impl From<ImageShape> for Preprocessing {
    fn from(shape: ImageShape) -> Self {
        Preprocessing { shape, resize: Resize::default(), decode: Decode::default() }
    }
}

impl Preprocessing {
    /// # Errors
    /// A data error where no image can have the wanted shape, so that no model can ask for one that fills the memory.
    pub fn check(&self) -> Result<()> {
        for side in [self.shape.height, self.shape.width] {
            if !(1..=MAX_SIDE_PX as usize).contains(&side) {
                return Err(Error::data("images cannot have that size")
                    .expected(format!("sides of 1 to {MAX_SIDE_PX} pixels"))
                    .got(side));
            }
        }
        match self.shape.channels {
            1 | 3 => Ok(()),
            _ => Err(Error::data("image files are read as 1 or 3 channels").got(self.shape)),
        }
    }

    /// What tells images that are prepared in this way from others of the same shape, for fingerprints.
    pub(in crate::data) fn key(&self) -> String {
        match self.decode {
            Decode::Exact => self.resize.to_string(),
            Decode::Fast => format!("{} fast", self.resize),
        }
    }

    /// To how many eighths of its `width` and `height` a JPEG is decoded: 1, 2, 4 or 8, as few as leave it no smaller than what is
    /// shown of it.
    pub(super) fn eighths(&self, width: usize, height: usize) -> u8 {
        let is_enough = |eighths: usize| {
            let [wide, high] = [(width, self.shape.width), (height, self.shape.height)]
                .map(|(own, wanted)| own * eighths >= 8 * wanted);
            match self.resize {
                Resize::Stretch | Resize::Crop => wide && high,
                // the other side is filled with black
                Resize::Fit => wide || high,
            }
        };
        match self.decode {
            Decode::Exact => 8,
            Decode::Fast => [1, 2, 4].into_iter().find(|&eighths| is_enough(eighths.into())).unwrap_or(8),
        }
    }

    /// How many bytes a prepared image has; none where no image can have the wanted shape.
    fn num_bytes(&self) -> Result<usize> {
        self.check()?;
        self.shape.num_bytes().ok_or_else(|| Error::data("images cannot have that size").got(self.shape))
    }

    /// An image in the wanted shape, all black.
    ///
    /// # Errors
    /// As [`Preprocessing::check`].
    pub(in crate::data) fn black(&self) -> Result<Vec<u8>> {
        Ok(vec![0; self.num_bytes()?])
    }

    /// Prepares an image of shape `from`, `u8 [H, W, C]` with C 1 or 3.
    ///
    /// # Errors
    /// As [`Preprocessing::check`], and where `from` has another number of channels.
    pub fn apply(&self, pixels: &[u8], from: ImageShape) -> Result<Vec<u8>> {
        let mut prepared = self.black()?;
        self.apply_into(pixels, from, &mut prepared).map(|()| prepared)
    }

    /// As [`Preprocessing::apply`], into `target`, an image of the wanted shape; after an error there is anything in it.
    ///
    /// # Errors
    /// As [`Preprocessing::apply`], and where `target` has another number of bytes.
    pub fn apply_into(&self, pixels: &[u8], from: ImageShape, target: &mut [u8]) -> Result<()> {
        let num_bytes = self.num_bytes()?;
        if target.len() != num_bytes {
            return Err(Error::internal("the prepared image has no such room").expected(num_bytes).got(target.len()));
        }
        if ![1, 3].contains(&from.channels) {
            return Err(Error::data("only images of 1 or 3 channels can be prepared").got(from));
        }
        let channels = self.shape.channels;
        // colour becomes grey before its size changes, as in Pillow; grey becomes colour after, which gives the same bytes in
        // a third of the memory
        match from.channels {
            3 if channels == 1 => self.resize_into(&to_grey(pixels), ImageShape { channels, ..from }, target),
            1 if channels == 3 => {
                let mut grey = vec![0; target.len() / 3];
                self.resize_into(pixels, from, &mut grey)?;
                to_colour(&grey, target);
                Ok(())
            }
            _ => self.resize_into(pixels, from, target),
        }
    }

    /// The image in the wanted size, in its own channels.
    fn resize_into(&self, pixels: &[u8], from: ImageShape, target: &mut [u8]) -> Result<()> {
        let ImageShape { height, width, .. } = self.shape;
        let image = Plain { width: from.width, height: from.height, channels: from.channels, pixels };
        if from.num_bytes() != Some(pixels.len()) {
            return Err(Error::internal("an image has not the bytes of its shape").expected(from).got(pixels.len()));
        }
        if (from.height, from.width) == (height, width) {
            target.copy_from_slice(pixels);
            return Ok(());
        }
        match self.resize {
            Resize::Stretch => image.resize_into(width, height, image.whole(), target),
            Resize::Crop => image.resize_into(width, height, image.middle(width, height), target),
            Resize::Fit => {
                let (inner_width, inner_height) = image.contained(width, height);
                let mut inner = vec![0; inner_width * inner_height * from.channels];
                image.resize_into(inner_width, inner_height, image.whole(), &mut inner)?;
                let shape = ImageShape { channels: from.channels, ..self.shape };
                pad(&inner, (inner_width, inner_height), shape, target);
                Ok(())
            }
        }
    }
}

fn to_grey(pixels: &[u8]) -> Vec<u8> {
    pixels.as_chunks::<3>().0.iter().map(|&colour| luma(colour)).collect()
}

fn to_colour(pixels: &[u8], target: &mut [u8]) {
    target.as_chunks_mut::<3>().0.iter_mut().zip(pixels).for_each(|(colour, &grey)| *colour = [grey; 3]);
}

/// Luma of ITU-R BT.601, 0.299 R + 0.587 G + 0.114 B, in the fixed point of Pillow's `convert("L")`.
fn luma(colour: [u8; 3]) -> u8 {
    let [red, green, blue] = colour.map(u32::from);
    ((red * 19_595 + green * 38_470 + blue * 7_471 + 0x8000) >> 16) as u8
}

/// An image of 1 or 3 channels.
struct Plain<'a> {
    width: usize,
    height: usize,
    channels: usize,
    pixels: &'a [u8],
}

/// Left, top, width and height of a part of an image, in pixels and their fractions.
type Region = [f64; 4];

impl Plain<'_> {
    fn whole(&self) -> Region {
        [0.0, 0.0, self.width as f64, self.height as f64]
    }

    /// The largest part in the middle that has the proportion of `width` to `height`.
    fn middle(&self, width: usize, height: usize) -> Region {
        let (own_width, own_height) = (self.width as f64, self.height as f64);
        let proportion = width as f64 / height as f64;
        let (part_width, part_height) = match own_width / own_height >= proportion {
            true => (proportion * own_height, own_height),
            false => (own_width, own_width / proportion),
        };
        [(own_width - part_width) / 2.0, (own_height - part_height) / 2.0, part_width, part_height]
    }

    /// The largest size of this image's proportion within `width` and `height`.
    fn contained(&self, width: usize, height: usize) -> (usize, usize) {
        let (own_width, own_height) = (self.width as f64, self.height as f64);
        // as Python rounds; a side of less than half a pixel still needs one
        let rounded = |side: f64| (side.round_ties_even() as usize).max(1);
        match own_width / own_height > width as f64 / height as f64 {
            true => (width, rounded(own_height / own_width * width as f64).min(height)),
            false => (rounded(own_width / own_height * height as f64).min(width), height),
        }
    }

    /// `part` of the image at another size: a triangle filter as wide as a new pixel, as Pillow's `BILINEAR`.
    fn resize_into(&self, width: usize, height: usize, part: Region, target: &mut [u8]) -> Result<()> {
        let failed = |error: &dyn fmt::Display| Error::data(format!("cannot resize the image: {error}"));
        let kind = if self.channels == 1 { PixelType::U8 } else { PixelType::U8x3 };
        let source = ImageRef::new(self.width as u32, self.height as u32, self.pixels, kind);
        let source = source.map_err(|error| failed(&error))?;
        let resized = Image::from_slice_u8(width as u32, height as u32, target, kind);
        let mut resized = resized.map_err(|error| failed(&error))?;
        let [left, top, part_width, part_height] = part;
        let options = ResizeOptions::new()
            .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
            .crop(left, top, part_width, part_height)
            .use_alpha(false);
        Resizer::new().resize(&source, &mut resized, &options).map_err(|error| failed(&error))
    }
}

/// Makes `padded`, an image of `shape`, black with `inner` in its middle, which is no larger.
fn pad(inner: &[u8], (inner_width, inner_height): (usize, usize), shape: ImageShape, padded: &mut [u8]) {
    // as Python rounds half a pixel
    let middle = |outer: usize, inner: usize| ((outer - inner) as f64 / 2.0).round_ties_even() as usize;
    let (left, top) = (middle(shape.width, inner_width), middle(shape.height, inner_height));
    padded.fill(0);
    let row_bytes = inner_width * shape.channels;
    for (y, row) in inner.chunks_exact(row_bytes).enumerate() {
        let start = ((top + y) * shape.width + left) * shape.channels;
        padded[start..start + row_bytes].copy_from_slice(row);
    }
}

#[cfg(test)]
mod tests;
