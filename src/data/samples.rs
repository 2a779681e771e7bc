//! Labelled images of one shape: in memory, or read from their files as they are needed.

mod pixels;
mod prepared;

use std::path::Path;
use std::sync::Arc;

use super::ImageShape;
use super::image::Preprocessing;
use super::numbers::{Numbers, check_count};
use super::pixel_cache::PixelCache;
use super::stored::{Identifier, ImageSource, ImageSources};
use crate::error::{Error, Result};
use crate::files::hex;
pub(super) use pixels::UNREADABLE_HELP;

/// Labelled images of one shape. A clone shares everything.
///
/// Invariants, checked when they are made: at least one image, at most 2^32 - 1; as many labels as images; every label in
/// `0..num_classes`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Samples {
    shape: ImageShape,
    images: Images,
    labels: Arc<Vec<i64>>,
    /// The images' numbers in their split of the data set.
    numbers: Numbers,
    /// Whether they stay where they are and are brought to the device batch after batch, even where they are in memory.
    is_streamed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Images {
    /// `u8 [N, H, W, C]`, row-major.
    Memory(Arc<Vec<u8>>),
    /// Row i is file `rows[i]`, prepared; where it is decoded already, image `rows[i]` of that file.
    Stored { files: Arc<ImageSources>, rows: Numbers, preparation: Preprocessing, decoded: Option<Arc<PixelCache>> },
}

impl Samples {
    /// `pixels`: `u8 [N, H, W, C]`, row-major; `labels`: `i64 [N]`, each in `0..num_classes`.
    ///
    /// # Errors
    /// A data error where an invariant does not hold.
    pub fn new(shape: ImageShape, pixels: Vec<u8>, labels: Vec<i64>, num_classes: usize) -> Result<Self> {
        let image_bytes = shape.num_bytes().filter(|&bytes| bytes > 0);
        let image_bytes = image_bytes.ok_or_else(|| Error::data("images have no pixels").got(shape))?;
        check_labels(&labels, num_classes)?;
        if labels.len().checked_mul(image_bytes) != Some(pixels.len()) {
            return Err(Error::data("images and labels do not go together")
                .expected(format!("{} labels' images of {shape}", labels.len()))
                .got(format!("{} bytes of pixels", pixels.len())));
        }
        let (images, numbers) = (Images::Memory(pixels.into()), Numbers::InOrder(labels.len()));
        Ok(Samples { shape, images, labels: labels.into(), numbers, is_streamed: false })
    }

    /// Images that are read from `files` as they are needed, and prepared. `labels` as in [`Samples::new`].
    ///
    /// # Errors
    /// As [`Samples::new`]. Whether the files can be read turns out when they are.
    pub fn stored(
        files: ImageSources,
        preparation: Preprocessing,
        labels: Vec<i64>,
        num_classes: usize,
    ) -> Result<Self> {
        let rows = Numbers::InOrder(files.len());
        Self::stored_rows(files.into(), rows, preparation, labels, num_classes)
    }

