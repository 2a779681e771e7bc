//! What a model computed of a few images when it was saved: its golden outputs, by which another machine, device or version of the
//! program shows that it computes the same.
//!
//! The images are made anew from a seed, so that a model for large images keeps no pixels: [`image`] is their definition. They are
//! no photographs, but have what networks look at: areas, edges, fine detail and noise, at several contrasts.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use tch::{Device, Tensor};

use super::super::Model;
use super::super::checksum::sha256;
use super::super::output::Outputs;
use super::super::spec::Form;
use crate::data::ImageShape;
use crate::error::{Error, Result};
use crate::native;
use crate::rng::{Stream, below, generator};

/// How many images there are ...
const NUM_IMAGES: usize = 16;
/// ... unless the network takes more than so many products of a weight and a value for them: a second or two on a CPU of 2 cores.
const MAX_MULTIPLY_ADDS: usize = 100_000_000_000;
/// Values that are computed in one batch: 16 images of 224 × 224 in colour.
const MAX_BATCH_VALUES: usize = 16 * 224 * 224 * 3;
/// Of how many outputs the numbers are kept for each image: all, or the largest.
const MAX_OUTPUTS: usize = 32;
/// The least number that differences are relative to.
const LEAST: f32 = 1e-3;

/// Where golden outputs were computed: how far another machine may be from them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ComputedOn {
    /// On the CPU, in f32.
    Cpu,
    /// On CUDA, in f32.
    Cuda,
    /// On CUDA, where products are of TensorFloat-32.
    CudaTf32,
}

impl ComputedOn {
    fn here(device: Device) -> Result<Self> {
        Ok(match (device.is_cuda(), native::tf32_is_allowed()?) {
            (false, _) => ComputedOn::Cpu,
            (true, false) => ComputedOn::Cuda,
            (true, true) => ComputedOn::CudaTf32,
        })
    }

    /// The largest difference that rounding makes, as a part of the largest output. Measured on one CPU with plain x86-64, SSE4.1
    /// and AVX2, and one and two threads: 2.6e-7 (keras-cnn), 1.1e-6 (resnet9), 1.7e-6 (resnet18). TF32 rounds to 10 bits of
    /// mantissa.
    fn tolerance(self) -> f32 {
        match self {
            ComputedOn::Cpu => 2e-5,
            ComputedOn::Cuda => 1e-4,
            ComputedOn::CudaTf32 => 1e-2,
        }
    }
}

/// What the numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum OutputForm {
    Logits,
    Probabilities,
}

/// The key `convnet.golden`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Golden {
    /// The images' seed, how many they are, and the SHA-256 of their pixels, u8 `[N, H, W, C]`.
    seed: u64,
    images: usize,
    images_sha256: String,
    /// Where the outputs were computed.
    device: ComputedOn,
    form: OutputForm,
    /// The classes that the outputs are of, u32 `[N, M]`, little-endian, in base64; absent where they are of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    classes: Option<String>,
    /// f32 `[N, M]`, little-endian, in base64.
    outputs: String,
}

/// How golden outputs compare with those that are computed here.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GoldenComparison {
    /// How many images.
    pub images: usize,
    /// The largest difference of two outputs, as a part of the largest one; NaN where one of them is no number.
    pub largest_difference: f32,
    /// What it may be.
    pub tolerance: f32,
    /// Images whose most probable class is another one now, though it was ahead by more than the tolerance.
    pub other_classes: usize,
}

impl GoldenComparison {
    /// Whether the model computes what it computed.
    pub fn holds(&self) -> bool {
        self.largest_difference <= self.tolerance && self.other_classes == 0
    }
}

/// Some outputs of some images.
struct Kept {
    /// `[N][M]`; none where all outputs are kept.
    classes: Option<Vec<Vec<u32>>>,
    /// `[N][M]`.
    outputs: Vec<Vec<f32>>,
}

