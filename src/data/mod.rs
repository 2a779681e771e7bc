//! Data sets: images as `u8 [N, H, W, C]`, labels as `i64 [N]`, and where they come from.

pub mod augment;
pub mod batches;
pub mod digits;
mod font;
pub mod grid;
pub mod idx;
pub mod image;
pub mod npy;
pub mod registry;
pub mod split;
pub mod statistics;

use std::fmt;

use crate::error::{Error, Result};

/// Height, width and channels of every image of a data set, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct ImageShape {
    /// H, in pixels.
    pub height: usize,
    /// W, in pixels.
    pub width: usize,
    /// C: 1 grey, 3 red, green and blue.
    pub channels: usize,
}

impl ImageShape {
    /// Bytes of one image: H·W·C. `None` where the product does not fit.
    pub fn num_bytes(self) -> Option<usize> {
        self.height.checked_mul(self.width)?.checked_mul(self.channels)
    }
}

impl fmt::Display for ImageShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}×{}×{}", self.height, self.width, self.channels)
    }
}

/// Labelled images of one shape.
///
/// Invariants, checked by [`Samples::new`]: at least one image; as many labels as images; every label in `0..num_classes`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Samples {
    shape: ImageShape,
    pixels: Vec<u8>,
    labels: Vec<i64>,
}

impl Samples {
    /// `pixels`: `u8 [N, H, W, C]`, row-major; `labels`: `i64 [N]`, each in `0..num_classes`.
    ///
    /// # Errors
    /// A data error where an invariant does not hold.
    pub fn new(shape: ImageShape, pixels: Vec<u8>, labels: Vec<i64>, num_classes: usize) -> Result<Self> {
        let image_bytes = shape.num_bytes().filter(|&bytes| bytes > 0);
        let image_bytes = image_bytes.ok_or_else(|| Error::data("images have no pixels").got(shape))?;
        if labels.is_empty() {
            return Err(Error::data("there are no images").expected("at least one").got("none"));
        }
        if labels.len().checked_mul(image_bytes) != Some(pixels.len()) {
            return Err(Error::data("images and labels do not go together")
                .expected(format!("{} labels' images of {shape} pixels", labels.len()))
                .got(format!("{} bytes of pixels", pixels.len())));
        }
        if let Some(index) = labels.iter().position(|&label| usize::try_from(label).map_or(true, |l| l >= num_classes))
        {
            return Err(Error::data(format!("label of image {index} is out of range"))
                .expected(format!("0 to {}", num_classes.saturating_sub(1)))
                .got(labels[index]));
        }
        Ok(Samples { shape, pixels, labels })
    }

    /// N, the number of images: never 0.
    #[allow(clippy::len_without_is_empty)] // it never is
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// The shape of every image.
    pub fn shape(&self) -> ImageShape {
        self.shape
    }

    /// All pixels: `u8 [N, H, W, C]`, row-major.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// All labels: `i64 [N]`.
    pub fn labels(&self) -> &[i64] {
        &self.labels
    }

    /// The pixels of image `index`, `u8 [H, W, C]`; `None` past the end.
    pub fn image(&self, index: usize) -> Option<&[u8]> {
        let image_bytes = self.pixels.len() / self.labels.len();
        let start = index.checked_mul(image_bytes)?;
        self.pixels.get(start..start.checked_add(image_bytes)?)
    }

    /// The images at `indices`, in that order.
    ///
    /// # Errors
    /// A data error for an index past the end, or for no index at all.
    pub fn select(&self, indices: &[usize]) -> Result<Self> {
        let mut pixels = Vec::with_capacity(indices.len() * (self.pixels.len() / self.labels.len()));
        let mut labels = Vec::with_capacity(indices.len());
        for &index in indices {
            let past_end = || {
                Error::data(format!("there is no image {index}"))
                    .expected(format!("0 to {}", self.len() - 1))
                    .got(index)
            };
            pixels.extend_from_slice(self.image(index).ok_or_else(past_end)?);
            labels.push(self.labels[index]);
        }
        if labels.is_empty() {
            return Err(Error::data("no image was selected").expected("at least one").got("none"));
        }
        Ok(Samples { shape: self.shape, pixels, labels })
    }

    /// How many images each class has: `[K]`.
    pub fn class_counts(&self, num_classes: usize) -> Vec<usize> {
        let mut counts = vec![0; num_classes];
        for &label in &self.labels {
            counts[label as usize] += 1;
        }
        counts
    }
}

/// A data set: training images, perhaps test images, and the classes' names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    /// What it is called in messages and in `run.json`: a known name or a folder's name.
    pub name: String,
    /// The K classes' names, in label order.
    pub classes: Vec<String>,
    /// The training images.
    pub train: Samples,
    /// The test images, where the data set has them: same shape, same classes.
    pub test: Option<Samples>,
}
