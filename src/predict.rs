//! From images to probabilities and labels.

mod groups;

use std::path::Path;
use std::{fmt, io};

use serde::Serialize;
use tch::{Device, Kind, Tensor};

use crate::data::image::Preprocessing;
use crate::data::{ImageShape, npy};
use crate::error::{Error, Result};
use crate::files::write_output;
use crate::model::saved;
use crate::model::training_look::{Seen, Unlike};
use crate::model::{Calibration, Model, ModelInfo, Threshold, softmax};
use crate::native;

/// A saved model with its labels and preprocessing, ready to predict images.
pub struct Predictor {
    model: Model,
    info: ModelInfo,
    preparation: Preprocessing,
    /// What logits are divided by before probabilities are made of them.
    temperature: Option<f64>,
    /// It says nothing about images that are not above it.
    threshold: Option<Threshold>,
}

/// What the model says about one image.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Prediction {
    /// The name of the most probable class.
    #[serde(skip)]
    pub label: String,
    /// Whether the model is as sure of it as was asked for: see [`Predictor::with_min_precision`].
    #[serde(skip)]
    pub is_sure: bool,
    /// Its number, in `0..K`; the lowest where several are equally probable.
    pub class: usize,
    /// Its probability.
    pub probability: f32,
    /// How the image is unlike those that the model was trained on; empty where it is not, or where the model does not know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unlike: Vec<Unlike>,
    /// The probability of each of the K classes; each class's own where the network ends in several sigmoids.
    pub probabilities: Vec<f32>,
    /// The network's outputs as Keras's `predict` gives them: probabilities or logits, and one where one sigmoid has two
    /// classes.
    #[serde(skip)]
    pub outputs: Vec<f32>,
}

/// A class that an image may belong to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Candidate {
    /// Its number, in `0..K`.
    pub class: usize,
    /// Its name.
    pub label: String,
    /// Its probability.
    pub probability: f32,
}

/// Where an image comes from.
#[derive(Debug, Clone, Serialize)]
pub struct InputImage {
    /// The file, or the data set and its split.
    pub input: String,
    /// The row of an array, or the number in the split; `None` for an image file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    /// The true class, where it is known.
    #[serde(skip)]
    pub expected: Option<usize>,
}

/// One prediction, as the contract's JSON has it.
#[derive(Debug, Clone, Serialize)]
pub struct Record {
    /// Where the image comes from.
    #[serde(flatten)]
    pub origin: InputImage,
    /// The name of the most probable class; none where the model abstains.
    pub label: Option<String>,
    /// What the model says.
    #[serde(flatten)]
    pub prediction: Prediction,
    /// The most probable classes, the most probable first.
    pub top: Vec<Candidate>,
    /// The true class, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<usize>,
}

/// What `predict --json` prints, and `serve` answers.
#[derive(Debug, Serialize)]
pub struct PredictDocument<'a> {
    /// The predictions, in the order of the images.
    pub predictions: &'a [Record],
}

/// What a file of predictions holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PredictionFormat {
    /// `.csv`: a line of names, then a line for each image.
    Csv,
    /// `.jsonl`: a JSON object on each line.
    JsonLines,
    /// `.npy`: the network's outputs, `f32 [N, outputs]`.
    Npy,
}

impl Predictor {
    /// Loads a saved model onto `device`. `model` is a stem, one of the model's files or a run's folder: see
    /// [`saved::locate`].
    ///
    /// # Errors
    /// A model error where there is no such model, it cannot be loaded, or it does not take images.
    pub fn load(model: &str, device: Device) -> Result<Self> {
        let json_path = saved::locate(model)?;
        let (model, info) = saved::load(&json_path, device)?;
        let shape = model.image_shape().map_err(|error| error.at_path(&json_path))?;
        let preparation = info.preparation(shape);
        Ok(Predictor { model, info, preparation, temperature: None, threshold: None })
    }

