//! What one image tells about itself.

use image::ImageFormat;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::report::Problem;
use crate::data::stored::ImageSource;
use crate::data::{ImageShape, Samples, image as files, size_text};
use crate::device::threads;
use crate::error::{Result, describe};

/// Cells along each side of a signature.
const CELLS: usize = 8;

/// What is known of an image.
pub(super) struct Inspection {
    /// Of the file: height and width.
    pub size: Option<[usize; 2]>,
    /// What may be wrong, and more about it.
    pub problems: Vec<(Problem, Option<String>)>,
    /// What comparing needs; `None` where the image cannot be read.
    pub signature: Option<PixelSums>,
}

/// Sums over an image's pixels. The difference of two images' sums is never greater than the sum of their pixels'
/// differences, as |Σ(a − b)| ≤ Σ|a − b|: so most pairs need no look at their pixels.
pub(super) struct PixelSums {
    /// Over all pixels.
    pub sum: u64,
    /// Over the pixels of each quarter of the image.
    pub quarters: [u64; 4],
    /// Over the pixels of each cell of an 8×8 grid.
    pub cells: [u32; CELLS * CELLS],
    /// The first half of the pixels' SHA-256.
    pub digest: [u8; 16],
}

/// Looks at every image, on the pool's threads. Whether files of another size are told of is `finds_other_sizes`.
///
/// # Errors
/// An internal error where there are no threads.
pub(super) fn inspect(samples: &Samples, finds_other_sizes: bool) -> Result<Vec<Inspection>> {
    let look = |index| inspect_one(samples, index, finds_other_sizes);
    threads::install(|| (0..samples.len()).into_par_iter().map(look).collect())
}

fn inspect_one(samples: &Samples, index: usize, finds_other_sizes: bool) -> Inspection {
    let mut inspection = Inspection { size: None, problems: Vec::new(), signature: None };
    let pixels = match samples.file(index) {
        None => samples.image(index).map(|pixels| pixels.into_owned()),
        Some(file) => look_at_file(samples, &file, &mut inspection),
    };
    match pixels {
        Err(error) => inspection.problems.push((Problem::Unreadable, Some(describe(&error)))),
        Ok(pixels) => {
            let own = [samples.shape().height, samples.shape().width];
            if let Some([height, width]) = inspection.size.filter(|size| finds_other_sizes && *size != own) {
                inspection.problems.push((Problem::OtherSize, Some(format!("it is {}", size_text(width, height)))));
            }
            if is_one_colour(&pixels, samples.shape().channels) {
                inspection.problems.push((Problem::OneColour, None));
            }
            inspection.signature = Some(PixelSums::new(&pixels, samples.shape()));
        }
    }
    inspection
}

/// The prepared pixels; what the file itself tells goes to `inspection`.
fn look_at_file(samples: &Samples, file: &ImageSource, inspection: &mut Inspection) -> Result<Vec<u8>> {
    let bytes = file.bytes()?;
    if let Ok(header) = files::header(&bytes) {
        inspection.size = Some([header.shape.height, header.shape.width]);
        let named = file.file_name().extension().and_then(ImageFormat::from_extension);
        if named != Some(header.format) && !is_jfif(file) && !is_row(file) {
            let detail = format!("it is {:?}", header.format);
            inspection.problems.push((Problem::WrongExtension, Some(detail)));
        }
    }
    let preparation = samples.preparation().unwrap_or_else(|| samples.shape().into());
    files::decode_bytes(&bytes, preparation)
}

/// A name for JPEG that the decoder's list lacks.
fn is_jfif(file: &ImageSource) -> bool {
    file.file_name().extension().is_some_and(|extension| extension.eq_ignore_ascii_case("jfif"))
}

/// What a table's row is called is no file's name.
fn is_row(file: &ImageSource) -> bool {
    matches!(file, ImageSource::Row { .. })
}

fn is_one_colour(pixels: &[u8], channels: usize) -> bool {
    // one pixel alone is no sign of a fault
    pixels.len() > channels && pixels.chunks_exact(channels).all(|pixel| pixel == &pixels[..channels])
}

impl PixelSums {
    fn new(pixels: &[u8], shape: ImageShape) -> Self {
        let mut cells = [0; CELLS * CELLS];
        for (y, row) in pixels.chunks_exact(shape.width * shape.channels).enumerate() {
            let first = y * CELLS / shape.height * CELLS;
            for (x, pixel) in row.chunks_exact(shape.channels).enumerate() {
                cells[first + x * CELLS / shape.width] += pixel.iter().map(|&value| u32::from(value)).sum::<u32>();
            }
        }
        let mut digest = [0; 16];
        digest.copy_from_slice(&Sha256::digest(pixels)[..16]);
        let mut quarters = [0; 4];
        for (at, &cell) in cells.iter().enumerate() {
            let (y, x) = (at / CELLS, at % CELLS);
            quarters[y / (CELLS / 2) * 2 + x / (CELLS / 2)] += u64::from(cell);
        }
        PixelSums { sum: quarters.iter().sum(), quarters, cells, digest }
    }

    /// Whether the sum of the two images' pixels' differences may be as small as `limit`: of most pairs the quarters tell
    /// that it is not.
    pub fn may_be_within(&self, limit: u64, other: &PixelSums) -> bool {
        let ([a, b, c, d], [e, f, g, h]) = (self.quarters, other.quarters);
        if a.abs_diff(e) + b.abs_diff(f) + c.abs_diff(g) + d.abs_diff(h) > limit {
            return false;
        }
        self.cells.iter().zip(&other.cells).map(|(&a, &b)| u64::from(a.abs_diff(b))).sum::<u64>() <= limit
    }
}
