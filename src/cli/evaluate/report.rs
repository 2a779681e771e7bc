//! What an evaluation prints: tables for people, one document for programs.

use std::fmt::Write;

use serde::Serialize;

use convnet::evaluate::{CalibrationReport, ClassReport, ClassScores, Evaluation, MeanScores, Predictions};
use convnet::metrics::Scores;

/// Above this many classes the confusion matrix is too wide to read, and its largest cells are listed.
const MAX_MATRIX_CLASSES: usize = 20;
/// How many confusions are listed then.
const LISTED_CONFUSIONS: usize = 10;

/// The metrics that are printed, as a table or as JSON.
#[derive(Debug, Serialize)]
pub struct EvaluationReport {
    #[serde(flatten)]
    scores: Scores,
    /// The scores as people read them.
    #[serde(skip)]
    lines: Vec<(&'static str, String)>,
    accuracy_interval: [f64; 2],
    balanced_accuracy: f64,
    top_k: TopK,
    count: u64,
    #[serde(rename = "macro")]
    macro_mean: MeanScores,
    weighted: MeanScores,
    calibration: CalibrationReport,
    per_class: Vec<ClassScores>,
    confusion: Vec<Vec<u64>>,
}

#[derive(Debug, Serialize)]
struct TopK {
    k: usize,
    accuracy: f64,
}

impl EvaluationReport {
    /// Of a model whose calibration has `temperature`; `classes` are the K names.
    pub fn new(
        evaluation: &Evaluation,
        predictions: &Predictions,
        classes: &[String],
        temperature: Option<f64>,
    ) -> Self {
        let report = ClassReport::new(predictions, classes);
        EvaluationReport {
            scores: evaluation.sums.scores(),
            lines: evaluation.scores_text().collect(),
            accuracy_interval: evaluation.accuracy_interval(),
            balanced_accuracy: report.balanced_accuracy,
            top_k: TopK { k: evaluation.top_k, accuracy: evaluation.top_k_accuracy() },
            count: evaluation.sums.count,
            macro_mean: report.macro_mean,
            weighted: report.weighted_mean,
            calibration: CalibrationReport::new(predictions, temperature),
            per_class: report.classes,
            confusion: evaluation.confusion.clone(),
        }
    }

    /// The summary comes last: the tables are longer than a terminal.
    pub fn text(&self) -> String {
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
        let balanced = ("balanced".to_owned(), format!("{:.4} (mean recall of the classes)", self.balanced_accuracy));
        let ece = ("ECE".to_owned(), self.calibration_text());
        let all = others.chain([top_k.clone(), balanced, ece]);
        text.extend(all.map(|(label, value)| format!("{label:<9} {value}\n")));
        text
    }

    /// The expected calibration error, and what the model's temperature makes of it.
    fn calibration_text(&self) -> String {
        let CalibrationReport { ece, ece_calibrated, temperature, .. } = &self.calibration;
        match (ece_calibrated, temperature) {
            (Some(calibrated), Some(temperature)) => {
                format!("{ece:.4} ({calibrated:.4} with the model's temperature, {temperature:.3})")
            }
            _ => format!("{ece:.4} (expected calibration error)"),
        }
    }

    /// The widest label, in letters.
    fn label_width(&self) -> usize {
        let labels = self.per_class.iter().map(|class| class.label.chars().count());
        labels.max().unwrap_or(0).max("weighted mean".len())
    }

    fn class_table(&self) -> String {
        let width = self.label_width();
        let mut table =
            format!("    # {:<width$}  precision    recall        f1        AP   ROC AUC   support\n", "class");
        let area = |area: Option<f64>| area.map_or("-".to_owned(), |area| format!("{area:.4}"));
        for (number, class) in self.per_class.iter().enumerate() {
            let ClassScores { label, precision, recall, f1, support, average_precision, roc_auc, .. } = class;
            let (average_precision, roc_auc) = (area(*average_precision), area(*roc_auc));
            writeln!(
                table,
                "{number:>5} {label:<width$} {precision:>10.4}{recall:>10.4}{f1:>10.4}{average_precision:>10}{roc_auc:>10}\
                 {support:>10}"
            )
            .expect("a String takes all");
        }
        for (name, mean) in [("macro mean", self.macro_mean), ("weighted mean", self.weighted)] {
            let MeanScores { precision, recall, f1 } = mean;
            writeln!(table, "      {name:<width$} {precision:>10.4}{recall:>10.4}{f1:>10.4}")
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
