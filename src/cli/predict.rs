//! `convnet predict`: probabilities, labels and the most probable classes of images.

use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::labelled::{choose, in_model_classes};
use super::{Globals, output};
use crate::data::image::{self, Preparation};
use crate::data::npy::{self, NpyImages};
use crate::data::{ImageShape, LoadOptions, Split, registry};
use crate::device::{self, DeviceChoice};
use crate::error::{Error, Result};
use crate::predict::{Format, Origin, Prediction, Predictor, Record};

/// Images that go through the network at once.
const BATCH_SIZE: usize = 64;
/// Characters of a bar that stands for probability 1.
const BAR_WIDTH: f32 = 20.0;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A stem (models/model), either of its two files, or a run's folder
    #[arg(value_name = "MODEL")]
    model: String,
    /// Image files, folders of images, .npy arrays [N, H, W, C] (uint8: images; float32: as they are)
    #[arg(value_name = "INPUT", required_unless_present = "data", conflicts_with = "data")]
    inputs: Vec<PathBuf>,
    /// Take the images from a data set: a known name or a path
    #[arg(long, value_name = "D", requires = "index")]
    data: Option<String>,
    /// The data set's split
    #[arg(long, value_enum, default_value_t = Split::Test, requires = "data")]
    split: Split,
    /// Which images of the split, from 0
    #[arg(long, value_name = "I,…", value_delimiter = ',', requires = "data")]
    index: Vec<usize>,
    /// How many of the most probable classes to name
    #[arg(long, value_name = "K", default_value = "3")]
    top_k: NonZeroUsize,
    /// Write the predictions to a file: .csv, .jsonl, or .npy (the network's outputs, float32 [N, K])
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto")]
    device: DeviceChoice,
    /// CPU threads
    #[arg(short = 'j', long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

#[derive(Serialize)]
struct Document<'a> {
    predictions: &'a [Record],
}

pub fn run(args: Args, globals: Globals) -> anyhow::Result<()> {
    let out = args.out.as_deref().map(|path| Ok::<_, Error>((path, Format::of(path)?))).transpose()?;
    device::configure(args.threads.map(NonZeroUsize::get))?;
    let selected = device::select(args.device)?;
    let predictor = Predictor::load(&args.model, selected.device)?;
    let mut session = Session::new(&predictor, args.top_k.get());
    match &args.data {
        Some(data) => session.read_data(data, args.split, &args.index, globals)?,
        None => session.read_inputs(&args.inputs)?,
    }
    session.flush()?;
    let Session { records, mut failures, num_inputs, .. } = session;
    if records.is_empty() && failures.len() == 1 {
        return Err(failures.remove(0).into());
    }
    for failure in &failures {
        eprintln!("error: {}", crate::log::describe(failure));
    }
    if !records.is_empty() {
        if let Some((path, format)) = out {
            format.write(path, &records, predictor.labels())?;
            output::note(globals, &format!("wrote {}", path.display()));
        }
        match args.json {
            true => output::json(&Document { predictions: &records })?,
            false => output::result(&describe(&records, predictor.labels()))?,
        }
    }
    match failures.len() {
        0 => Ok(()),
        count => Err(Error::data(format!("{count} of {num_inputs} inputs could not be read")).into()),
    }
}

/// Images on their way through the network, in batches.
struct Session<'a> {
    predictor: &'a Predictor,
    top_k: usize,
    /// The origins of the images that wait for their batch to fill.
    waiting: Vec<Origin>,
    /// Theirs: `u8 [B, H, W, C]`.
    pixels: Vec<u8>,
    records: Vec<Record>,
    failures: Vec<Error>,
    num_inputs: usize,
}

impl<'a> Session<'a> {
    fn new(predictor: &'a Predictor, top_k: usize) -> Self {
        let (waiting, pixels, records, failures) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Session { predictor, top_k, waiting, pixels, records, failures, num_inputs: 0 }
    }

    fn read_data(&mut self, data: &str, split: Split, indices: &[usize], globals: Globals) -> Result<()> {
        let Preparation { shape, resize } = self.predictor.preparation();
        let dataset = registry::load_with(data, &LoadOptions::of_model(shape, resize))?;
        let labels = self.predictor.labels();
        let dataset = in_model_classes(dataset, labels, globals)?;
        if dataset.classes.len() != labels.len() {
            return Err(Error::data("the data set's classes are not the model's")
                .expected(format!("{} classes, as the model has", labels.len()))
                .got(dataset.classes.len())
                .at(data));
        }
        let samples = choose(dataset, split)?;
        check_shape(self.predictor.shape(), samples.shape()).map_err(|error| error.at(data))?;
        let name = format!("{data} {split}");
        if let Some(index) = indices.iter().find(|&&index| index >= samples.len()) {
            return Err(Error::data("there is no such image in the split")
                .expected(format!("an index from 0 to {}", samples.len() - 1))
                .got(index)
                .at(name));
        }
        for &index in indices {
            let pixels = samples.image(index)?;
            // a label is in 0..K by the samples' invariants
            let expected = samples.labels().get(index).and_then(|&label| usize::try_from(label).ok());
            self.push(Origin { input: name.clone(), index: Some(index), expected }, &pixels)?;
        }
        Ok(())
    }

    /// Reads what it can; what it cannot read is kept as a failure.
    fn read_inputs(&mut self, inputs: &[PathBuf]) -> Result<()> {
        for input in inputs {
            let files = match input.is_dir() {
                true => image::list_images(input),
                false => Ok(vec![input.clone()]),
            };
            match files {
                Ok(files) => files.iter().try_for_each(|file| self.read_file(file))?,
                Err(error) => self.fail(error),
            }
        }
        Ok(())
    }