impl Golden {
    /// What `model` computes of the golden images on its device; none of a network that takes no images or is no classifier.
    ///
    /// # Errors
    /// A device error where libtorch fails.
    pub fn of(model: &Model) -> Result<Option<Self>> {
        let (Ok(shape), Ok(_)) = (model.image_shape(), model.output_kind()) else { return Ok(None) };
        let (seed, count) = (0, num_images(model));
        let pixels = images(seed, count, shape);
        let (form, rows) = compute(model, &pixels, shape, None)?;
        let kept = Kept::largest(rows);
        let base64 = |bytes: Vec<u8>| BASE64_STANDARD.encode(bytes);
        let classes = kept.classes.map(|rows| base64(rows.iter().flatten().flat_map(|n| n.to_le_bytes()).collect()));
        Ok(Some(Golden {
            seed,
            images: count,
            images_sha256: sha256(&pixels),
            device: ComputedOn::here(model.device())?,
            form,
            classes,
            outputs: base64(kept.outputs.iter().flatten().flat_map(|value| value.to_le_bytes()).collect()),
        }))
    }

    /// Computes them again with `model`, on its device.
    ///
    /// # Errors
    /// A model error where what is kept does not go with the network; a device error where libtorch fails.
    pub fn compare(&self, model: &Model) -> Result<GoldenComparison> {
        if !(1..=NUM_IMAGES).contains(&self.images) {
            return Err(unusable("images").expected(format!("1 to {NUM_IMAGES}")).got(self.images));
        }
        let shape = model.image_shape()?;
        let kept = self.kept(model.num_outputs())?;
        let pixels = images(self.seed, self.images, shape);
        if sha256(&pixels) != self.images_sha256 {
            let error = unusable("images_sha256").expected(&self.images_sha256).got(sha256(&pixels));
            return Err(error.help("this version makes other images: use the version of convnet that wrote the model"));
        }
        let (_, now) = compute(model, &pixels, shape, Some(self.form))?;
        let here = ComputedOn::here(model.device())?.tolerance();
        Ok(kept.compare(&now, self.form, self.device.tolerance().max(here)))
    }

    fn kept(&self, num_outputs: usize) -> Result<Kept> {
        let width = num_outputs.min(MAX_OUTPUTS);
        let words = |text: &str, key| -> Result<Vec<[u8; 4]>> {
            let bytes = BASE64_STANDARD.decode(text).map_err(|error| unusable(key).because(error))?;
            let (words, rest) = bytes.as_chunks::<4>();
            match rest.is_empty() && words.len() == self.images * width {
                true => Ok(words.to_vec()),
                false => Err(unusable(key).expected(format!("{} bytes", self.images * width * 4)).got(bytes.len())),
            }
        };
        let outputs = words(&self.outputs, "outputs")?;
        let outputs =
            outputs.chunks(width.max(1)).map(|row| row.iter().map(|word| f32::from_le_bytes(*word)).collect());
        let classes = match &self.classes {
            None if num_outputs <= MAX_OUTPUTS => None,
            None => return Err(unusable("classes").expected("the classes of the outputs").got("none")),
            Some(text) => {
                let numbers: Vec<u32> = words(text, "classes")?.iter().map(|word| u32::from_le_bytes(*word)).collect();
                if let Some(beyond) = numbers.iter().find(|number| **number as usize >= num_outputs) {
                    return Err(unusable("classes").expected(format!("numbers below {num_outputs}")).got(beyond));
                }
                Some(numbers.chunks(width.max(1)).map(<[u32]>::to_vec).collect())
            }
        };
        Ok(Kept { classes, outputs: outputs.collect() })
    }
}

