//! Images in memory that get another shape.

use rayon::prelude::*;

use super::{Images, Samples, memory_for};
use crate::data::ImageShape;
use crate::data::image::Preprocessing;
use crate::device::threads;
use crate::error::Result;

impl Samples {
    /// The images prepared for another shape. Those that are read from files are prepared already.
    ///
    /// # Errors
    /// A data error where no image can have that shape.
    pub fn prepared(self, preparation: Preprocessing) -> Result<Self> {
        let Images::Memory(pixels) = &self.images else { return Ok(self) };
        if self.shape == preparation.shape {
            return Ok(self);
        }
        preparation.check()?;
        let image_bytes = pixels.len() / self.labels.len();
        let prepared_bytes = preparation.shape.num_bytes().expect("the shape was checked");
        let mut prepared = memory_for(self.len(), preparation.shape)?;
        prepared.resize(self.len() * prepared_bytes, 0);
        let images = prepared.par_chunks_exact_mut(prepared_bytes).zip(pixels.par_chunks_exact(image_bytes));
        let failed = threads::install(|| {
            images.find_map_first(|(target, image)| preparation.apply_into(image, self.shape, target).err())
        })?;
        failed.map_or(Ok(()), Err)?;
        Ok(Samples { shape: preparation.shape, images: Images::Memory(prepared.into()), ..self })
    }

    /// The images in memory with rows and columns exchanged. Those that are read from files stay as they are.
    pub(in crate::data) fn transposed(self) -> Self {
        let Images::Memory(pixels) = &self.images else { return self };
        let ImageShape { height, width, channels } = self.shape;
        let mut turned = Vec::with_capacity(pixels.len());
        for image in pixels.chunks_exact(height * width * channels) {
            for (x, y) in (0..width).flat_map(|x| (0..height).map(move |y| (x, y))) {
                let start = (y * width + x) * channels;
                turned.extend_from_slice(&image[start..start + channels]);
            }
        }
        let shape = ImageShape { height: width, width: height, channels };
        Samples { shape, images: Images::Memory(turned.into()), ..self }
    }
}