    fn fail(&mut self, error: Error) {
        self.num_inputs += 1;
        self.failures.push(error);
    }

    fn read_file(&mut self, path: &Path) -> Result<()> {
        let input = path.display().to_string();
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("npy")) {
            return self.read_array(path, &input);
        }
        match image::decode(path, self.predictor.preparation()) {
            Err(error) => self.fail(error),
            Ok(pixels) => {
                self.num_inputs += 1;
                self.push(Origin { input, index: None, expected: None }, &pixels)?;
            }
        }
        Ok(())
    }

    fn read_array(&mut self, path: &Path, input: &str) -> Result<()> {
        let checked = npy::read_images(path).and_then(|images| {
            let (NpyImages::U8 { shape, .. } | NpyImages::F32 { shape, .. }) = &images;
            check_shape(self.predictor.shape(), *shape).map_err(|error| error.at_path(path))?;
            Ok(images)
        });
        let images = match checked {
            Ok(images) => images,
            Err(error) => {
                self.fail(error);
                return Ok(());
            }
        };
        self.num_inputs += 1;
        let origin = |index| Origin { input: input.to_owned(), index: Some(index), expected: None };
        match images {
            NpyImages::U8 { count, pixels, .. } => {
                let mut rows = pixels.chunks(pixels.len() / count).enumerate();
                rows.try_for_each(|(index, row)| self.push(origin(index), row))
            }
            NpyImages::F32 { count, values, .. } => {
                self.flush()?;
                let row = values.len() / count;
                let mut origins = (0..count).map(origin);
                for batch in values.chunks(row * BATCH_SIZE) {
                    let predictions = self.predictor.predict_f32(batch, batch.len() / row);
                    let predictions = predictions.map_err(|error| error.at_path(path))?;
                    self.keep(origins.by_ref().take(batch.len() / row), predictions);
                }
                Ok(())
            }
        }
    }

    fn push(&mut self, origin: Origin, pixels: &[u8]) -> Result<()> {
        self.waiting.push(origin);
        self.pixels.extend_from_slice(pixels);
        if self.waiting.len() == BATCH_SIZE { self.flush() } else { Ok(()) }
    }

    /// Predicts the images that wait.
    fn flush(&mut self) -> Result<()> {
        let predictions = self.predictor.predict_u8(&self.pixels, self.waiting.len())?;
        self.pixels.clear();
        let waiting = std::mem::take(&mut self.waiting);
        self.keep(waiting.into_iter(), predictions);
        Ok(())
    }

    fn keep(&mut self, origins: impl Iterator<Item = Origin>, predictions: Vec<Prediction>) {
        let (labels, top_k) = (self.predictor.labels(), self.top_k);
        self.records.extend(origins.zip(predictions).map(|(origin, prediction)| {
            let top = prediction.top(labels, top_k);
            Record { expected: origin.expected, origin, prediction, top }
        }));
    }
}

fn check_shape(model: ImageShape, images: ImageShape) -> Result<()> {
    match model == images {
        true => Ok(()),
        false => Err(Error::data("the images have another shape than the model's input")
            .expected(format!("{model}, as the model has"))
            .got(images)),
    }
}

/// The predictions for people: all probabilities of a single image, a line for each of several.
fn describe(records: &[Record], labels: &[String]) -> String {
    match records {
        [record] => describe_one(record, labels),
        _ => records.iter().map(describe_line).collect(),
    }
}

fn describe_one(record: &Record, labels: &[String]) -> String {
    let Prediction { class, label, probability, probabilities, .. } = &record.prediction;
    let width = labels.iter().map(|label| label.chars().count()).max().unwrap_or(0);
    let mut text = format!("{}\n", record.origin);
    for (number, (label, probability)) in labels.iter().zip(probabilities).enumerate() {
        let bar = "█".repeat((probability * BAR_WIDTH).round() as usize);
        let line = format!("{number:>4}  {label:<width$}  {probability:.6}  {bar}");
        text += line.trim_end();
        text += "\n";
    }
    text += &format!("argmax {class} ({label}), probability {probability:.4}\n");
    if let Some(expected) = record.expected {
        let name = labels.get(expected).map_or("?", String::as_str);
        let verdict = if expected == *class { "right" } else { "wrong" };
        text += &format!("true label {expected} ({name}): {verdict}\n");
    }
    text
}

fn describe_line(record: &Record) -> String {
    let Prediction { class, label, probability, .. } = &record.prediction;
    let mut line = format!("{}: {class} ({label}) {probability:.4}", record.origin);
    let top: Vec<String> =
        record.top.iter().map(|candidate| format!("{} {:.4}", candidate.label, candidate.probability)).collect();
    write!(line, "  [{}]", top.join(", ")).expect("a string takes all text");
    if let Some(expected) = record.expected {
        let verdict = if expected == *class { "right" } else { "wrong" };
        write!(line, "  true {expected}: {verdict}").expect("a string takes all text");
    }
    line + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        let (label, probabilities) = ("Bag".to_owned(), vec![0.25, 0.75]);
        let prediction =
            Prediction { label, class: 1, probability: 0.75, outputs: probabilities.clone(), probabilities };
        let top = prediction.top(&labels(), 1);
        let origin = Origin { input: "a.png".into(), index: None, expected: Some(0) };
        Record { expected: origin.expected, origin, prediction, top }
    }

    fn labels() -> Vec<String> {
        ["Shirt", "Bag"].map(String::from).to_vec()
    }

    #[test]
    fn one_image_is_told_in_full() {
        let text = describe(&[record()], &labels());
        assert!(text.contains("   1  Bag    0.750000  ███████████████\n"), "{text}");
        assert!(text.ends_with("argmax 1 (Bag), probability 0.7500\ntrue label 0 (Shirt): wrong\n"), "{text}");
    }
}