impl Kept {
    /// The largest of each of `rows`, `[N][outputs]`; all where they are few.
    fn largest(rows: Vec<Vec<f32>>) -> Self {
        if rows.first().is_none_or(|row| row.len() <= MAX_OUTPUTS) {
            return Kept { classes: None, outputs: rows };
        }
        let largest = |row: &Vec<f32>| {
            let mut classes: Vec<u32> = (0..row.len() as u32).collect();
            classes.sort_by(|a, b| row[*b as usize].total_cmp(&row[*a as usize])); // stable
            classes.truncate(MAX_OUTPUTS);
            classes
        };
        let classes: Vec<Vec<u32>> = rows.iter().map(largest).collect();
        let of = |(classes, row): (&Vec<u32>, &Vec<f32>)| classes.iter().map(|&class| row[class as usize]).collect();
        Kept { outputs: classes.iter().zip(&rows).map(of).collect(), classes: Some(classes) }
    }

    /// Against the outputs `now`, `[N][outputs]`.
    fn compare(&self, now: &[Vec<f32>], form: OutputForm, tolerance: f32) -> GoldenComparison {
        let finite = self.outputs.iter().flatten().map(|value| value.abs()).filter(|value| value.is_finite());
        let scale = finite.fold(LEAST, f32::max);
        let (mut largest_difference, mut other_classes) = (0.0f32, 0);
        for (number, (kept, now)) in self.outputs.iter().zip(now).enumerate() {
            let classes = self.classes.as_ref().map(|rows| &rows[number]);
            let picked: Vec<f32> = match classes {
                Some(classes) => classes.iter().map(|&class| now[class as usize]).collect(),
                None => now.clone(),
            };
            let differences = kept.iter().zip(&picked).map(|(a, b)| difference(*a, *b) / scale);
            // what was not kept was not above what was
            let least = kept.iter().copied().fold(f32::INFINITY, f32::min);
            let is_kept = |class: usize| classes.is_none_or(|classes| classes.contains(&(class as u32)));
            let above = now.iter().enumerate().filter(|(class, _)| !is_kept(*class));
            let above = above.map(|(_, value)| ((value - least) / scale).max(0.0));
            largest_difference = differences.chain(above).fold(largest_difference, larger_or_nan);
            other_classes += usize::from(says_another(kept, &picked, form, tolerance * scale));
        }
        GoldenComparison { images: self.outputs.len(), largest_difference, tolerance, other_classes }
    }
}

/// Whether the first of `kept` and the first of `now` are of other classes, and not by rounding.
fn says_another(kept: &[f32], now: &[f32], form: OutputForm, tolerance: f32) -> bool {
    let first = |row: &[f32]| (0..row.len()).max_by(|a, b| row[*a].total_cmp(&row[*b]).then(b.cmp(a))).unwrap_or(0);
    if let ([before], [now]) = (kept, now) {
        // one output has two classes
        let threshold = if form == OutputForm::Logits { 0.0 } else { 0.5 };
        return (before > &threshold) != (now > &threshold) && (before - threshold).abs() > 2.0 * tolerance;
    }
    let (before, after) = (first(kept), first(now));
    before != after && kept[before] - kept[after] > 2.0 * tolerance
}

/// 0 where both are the same infinity, or no number.
fn difference(a: f32, b: f32) -> f32 {
    if a == b || (a.is_nan() && b.is_nan()) { 0.0 } else { (a - b).abs() }
}

fn larger_or_nan(a: f32, b: f32) -> f32 {
    if a.is_nan() || b.is_nan() { f32::NAN } else { a.max(b) }
}

fn unusable(key: &str) -> Error {
    Error::model("the model's golden outputs cannot be used").at(format!("convnet.golden.{key}"))
}

fn num_images(model: &Model) -> usize {
    (MAX_MULTIPLY_ADDS / model.plan().multiply_adds().max(1)).clamp(1, NUM_IMAGES)
}

