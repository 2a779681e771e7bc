//! `--folds K`: K runs, each validated on another part of the training images.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::report::epochs_json;
use super::run_folder::{self, RunFolder};
use super::session::Session;
use super::signals::{check_ending, command_again};
use crate::cli::output;
use crate::config::RunConfig;
use crate::data::split::Validation;
use crate::error::{Error, Result};
use crate::log::history::{self, HistoryRow};

/// What each run is judged by: the key in `--json`, and how people read it.
const SCORES: [(&str, &str); 3] =
    [("val_loss", "validation loss"), ("val_accuracy", "validation accuracy"), ("test_accuracy", "test accuracy")];

/// What came of one run, for `--json`, and its scores in the order of [`SCORES`].
type FoldResult = (Value, [Option<f64>; 3]);

/// Trains them one after the other, as `<run>-fold1`, `<run>-fold2` …, and reports mean and standard deviation. Where `--run`
/// names runs that are there with the same settings, finished ones count and an unfinished one goes on.
pub fn run(session: &Session, num_folds: usize, as_json: bool) -> Result<()> {
    if num_folds < 2 {
        return Err(Error::config("--folds cannot be used").expected("at least 2").got(num_folds));
    }
    let base = session.config.run.clone().unwrap_or_else(run_folder::name_of_now);
    let configs: Vec<RunConfig> =
        (1..=num_folds).map(|number| fold(&session.config, &base, number, num_folds)).collect();
    for config in &configs {
        existing(config)?; // one that cannot go on is known before an hour of training
    }
    let mut reports = Vec::new();
    for (config, number) in configs.into_iter().zip(1..) {
        let name = config.run.clone().unwrap_or_default();
        output::note(session.globals, &format!("fold {number} of {num_folds}: run {name}"));
        let report = match existing(&config)? {
            Some(folder) if is_finished(&folder) => report_of(&folder)?,
            _ => train(session, config, number == 1, || command_again(&base))?,
        };
        reports.push(report);
    }
    let (reports, scores): (Vec<Value>, Vec<_>) = reports.into_iter().unzip();
    match as_json {
        true => output::json(&to_json(reports, &scores)),
        false => output::result(&to_text(&scores)),
    }
}

fn fold(config: &RunConfig, base: &str, number: usize, num_folds: usize) -> RunConfig {
    RunConfig {
        run: Some(format!("{base}-fold{number}")),
        name: format!("{}-fold{number}", config.name),
        validation: Validation::Fold { number, of: num_folds },
        ..config.clone()
    }
}

/// The run of `config` where it is there already.
fn existing(config: &RunConfig) -> Result<Option<RunFolder>> {
    let name = config.run.clone().unwrap_or_default();
    if !config.logs.join(&name).exists() {
        return Ok(None);
    }
    let folder = RunFolder::open(&name, &config.logs)?;
    match folder.config()? == *config {
        true => Ok(Some(folder)),
        false => Err(Error::config(format!("there is a run '{name}' already, with other settings"))
            .at_path(&folder.path)
            .help("choose another --run")),
    }
}

fn is_finished(folder: &RunFolder) -> bool {
    folder.description().get("result").is_some()
}

fn train(session: &Session, config: RunConfig, is_first: bool, way_on: impl Fn() -> String) -> Result<FoldResult> {
    let started = std::time::Instant::now();
    let name = config.run.clone().unwrap_or_default();
    let resumed = match existing(&config)? {
        Some(_) => Some((RunFolder::resume(&name, &config.logs)?, Map::new())),
        None => None,
    };
    let fold = Session {
        config,
        resumed,
        progress: session.progress,
        globals: session.globals,
        stop: Arc::clone(&session.stop),
        stop_after: None,
        checks_data: session.checks_data && is_first,
        origins: session.origins.clone().filter(|_| is_first),
    };
    let finished = fold.run()?;
    check_ending(&finished, way_on)?;
    let row = finished.saved_row();
    let tested = finished.tested.as_ref().map(|tested| tested.sums.scores().accuracy);
    Ok((finished.json(started.elapsed().as_secs_f64()), scores(row, tested)))
}

/// What came of a run that was finished before.
fn report_of(folder: &RunFolder) -> Result<FoldResult> {
    let rows = history::read(&folder.history())?;
    let run = folder.description();
    let result = &run["result"];
    let restore_best = run.pointer("/config/restore_best") == Some(&json!(true));
    let epoch = if restore_best { result.pointer("/best/epoch") } else { result.get("epochs") }.and_then(Value::as_u64);
    let row = rows.iter().find(|row| Some(row.epoch) == epoch);
    let mut report = json!({
        "run": folder.name,
        "model": result["model"],
        "epochs": epochs_json(&rows),
        "parameters": run["parameters"],
        "device": run["device"],
        "threads": run["threads"],
        "precision": run["config"]["precision"],
        "seed": run["config"]["seed"],
        "total_seconds": result["seconds"],
    });
    if result["test"].is_object() {
        report["test"] = result["test"].clone();
    }
    Ok((report, scores(row, result.pointer("/test/accuracy").and_then(Value::as_f64))))
}

/// In the order of [`SCORES`]: those of the epoch whose weights were saved, and of the test images.
fn scores(row: Option<&HistoryRow>, tested: Option<f64>) -> [Option<f64>; 3] {
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