    /// With probabilities that are as often right as they say: the logits divided by the temperature that the model keeps.
    ///
    /// # Errors
    /// A model error where it keeps none.
    pub fn calibrated(mut self) -> Result<Self> {
        self.temperature = Some(self.calibration()?.temperature);
        Ok(self)
    }

    /// Abstaining from images of which the model is not sure: it is to be right in at least `min_precision` of those that it
    /// speaks of, measured on its validation images.
    ///
    /// # Errors
    /// A model error where it does not keep what its confidence is worth; a configuration error where no confidence is known
    /// to be that often right: see [`Calibration::threshold`].
    pub fn with_min_precision(mut self, min_precision: f64) -> Result<Self> {
        self.threshold = Some(self.calibration()?.threshold(min_precision)?);
        Ok(self)
    }

    /// The threshold of [`Predictor::with_min_precision`].
    pub fn threshold(&self) -> Option<Threshold> {
        self.threshold
    }

    fn calibration(&self) -> Result<&Calibration> {
        self.info.calibration.as_ref().ok_or_else(|| {
            Error::model("the model does not know what its confidence is worth")
                .expected("convnet.calibration, measured on images that it was not trained on")
                .help("measure it: convnet evaluate MODEL --split validation --calibrate")
        })
    }

    /// The input shape: height, width and channels.
    pub fn shape(&self) -> ImageShape {
        self.preparation.shape
    }

    /// The preprocessing of image files for the model.
    pub fn preparation(&self) -> Preprocessing {
        self.preparation
    }

