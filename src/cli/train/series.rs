//! What `--folds` and `--repeats` print.

use serde_json::{Value, json};

use convnet::metrics::Metric;
use convnet::run::RunReport;
use convnet::run::series::{SeriesKind, SeriesResult, SeriesScore, summary};

/// The scores with the values of the runs.
type Scores = [(SeriesScore, Vec<Option<f64>>)];

/// The least width of a column: a mean with its deviation.
const MIN_WIDTH: usize = "0.1234 ± 0.1234".len() - 1;

/// The scores as text: one line per run, then mean and standard deviation, and of repeats the mean's interval.
pub fn text(result: &SeriesResult) -> String {
    to_text(result.kind, &result.scores())
}

/// The scores as JSON.
pub fn json(result: &SeriesResult) -> Value {
    to_json(result.kind, &result.reports, &result.scores())
}

fn to_json(kind: SeriesKind, reports: &[RunReport], scores: &Scores) -> Value {
    let mut document = json!({ format!("{}s", kind.word()): reports });
    for (score, values) in scores {
        let Some(summary) = summary(values) else { continue };
        document[score.key()] = match kind {
            // the folds' training images overlap: Student's interval would be too narrow
            SeriesKind::Folds(_) => json!({ "mean": summary.mean, "sd": summary.sd }),
            SeriesKind::Repeats(_) => json!(summary),
        };
    }
    document
}

/// Loss and accuracy have their columns in any case, other metrics where a run has them.
fn to_text(kind: SeriesKind, scores: &Scores) -> String {
    let is_shown = |score: SeriesScore, values: &[Option<f64>]| {
        matches!(score.metric(), Metric::Loss | Metric::Accuracy) || values.iter().any(Option::is_some)
    };
    let shown: Vec<_> = scores.iter().filter(|(score, values)| is_shown(*score, values)).collect();
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.4}"));
    let head_width = kind.word().len();
    let line = |head: &str, cell: &dyn Fn(&SeriesScore, &[Option<f64>]) -> String| {
        let cells = shown.iter().map(|(score, values)| {
            let width = score.label().len().max(MIN_WIDTH);
            format!("{:>width$}", cell(score, values))
        });
        format!("{head:<head_width$}  {}\n", cells.collect::<Vec<_>>().join("  "))
    };
    let mut text = line(kind.word(), &|score, _| score.label());
    for index in 0..shown.first().map_or(0, |(_, values)| values.len()) {
        text += &line(&(index + 1).to_string(), &|_, values| number(values[index]));
    }
    text += &line("mean", &|_, values| {
        summary(values).map_or("-".to_owned(), |summary| format!("{:.4} ± {:.4}", summary.mean, summary.sd))
    });
    if let SeriesKind::Repeats(_) = kind {
        for (head, end) in [("from", 0), ("to", 1)] {
            text += &line(head, &|_, values| number(summary(values).map(|summary| summary.interval[end])));
        }
        text += "mean ± standard deviation of a run; from, to: 95 % interval of the mean (Student's t)\n";
    }
    text
}

#[cfg(test)]
mod tests;
