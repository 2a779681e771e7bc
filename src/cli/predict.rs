//! `convnet predict`: probabilities, labels and the most probable classes of images.

mod text;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use super::indices::Indices;
use super::labelled::{self, Wanted};
use super::{Globals, at_least_one, output, spelling};
use crate::cli::names::names;
use convnet::data::image;
use convnet::data::npy::{self, NpyImages};
use convnet::data::{ImageShape, Split};
use convnet::device::{self, DeviceChoice};
use convnet::error::{Error, Result};
use convnet::predict::{InputImage, PredictDocument, Prediction, PredictionFormat, Predictor, Record};
use text::{describe, describe_threshold, scale_warning, warn_of_unlike};

/// Images that go through the network at once.
const BATCH_SIZE: usize = 64;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The model: a stem (models/model), either of its two files, or a run's name or folder
    #[arg(value_name = "MODEL")]
    model: String,
    /// Image files, folders of images, .npy arrays [N, H, W, C] (uint8: pixels; float32: the network's input)
    #[arg(
        value_name = "INPUT",
        required_unless_present_any = ["data", "split", "index", "wrong"],
        conflicts_with_all = ["data", "split", "index", "wrong"]
    )]
    inputs: Vec<PathBuf>,
    /// Predict a data set's images: a known name or a path [default: the one that the model was trained on]
    #[arg(short, long, value_name = "DATA")]
    data: Option<String>,
    /// The data set's split; validation: the images that the training validated on [default: test, or what there is]
    #[arg(long, value_parser = names::<Split>())]
    split: Option<Split>,
    /// Which images of the split, counted from 0: numbers and ranges, as 1,5,7-9 [default: all]
    #[arg(long, value_name = "all|I,J-K,…")]
    index: Option<Indices>,
    /// Only the images that the model gets wrong
    #[arg(long)]
    wrong: bool,
    /// Match classes by number, whatever their names
    #[arg(long, conflicts_with = "inputs")]
    match_by_number: bool,
    /// Probabilities that are as often right as they say: with the temperature that the model keeps
    #[arg(long)]
    calibrated: bool,
    /// Name a class only where the model is right in at least this share of the cases, as its validation images say
    #[arg(long, value_name = "SHARE")]
    min_precision: Option<f64>,
    /// Print the K most probable classes
    #[arg(long, value_name = "K", default_value = "3", value_parser = at_least_one)]
    top_k: NonZeroUsize,
    /// Write the predictions to a file: .csv, .jsonl, or .npy (the network's outputs, float32 [N, K])
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
    /// The device: auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto")]
    device: DeviceChoice,
    /// CPU threads [default: one per core]
    #[arg(short = 'j', long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

pub fn run(args: Args, globals: Globals) -> anyhow::Result<()> {
    let out = args.out.as_deref().map(|path| Ok::<_, Error>((path, PredictionFormat::of(path)?))).transpose()?;
    device::configure(args.threads.map(NonZeroUsize::get))?;
    let selected = device::select(args.device)?;
    let mut predictor = Predictor::load(&args.model, selected.device)?;
    if args.calibrated {
        predictor = predictor.calibrated()?;
    }
    if let Some(min_precision) = args.min_precision {
        predictor = predictor.with_min_precision(min_precision)?;
    }
    let mut batches = PredictionBatches::new(&predictor, args.top_k.get(), globals);
    match args.inputs.is_empty() {
        true => batches.read_data(&args)?,
        false => batches.read_inputs(&args.inputs)?,
    }
    batches.flush()?;
    let PredictionBatches { mut records, mut failures, num_inputs, .. } = batches;
    warn_of_unlike(&records, globals);
    if let Some(threshold) = predictor.threshold() {
        output::note(globals, &describe_threshold(threshold, &predictor, &records));
    }
    if args.wrong {
        let count = records.len();
        records.retain(|record| record.expected != Some(record.prediction.class));
        output::note(globals, &format!("note: {} of {count} images are misclassified", records.len()));
    }
    if records.is_empty() && failures.len() == 1 {
        return Err(failures.remove(0).into());
    }
    for failure in &failures {
        eprintln!("error: {}", spelling::describe(failure));
    }
    if !records.is_empty() || args.wrong {
        if let Some((path, format)) = out {
            let written = output::written(path);
            format.write(path, &records, predictor.labels())?;
            output::note(globals, &written);
        }
        match args.json {
            true => output::json(&PredictDocument { predictions: &records })?,
            false => output::result(&describe(&records, predictor.labels()))?,
        }
    }
    match failures.len() {
        0 => Ok(()),
        count => Err(Error::data(format!("{count} of {num_inputs} inputs could not be read")).into()),
    }
}