/// The outputs of each image of `pixels`, u8 `[N, H, W, C]`, and what they are: as `wanted`, or what the network ends with. Waits
/// for the device.
fn compute(
    model: &Model,
    pixels: &[u8],
    shape: ImageShape,
    wanted: Option<OutputForm>,
) -> Result<(OutputForm, Vec<Vec<f32>>)> {
    let ImageShape { height, width, channels } = shape;
    let image = (height * width * channels).max(1);
    let mut rows = Vec::new();
    let mut form = OutputForm::Logits;
    for batch in pixels.chunks(image * (MAX_BATCH_VALUES / image).clamp(1, NUM_IMAGES)) {
        let sizes = [batch.len() / image, height, width, channels].map(|size| size as i64);
        let images = Tensor::from_slice(batch).reshape(sizes).to_device(model.device()); // u8 [B, H, W, C]
        let outputs = native::guarded(|| tch::no_grad(|| model.forward_fp32(&images)))?;
        let values;
        (form, values) = in_form(&outputs, wanted)?;
        let flat = Vec::<f32>::try_from(values.to_device(Device::Cpu).contiguous().view([-1]));
        let flat = flat.expect("a flat f32 tensor on the CPU");
        rows.extend(flat.chunks(model.num_outputs().max(1)).map(<[f32]>::to_vec));
    }
    Ok((form, rows))
}

/// Logits where the network has them: they tell apart what probabilities near 0 and 1 do not.
fn in_form(outputs: &Outputs, wanted: Option<OutputForm>) -> Result<(OutputForm, Tensor)> {
    let own = match outputs.form {
        Form::Logits | Form::Activated => OutputForm::Logits,
        Form::Probabilities => OutputForm::Probabilities,
    };
    match (wanted.unwrap_or(own), own) {
        (OutputForm::Logits, OutputForm::Probabilities) => {
            Err(unusable("form").expected("probabilities, which the network ends in").got("logits"))
        }
        (OutputForm::Logits, OutputForm::Logits) => Ok((OutputForm::Logits, outputs.values.shallow_clone())),
        (OutputForm::Probabilities, _) => Ok((OutputForm::Probabilities, outputs.activated())),
    }
}

/// The golden images, u8 `[count, H, W, C]`.
fn images(seed: u64, count: usize, shape: ImageShape) -> Vec<u8> {
    (0..count as u64).flat_map(|number| image(seed, number, shape)).collect()
}

/// A golden image, u8 `[H, W, C]`: in each channel the mean of a pattern of 3 × 3 areas (four parts), one of 9 × 9 (two parts), both
/// drawn at random and interpolated, and of noise (one part), with its contrast raised to a half, one, one and a half or two times
/// in turn. All in whole numbers, so that machines agree.
fn image(seed: u64, number: u64, shape: ImageShape) -> Vec<u8> {
    let ImageShape { height, width, channels } = shape;
    let mut rng = generator(seed, Stream::Golden(number));
    let mut draw = || below(&mut rng, 256) as i64;
    let mut pixels = vec![0; height * width * channels];
    for channel in 0..channels {
        let coarse: [i64; 9] = std::array::from_fn(|_| draw());
        let fine: [i64; 81] = std::array::from_fn(|_| draw());
        for y in 0..height {
            for x in 0..width {
                let pattern = |areas: &[i64], side| between(areas, side, [y, x], [height, width]);
                let mean = (4 * pattern(&coarse, 3) + 2 * pattern(&fine, 9) + draw()) / 7;
                let contrast = 1 + number as i64 % 4;
                pixels[(y * width + x) * channels + channel] = ((mean - 128) * contrast / 2 + 128).clamp(0, 255) as u8;
            }
        }
    }
    pixels
}

/// The value at pixel `at` of `size` between the corners of a pattern of `side` × `side`, bilinear in steps of 1/256.
fn between(corners: &[i64], side: usize, at: [usize; 2], size: [usize; 2]) -> i64 {
    let [(row, down), (column, right)] = [0, 1].map(|axis| {
        let position = at[axis] * (side - 1) * 256 / size[axis].saturating_sub(1).max(1);
        let corner = (position / 256).min(side - 2);
        (corner, (position - corner * 256) as i64)
    });
    let across = |row: usize| {
        let [left, next] = [0, 1].map(|step| corners[row * side + column + step]);
        left * (256 - right) + next * right
    };
    (across(row) * (256 - down) + across(row + 1) * down) / (256 * 256)
}

#[cfg(test)]
mod tests;
