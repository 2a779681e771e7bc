//! What a data set holds, exactly: counts, pixel statistics and a fingerprint.

use std::fmt;

use rayon::prelude::*;

use super::{Dataset, ImageShape, Samples, Split};
use crate::device::threads;
use crate::error::Result;

/// Pixels that a thread counts at a stretch.
const BLOCK: usize = 1 << 18;

/// Mean and standard deviation of pixels (of all of them, not a sample's estimate), from 0 to 255.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct PixelStatistics {
    /// The mean, 0 to 255.
    pub mean: f64,
    /// The standard deviation, 0 to 127.5.
    pub standard_deviation: f64,
    /// The mean of pixels divided by 255.
    pub mean_scaled: f64,
    /// The standard deviation of pixels divided by 255.
    pub standard_deviation_scaled: f64,
}

/// How many pixels have each value. Everything else is computed from it, so that sums are exact and divided once.
#[derive(Clone)]
struct Histogram([u64; 256]);

impl Histogram {
    fn sum(&self, weight: fn(u128) -> u128) -> u128 {
        self.0.iter().zip(0..).map(|(&count, value)| u128::from(count) * weight(value)).sum()
    }

    /// With n pixels x: mean Σx / n, variance (n Σx² − (Σx)²) / n². There must be at least one pixel.
    fn statistics(&self) -> PixelStatistics {
        let [count, sum, squares] = [self.sum(|_| 1), self.sum(|value| value), self.sum(|value| value * value)];
        let mean = sum as f64 / count as f64;
        let standard_deviation = ((count * squares - sum * sum) as f64).sqrt() / count as f64;
        PixelStatistics {
            mean,
            standard_deviation,
            mean_scaled: mean / 255.0,
            standard_deviation_scaled: standard_deviation / 255.0,
        }
    }
}

/// Pixel statistics of each channel, `[C]`.
///
/// # Errors
/// A data error where an image's file cannot be read.
pub fn channel_statistics(samples: &Samples) -> Result<Vec<PixelStatistics>> {
    Ok(histograms(samples)?.iter().map(Histogram::statistics).collect())
}

/// Pixel statistics over all channels.
///
/// # Errors
/// As [`channel_statistics`].
pub fn pixel_statistics(samples: &Samples) -> Result<PixelStatistics> {
    Ok(total(&histograms(samples)?).statistics())
}

fn total(channels: &[Histogram]) -> Histogram {
    Histogram(std::array::from_fn(|value| channels.iter().map(|channel| channel.0[value]).sum()))
}

/// One histogram a channel.
fn histograms(samples: &Samples) -> Result<Vec<Histogram>> {
    let channels = samples.shape().channels;
    let mut histograms = vec![Histogram([0; 256]); channels];
    let mut failed = Ok(());
    samples.visit(|pixels| {
        let blocks = pixels.par_chunks(channels * BLOCK).map(|pixels| count(pixels, channels));
        match threads::install(|| blocks.reduce(|| vec![Histogram([0; 256]); channels], add)) {
            Ok(counted) => histograms = add(std::mem::take(&mut histograms), counted),
            Err(error) => failed = Err(error),
        }
    })?;
    failed.map(|()| histograms)
}

/// One histogram a channel of `pixels`, `u8 [n, C]`.
fn count(pixels: &[u8], channels: usize) -> Vec<Histogram> {
    let mut histograms = vec![Histogram([0; 256]); channels];
    for pixel in pixels.chunks_exact(channels) {
        for (histogram, &value) in histograms.iter_mut().zip(pixel) {
            histogram.0[usize::from(value)] += 1;
        }
    }
    histograms
}

fn add(mut histograms: Vec<Histogram>, more: Vec<Histogram>) -> Vec<Histogram> {
    for (histogram, more) in histograms.iter_mut().zip(&more) {
        histogram.0.iter_mut().zip(&more.0).for_each(|(count, more)| *count += more);
    }
    histograms
}

