//! The files of an evaluation: pictures, tables, every prediction.

use std::path::{Path, PathBuf};

use crate::cli::drawings::{DRAWINGS, FileKind, write_drawing};
use crate::cli::labelled::LabelledSplit;
use crate::cli::{Globals, output};
use convnet::data::grid::write_png;
use convnet::data::sheet::{SecondLine, Sheet, Tile, contact_sheet};
use convnet::drawing::confusion_matrix;
use convnet::error::{Error, Result};
use convnet::evaluate::{CalibrationReport, Evaluation, Predictions};
use convnet::files::write_output;
use convnet::predict::{InputImage, Prediction, PredictionFormat, Record};

/// Mistakes on a sheet.
const SHOWN_MISTAKES: usize = 60;
/// And in a row of it.
const COLUMNS: usize = 8;

/// Which files are wanted, and where.
#[derive(Debug, clap::Args)]
pub struct FileArgs {
    /// Write every image's prediction to a file: .csv or .jsonl
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write the confusion matrix: .png, .svg or .csv
    #[arg(long, value_name = "FILE")]
    confusion: Option<PathBuf>,
    /// Draw how often the model is right by how sure it is: .png or .svg
    #[arg(long, value_name = "FILE")]
    reliability: Option<PathBuf>,
    /// Draw the mistakes that the model is surest of: .png
    #[arg(long, value_name = "FILE")]
    mistakes: Option<PathBuf>,
}

impl FileArgs {
    /// Refuses files that cannot be what their extension says, before anything is computed.
    pub fn check(&self) -> Result<()> {
        if let Some(path) = &self.out
            && PredictionFormat::of(path)? == PredictionFormat::Npy
        {
            let error = Error::config("an evaluation writes predictions with their labels");
            return Err(error.expected(".csv or .jsonl").got(path.display()).help("predict --out writes .npy"));
        }
        let checks = [
            (&self.confusion, &[FileKind::Png, FileKind::Svg, FileKind::Csv][..]),
            (&self.reliability, &DRAWINGS),
            (&self.mistakes, &[FileKind::Png]),
        ];
        checks
            .iter()
            .try_for_each(|(path, kinds)| path.as_deref().map_or(Ok(()), |path| FileKind::of(path, kinds).map(drop)))
    }

    /// Writes those that are wanted, and says so.
    pub fn write(
        &self,
        found: &LabelledSplit,
        evaluation: &Evaluation,
        predictions: &Predictions,
        calibration: &CalibrationReport,
        top_k: usize,
        globals: Globals,
    ) -> Result<()> {
        let name = format!("{} {}", found.source, found.split);
        // on pictures, the folder's name is enough
        let short =
            Path::new(&found.source).file_name().map_or(found.source.clone().into(), |name| name.to_string_lossy());
        let title = format!("{short}, {} images", found.split);
        let written = |path: &Path, write: &dyn Fn() -> Result<()>| {
            let text = output::written(path);
            write()?;
            output::note(globals, &text);
            Ok::<_, Error>(())
        };
        if let Some(path) = &self.out {
            let records = records(&name, predictions, &found.classes, top_k);
            written(path, &|| PredictionFormat::of(path)?.write(path, &records, &found.classes))?;
        }
        if let Some(path) = &self.confusion {
            let svg = || confusion_matrix(&found.classes, &evaluation.confusion, &format!("Confusion matrix: {title}"));
            written(path, &|| match FileKind::of(path, &[FileKind::Csv]) {
                Ok(_) => write_matrix(path, &found.classes, &evaluation.confusion),
                Err(_) => write_drawing(path, &svg()),
            })?;
        }
        if let Some(path) = &self.reliability {
            written(path, &|| write_drawing(path, &calibration.diagram(&format!("Reliability: {title}"))))?;
        }
        if let Some(path) = &self.mistakes {
            written(path, &|| write_png(path, &mistakes_sheet(found, predictions, &title)?))?;
        }
        Ok(())
    }
}

/// A line of names, then a line for each true class.
fn write_matrix(path: &Path, classes: &[String], confusion: &[Vec<u64>]) -> Result<()> {
    let written = write_output(path, |writer| {
        let mut table = csv::Writer::from_writer(writer);
        table.write_record(["true class"].into_iter().chain(classes.iter().map(String::as_str)))?;
        for (class, row) in classes.iter().zip(confusion) {
            table.write_record([class.clone()].into_iter().chain(row.iter().map(u64::to_string)))?;
        }
        table.flush()
    });
    written.map_err(|error| Error::config("cannot write the confusion matrix").at_path(path).because(error))
}

fn records(name: &str, predictions: &Predictions, classes: &[String], top_k: usize) -> Vec<Record> {
    let record = |index: usize| {
        let origin =
            InputImage { input: name.to_owned(), index: Some(index), expected: Some(predictions.labels[index]) };
        let class = predictions.classes[index];
        let prediction = Prediction {
            label: classes[class].clone(),
            is_sure: true,
            unlike: Vec::new(),
            class,
            probability: predictions.confidence(index),
            probabilities: predictions.probabilities_of(index).to_vec(),
            outputs: Vec::new(),
        };
        Record::new(origin, prediction, classes, top_k)
    };
    (0..predictions.len()).map(record).collect()
}

/// The mistakes that the model is surest of: what it says and how sure it is, and what is true.
fn mistakes_sheet(found: &LabelledSplit, predictions: &Predictions, name: &str) -> Result<image::RgbImage> {
    let mistakes = predictions.mistakes();
    let shown = &mistakes[..mistakes.len().min(SHOWN_MISTAKES)];
    let tile = |&index: &usize| {
        let [said, truth] = [predictions.classes[index], predictions.labels[index]].map(|class| &found.classes[class]);
        let sure = format!("{:.1} %, {index}", 100.0 * predictions.confidence(index));
        let pixels = found.samples.image(index)?.into_owned();
        Ok(Tile { pixels, lines: vec![truth.clone(), format!("as {said}"), sure] })
    };
    let tiles = shown.iter().map(tile).collect::<Result<Vec<Tile>>>()?;
    let title = format!("{} of {} mistakes: {name}", tiles.len(), mistakes.len());
    let note = "what it is, what it is taken for, how sure the model is, the image's number".to_owned();
    contact_sheet(found.samples.shape(), &Sheet { title, note, columns: COLUMNS, second: SecondLine::Wrong, tiles })
}
