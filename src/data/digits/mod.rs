//! The built-in data set: ten digits drawn by the program.
//!
//! Ten classes, 0 to 9, as white ink on black, 28×28 grey. Each image is a pure function of `(seed, index)`: the same bytes
//! on every machine, for any number of images and threads, and a larger set begins with the images of a smaller one.
//!
//! How hard it is: Keras 3.15 on a CPU, the default CNN, 10,800 training images, batch 128, Adam 0.002, three runs: above
//! 97 % of the test images after 3 or 4 epochs, 98.4 to 98.8 % after 10. A softmax of the pixels alone gets 83 %.

mod glyphs;
mod pen;

use rayon::prelude::*;

use super::{Dataset, ImageShape, Samples};
use crate::device::threads;
use crate::error::{Error, Result};
use crate::rng::{Stream, generator, shuffle};
use pen::{IMAGE_BYTES, SIDE};

const NUM_CLASSES: usize = 10;
/// The most images of either part: 10 million of them are 7.8 GB.
const MAX_IMAGES: usize = 10_000_000;
/// The test images' first index: beyond every training image's, so that a test set does not depend on the training set.
const FIRST_TEST_INDEX: u64 = MAX_IMAGES as u64;

/// How many digits to draw, and from which seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DigitsConfig {
    /// Training images: 1 to 10 million.
    pub num_train: usize,
    /// Test images: 0 (no test part) to 10 million.
    pub num_test: usize,
    /// The seed of every random choice.
    pub seed: u64,
}

impl Default for DigitsConfig {
    fn default() -> Self {
        DigitsConfig { num_train: 12_000, num_test: 2_000, seed: 0 }
    }
}

/// Reads `digits`, `digits:TRAIN` or `digits:TRAIN:SEED`: TRAIN training images (10 to 10 million), a sixth as many test
/// images (but at least 10), and a seed.
///
/// # Errors
/// A configuration error for any other text.
pub fn parse(text: &str) -> Result<DigitsConfig> {
    let refuse = |what: &str, expected: String, got: &str| {
        Error::config(what)
            .expected(expected)
            .got(format!("{got:?}"))
            .at(text)
            .help("write digits, digits:60000 or digits:60000:7 (training images, seed)")
    };
    let mut fields = text.split(':');
    let mut config = DigitsConfig::default();
    let name = fields.next().unwrap_or_default();
    if name != "digits" {
        return Err(refuse("not the built-in data set", "digits".to_owned(), name));
    }
    if let Some(count) = fields.next() {
        let in_range = count.parse().ok().filter(|num_train| (10..=MAX_IMAGES).contains(num_train));
        config.num_train =
            in_range.ok_or_else(|| refuse("bad number of images", format!("10 to {MAX_IMAGES}"), count))?;
        config.num_test = (config.num_train / 6).max(10);
    }
    if let Some(seed) = fields.next() {
        config.seed =
            seed.parse().map_err(|_| refuse("bad seed", format!("a whole number up to {}", u64::MAX), seed))?;
    }
    match fields.next() {
        None => Ok(config),
        Some(rest) => Err(refuse("too many fields", "at most two after digits".to_owned(), rest)),
    }
}

/// Draws the data set, on the pool's threads ([`threads`]). Classes are balanced: every ten images hold each digit once, in random order.
///
/// # Errors
/// A configuration error where a number of images is out of range or does not fit the memory.
pub fn generate(config: &DigitsConfig) -> Result<Dataset> {
    let draw = |first_index, num_images| draw_samples(config.seed, first_index, num_images);
    let train = draw(0, config.num_train)?;
    let test = if config.num_test > 0 { Some(draw(FIRST_TEST_INDEX, config.num_test)?) } else { None };
    let classes = (0..NUM_CLASSES).map(|digit| digit.to_string()).collect();
    Ok(Dataset { name: "digits".to_owned(), classes, train, validation: None, test, notes: Vec::new() })
}

/// The images `first_index..first_index + num_images` of `seed`, and their labels.
fn draw_samples(seed: u64, first_index: u64, num_images: usize) -> Result<Samples> {
    if !(1..=MAX_IMAGES).contains(&num_images) {
        return Err(Error::config("bad number of digits").expected(format!("1 to {MAX_IMAGES}")).got(num_images));
    }
    let num_bytes = num_images * IMAGE_BYTES;
    let mut pixels = Vec::new();
    pixels.try_reserve_exact(num_bytes).map_err(|error| {
        Error::config(format!("no memory for {num_images} digits")).help("ask for fewer images").because(error)
    })?;
    pixels.resize(num_bytes, 0);
    let mut labels = vec![0; num_images];
    let images = pixels.par_chunks_exact_mut(IMAGE_BYTES).zip(&mut labels).enumerate();
    threads::install(|| {
        images.for_each(|(number, (image, label))| {
            let index = first_index + number as u64;
            let digit = digit_of(seed, index);
            pen::draw(digit, &mut generator(seed, Stream::Sample(index)), image);
            *label = digit as i64;
        });
    })?;
    let shape = ImageShape { height: SIDE, width: SIDE, channels: 1 };
    Samples::new(shape, pixels, labels, NUM_CLASSES)
}

/// The digit that image `index` shows.
fn digit_of(seed: u64, index: u64) -> usize {
    let mut digits: [usize; NUM_CLASSES] = std::array::from_fn(|digit| digit);
    // streams from the far end, which no image reaches
    let stream = Stream::Sample(u64::MAX - index / NUM_CLASSES as u64);
    shuffle(&mut generator(seed, stream), &mut digits);
    digits[(index % NUM_CLASSES as u64) as usize]
}

#[cfg(test)]
mod tests;
