//! The pixels of images, from memory or decoded.

use std::borrow::Cow;

use rayon::prelude::*;

use super::{Images, Samples};
use crate::device::threads;
use crate::error::{ErrorKind, Result};

/// How many images are decoded at once where all are looked at once.
const BLOCK: usize = 1024;

/// What to do about an image that cannot be read.
pub(in crate::data) const UNREADABLE_HELP: &str = "convnet data check finds all such images; `exclude` leaves them out";

impl Samples {
    /// The pixels of image `index`, `u8 [H, W, C]`.
    ///
    /// # Errors
    /// A data error past the end, and where its file cannot be read.
    pub fn image(&self, index: usize) -> Result<Cow<'_, [u8]>> {
        if index >= self.len() {
            return Err(self.past_end(index));
        }
        match &self.images {
            Images::Memory(pixels) => {
                let image_bytes = pixels.len() / self.labels.len();
                Ok(Cow::Borrowed(&pixels[index * image_bytes..(index + 1) * image_bytes]))
            }
            Images::Stored { rows, decoded: Some(decoded), .. } => {
                let row = rows.get(index).ok_or_else(|| self.past_end(index))?;
                decoded.image(row).map(Cow::Owned)
            }
            Images::Stored { preparation, decoded: None, .. } => {
                let mut image = preparation.black()?;
                self.image_into(index, &mut image)?;
                Ok(Cow::Owned(image))
            }
        }
    }

    /// As [`Samples::image`], into `target`, `u8 [H, W, C]`; after an error there is anything in it. What is decoded is written there.
    fn image_into(&self, index: usize, target: &mut [u8]) -> Result<()> {
        let Images::Stored { files, rows, preparation, decoded: None } = &self.images else {
            target.copy_from_slice(&self.image(index)?);
            return Ok(());
        };
        let file = rows.get(index).and_then(|row| files.get(row)).ok_or_else(|| self.past_end(index))?;
        file.decode_into(*preparation, target).map_err(|error| match error.kind() {
            ErrorKind::Data => error.help(UNREADABLE_HELP),
            _ => error,
        })
    }

    /// The pixels of the images at `indices`, in that order: `u8 [B, H, W, C]`. The pool's threads ([`threads`])
    /// decode.
    ///
    /// # Errors
    /// As [`Samples::image`]: the first one's in the order of `indices`.
    pub fn images(&self, indices: &[usize]) -> Result<Vec<u8>> {
        if matches!(self.images, Images::Memory(_)) {
            return self.images_of(indices);
        }
        let image_bytes = self.shape.num_bytes().expect("the shape was checked");
        let mut pixels = vec![0; indices.len() * image_bytes];
        let images = pixels.par_chunks_exact_mut(image_bytes).zip(indices);
        let failed = |(target, &index): (&mut [u8], &usize)| self.image_into(index, target).err();
        match threads::install(|| images.find_map_first(failed))? {
            None => Ok(pixels),
            Some(error) => Err(error),
        }
    }

    /// As [`Samples::images`], on this thread.
    ///
    /// # Errors
    /// As [`Samples::images`].
    pub fn images_of(&self, indices: &[usize]) -> Result<Vec<u8>> {
        let image_bytes = self.shape.num_bytes().expect("the shape was checked");
        let mut pixels = vec![0; indices.len() * image_bytes];
        let mut images = pixels.chunks_exact_mut(image_bytes).zip(indices);
        images.try_for_each(|(target, &index)| self.image_into(index, target))?;
        Ok(pixels)
    }

    /// Calls `visit` with the pixels of all images, in order and in pieces of whole images: `u8 [B, H, W, C]`.
    ///
    /// # Errors
    /// As [`Samples::image`].
    pub fn visit(&self, mut visit: impl FnMut(&[u8])) -> Result<()> {
        if let Some(pixels) = self.pixels() {
            visit(pixels);
            return Ok(());
        }
        (0..self.len()).step_by(BLOCK).try_for_each(|first| {
            let block: Vec<usize> = (first..self.len().min(first + BLOCK)).collect();
            self.images(&block).map(|pixels| visit(&pixels))
        })
    }
}
