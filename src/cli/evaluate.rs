//! `convnet evaluate`: loss, accuracy, per-class scores and the confusion matrix of a model on a data set.

use std::fmt::Write;
use std::num::NonZeroUsize;

use serde::Serialize;

use super::labelled::{self, LabelledSplit, Wanted};
use super::{Globals, at_least_one, output};
use crate::cli::names::names;
use convnet::data::Split;
use convnet::data::batches::DataLoader;
use convnet::device::{self, DeviceChoice};
use convnet::evaluate::{ClassScores, Evaluation, evaluate_smoothed};
use convnet::metrics::Scores;
use convnet::model::saved;

/// Above this many classes the confusion matrix is too wide to read, and its largest cells are listed.
const MAX_MATRIX_CLASSES: usize = 20;
/// How many confusions are listed then.
const LISTED_CONFUSIONS: usize = 10;

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
    device::configure(args.threads.map(NonZeroUsize::get))?;
    let selected = device::select(args.device)?;
    let (model, info) = saved::load(&saved::locate(&args.model)?, selected.device)?;
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
    let evaluation = evaluate_smoothed(&model, &samples, args.top_k.get(), 0.0, |done| task.show(done, ""))?;
    drop(task);
    let report = EvaluationReport::new(evaluation, &found.classes);
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

/// The metrics that are printed, as a table or as JSON.
#[derive(Debug, Serialize)]
struct EvaluationReport {
    #[serde(flatten)]
    scores: Scores,
    /// The scores as people read them.
    #[serde(skip)]
    lines: Vec<(&'static str, String)>,
    accuracy_interval: [f64; 2],
    top_k: TopK,
    count: u64,
    per_class: Vec<ClassScores>,
    confusion: Vec<Vec<u64>>,
}

#[derive(Debug, Serialize)]
struct TopK {
    k: usize,
    accuracy: f64,
}

impl EvaluationReport {
    fn new(evaluation: Evaluation, classes: &[String]) -> Self {
        EvaluationReport {
            scores: evaluation.sums.scores(),
            lines: evaluation.scores_text().collect(),
            accuracy_interval: evaluation.accuracy_interval(),
            top_k: TopK { k: evaluation.top_k, accuracy: evaluation.top_k_accuracy() },
            count: evaluation.sums.count,
            per_class: evaluation.per_class(classes),
            confusion: evaluation.confusion,
        }
    }

    /// The summary comes last: the tables are longer than a terminal.
    fn text(&self) -> String {
        let mut text = match self.confusion.len() > MAX_MATRIX_CLASSES {
            true => self.largest_confusions(),
            false => self.matrix(),
        };
        text += &format!("\n{}\n", self.class_table());
        text += &format!("images    {}\n", self.count);
        let top_k = (format!("top-{}", self.top_k.k), format!("{:.4}", self.top_k.accuracy));
        let lines = self.lines.iter().map(|(label, value)| ((*label).to_owned(), value.clone()));
        // a metric may say the same
        let others = lines.filter(|(label, _)| *label != top_k.0);
        text.extend(others.chain([top_k.clone()]).map(|(label, value)| format!("{label:<9} {value}\n")));
        text
    }

    /// The widest label, in letters.
    fn label_width(&self) -> usize {
        self.per_class.iter().map(|class| class.label.chars().count()).max().unwrap_or(0).max("class".len())
    }

    fn class_table(&self) -> String {
        let width = self.label_width();
        let mut table = format!("    # {:<width$}  precision    recall        f1   support\n", "class");
        for (number, class) in self.per_class.iter().enumerate() {
            let ClassScores { label, precision, recall, f1, support } = class;
            writeln!(table, "{number:>5} {label:<width$} {precision:>10.4}{recall:>10.4}{f1:>10.4}{support:>10}")
                .expect("a String takes all");
        }
        table
    }

    /// Rows are true classes, columns predicted ones.
    fn matrix(&self) -> String {
        let label_width = self.label_width();
        let largest = self.confusion.iter().flatten().copied().max().unwrap_or(0);
        let width = largest.to_string().len().max(2) + 2;
        let mut matrix =
            format!("confusion matrix: rows are true classes, columns predicted ones\n    # {:<label_width$}", "");
        matrix.extend((0..self.confusion.len()).map(|class| format!("{class:>width$}")));
        for (number, (row, class)) in self.confusion.iter().zip(&self.per_class).enumerate() {
            matrix += &format!("\n{number:>5} {:<label_width$}", class.label);
            matrix.extend(row.iter().map(|count| format!("{count:>width$}")));
        }
        matrix + "\n"
    }

    fn largest_confusions(&self) -> String {
        let cells =
            self.confusion.iter().enumerate().flat_map(|(truth, row)| {
                row.iter().enumerate().map(move |(predicted, &count)| (count, truth, predicted))
            });
        let mut wrong: Vec<_> = cells.filter(|&(count, truth, predicted)| count > 0 && truth != predicted).collect();
        wrong.sort_by_key(|&(count, ..)| std::cmp::Reverse(count)); // stable
        let mut list = "largest confusions: images, true class → predicted class\n".to_owned();
        for (count, truth, predicted) in wrong.into_iter().take(LISTED_CONFUSIONS) {
            let [truth, predicted] = [truth, predicted].map(|class| &self.per_class[class].label);
            list += &format!("{count:>8}  {truth} → {predicted}\n");
        }
        list
    }
}

#[cfg(test)]
mod tests;