    /// As [`Samples::stored`], of those of `files` with the numbers `rows`: several samples may share the files.
    ///
    /// # Errors
    /// As [`Samples::stored`].
    pub fn stored_rows(
        files: Arc<ImageSources>,
        rows: Numbers,
        preparation: Preprocessing,
        labels: Vec<i64>,
        num_classes: usize,
    ) -> Result<Self> {
        preparation.check()?;
        check_labels(&labels, num_classes)?;
        let are_there = rows.iter().all(|row| row < files.len());
        if rows.len() != labels.len() || !are_there {
            return Err(Error::data("images and labels do not go together").expected(labels.len()).got(rows.len()));
        }
        let numbers = Numbers::InOrder(labels.len());
        let images = Images::Stored { files, rows, preparation, decoded: None };
        Ok(Samples { shape: preparation.shape, images, labels: labels.into(), numbers, is_streamed: true })
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

    /// All labels: `i64 [N]`.
    pub fn labels(&self) -> &[i64] {
        &self.labels
    }

    /// The same, to share.
    pub(super) fn shared_labels(&self) -> &Arc<Vec<i64>> {
        &self.labels
    }

    /// All pixels, `u8 [N, H, W, C]`, row-major; `None` where the images are read as they are needed.
    pub fn pixels(&self) -> Option<&[u8]> {
        match &self.images {
            Images::Memory(pixels) => Some(pixels),
            Images::Stored { .. } => None,
        }
    }

    /// The pixels where they are to lie on the device, `u8 [N, H, W, C]`; `None` where batches are to be brought there.
    pub(super) fn resident_pixels(&self) -> Option<&Arc<Vec<u8>>> {
        match &self.images {
            Images::Memory(pixels) if !self.is_streamed => Some(pixels),
            Images::Memory(_) | Images::Stored { .. } => None,
        }
    }

    /// Where image `index` is read from; `None` past the end, and where the images are in memory.
    pub fn file(&self, index: usize) -> Option<ImageSource> {
        match &self.images {
            Images::Memory(_) => None,
            Images::Stored { files, rows, .. } => files.get(rows.get(index)?),
        }
    }

    /// Where each image is read from, in their order; none where they are in memory.
    pub(super) fn files(&self) -> Box<dyn Iterator<Item = ImageSource> + '_> {
        match &self.images {
            Images::Memory(_) => Box::new(std::iter::empty()),
            // one behind the other is faster
            Images::Stored { files, rows, .. } if *rows == Numbers::InOrder(files.len()) => Box::new(files.iter()),
            Images::Stored { files, rows, .. } => Box::new(rows.iter().filter_map(|row| files.get(row))),
        }
    }

    /// How images are prepared that are read as they are needed; `None` where they are in memory.
    pub fn preparation(&self) -> Option<Preprocessing> {
        match &self.images {
            Images::Memory(_) => None,
            Images::Stored { preparation, .. } => Some(*preparation),
        }
    }

    /// The same images, all in memory.
    ///
    /// # Errors
    /// As [`Samples::image`]; a configuration error where there is not enough memory.
    pub fn into_memory(self) -> Result<Self> {
        if self.pixels().is_some() {
            return Ok(self);
        }
        let mut pixels = memory_for(self.len(), self.shape)?;
        self.visit(|images| pixels.extend_from_slice(images))?;
        Ok(Samples { images: Images::Memory(pixels.into()), is_streamed: false, ..self })
    }

    /// The same images, which are brought to the device batch after batch, even where they are in memory.
    pub fn streamed(self) -> Self {
        Samples { is_streamed: true, ..self }
    }

    /// The same images, decoded once into a file in `folder` where they are files themselves.
    ///
    /// # Errors
    /// A data error where an image cannot be read, a configuration error where the disk does not take the file.
    pub fn onto_disk(mut self, folder: &Path) -> Result<Self> {
        let Images::Stored { files, rows, preparation, .. } = &self.images else { return Ok(self) };
        if *rows != Numbers::InOrder(files.len()) {
            // the file's images are those of all rows, in order
            let files: ImageSources = rows.iter().filter_map(|row| files.get(row)).collect();
            let rows = Numbers::InOrder(files.len());
            self.images = Images::Stored { files: files.into(), rows, preparation: *preparation, decoded: None };
        }
        let shape = (self.len(), self.shape.num_bytes().expect("the shape was checked"));
        let file = PixelCache::open(folder, &self.fingerprint(), shape, |write| self.visit(write))?;
        if let Images::Stored { decoded, .. } = &mut self.images {
            *decoded = Some(Arc::new(file));
        }
        Ok(self)
    }

    /// Bytes of all images together, N·H·W·C. `None` where the product does not fit.
    pub fn num_bytes(&self) -> Option<usize> {
        self.shape.num_bytes()?.checked_mul(self.len())
    }

    /// The images at `indices`, in that order.
    ///
    /// # Errors
    /// A data error for an index past the end, or for no index at all.
    pub fn select(&self, indices: &[usize]) -> Result<Self> {
        if let Some(&index) = indices.iter().find(|&&index| index >= self.len()) {
            return Err(self.past_end(index));
        }
        if indices.is_empty() {
            return Err(Error::data("no image was selected").expected("at least one").got("none"));
        }
        let images = match &self.images {
            Images::Memory(_) => Images::Memory(self.images_of(indices)?.into()),
            Images::Stored { files, rows, preparation, decoded } => Images::Stored {
                files: files.clone(),
                rows: rows.at(indices),
                preparation: *preparation,
                decoded: decoded.clone(),
            },
        };
        let labels: Vec<i64> = indices.iter().map(|&index| self.labels[index]).collect();
        let numbers = self.numbers.at(indices);
        Ok(Samples { shape: self.shape, images, labels: labels.into(), numbers, is_streamed: self.is_streamed })
    }

