//! `--folds K`: K runs, each validated on another part of the training images.

use std::sync::Arc;

use serde_json::{Value, json};

use super::check_ending;
use super::run_folder;
use super::session::{Finished, Session};
use crate::cli::output;
use crate::config::RunConfig;
use crate::data::split::Validation;
use crate::error::{Error, Result};
use crate::log::history;

/// What each run is judged by: the key in `--json`, and how people read it.
const SCORES: [(&str, &str); 3] =
    [("val_loss", "validation loss"), ("val_accuracy", "validation accuracy"), ("test_accuracy", "test accuracy")];

/// Trains them one after the other, as `<run>-fold1`, `<run>-fold2` …, and reports mean and standard deviation.
pub fn run(session: &Session, num_folds: usize, as_json: bool) -> Result<()> {
    if num_folds < 2 {
        return Err(Error::config("--folds cannot be used").expected("at least 2").got(num_folds));
    }
    let base = session.config.run.clone().unwrap_or_else(run_folder::name_of_now);
    let mut reports = Vec::new();
    let mut scores = Vec::new();
    for number in 1..=num_folds {
        let started = std::time::Instant::now();
        let name = |name: &str| format!("{name}-fold{number}");
        let config = RunConfig {
            run: Some(name(&base)),
            name: name(&session.config.name),
            validation: Validation::Fold { number, of: num_folds },
            ..session.config.clone()
        };
        output::note(session.globals, &format!("fold {number} of {num_folds}: run {}", name(&base)));
        let fold = Session {
            config,
            resumed: None,
            progress: session.progress,
            globals: session.globals,
            stop: Arc::clone(&session.stop),
            stop_after: None,
            looks_for_faults: session.looks_for_faults && number == 1,
        };
        let finished = fold.run()?;
        check_ending(&finished)?;
        scores.push(scores_of(&finished));
        reports.push(finished.json(started.elapsed().as_secs_f64()));
    }
    match as_json {
        true => output::json(&to_json(reports, &scores)),
        false => output::result(&to_text(&scores)),
    }
}

/// In the order of [`SCORES`]: those of the epoch whose weights were saved, and of the test images.
fn scores_of(finished: &Finished) -> [Option<f64>; 3] {
    let rows = history::read(&finished.folder.path.join("history.csv")).unwrap_or_default();
    let row = rows.iter().find(|row| row.epoch == finished.saved_epoch());
    let tested = finished.tested.as_ref().map(|tested| tested.sums.scores().accuracy);
    [row.and_then(|row| row.val_loss), row.and_then(|row| row.val_accuracy), tested]
}

/// Mean and standard deviation (of a sample: divided by K - 1) of one score; none where a run lacks it.
fn mean_and_deviation(scores: &[[Option<f64>; 3]], which: usize) -> Option<(f64, f64)> {
    let values: Vec<f64> = scores.iter().map(|run| run[which]).collect::<Option<_>>()?;
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
    Some((mean, variance.sqrt()))
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

fn to_json(reports: Vec<Value>, scores: &[[Option<f64>; 3]]) -> Value {
    let mut document = json!({ "folds": reports });
    for (which, (key, _)) in SCORES.iter().enumerate() {
        if let Some((mean, deviation)) = mean_and_deviation(scores, which) {
            document[*key] = json!({ "mean": mean, "sd": deviation });
        }
    }
    document
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deviation_is_a_sample_s() {
        let scores = [0.9, 0.8, 0.7].map(|accuracy| [None, Some(accuracy), Some(0.5)]);
        let (mean, deviation) = mean_and_deviation(&scores, 1).unwrap();
        assert!((mean - 0.8).abs() < 1e-12 && (deviation - 0.1).abs() < 1e-12);
        assert_eq!(mean_and_deviation(&scores, 0), None);
        assert!(to_text(&scores).ends_with("0.5000 ± 0.0000\n"));
        assert_eq!(to_json(vec![], &scores).get("val_loss"), None);
    }
}
