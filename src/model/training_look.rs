//! What a model's training images look like, in a few numbers that are saved with it, so that predictions can say of an image that
//! it is unlike them.
//!
//! For each number of [`look`] and of the last Dense layer's input, the range is kept that nearly all training images lie in. An
//! image is unlike them where one of its numbers lies outside. Ranges reach from the quantile `TAIL` to 1 − `TAIL`, and further by
//! `MARGIN` of that on each side, and more where few images were looked at: an extreme of few says little about the next image.
//! Measured with networks trained here, 0.1 to 0.8 % of the test images of Fashion-MNIST, the digits and a CIFAR-10 sample lie
//! outside; the figures are in `docs/explain.md`.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::Model;
use crate::data::ImageShape;
use crate::data::batches::DataLoader;
use crate::data::look::{look, names};
use crate::device::threads;
use crate::error::Result;
use crate::native;

/// The share of the training images that may lie below a range before its margin, and above it.
const TAIL: f64 = 0.0005;
/// What is added to a range on each side, as a part of it ...
const MARGIN: f32 = 0.15;
/// ... and this much over the number of images.
const MARGIN_OF_FEW: f32 = 50.0;
/// The least margin of pixels' numbers: two levels of 256.
const LEAST_PIXEL_MARGIN: f32 = 2.0 / 255.0;
/// The least margin of features' numbers, as a part of the larger bound.
const LEAST_FEATURE_MARGIN: f32 = 0.05;
/// The least and the most images that are looked at.
const LEAST_IMAGES: usize = 250;
const MAX_IMAGES: usize = 5000;
/// The most values of pixels that are looked at together: some seconds.
const MAX_VALUES: usize = 200_000_000;
/// The most products of a weight and a value for the features: some seconds on a CPU.
const MAX_MULTIPLY_ADDS: usize = 500_000_000_000;
/// What the numbers of the features are called.
const FEATURES: [&str; 6] = ["norm", "active", "mean", "deviation", "first_logit", "second_logit"];
/// Values above it are no pixels from 0 to 1.
const LARGEST: f32 = 1.5;
/// Values below it are a picture that was divided by 255 once more.
const SMALLEST: f32 = 1.5 / 255.0;

/// What nearly all training images of a model have in common.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingLook {
    /// How many of them were looked at.
    pub images: usize,
    /// The mean of each channel's pixels, from 0 to 1.
    pub mean: Vec<f32>,
    /// Their standard deviation.
    pub deviation: Vec<f32>,
    /// The range of each number of [`look`], by its name.
    pub pixels: BTreeMap<String, [f32; 2]>,
    /// The ranges of what the last Dense layer takes: the norm, the share above 0, the mean and the deviation of an image's features,
    /// and of the two largest logits. Empty where the network has no such layer.
    #[serde(default)]
    pub features: BTreeMap<String, [f32; 2]>,
}

/// How an image is unlike the training images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, strum::Display)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Unlike {
    /// Its negative would be like them.
    Inverted,
    /// Its values are on another scale: 0 to 255 in place of 0 to 1, or divided twice.
    Scaled,
    /// It is darker, or has less contrast.
    Darker,
    /// It is brighter.
    Brighter,
    /// It has more fine detail.
    Noisy,
    /// In another way: a picture of something else.
    Other,
}

/// What a network says of images beside their classes.
#[derive(Debug, Default)]
pub struct Seen {
    /// The numbers of each image's features, `[B][6]`; empty where the network has no Dense layer behind others.
    pub features: Vec<Vec<f32>>,
}

impl TrainingLook {
    /// What the images of `loader`, some thousands of them at most, look like, and what `model` makes of them.
    ///
    /// # Errors
    /// A data error where an image's file cannot be read, a device error where libtorch fails.
    pub fn of(model: &Model, loader: &DataLoader) -> Result<Self> {
        let shape = model.image_shape()?;
        let values = shape.num_bytes().unwrap_or(usize::MAX);
        let order = loader.spread(num_images(MAX_VALUES / values.max(1), loader));
        let num_features = num_images(MAX_MULTIPLY_ADDS / model.plan().multiply_adds().max(1), loader);
        let (mut pixels, mut features) = (Vec::new(), Vec::new());
        let batch_size = model.inference_batch_size();
        for index in 0..order.numbers().len().div_ceil(batch_size) as u64 {
            let (images, _) = loader.batch_of(&order, index, batch_size)?; // u8 [B, H, W, C]
            if features.len() < num_features {
                features.extend(native::guarded(|| tch::no_grad(|| numbers_of_features(model, &images)))?);
            }
            pixels.extend(looks(&host_values(&images, 1.0 / 255.0), shape)?);
        }
        let names_of_features = FEATURES.map(str::to_owned);
        Ok(TrainingLook {
            images: pixels.len(),
            mean: means(&pixels, shape.channels, |row, c| row[c]),
            deviation: deviations(&pixels, shape.channels),
            pixels: ranges(&names(shape.channels), &pixels, |_| LEAST_PIXEL_MARGIN),
            features: ranges(&names_of_features, &features, |largest| LEAST_FEATURE_MARGIN * largest),
        })
    }

