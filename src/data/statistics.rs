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
mod tests {
    use std::path::Path;

    use super::*;

    fn samples(channels: usize, pixels: &[u8], labels: &[i64]) -> Samples {
        let width = pixels.len() / labels.len() / channels;
        Samples::new(ImageShape { height: 1, width, channels }, pixels.to_vec(), labels.to_vec(), 3).unwrap()
    }

    #[test]
    fn statistics_are_exact() {
        // mean 30/4, variance (0 + 0 + 100 + 400)/4 - 7.5²
        let statistics = pixel_statistics(&samples(1, &[0, 0, 10, 20], &[0, 1])).unwrap();
        assert_eq!((statistics.mean, statistics.standard_deviation), (7.5, 68.75_f64.sqrt()));
        assert_eq!(statistics.mean_scaled, 7.5 / 255.0);
        let constant = pixel_statistics(&samples(1, &[255; 1000], &[0, 1])).unwrap();
        assert_eq!((constant.mean, constant.standard_deviation), (255.0, 0.0));
        let halves = pixel_statistics(&samples(1, &[0, 255], &[0, 1])).unwrap();
        assert_eq!((halves.mean, halves.standard_deviation_scaled), (127.5, 0.5));
    }

    #[test]
    fn channels_are_told_apart() {
        let rgb = samples(3, &[1, 10, 100, 3, 10, 200], &[0, 2]);
        let channels = channel_statistics(&rgb).unwrap();
        assert_eq!(channels.iter().map(|channel| channel.mean).collect::<Vec<_>>(), [2.0, 10.0, 150.0]);
        let deviations: Vec<f64> = channels.iter().map(|channel| channel.standard_deviation).collect();
        assert_eq!(deviations, [1.0, 0.0, 50.0]);
        assert_eq!(pixel_statistics(&rgb).unwrap().mean, 54.0);
    }

    #[test]
    fn the_mean_of_each_class_is_an_image() {
        let set = samples(1, &[0, 10, 1, 21, 7, 7, 2, 20], &[0, 0, 2, 0]);
        let means = mean_images(&set, 3).unwrap();
        assert_eq!((means.labels(), means.pixels().unwrap()), (&[0, 2][..], &[1, 17, 7, 7][..]));
    }

    #[test]
    fn the_fingerprint_depends_on_shape_labels_and_pixels() {
        let base = samples(1, &[1, 2, 3, 4, 5, 6], &[0, 1]);
        let others = [
            samples(1, &[1, 2, 3, 4, 5, 7], &[0, 1]),
            samples(1, &[1, 2, 3, 4, 5, 6], &[1, 0]),
            samples(1, &[1, 2, 3, 4, 5, 6], &[0, 1, 0]),
            samples(3, &[1, 2, 3, 4, 5, 6], &[0, 1]),
        ];
        let mut seen = vec![base.fingerprint()];
        for other in &others {
            assert!(!seen.contains(&other.fingerprint()));
            seen.push(other.fingerprint());
        }
        assert_eq!(base.clone().fingerprint(), seen[0]);
        // Python: hashlib.sha256(struct.pack('<4QqB', 1, 1, 1, 1, 2, 7)).hexdigest()
        let one = samples(1, &[7], &[2]);
        assert_eq!(one.fingerprint(), "434ea25a401dd117b32ed2bc114aa13f54247a1c0a017c4c10fdff74cf455e24");
    }

    #[test]
    fn the_summary_reads_as_a_table() {
        let dataset = Dataset {
            name: "tiny".to_string(),
            classes: vec!["cat".to_string(), "Häuschen".to_string(), "dog".to_string()],
            train: samples(3, &[1, 10, 100, 3, 10, 200], &[0, 2]),
            validation: None,
            test: Some(samples(3, &[0, 0, 255], &[1])),
            notes: Vec::new(),
        };
        let expected = "\
tiny: images 1 wide × 1 high, 3 channels, 3 classes

split           images      mean pixel  standard deviation  pixels / 255
train                2         54.0000             73.8399  0.2118 ± 0.2896
  red                           2.0000              1.0000  0.0078 ± 0.0039
  green                        10.0000              0.0000  0.0392 ± 0.0000
  blue                        150.0000             50.0000  0.5882 ± 0.1961
test                 1         85.0000            120.2082  0.3333 ± 0.4714
  red                           0.0000              0.0000  0.0000 ± 0.0000
  green                         0.0000              0.0000  0.0000 ± 0.0000
  blue                        255.0000              0.0000  1.0000 ± 0.0000

label  class          train        test
    0  cat                1           0
    1  Häuschen           0           1
    2  dog                1           0
";
        assert_eq!(DatasetSummary::new(&dataset).unwrap().to_string(), expected);
    }

    #[test]
    fn the_summary_is_json() {
        let train = samples(1, &[0, 255], &[0, 1]);
        let classes = ["a".to_string(), "b".to_string()];
        let dataset = Dataset {
            name: "pair".into(),
            classes: classes.into(),
            train: train.clone(),
            validation: None,
            test: None,
            notes: Vec::new(),
        };
        let json = serde_json::to_value(DatasetSummary::new(&dataset).unwrap()).unwrap();
        let pixels = serde_json::json!({
            "mean": 127.5, "standard_deviation": 127.5, "mean_scaled": 0.5, "standard_deviation_scaled": 0.5
        });
        assert_eq!(
            json,
            serde_json::json!({
                "name": "pair",
                "shape": {"height": 1, "width": 1, "channels": 1},
                "classes": ["a", "b"],
                "splits": [{
                    "split": "train", "count": 2, "class_counts": [1, 1],
                    "pixels": pixels, "channels": [pixels], "fingerprint": train.fingerprint(),
                }],
            })
        );
    }

    #[test]
    #[ignore = "needs CONVNET_TEST_ASSETS"]
    fn fashion_mnist_has_its_published_statistics() {
        let assets = std::env::var_os("CONVNET_TEST_ASSETS").expect("CONVNET_TEST_ASSETS is set");
        let dataset = crate::data::idx::read_folder(&Path::new(&assets).join("data/fashion-mnist")).unwrap();
        let summary = DatasetSummary::new(&dataset).unwrap();
        let train = &summary.splits[0];
        assert_eq!((train.count, train.class_counts.as_slice()), (60_000, &[6_000; 10][..]));
        assert_eq!(summary.splits[1].class_counts, [1_000; 10]);
        assert_eq!(format!("{:.4} {:.4}", train.pixels.mean, train.pixels.standard_deviation), "72.9404 90.0212");
    }
}
