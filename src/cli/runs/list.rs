//! `convnet runs list`: a table of runs.

use std::io::{self, Write};

use serde_json::json;

use super::table::{Column, MAX_CELL, fitting, local_time, terminal_width, text};
use super::{Globals, Logs, output};
use crate::cli::spelling;
use convnet::error::Result;
use convnet::run::overview::{RunOverview, differing_settings, list_runs, value_text};
use convnet::run::selection::{Filter, sort_runs};

/// The settings that have columns of their own.
const OWN_COLUMNS: [&str; 4] = ["model", "init_from", "data", "epochs"];

#[derive(Debug, clap::Args)]
pub struct List {
    #[command(flatten)]
    logs: Logs,
    /// Sort by a column or a setting: val_accuracy, test_accuracy, lr, … [default: started]
    #[arg(long, value_name = "KEY")]
    sort: Option<String>,
    /// Sort from the largest to the smallest
    #[arg(long)]
    reverse: bool,
    /// Only runs that meet this, such as model=keras-*, lr=0.001, status!=done or val_accuracy>=0.9; repeat it for more
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

/// Lists the runs of a folder. One that cannot be read is named on stderr.
pub fn run(args: List, globals: Globals) -> Result<()> {
    let filters: Vec<Filter> = args.filter.iter().map(|filter| filter.parse()).collect::<Result<_>>()?;
    let list = list_runs(&args.logs.logs)?;
    for fault in &list.faults {
        let _ = writeln!(io::stderr(), "warning: {}", spelling::describe(fault));
    }
    let there = list.runs.len();
    let mut runs = list.runs;
    runs.retain(|run| filters.iter().all(|filter| filter.meets(run)));
    sort_runs(&mut runs, args.sort.as_deref().unwrap_or("started"), args.reverse)?;
    if args.json {
        return output::json(&json!({ "runs": runs }));
    }
    if runs.is_empty() {
        let folder = args.logs.logs.display();
        let why = if there > 0 { format!("none of {there} runs") } else { "no runs".to_owned() };
        output::note(globals, &format!("note: {why} in {folder}{}", if there > 0 { " meets the filters" } else { "" }));
        return Ok(());
    }
    let (columns, left_out) = fitting(columns(&runs), terminal_width());
    output::result(&text(&columns))?;
    if !left_out.is_empty() {
        let columns = left_out.join(", ");
        output::note(globals, &format!("note: the terminal is too narrow for {columns}; --json has all"));
    }
    Ok(())
}

fn columns(runs: &[RunOverview]) -> Vec<Column> {
    let column = |head: &str, is_number: bool, dispensable: u8, cell: &dyn Fn(&RunOverview) -> String| Column {
        head: head.to_owned(),
        cells: runs.iter().map(cell).collect(),
        is_number,
        dispensable,
    };
    let share = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.4}"));
    let mut columns = vec![
        column("run", false, 0, &|run| run.run.clone()),
        column("started", false, 2, &|run| local_time(run.started.as_deref())),
        column("status", false, 0, &|run| run.status.to_string()),
        column("model", false, 1, &|run| end_of(&run.model)),
        column("data", false, 1, &|run| end_of(&run.data)),
        column("epochs", true, 0, &epochs),
        column("val_accuracy", true, 0, &|run| share(run.val_accuracy)),
        column("test_accuracy", true, 0, &|run| share(run.test.map(|test| test.accuracy()))),
    ];
    let differing = differing_settings(&runs.iter().collect::<Vec<_>>());
    for (key, values) in differing.iter().filter(|(key, _)| !OWN_COLUMNS.contains(&key.as_str())) {
        columns.push(Column {
            head: key.clone(),
            cells: values.iter().map(value_text).collect(),
            is_number: values.iter().all(|value| value.is_number() || value.is_null()),
            dispensable: 3,
        });
    }
    columns
}

/// `3/10` where they are not all done.
fn epochs(run: &RunOverview) -> String {
    match run.settings.get("epochs").and_then(serde_json::Value::as_u64) {
        Some(planned) if planned != run.epochs => format!("{}/{planned}", run.epochs),
        _ => run.epochs.to_string(),
    }
}

/// A long path's end, which says more than its beginning.
fn end_of(path: &str) -> String {
    let letters: Vec<char> = path.chars().collect();
    match letters.len().checked_sub(MAX_CELL) {
        None | Some(0) => path.to_owned(),
        Some(surplus) => "…".to_owned() + &letters[surplus + 1..].iter().collect::<String>(),
    }
}