    /// How an image `[H, W, C]` of values from 0 to 1 is unlike the training images; none where it is like them. `features` are its
    /// numbers of [`Seen::features`], or none.
    pub fn unlike(&self, values: &[f32], shape: ImageShape, features: &[f32]) -> Option<Unlike> {
        let numbers = self.look(values, shape);
        if self.is_like(&numbers) {
            let is_strange = |(name, value): (&&str, &f32)| side(self.features.get(*name), *value) != Side::Within;
            return FEATURES.iter().zip(features).any(is_strange).then_some(Unlike::Other);
        }
        Some(self.kind(&numbers, values, shape))
    }

    fn look(&self, values: &[f32], shape: ImageShape) -> BTreeMap<String, f32> {
        let ImageShape { height, width, channels } = shape;
        names(channels).into_iter().zip(look(values, [height, width, channels])).collect()
    }

    fn is_like(&self, numbers: &BTreeMap<String, f32>) -> bool {
        numbers.iter().all(|(name, &value)| side(self.pixels.get(name), value) == Side::Within)
    }

    /// What an image that is unlike the training images needs to be like them, or has too much of.
    fn kind(&self, numbers: &BTreeMap<String, f32>, values: &[f32], shape: ImageShape) -> Unlike {
        let of = |name: &str| side(self.pixels.get(name), numbers[name]);
        let is_like = |change: &dyn Fn(f32) -> f32| {
            let changed: Vec<f32> = values.iter().map(|&value| change(value)).collect();
            self.is_like(&self.look(&changed, shape))
        };
        let (highest, lowest) = (numbers["highest"], numbers["lowest"]);
        if highest > LARGEST || highest < SMALLEST && of("highest") == Side::Below || lowest < -1.0 / 255.0 {
            return Unlike::Scaled;
        }
        if is_like(&|value| 1.0 - value) {
            return Unlike::Inverted;
        }
        let [top, bottom] = ["highest", "lowest"].map(|name| self.pixels.get(name).map_or(0.0, |[a, b]| (a + b) / 2.0));
        let stretch = (top - bottom) / (highest - lowest).max(f32::EPSILON);
        let is_darker = |value: f32| (value - lowest) * stretch + bottom > value;
        let mean = values.iter().sum::<f32>() / values.len().max(1) as f32;
        if is_like(&|value| (value - lowest) * stretch + bottom) {
            return if is_darker(mean) { Unlike::Darker } else { Unlike::Brighter };
        }
        let is_any =
            |prefix: &str, wanted: Side| numbers.keys().any(|name| name.starts_with(prefix) && of(name) == wanted);
        match () {
            () if of("bend") == Side::Above || of("edges") == Side::Above && of("flat") == Side::Below => Unlike::Noisy,
            () if is_any("mean_", Side::Above) || of("lowest") == Side::Above || of("bright") == Side::Above => {
                Unlike::Brighter
            }
            () if is_any("mean_", Side::Below) || of("highest") == Side::Below => Unlike::Darker,
            () => Unlike::Other,
        }
    }
}

/// Where a number lies, seen from a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Below,
    Within,
    Above,
}

/// What is not known, or no number, is within.
fn side(range: Option<&[f32; 2]>, value: f32) -> Side {
    match range {
        Some([low, _]) if value < *low => Side::Below,
        Some([_, high]) if value > *high => Side::Above,
        _ => Side::Within,
    }
}

/// At most `most` of the loader's images, within the limits; all where they are few.
fn num_images(most: usize, loader: &DataLoader) -> usize {
    most.clamp(LEAST_IMAGES, MAX_IMAGES).min(loader.num_images())
}