    /// The K classes' names.
    pub fn labels(&self) -> &[String] {
        &self.info.labels
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// What is known of the model beside its network.
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// What stored pixels, 0 to 255, are multiplied by before they enter the network.
    pub fn input_scale(&self) -> f64 {
        self.model.input_scale()
    }

    /// Predicts `count` stored images: `pixels` is `u8 [count, H, W, C]`, row-major. An image's
    /// prediction does not depend on the others.
    ///
    /// # Errors
    /// A data error where `pixels` has another length; a numeric error where an output is not finite; a device error
    /// where libtorch fails.
    pub fn predict_u8(&self, pixels: &[u8], count: usize) -> Result<Vec<Prediction>> {
        self.check_length(pixels.len(), count)?;
        self.predict(&Tensor::from_slice(pixels), count)
    }

    /// Predicts `count` images that are handed to the network as they are: `values` is `f32 [count, H, W, C]`, row-major,
    /// and already scaled. An image's prediction does not depend on the others.
    ///
    /// # Errors
    /// As [`Predictor::predict_u8`].
    pub fn predict_f32(&self, values: &[f32], count: usize) -> Result<Vec<Prediction>> {
        self.check_length(values.len(), count)?;
        self.predict(&Tensor::from_slice(values), count)
    }

    fn check_length(&self, length: usize, count: usize) -> Result<()> {
        let expected = self.shape().num_bytes().and_then(|image| image.checked_mul(count));
        match expected == Some(length) {
            true => Ok(()),
            false => Err(Error::data("the images have another size than the model's")
                .expected(format!("{count} times {} values", self.shape()))
                .got(length)),
        }
    }

    fn predict(&self, flat: &Tensor, count: usize) -> Result<Vec<Prediction>> {
        let ImageShape { height, width, channels } = self.shape();
        let images = flat.reshape([count, height, width, channels].map(|size| size as i64)); // [B, H, W, C]
        let group = groups::size(self.model.plan().multiply_adds(), self.model.device());
        let mut predictions = Vec::with_capacity(count);
        for start in (0..count).step_by(group) {
            let images = images.narrow(0, start as i64, group.min(count - start) as i64);
            predictions.extend(self.predict_group(&images, group)?);
        }
        Ok(predictions)
    }

    /// Predicts `images [B, H, W, C]`, of which there are at most `group`, with black ones behind them where there are fewer: so
    /// that an image's prediction has the same bits whatever others are predicted with it.
    fn predict_group(&self, images: &Tensor, group: usize) -> Result<Vec<Prediction>> {
        let compute = || {
            let whole = groups::filled(images, group).to_device(self.model.device());
            let (outputs, seen) = match &self.info.images {
                Some(_) => self.model.forward_seen(&whole)?,
                None => (self.model.forward(&whole, false)?, Seen::default()),
            };
            let logits = outputs.logits().filter(|_| self.temperature.is_some());
            Ok((rows(&outputs.activated()), rows(&outputs.probabilities()), logits.as_ref().map(rows), seen))
        };
        let (activated, probabilities, logits, seen) = native::guarded(|| tch::no_grad(compute))?;
        let pairs = activated.chunks(self.model.num_outputs()).zip(probabilities.chunks(self.info.labels.len()));
        let new = |(outputs, probabilities)| Prediction::new(outputs, probabilities, &self.info.labels);
        let count = images.size()[0] as usize;
        let mut predictions = pairs.take(count).map(new).collect::<Result<Vec<_>>>()?;
        self.decide(logits.as_deref(), &mut predictions);
        self.tell_unlike(images, &seen, &mut predictions);
        Ok(predictions)
    }

    /// Abstains and calibrates as was asked for; `logits` are `[B, K]`.
    fn decide(&self, logits: Option<&[f32]>, predictions: &mut [Prediction]) {
        if let Some(threshold) = self.threshold {
            predictions.iter_mut().for_each(|image| image.is_sure = image.probability > threshold.confidence);
        }
        if let (Some(logits), Some(temperature)) = (logits, self.temperature) {
            for (prediction, logits) in predictions.iter_mut().zip(logits.chunks(self.info.labels.len())) {
                prediction.probabilities = softmax(logits, temperature);
                prediction.probability = prediction.probabilities[prediction.class];
            }
        }
    }

    /// Says of each image (`u8` or `f32 [B, H, W, C]`) how it is unlike the training images, where the model knows them.
    fn tell_unlike(&self, images: &Tensor, seen: &Seen, predictions: &mut [Prediction]) {
        let Some(look) = &self.info.images else { return };
        // values that go to the network as they are were scaled as pixels are
        let scale = match images.kind() {
            Kind::Uint8 => 1.0 / 255.0,
            _ => 1.0 / (255.0 * self.model.input_scale()),
        };
        let values = rows(&(images.to_kind(Kind::Float) * scale));
        let images = values.chunks(values.len() / predictions.len().max(1));
        for (number, (values, prediction)) in images.zip(predictions).enumerate() {
            let features = seen.features.get(number).map_or(&[][..], Vec::as_slice);
            prediction.unlike = look.unlike(values, self.shape(), features).into_iter().collect();
        }
    }
}

/// The values of `f32 [B, …]` in row-major order.
fn rows(tensor: &Tensor) -> Vec<f32> {
    let flat = tensor.to_device(Device::Cpu).contiguous().view([-1]);
    Vec::<f32>::try_from(&flat).expect("a flat f32 tensor on the CPU")
}

impl Record {
    /// What the model says about the image of `origin`, with its `k` most probable classes. `labels` are the K names.
    pub fn new(origin: InputImage, prediction: Prediction, labels: &[String], k: usize) -> Self {
        let (top, expected) = (prediction.top(labels, k), origin.expected);
        let label = prediction.is_sure.then(|| prediction.label.clone());
        Record { origin, label, prediction, top, expected }
    }
}

impl Prediction {
    fn new(outputs: &[f32], probabilities: &[f32], labels: &[String]) -> Result<Self> {
        if !outputs.iter().chain(probabilities).all(|value| value.is_finite()) {
            return Err(Error::numeric("an output of the network is not finite")
                .help("look for values that are not finite in the input, and in the model's weights"));
        }
        let best = top(probabilities, labels, 1);
        let best = best.into_iter().next().ok_or_else(|| Error::model("the network has no class"))?;
        let (outputs, probabilities) = (outputs.to_vec(), probabilities.to_vec());
        let Candidate { class, label, probability } = best;
        let unlike = Vec::new();
        Ok(Prediction { label, is_sure: true, class, probability, unlike, probabilities, outputs })
    }

