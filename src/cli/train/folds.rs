//! What `--folds` prints.

use serde_json::{Value, json};

use convnet::metrics::Metric;
use convnet::run::RunReport;
use convnet::run::folds::{FoldScore, Folds, mean_and_deviation};

/// The scores with the values of the runs.
type FoldScores = [(FoldScore, Vec<Option<f64>>)];

/// The least width of a column: a mean with its deviation.
const MIN_WIDTH: usize = "0.1234 ± 0.1234".len() - 1;

/// The scores as text: one line per fold, then mean and standard deviation.
pub fn text(folds: &Folds) -> String {
    to_text(&folds.scores())
}

/// The scores as JSON.
pub fn json(folds: &Folds) -> Value {
    to_json(&folds.reports, &folds.scores())
}

fn to_json(reports: &[RunReport], scores: &FoldScores) -> Value {
    let mut document = json!({ "folds": reports });
    for (score, values) in scores {
        if let Some((mean, deviation)) = mean_and_deviation(values) {
            document[score.key()] = json!({ "mean": mean, "sd": deviation });
        }
    }
    document
}

/// Loss and accuracy have their columns in any case, other metrics where a run has them.
fn to_text(scores: &FoldScores) -> String {
    let is_shown = |score: FoldScore, values: &[Option<f64>]| {
        let (FoldScore::Validation(metric) | FoldScore::Test(metric)) = score;
        matches!(metric, Metric::Loss | Metric::Accuracy) || values.iter().any(Option::is_some)
    };
    let shown: Vec<_> = scores.iter().filter(|(score, values)| is_shown(*score, values)).collect();
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.4}"));
    let line = |head: &str, cell: &dyn Fn(&FoldScore, &[Option<f64>]) -> String| {
        let cells = shown.iter().map(|(score, values)| {
            let width = score.label().len().max(MIN_WIDTH);
            format!("{:>width$}", cell(score, values))
        });
        format!("{head:<4}  {}\n", cells.collect::<Vec<_>>().join("  "))
    };
    let mut text = line("fold", &|score, _| score.label());
    for index in 0..shown.first().map_or(0, |(_, values)| values.len()) {
        text += &line(&(index + 1).to_string(), &|_, values| number(values[index]));
    }
    text + &line("mean", &|_, values| {
        let summary = mean_and_deviation(values);
        summary.map_or("-".to_owned(), |(mean, deviation)| format!("{mean:.4} ± {deviation:.4}"))
    })
}

#[cfg(test)]
mod tests;