/// The values of images `[B, H, W, C]` on the host, times `scale`. Waits for the device.
fn host_values(images: &Tensor, scale: f64) -> Vec<f32> {
    let flat = (images.to_kind(Kind::Float) * scale).to_device(Device::Cpu).contiguous().view([-1]);
    Vec::try_from(flat).expect("a flat f32 tensor on the CPU")
}

/// [`look`] of each image, by the pool's threads.
fn looks(values: &[f32], shape: ImageShape) -> Result<Vec<Vec<f32>>> {
    let ImageShape { height, width, channels } = shape;
    let image = (height * width * channels).max(1);
    threads::install(|| values.par_chunks(image).map(|values| look(values, [height, width, channels])).collect())
}

/// Six numbers of what the last Dense layer takes of each of `images` (as in [`Model::forward`]), `[B][6]`: see
/// [`TrainingLook::features`]; nothing where there is no such layer. Waits for the device.
///
/// # Errors
/// As [`Model::output_kind`].
fn numbers_of_features(model: &Model, images: &Tensor) -> Result<Vec<Vec<f32>>> {
    Ok(model.forward_seen(images)?.1.features)
}

impl Model {
    /// As [`Model::forward`] outside training, and what [`TrainingLook::unlike`] needs of it. Waits for the device.
    ///
    /// # Errors
    /// As [`Model::output_kind`].
    pub fn forward_seen(&self, images: &Tensor) -> Result<(super::Outputs, Seen)> {
        let Some((_, call)) = self.plan().last_dense() else {
            return Ok((self.forward(images, false)?, Seen { features: Vec::new() }));
        };
        let mut features = None;
        let outputs = self.watch(images, |number, value| {
            if number == call {
                features = Some(value.shallow_clone());
            }
        })?;
        let Some(features) = features else { return Ok((outputs, Seen { features: Vec::new() })) };
        let features = features.to_kind(Kind::Float).flatten(1, -1); // f32 [B, F]
        let sorted = outputs.class_logits().topk(2, -1, true, true).0; // f32 [B, 2]
        let columns = [
            features.norm_scalaropt_dim(2.0, [1i64].as_slice(), false).log1p(),
            features.gt(0.0).to_kind(Kind::Float).mean_dim(1, false, Kind::Float),
            features.mean_dim(1, false, Kind::Float),
            features.std_dim([1i64].as_slice(), false, false),
            sorted.select(1, 0),
            sorted.select(1, 1),
        ];
        let rows = host_values(&Tensor::stack(&columns, 1), 1.0); // [B, 6]
        Ok((outputs, Seen { features: rows.chunks(FEATURES.len()).map(<[f32]>::to_vec).collect() }))
    }
}

/// The mean of `value` over the rows, for each channel.
fn means(rows: &[Vec<f32>], channels: usize, value: impl Fn(&[f32], usize) -> f32) -> Vec<f32> {
    let mean = |c| rows.iter().map(|row| f64::from(value(row, c))).sum::<f64>() / rows.len().max(1) as f64;
    (0..channels).map(|c| mean(c) as f32).collect()
}

/// Of all pixels of each channel, from each image's mean and deviation, which come first in a row.
fn deviations(rows: &[Vec<f32>], channels: usize) -> Vec<f32> {
    let squares = means(rows, channels, |row, c| row[c].powi(2) + row[channels + c].powi(2));
    let means = means(rows, channels, |row, c| row[c]);
    squares.iter().zip(means).map(|(square, mean)| (square - mean * mean).max(0.0).sqrt()).collect()
}

/// The range of each column of `rows`, by its name. `least_margin` gives the least margin from the larger bound.
fn ranges(names: &[String], rows: &[Vec<f32>], least_margin: impl Fn(f32) -> f32) -> BTreeMap<String, [f32; 2]> {
    if rows.is_empty() {
        return BTreeMap::new();
    }
    let range = |column: usize| {
        let mut values: Vec<f32> = rows.iter().map(|row| row[column]).collect();
        values.sort_by(f32::total_cmp);
        let last = values.len() - 1;
        let skipped = (last as f64 * TAIL).round() as usize;
        let (low, high) = (values[skipped], values[last - skipped]);
        let part = MARGIN + MARGIN_OF_FEW / values.len() as f32;
        let margin = ((high - low) * part).max(least_margin(low.abs().max(high.abs())));
        [low - margin, high + margin]
    };
    names.iter().cloned().enumerate().map(|(column, name)| (name, range(column))).collect()
}

#[cfg(test)]
mod tests;
