//! What `--folds` prints.

use serde_json::{Value, json};

use crate::run::RunReport;
use crate::run::folds::{Folds, SCORES, mean_and_deviation};

/// For people: a line for each run, and the means.
pub fn text(folds: &Folds) -> String {
    to_text(&folds.scores())
}

/// For programs.
pub fn json(folds: &Folds) -> Value {
    to_json(&folds.reports, &folds.scores())
}

fn to_json(reports: &[RunReport], scores: &[[Option<f64>; 3]]) -> Value {
    let mut document = json!({ "folds": reports });
    for (which, (key, _)) in SCORES.iter().enumerate() {
        if let Some((mean, deviation)) = mean_and_deviation(scores, which) {
            document[*key] = json!({ "mean": mean, "sd": deviation });
        }
    }
    document
}

fn to_text(scores: &[[Option<f64>; 3]]) -> String {
    let mut text = format!("fold  {}\n", SCORES.map(|(_, words)| format!("{words:>19}")).join("  "));
    for (index, run) in scores.iter().enumerate() {
        let cells = run.map(|score| format!("{:>19}", score.map_or("-".to_owned(), |score| format!("{score:.4}"))));
        text += &format!("{:<4}  {}\n", index + 1, cells.join("  "));
    }
    let cells = [0, 1, 2].map(|which| {
        let summary = mean_and_deviation(scores, which);
        let summary = summary.map_or("-".to_owned(), |(mean, deviation)| format!("{mean:.4} ± {deviation:.4}"));
        format!("{summary:>19}")
    });
    text + &format!("mean  {}\n", cells.join("  "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_come_last() {
        let scores = [0.9, 0.8, 0.7].map(|accuracy| [None, Some(accuracy), Some(0.5)]);
        assert!(to_text(&scores).ends_with("0.5000 ± 0.0000\n"));
        assert_eq!(to_json(&[], &scores).get("val_loss"), None);
    }
}