/// The mean image of each class that has any, rounded, with its label.
///
/// # Errors
/// A data error where an image's file cannot be read.
pub fn mean_images(samples: &Samples, num_classes: usize) -> Result<Samples> {
    let image_bytes = samples.shape().num_bytes().unwrap_or(0);
    let mut sums = vec![0u64; num_classes * image_bytes];
    let mut labels = samples.labels().iter();
    samples.visit(|pixels| {
        for (image, &label) in pixels.chunks_exact(image_bytes).zip(&mut labels) {
            let start = label as usize * image_bytes;
            sums[start..start + image_bytes].iter_mut().zip(image).for_each(|(sum, &value)| *sum += u64::from(value));
        }
    })?;
    let counts = samples.class_counts(num_classes);
    let classes = sums.chunks_exact(image_bytes).zip(&counts).zip(0..).filter(|((_, count), _)| **count > 0);
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for ((sums, &count), label) in classes {
        pixels.extend(sums.iter().map(|&sum| ((sum + count as u64 / 2) / count as u64) as u8));
        labels.push(label);
    }
    Samples::new(samples.shape(), pixels, labels, num_classes)
}

/// What `convnet data show` tells: as JSON through serde, as a text table through [`fmt::Display`].
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct DatasetSummary {
    /// The data set's name.
    pub name: String,
    /// The shape of every image.
    pub shape: ImageShape,
    /// The K classes' names, in label order.
    pub classes: Vec<String>,
    /// The splits, training first.
    pub splits: Vec<SplitSummary>,
}

/// What one split holds.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct SplitSummary {
    /// Which one it is.
    pub split: Split,
    /// N, the number of images.
    pub count: usize,
    /// How many images each class has, `[K]`.
    pub class_counts: Vec<usize>,
    /// Over all channels.
    pub pixels: PixelStatistics,
    /// Of each channel, `[C]`.
    pub channels: Vec<PixelStatistics>,
    /// [`Samples::fingerprint`].
    pub fingerprint: String,
}

impl SplitSummary {
    fn new(split: Split, samples: &Samples, num_classes: usize) -> Result<Self> {
        let channels = histograms(samples)?;
        Ok(SplitSummary {
            split,
            count: samples.len(),
            class_counts: samples.class_counts(num_classes),
            pixels: total(&channels).statistics(),
            channels: channels.iter().map(Histogram::statistics).collect(),
            fingerprint: samples.fingerprint(),
        })
    }
}

impl DatasetSummary {
    /// A summary of all splits.
    ///
    /// # Errors
    /// A data error where an image's file cannot be read.
    pub fn new(dataset: &Dataset) -> Result<Self> {
        let summarize = |(split, samples)| SplitSummary::new(split, samples, dataset.classes.len());
        Ok(DatasetSummary {
            name: dataset.name.clone(),
            shape: dataset.train.shape(),
            classes: dataset.classes.clone(),
            splits: dataset.splits().map(summarize).collect::<Result<_>>()?,
        })
    }
}

impl fmt::Display for DatasetSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let num_classes = self.classes.len();
        writeln!(f, "{}: images {}, {num_classes} classes\n", self.name, self.shape)?;
        self.fmt_splits(f)?;
        writeln!(f)?;
        self.fmt_classes(f)
    }
}

impl DatasetSummary {
    fn fmt_splits(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<12}{:>10}{:>16}{:>20}  pixels / 255", "split", "images", "mean pixel", "standard deviation")?;
        for split in &self.splits {
            write_row(f, &split.split.to_string(), &split.count.to_string(), &split.pixels)?;
            if split.channels.len() > 1 {
                for (channel, statistics) in ["  red", "  green", "  blue"].iter().zip(&split.channels) {
                    write_row(f, channel, "", statistics)?;
                }
            }
        }
        Ok(())
    }

    fn fmt_classes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let longest = self.classes.iter().map(|class| class.chars().count()).max().unwrap_or(0).max("class".len());
        write!(f, "{:>5}  {:<longest$}", "label", "class")?;
        self.splits.iter().try_for_each(|split| write!(f, "{:>12}", split.split.to_string()))?;
        for (label, class) in self.classes.iter().enumerate() {
            write!(f, "\n{label:>5}  {class:<longest$}")?;
            self.splits.iter().try_for_each(|split| write!(f, "{:>12}", split.class_counts[label]))?;
        }
        writeln!(f)
    }
}

fn write_row(f: &mut fmt::Formatter<'_>, name: &str, count: &str, pixels: &PixelStatistics) -> fmt::Result {
    let PixelStatistics { mean, standard_deviation, mean_scaled, standard_deviation_scaled } = pixels;
    write!(f, "{name:<12}{count:>10}{mean:>16.4}{standard_deviation:>20.4}")?;
    writeln!(f, "  {mean_scaled:.4} ± {standard_deviation_scaled:.4}")
}

#[cfg(test)]
mod tests;
