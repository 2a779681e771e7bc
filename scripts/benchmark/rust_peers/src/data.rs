//! Fashion-MNIST's files and a picture, as the networks take them.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result};
use flate2::read::GzDecoder;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

const PIXELS: usize = 28 * 28;

/// Images of 28 × 28 and their labels.
pub struct Images {
    pixels: Vec<u8>,
    labels: Vec<u8>,
}

impl Images {
    /// The first `count` of `split` (`train`, `t10k`).
    pub fn read(folder: &Path, split: &str, count: usize) -> Result<Self> {
        let pixels = idx(&folder.join(format!("{split}-images-idx3-ubyte.gz")), 16, count * PIXELS)?;
        let labels = idx(&folder.join(format!("{split}-labels-idx1-ubyte.gz")), 8, count)?;
        Ok(Images { pixels, labels })
    }

    pub fn len(&self) -> usize {
        self.labels.len()
    }

    pub fn shuffled(&self, seed: u64) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.shuffle(&mut StdRng::seed_from_u64(seed));
        order
    }

    /// Pixels of 0 to 1 and labels of the images with these numbers.
    pub fn batch(&self, numbers: &[usize]) -> (Vec<f32>, Vec<u8>) {
        let pixels = numbers.iter().flat_map(|&number| &self.pixels[number * PIXELS..(number + 1) * PIXELS]);
        (
            pixels.map(|&value| f32::from(value) / 255.0).collect(),
            numbers.iter().map(|&number| self.labels[number]).collect(),
        )
    }
}

fn idx(file: &Path, header: usize, length: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; header + length];
    let opened = File::open(file).with_context(|| file.display().to_string())?;
    GzDecoder::new(opened).read_exact(&mut bytes).with_context(|| file.display().to_string())?;
    Ok(bytes.split_off(header))
}

/// A grey PNG of 28 × 28 pixels.
pub fn picture(file: &Path) -> Result<Vec<f32>> {
    let mut reader = png::Decoder::new(BufReader::new(File::open(file)?)).read_info()?;
    let mut pixels = vec![0; PIXELS];
    reader.next_frame(&mut pixels)?;
    Ok(pixels.iter().map(|&value| f32::from(value) / 255.0).collect())
}
