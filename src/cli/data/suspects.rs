//! `convnet data suspects`: training images of a run whose labels are probably wrong.

use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{Globals, output};
use crate::cli::at_least_one;
use convnet::data::grid::{check_png, write_png};
use convnet::data::sheet::{MAX_TILES, SecondLine, Sheet, Tile, contact_sheet};
use convnet::error::Result;
use convnet::model::thousands;
use convnet::run::suspects::{ClassMargin, write_csv};
use convnet::run::{RunFolder, Suspect, Suspects, suspects};

/// How many suspects are printed for people.
const MAX_PRINTED: usize = 20;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run: its name or its folder
    #[arg(value_name = "RUN")]
    run: String,
    /// How many images to name, the most suspicious first
    #[arg(long, value_name = "N", default_value = "100", value_parser = at_least_one)]
    count: NonZeroUsize,
    /// Write them as a list that train --exclude takes, once you have looked at it
    #[arg(short, long, value_name = "FILE.csv")]
    out: Option<PathBuf>,
    /// Draw them with their labels, the suggested labels and the scores: the first 200
    #[arg(long, value_name = "FILE.png")]
    sheet: Option<PathBuf>,
    /// The data set, as a flag [default: the run's, where it was]
    #[arg(short, long, value_name = "DATA")]
    data: Option<String>,
    /// The folder of the logs
    #[arg(long, value_name = "FOLDER", default_value = "logs")]
    logs: PathBuf,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct SuspectsDocument<'a> {
    run: &'a str,
    count: usize,
    epochs: u32,
    negative: usize,
    suspects: &'a [Suspect],
    classes: &'a [ClassMargin],
}

/// Ranks the training images of a run; that there are suspects does not make the command fail.
pub fn run(args: Args, globals: Globals) -> anyhow::Result<()> {
    args.sheet.as_deref().map_or(Ok(()), check_png)?;
    let folder = RunFolder::open(&args.run, &args.logs)?;
    let found = suspects(&folder, args.data.as_deref(), &mut output::sinks(globals))?;
    let first = found.first(args.count.get());
    if let Some(path) = &args.out {
        let written = output::written(path);
        write_csv(path, first)?;
        output::note(globals, &written);
    }
    if let Some(path) = &args.sheet {
        draw(path, &found, first, globals)?;
    }
    let (count, negative) = (found.ranking.len(), found.num_negative);
    let Suspects { run, epochs, classes, .. } = &found;
    match args.json {
        true => output::json(&SuspectsDocument { run, count, epochs: *epochs, negative, suspects: first, classes })?,
        false => output::result(&describe(&found, first))?,
    }
    Ok(())
}

/// Images in a row of a sheet.
const COLUMNS: usize = 10;

/// A sheet of `first`, as many as go on one.
fn draw(path: &Path, found: &Suspects, first: &[Suspect], globals: Globals) -> Result<()> {
    let shown = &first[..first.len().min(MAX_TILES)];
    let tile = |suspect: &Suspect| {
        let pixels = found.samples.image(suspect.place)?.into_owned();
        let lines = vec![
            suspect.label.clone(),
            format!("{}?", suspect.suggested),
            format!("{:.2}", suspect.score),
            format!("#{} {}", suspect.rank, suspect.index),
        ];
        Ok(Tile { pixels, lines })
    };
    let tiles = shown.iter().map(tile).collect::<Result<Vec<Tile>>>()?;
    let note = "given label · suggested label? · area under the margin · #rank and index";
    let title = format!("{}: the first {} suspects", found.data, shown.len());
    let written = output::written(path);
    let sheet = Sheet { title, note: note.to_owned(), columns: COLUMNS, second: SecondLine::Note, tiles };
    write_png(path, &contact_sheet(found.samples.shape(), &sheet)?)?;
    output::note(globals, &written);
    Ok(())
}

/// For people: the first suspects, and the classes.
fn describe(found: &Suspects, first: &[Suspect]) -> String {
    let count = thousands(found.ranking.len());
    let mut text = format!(
        "{} ({}): {count} training images over {} epochs; the label of {} was behind another class in the mean\n\n",
        found.run,
        found.data,
        found.epochs,
        thousands(found.num_negative)
    );
    let width =
        |name: fn(&Suspect) -> &str| first.iter().map(|one| name(one).chars().count()).max().unwrap_or(0).max(9);
    let (label_width, suggested_width) = (width(|one| &one.label), width(|one| &one.suggested));
    text += &format!(
        "{:>5} {:>8}  {:<label_width$}  {:<suggested_width$}  {:>8}\n",
        "rank", "index", "label", "suggested", "score"
    );
    for Suspect { rank, index, label, suggested, score, path, .. } in first.iter().take(MAX_PRINTED) {
        let line = format!("{rank:>5} {index:>8}  {label:<label_width$}  {suggested:<suggested_width$}  {score:>8.2}");
        let path = path.as_ref().map(|path| format!("  {path}")).unwrap_or_default();
        text += &format!("{line}{path}\n");
    }
    if first.len() > MAX_PRINTED {
        text += &format!("  … and {} more with --out FILE.csv or --json\n", thousands(first.len() - MAX_PRINTED));
    }
    text + &describe_classes(&found.classes)
}

fn describe_classes(classes: &[ClassMargin]) -> String {
    let width = classes.iter().map(|class| class.label.chars().count()).max().unwrap_or(0);
    let mut text = String::from("\nhard classes, by the mean of their images' scores:\n");
    for ClassMargin { label, margin, count, negative } in classes.iter().take(MAX_PRINTED) {
        let (count, negative) = (thousands(*count), thousands(*negative));
        writeln!(text, "  {label:<width$}  {margin:>8.2}  {negative} of {count} below 0")
            .expect("a string takes all text");
    }
    text
}