    /// The same images with other labels: `labels[l]` in place of l.
    ///
    /// # Errors
    /// A data error where a label has no other, or one that is not in `0..num_classes`.
    pub fn relabelled(mut self, labels: &[i64], num_classes: usize) -> Result<Self> {
        for label in Arc::make_mut(&mut self.labels) {
            let other = usize::try_from(*label).ok().and_then(|label| labels.get(label));
            *label = *other.ok_or_else(|| Error::data("a label has no other").got(*label))?;
        }
        check_labels(&self.labels, num_classes)?;
        Ok(self)
    }

    /// The same images, which have these numbers in their split of the data set.
    pub(super) fn numbered(self, numbers: Numbers) -> Result<Self> {
        match numbers.len() == self.len() {
            true => Ok(Samples { numbers, ..self }),
            false => Err(Error::internal("images and their numbers do not go together").got(numbers.len())),
        }
    }

    /// The number that image `index` has in its split of the data set: another one than `index` where images were left out.
    pub fn number(&self, index: usize) -> usize {
        self.numbers.get(index).unwrap_or(index)
    }

    /// How many images each class has: `[K]`.
    pub fn class_counts(&self, num_classes: usize) -> Vec<usize> {
        let mut counts = vec![0; num_classes];
        for &label in self.labels() {
            counts[label as usize] += 1;
        }
        counts
    }

    /// SHA-256, in hexadecimal, of H, W, C and N, then the labels, each as 8 bytes (little-endian), then the pixels: two
    /// sets of samples have the same if and only if they are the same.
    ///
    /// Of images that are read as they are needed it is a hash of the files' absolute paths, sizes and times instead of the
    /// pixels, and never equal to one of pixels.
    pub fn fingerprint(&self) -> String {
        let ImageShape { height, width, channels } = self.shape;
        let mut identifier = Identifier::default();
        for size in [height, width, channels, self.len()] {
            identifier.update((size as u64).to_le_bytes());
        }
        self.labels.iter().for_each(|label| identifier.update(label.to_le_bytes()));
        match &self.images {
            Images::Memory(pixels) => identifier.update(&pixels[..]),
            Images::Stored { preparation, .. } => {
                identifier.update(format!("files, {}", preparation.key()));
                self.files().for_each(|file| identifier.add(&file));
            }
        }
        hex(&identifier.finish())
    }

    fn past_end(&self, index: usize) -> Error {
        Error::data(format!("there is no image {index}")).expected(format!("0 to {}", self.len() - 1)).got(index)
    }
}

/// An empty buffer with room for `count` images.
fn memory_for(count: usize, shape: ImageShape) -> Result<Vec<u8>> {
    let too_large = || {
        let error = Error::config("the images do not fit in memory").got(format!("{count} images"));
        error.help("use `cache` disk or none, or a smaller `image_size`")
    };
    let num_bytes = shape.num_bytes().and_then(|bytes| bytes.checked_mul(count)).ok_or_else(too_large)?;
    let mut pixels = Vec::new();
    pixels.try_reserve_exact(num_bytes).map_err(|error| too_large().because(error))?;
    Ok(pixels)
}

fn check_labels(labels: &[i64], num_classes: usize) -> Result<()> {
    if labels.is_empty() {
        return Err(Error::data("there are no images").expected("at least one").got("none"));
    }
    check_count(labels.len())?;
    match labels.iter().position(|&label| usize::try_from(label).map_or(true, |label| label >= num_classes)) {
        None => Ok(()),
        Some(index) => Err(Error::data(format!("label of image {index} is out of range"))
            .expected(format!("0 to {}", num_classes.saturating_sub(1)))
            .got(labels[index])),
    }
}
