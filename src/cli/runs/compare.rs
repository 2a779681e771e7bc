//! `convnet runs compare`: settings that differ, results, curves, and whether the difference is noise.

use std::path::{Path, PathBuf};

use image::RgbImage;
use serde_json::{Map, Value, json};

use super::page;
use super::results::{charts, result_rows, verdicts};
use super::table::{Column, fitting, terminal_width, text};
use super::{Globals, Logs, output};
use convnet::data::grid::write_png;
use convnet::drawing::rasterize;
use convnet::error::{Error, Result};
use convnet::files;
use convnet::run::RunFolder;
use convnet::run::comparison::{ComparedRun, RunComparison, compare_runs};
use convnet::run::overview::value_text;

/// The scale of the PNG: readable where it is shown at half its size.
const PNG_SCALE: f32 = 2.0;

#[derive(Debug, clap::Args)]
pub struct Compare {
    /// The runs, two or more: names in --logs, or folders; each is tested against the first
    #[arg(value_name = "RUN", required = true, num_args = 2..)]
    runs: Vec<String>,
    #[command(flatten)]
    logs: Logs,
    /// Draw the curves: a picture (.png), or a page with the tables too (.html)
    #[arg(short, long, value_name = "FILE.png|FILE.html")]
    out: Option<PathBuf>,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

/// What is written to `--out`.
enum Output {
    Png,
    Html,
}

/// Compares runs.
pub fn run(args: Compare, globals: Globals) -> Result<()> {
    let kind = args.out.as_deref().map(kind_of).transpose()?;
    let folders: Vec<RunFolder> =
        args.runs.iter().map(|run| RunFolder::open(run, &args.logs.logs)).collect::<Result<_>>()?;
    let compared = compare_runs(&folders)?;
    if let Some((path, kind)) = args.out.as_deref().zip(kind) {
        let written = output::written(path);
        write(path, &kind, &compared)?;
        output::note(globals, &written);
    }
    match args.json {
        true => output::json(&document(&compared)),
        false => output::result(&description(&compared, terminal_width())),
    }
}

fn kind_of(path: &Path) -> Result<Output> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("png") => Ok(Output::Png),
        Some("html") => Ok(Output::Html),
        _ => Err(Error::config("the file's ending does not say what to draw").expected(".png or .html").at_path(path)),
    }
}

fn write(path: &Path, kind: &Output, compared: &RunComparison) -> Result<()> {
    let charts = charts(compared);
    match kind {
        Output::Png => {
            let drawn: Vec<RgbImage> =
                charts.iter().map(|chart| rasterize(&chart.draw(), PNG_SCALE)).collect::<Result<_>>()?;
            write_png(path, &stacked(&drawn))
        }
        Output::Html => {
            let page = page::page(compared, &charts);
            files::write_output(path, |file| file.write_all(page.as_bytes()))
                .map_err(|error| Error::config("cannot write the page").at_path(path).because(error))
        }
    }
}

/// The pictures below each other.
fn stacked(pictures: &[RgbImage]) -> RgbImage {
    let width = pictures.iter().map(RgbImage::width).max().unwrap_or(1);
    let height = pictures.iter().map(RgbImage::height).sum();
    let mut all = RgbImage::from_pixel(width, height, image::Rgb([255; 3]));
    let mut top = 0;
    for picture in pictures {
        image::imageops::replace(&mut all, picture, 0, i64::from(top));
        top += picture.height();
    }
    all
}

/// The document of `--json`: `test` is that of two runs, `tests` those of more.
fn document(compared: &RunComparison) -> Value {
    let names: Vec<&str> = compared.runs.iter().map(|run| run.overview.run.as_str()).collect();
    let settings: Map<String, Value> =
        compared.settings.iter().map(|(key, values)| (key.clone(), values.clone().into())).collect();
    let results: Vec<Value> = compared.runs.iter().map(result).collect();
    let mut document = json!({ "runs": names, "settings": settings, "results": results });
    match &compared.tests {
        Err(why) => document["no_test"] = json!(why),
        Ok(tests) => match &tests[..] {
            [test] => document["test"] = Value::Object(test.to_json()),
            tests => {
                let with_names = tests.iter().map(|test| {
                    let mut entry = test.to_json();
                    entry.insert("runs".to_owned(), json!(test.names));
                    Value::Object(entry)
                });
                document["tests"] = with_names.collect();
            }
        },
    }
    document
}

fn result(run: &ComparedRun) -> Value {
    let overview = &run.overview;
    json!({
        "run": overview.run, "status": overview.status, "epochs": overview.epochs,
        "val_accuracy": overview.val_accuracy, "test": overview.test,
    })
}

fn description(compared: &RunComparison, width: Option<usize>) -> String {
    let names: Vec<&str> = compared.runs.iter().map(|run| run.overview.run.as_str()).collect();
    let table = |head: &str, rows: Vec<(String, Vec<String>)>| {
        let keys = Column {
            head: head.to_owned(),
            cells: rows.iter().map(|(key, _)| key.clone()).collect(),
            is_number: false,
            dispensable: 0,
        };
        let of_run = |(index, name): (usize, &&str)| Column {
            head: (*name).to_owned(),
            cells: rows.iter().map(|(_, values)| values[index].clone()).collect(),
            is_number: true,
            dispensable: u8::from(index > 1),
        };
        let columns = std::iter::once(keys).chain(names.iter().enumerate().map(of_run)).collect();
        let (columns, left_out) = fitting(columns, width);
        match left_out.is_empty() {
            true => text(&columns),
            false => text(&columns) + &format!("(no room for {}; --json has all)\n", left_out.join(", ")),
        }
    };
    let settings: Vec<(String, Vec<String>)> =
        compared.settings.iter().map(|(key, values)| (key.clone(), values.iter().map(value_text).collect())).collect();
    let mut shown = match settings.is_empty() {
        true => "the runs have the same settings\n".to_owned(),
        false => table("setting", settings),
    };
    let results = result_rows(compared).into_iter().map(|(key, values)| (key.to_owned(), values)).collect();
    shown += &format!("\n{}\n", table("result", results));
    shown + &verdicts(compared).join("\n") + "\n"
}