/// Images on their way through the network, in batches.
struct PredictionBatches<'a> {
    predictor: &'a Predictor,
    top_k: usize,
    globals: Globals,
    /// The origins of the images that wait for their batch to fill.
    waiting: Vec<InputImage>,
    /// Theirs: `u8 [B, H, W, C]`.
    pixels: Vec<u8>,
    records: Vec<Record>,
    failures: Vec<Error>,
    num_inputs: usize,
}

impl<'a> PredictionBatches<'a> {
    fn new(predictor: &'a Predictor, top_k: usize, globals: Globals) -> Self {
        let (waiting, pixels, records, failures) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        PredictionBatches { predictor, top_k, globals, waiting, pixels, records, failures, num_inputs: 0 }
    }

    fn read_data(&mut self, args: &Args) -> Result<()> {
        let wanted = Wanted { source: args.data.as_deref(), split: args.split, by_number: args.match_by_number };
        let found = labelled::find(&args.model, self.predictor.info(), self.predictor.shape(), wanted, self.globals)?;
        let (samples, name) = (&found.samples, format!("{} {}", found.source, found.split));
        check_shape(self.predictor.shape(), samples.shape()).map_err(|error| error.at(&found.source))?;
        let indices =
            args.index.as_ref().unwrap_or(&Indices::All).of(samples.len()).map_err(|error| error.at(&name))?;
        let mut task = output::task(self.globals, "predicting", "images", indices.len() as u64);
        for (done, index) in (0..).zip(indices) {
            task.show(done, "");
            let pixels = samples.image(index)?;
            // a label is in 0..K by the samples' invariants
            let expected = samples.labels().get(index).and_then(|&label| usize::try_from(label).ok());
            self.push(InputImage { input: name.clone(), index: Some(index), expected }, &pixels)?;
        }
        Ok(())
    }

    /// Reads what it can; what it cannot read is kept as a failure.
    fn read_inputs(&mut self, inputs: &[PathBuf]) -> Result<()> {
        for input in inputs {
            let files = match input.is_dir() {
                true => image::list_folder(input).map(|listing| {
                    output::notes(self.globals, listing.note.as_slice());
                    listing.images
                }),
                false => Ok(vec![input.clone()]),
            };
            match files {
                Ok(files) => self.read_files(&files)?,
                Err(error) => self.fail(error),
            }
        }
        Ok(())
    }

    fn read_files(&mut self, files: &[PathBuf]) -> Result<()> {
        let mut task = output::task(self.globals, "predicting", "files", files.len() as u64);
        for (done, file) in (0..).zip(files) {
            task.show(done, "");
            self.read_file(file)?;
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
                self.push(InputImage { input, index: None, expected: None }, &pixels)?;
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
        let origin = |index| InputImage { input: input.to_owned(), index: Some(index), expected: None };
        match images {
            NpyImages::U8 { count, pixels, .. } => {
                let mut rows = pixels.chunks(pixels.len() / count).enumerate();
                rows.try_for_each(|(index, row)| self.push(origin(index), row))
            }
            NpyImages::F32 { count, values, .. } => {
                if let Some(warning) = scale_warning(&values, self.predictor.input_scale()) {
                    output::note(self.globals, &format!("warning: {input}: {warning}"));
                }
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

    fn push(&mut self, origin: InputImage, pixels: &[u8]) -> Result<()> {
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

    fn keep(&mut self, origins: impl Iterator<Item = InputImage>, predictions: Vec<Prediction>) {
        let (labels, top_k) = (self.predictor.labels(), self.top_k);
        let record = |(origin, prediction)| Record::new(origin, prediction, labels, top_k);
        self.records.extend(origins.zip(predictions).map(record));
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