    /// The `k` most probable classes, the most probable first; all K where `k` is greater. `labels` are the K names.
    pub fn top(&self, labels: &[String], k: usize) -> Vec<Candidate> {
        top(&self.probabilities, labels, k)
    }
}

/// Where two are equally probable, the lower number comes first, as NumPy's `argmax` has it.
fn top(probabilities: &[f32], labels: &[String], k: usize) -> Vec<Candidate> {
    let mut classes: Vec<_> = probabilities.iter().copied().zip(labels).enumerate().collect();
    classes.sort_by(|(_, (a, _)), (_, (b, _))| b.total_cmp(a)); // stable
    let first = classes.into_iter().take(k);
    first.map(|(class, (probability, label))| Candidate { class, label: label.clone(), probability }).collect()
}

impl PredictionFormat {
    /// The format that `path`'s extension names.
    ///
    /// # Errors
    /// A configuration error where it names none.
    pub fn of(path: &Path) -> Result<Self> {
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        match extension.as_str() {
            "csv" => Ok(PredictionFormat::Csv),
            "jsonl" => Ok(PredictionFormat::JsonLines),
            "npy" => Ok(PredictionFormat::Npy),
            _ => {
                Err(Error::config("`out` has no known extension").expected(".csv, .jsonl or .npy").got(path.display()))
            }
        }
    }

    /// Writes the predictions to `path`; the file appears whole or not at all. `labels` are the K classes' names.
    ///
    /// # Errors
    /// A configuration error where the file cannot be written.
    pub fn write(self, path: &Path, records: &[Record], labels: &[String]) -> Result<()> {
        let written = match self {
            PredictionFormat::Csv => write_output(path, |writer| write_csv(writer, records, labels)),
            PredictionFormat::JsonLines => write_output(path, |writer| {
                records.iter().try_for_each(|record| {
                    serde_json::to_writer(&mut *writer, record)?;
                    writer.write_all(b"\n")
                })
            }),
            PredictionFormat::Npy => {
                let values: Vec<f32> = records.iter().flat_map(|record| record.prediction.outputs.clone()).collect();
                return npy::write_f32(path, &[records.len(), values.len() / records.len().max(1)], &values);
            }
        };
        written.map_err(|error| Error::config("cannot write the predictions").at_path(path).because(error))
    }
}

fn write_csv(writer: &mut dyn io::Write, records: &[Record], labels: &[String]) -> io::Result<()> {
    let mut table = csv::Writer::from_writer(writer);
    let fixed = ["input", "index", "label", "class", "probability", "expected", "predicted", "true"].map(String::from);
    let classes = (0..labels.len()).map(|class| format!("p_{class}"));
    table.write_record(fixed.into_iter().chain(classes).chain(["unlike".to_owned()]))?;
    let text = |number: Option<usize>| number.map(|number| number.to_string()).unwrap_or_default();
    for Record { origin, label: said, prediction, expected, .. } in records {
        let Prediction { label, class, probability, probabilities, unlike, .. } = prediction;
        let said = said.clone().unwrap_or_default();
        let (class, probability) = (class.to_string(), probability.to_string());
        let truth = expected.and_then(|class| labels.get(class)).cloned().unwrap_or_default();
        let (input, index, expected) = (origin.input.clone(), text(origin.index), text(*expected));
        let fixed = [input, index, said, class, probability, expected, label.clone(), truth];
        let unlike = unlike.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        table.write_record(fixed.into_iter().chain(probabilities.iter().map(f32::to_string)).chain([unlike]))?;
    }
    table.flush()
}

impl fmt::Display for InputImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            Some(index) => write!(f, "{} [{index}]", self.input),
            None => f.write_str(&self.input),
        }
    }
}

#[cfg(test)]
mod tests;
