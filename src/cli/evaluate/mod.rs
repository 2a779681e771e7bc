//! `convnet evaluate`: loss, accuracy, per-class scores and the confusion matrix of a model on a data set.

mod files;
mod report;

use std::num::NonZeroUsize;
use std::path::Path;

use super::labelled::{self, LabelledSplit, Wanted};
use super::{Globals, at_least_one, output};
use files::FileArgs;
use report::EvaluationReport;

use crate::cli::names::names;
use convnet::data::Split;
use convnet::data::batches::DataLoader;
use convnet::device::{self, DeviceChoice};
use convnet::error::{Error, Result};
use convnet::evaluate::{CalibrationReport, Predictions, calibrate, evaluate_images};
use convnet::model::{ModelInfo, saved};

/// What `convnet evaluate` is told.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The model: a stem (models/model), either of its two files, or a run's name or folder
    #[arg(value_name = "MODEL")]
    model: String,
    /// The data set: a known name or a path [default: the one that the model was trained on]
    #[arg(value_name = "DATA", conflicts_with = "data")]
    named_data: Option<String>,
    /// The data set, as a flag
    #[arg(short, long, value_name = "DATA")]
    data: Option<String>,
    /// The data set's split; validation: the images that the training validated on [default: test, or what there is]
    #[arg(long, value_parser = names::<Split>())]
    split: Option<Split>,
    /// Match classes by number, whatever their names
    #[arg(long)]
    match_by_number: bool,
    /// K of the top-k accuracy
    #[arg(long, value_name = "K", default_value = "5", value_parser = at_least_one)]
    top_k: NonZeroUsize,
    /// Measure what the model's confidence is worth on these images, and store it in the model
    #[arg(long)]
    calibrate: bool,
    #[command(flatten)]
    files: FileArgs,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
    /// The device: auto, cpu, cuda or cuda:N
    #[arg(long, default_value_t = DeviceChoice::Auto)]
    device: DeviceChoice,
    /// CPU threads [default: one per core]
    #[arg(short = 'j', long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

/// Evaluates a saved model on one split of a data set and prints the report.
///
/// # Errors
/// Where the device, the model or the data cannot be used, or do not fit together.
pub fn run(args: Args, globals: Globals) -> anyhow::Result<()> {
    args.files.check()?;
    device::configure(args.threads.map(NonZeroUsize::get))?;
    let selected = device::select(args.device)?;
    let json_path = saved::locate(&args.model)?;
    let (model, mut info) = saved::load(&json_path, selected.device)?;
    let shape = model.image_shape()?;
    let wanted = Wanted {
        source: args.named_data.as_deref().or(args.data.as_deref()),
        split: args.split,
        by_number: args.match_by_number,
    };
    let found = labelled::find(&args.model, &info, shape, wanted, globals)?;
    model.spec().check_fits(found.samples.shape(), found.classes.len())?;
    let samples = DataLoader::new(&found.samples, selected.device)?;
    let mut task = output::task(globals, "evaluating", "images", samples.num_images() as u64);
    let on_batch = |done| task.show(done, "");
    let (evaluation, predictions) = evaluate_images(&model, &samples, args.top_k.get(), 0.0, on_batch)?;
    drop(task);
    if args.calibrate {
        store_calibration(&json_path, &mut info, &predictions, found.split, globals)?;
    }
    let temperature = info.calibration.as_ref().map(|calibration| calibration.temperature);
    let report = EvaluationReport::new(&evaluation, &predictions, &found.classes, temperature);
    let calibration = CalibrationReport::new(&predictions, temperature);
    args.files.write(&found, &evaluation, &predictions, &calibration, args.top_k.get(), globals)?;
    match args.json {
        true => {
            output::note(globals, &data_line(&found));
            output::json(&report)?;
        }
        false => output::result(&format!("{}\n\n{}", data_line(&found), report.text()))?,
    }
    Ok(())
}

/// The line that names the data set, the split and the number of images.
fn data_line(found: &LabelledSplit) -> String {
    format!("data      {}, {} split, {} images", found.source, found.split, found.samples.len())
}

/// Measures what the confidence of the model at `json_path` is worth and stores it there.
fn store_calibration(
    json_path: &Path,
    info: &mut ModelInfo,
    predictions: &Predictions,
    split: Split,
    globals: Globals,
) -> Result<()> {
    let calibration = calibrate(predictions).ok_or_else(|| {
        let error = Error::data("nothing can be said about the model's confidence");
        match predictions.logits.is_empty() {
            true => error.got("a network that ends in several sigmoids, whose probabilities are no distribution"),
            false => error.got("no mistake on these images").help("measure it on more images"),
        }
    })?;
    match split {
        Split::Validation => {}
        Split::Train => output::note(globals, "warning: the model is surer of training images than of others"),
        Split::Test => output::note(globals, "note: measured on the test images, they say nothing more about it"),
    }
    saved::set_calibration(json_path, &calibration)?;
    let text = format!("temperature {:.4} is in {}", calibration.temperature, json_path.display());
    output::note(globals, &text);
    info.calibration = Some(calibration);
    Ok(())
}
