//! `convnet runs show`: one run.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::table::{Column, local_time, text};
use super::{Logs, output};
use convnet::data::Split;
use convnet::error::Result;
use convnet::log::history::HistoryRow;
use convnet::metrics::Metric;
use convnet::metrics::wilson_interval;
use convnet::model::saved::with_suffix;
use convnet::model::thousands;
use convnet::run::RunFolder;
use convnet::run::overview::{RunOverview, value_text};
use convnet::run::record::{RunResult, SourceModel};
use convnet::train::CheckpointKind;

#[derive(Debug, clap::Args)]
pub struct Show {
    /// The run: its name in --logs, or its folder
    #[arg(value_name = "RUN")]
    run: String,
    #[command(flatten)]
    logs: Logs,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

/// Shows a run.
pub fn run(args: Show) -> Result<()> {
    let folder = RunFolder::open(&args.run, &args.logs.logs)?;
    let history = if folder.history_path().exists() { folder.history()? } else { Vec::new() };
    let overview = RunOverview::new(&folder, &history)?;
    match args.json {
        true => output::json(&document(&folder, &overview, &history)?),
        false => output::result(&description(&folder, &overview, &history)?),
    }
}

fn document(folder: &RunFolder, overview: &RunOverview, history: &[HistoryRow]) -> Result<Value> {
    let record = folder.record();
    let mut document = json!(overview);
    document["epochs_done"] = document["epochs"].take();
    document["epochs"] = json!(history);
    document["given_settings"] = Value::Object(overview.given_settings()?);
    document["data_set"] = json!(record.data);
    document["parameters"] = json!(record.parameters);
    document["device"] = json!(record.device);
    document["gpu"] = json!(record.gpu);
    document["threads"] = json!(record.threads);
    document["versions"] = json!(record.versions);
    document["resumes"] = json!(record.resumes);
    document["result"] = json!(record.result);
    document["best_epoch"] = json!(best_epoch(folder, history));
    document["files"] = json!(files(folder));
    Ok(document)
}

fn description(folder: &RunFolder, overview: &RunOverview, history: &[HistoryRow]) -> Result<String> {
    let record = folder.record();
    let mut text = String::new();
    let mut line = |head: &str, value: &str| writeln!(text, "{head:<9} {value}").expect("a String takes all");
    line("run", &format!("{}  ({})", overview.run, folder.path.display()));
    line("started", &local_time(overview.started.as_deref()));
    line("status", &status(folder, overview));
    line("data", &data(folder));
    line("network", &format!("{}, {} parameters", overview.model, thousands(record.parameters)));
    let gpu = record.gpu.as_ref().map(|gpu| format!(" ({gpu})")).unwrap_or_default();
    let threads = record.threads.map(|threads| format!(", {threads} threads")).unwrap_or_default();
    line("device", &format!("{}{gpu}{threads}", record.device));
    let versions = &record.versions;
    line("versions", &format!("convnet {}, tch {}, libtorch {}", versions.convnet, versions.tch, versions.libtorch));
    text += "\nsettings that are not the defaults\n";
    let given = overview.given_settings()?;
    let width = given.keys().map(String::len).max().unwrap_or(0);
    text.extend(given.iter().map(|(key, value)| format!("  {key:<width$}  {}\n", value_text(value))));
    if given.is_empty() {
        text += "  none\n";
    }
    for resume in &record.resumes {
        let changed = resume.changed.iter().map(|(key, value)| format!("{key} = {}", value_text(value)));
        writeln!(text, "  resumed after step {} with {}", resume.step, changed.collect::<Vec<_>>().join(", "))
            .expect("a String takes all");
    }
    text += "\n";
    text += &epochs_table(folder, history);
    text += &results(folder);
    text += "\nfiles\n";
    text.extend(files(folder).iter().map(|file| format!("  {file}\n")));
    Ok(text)
}

fn status(folder: &RunFolder, overview: &RunOverview) -> String {
    let epochs = format!("{} of {} epochs", overview.epochs, folder.record().config.training.epochs);
    let seconds = folder.result().map(|result| format!(" in {:.1} s", result.seconds)).unwrap_or_default();
    let failure = overview.failure.as_ref().map(|failure| format!(": {failure}")).unwrap_or_default();
    format!("{}, {epochs}{seconds}{failure}", overview.status)
}

fn data(folder: &RunFolder) -> String {
    let data = &folder.record().data;
    let count = |count: Option<usize>| count.map_or("no".to_owned(), thousands);
    let (train, validation, test) = (thousands(data.train), count(data.validation), count(data.test));
    let classes = data.classes.len();
    format!("{}: {train} training, {validation} validation and {test} test images of {classes} classes", data.name)
}

/// The epoch whose weights are the best, as the run saw it.
fn best_epoch(folder: &RunFolder, history: &[HistoryRow]) -> Option<u64> {
    let recorded = folder.result().and_then(|result| result.best).map(|best| best.epoch);
    let accuracy = |row: &&HistoryRow| row.validation.and_then(|scores| scores.get(Metric::Accuracy));
    recorded.or_else(|| {
        let rows = history.iter().filter(|row| accuracy(row).is_some());
        // of equal ones the first
        let best = rows.rev().max_by(|a, b| accuracy(a).unwrap_or(0.0).total_cmp(&accuracy(b).unwrap_or(0.0)))?;
        Some(best.epoch)
    })
}

/// The epochs, the best one marked.
fn epochs_table(folder: &RunFolder, history: &[HistoryRow]) -> String {
    if history.is_empty() {
        return "no whole epoch yet\n".to_owned();
    }
    let best = best_epoch(folder, history);
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.4}"));
    let column = |head: &str, cell: &dyn Fn(&HistoryRow) -> String| Column {
        head: head.to_owned(),
        cells: history.iter().map(cell).collect(),
        is_number: true,
        dispensable: 0,
    };
    let mark = |row: &HistoryRow| if Some(row.epoch) == best { "*" } else { "" };
    let mut columns = vec![column("epoch", &|row| format!("{}{}", mark(row), row.epoch))];
    for (prefix, validated) in [("", false), ("val_", true)] {
        let of = |row: &HistoryRow, metric| if validated { row.validation?.get(metric) } else { row.train.get(metric) };
        let shown = Metric::all().filter(|metric| history.iter().any(|row| of(row, *metric).is_some()));
        columns.extend(shown.map(|metric| column(&format!("{prefix}{metric}"), &|row| number(of(row, metric)))));
    }
    columns.push(column("learning_rate", &|row| format!("{:.3e}", row.learning_rate)));
    columns.push(column("seconds", &|row| format!("{:.1}", row.seconds)));
    columns.push(column("images/s", &|row| format!("{:.0}", row.images_per_second)));
    let note = if best.is_some() { "* the best epoch\n" } else { "" };
    text(&columns) + note
}

