//! A run from Rust, as `convnet train --config` does it, and what one does with it afterwards: its report, a comparison with the
//! same run trained again, more epochs: `cargo run --release --example run`.

use std::path::Path;

use convnet::config::RunConfig;
use convnet::error::Result;
use convnet::log::console::{ConsoleSink, NoteSink, ProgressMode};
use convnet::metrics::Scores;
use convnet::run::{FinishedRun, Run, RunFolder, RunReport, compare};
use serde_json::{Map, json};

const SETTINGS: &str = r#"
data = "digits:2000"
validation = 0.2
epochs = 4
batch_size = 64
accumulate = 2                # as batches of 128
optimizer = "adamw"
weight_decay = 0.01
schedule = "cosine"
warmup_epochs = 1
global_clip_norm = 1.0
label_smoothing = 0.05
ema = 0.9
augment = "light,flip=0"
patience = 3
restore_best = true
"#;

/// Trains `config` as run `name` below `folder`.
fn train(config: &RunConfig, name: &str, folder: &Path) -> Result<FinishedRun> {
    let mut config = config.clone();
    config.outputs.logs = folder.join("logs");
    config.outputs.models = folder.join("models");
    config.outputs.run = Some(name.to_owned());
    let mut run = Run::new(config);
    run.sinks.add(NoteSink::default());
    run.sinks.add(ConsoleSink::new(ProgressMode::Lines));
    run.execute()
}

fn main() -> Result<()> {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let config = RunConfig::from_toml(SETTINGS)?;
    let first = train(&config, "first", folder.path())?;
    print_report(&first);

    let second = train(&config, "second", folder.path())?;
    match compare(&first.folder, &second.folder)? {
        None => println!("the same numbers and weights, bit for bit"),
        Some(difference) => println!("they differ: {difference:?}"),
    }

    let mut changes = Map::new();
    changes.insert("epochs".to_owned(), json!(6));
    drop(second); // one process at a time trains a run
    let folder = RunFolder::resume("second", &folder.path().join("logs"))?;
    print_report(&Run::resume(folder, &changes)?.execute()?);
    Ok(())
}

fn print_report(run: &FinishedRun) {
    let report = RunReport::new(run, run.state.seconds);
    let best = report.epochs.iter().filter_map(|row| row.validation).map(Scores::accuracy).fold(0.0, f64::max);
    let test = report.test.map_or(f64::NAN, Scores::accuracy);
    println!(
        "{}: {} epochs, best validation accuracy {best:.4}, test accuracy {test:.4}",
        report.run,
        report.epochs.len()
    );
}