/// The scores on the test images.
fn results(folder: &RunFolder) -> String {
    let Some(test) = folder.result().and_then(|result| result.test) else { return String::new() };
    let count = folder.record().data.test.unwrap_or(0) as u64;
    let scores = test.iter().map(|(metric, value)| {
        let interval = match metric == Metric::Accuracy && count > 0 {
            true => {
                let [low, high] = wilson_interval((value * count as f64).round() as u64, count);
                format!(" (95 % interval {low:.4} to {high:.4})")
            }
            false => String::new(),
        };
        format!("{} {value:.4}{interval}", metric.definition().label)
    });
    format!("\ntest      {} on {} images\n", scores.collect::<Vec<_>>().join("  "), thousands(count as usize))
}

/// The run's files that are there.
fn files(folder: &RunFolder) -> Vec<String> {
    let stem = folder.result().filter(|result| is_own(result)).map(|result| PathBuf::from(&result.model));
    let models = stem.iter().flat_map(|stem| [with_suffix(stem, ".json"), with_suffix(stem, ".safetensors")]);
    let own = [
        folder.path.join("run.json"),
        folder.history_path(),
        folder.checkpoint(CheckpointKind::Best),
        folder.checkpoint(CheckpointKind::Last),
        folder.predictions(Split::Test),
        folder.predictions(Split::Validation),
        folder.trace_path(),
    ];
    own.into_iter().chain(models).filter(|path| path.is_file()).map(|path| path.display().to_string()).collect()
}

/// Whether the saved model is still the run's: another may have taken its place.
fn is_own(result: &RunResult) -> bool {
    let model = SourceModel::of_file(&with_suffix(Path::new(&result.model), ".json"));
    model.is_ok_and(|model| model.weights_sha256.is_some() && model.weights_sha256 == result.weights_sha256)
}
