//! `convnet summary`: a network's layers as Keras's table.

use std::path::{Path, PathBuf};

use super::output;
use crate::error::{Error, Result, nearest};
use crate::files;
use crate::model::presets::{PRESETS, preset};
use crate::model::{Spec, Summary, plot, saved};

/// What `convnet summary` is told.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A preset, a Keras JSON file, a model's stem or a run's folder
    #[arg(value_name = "MODEL", required_unless_present = "presets")]
    model: Option<String>,
    /// List the presets with their numbers of parameters
    #[arg(long, conflicts_with = "model")]
    presets: bool,
    /// Draw the network too, as an SVG
    #[arg(long, value_name = "FILE.svg", conflicts_with = "presets")]
    plot: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Prints the table, or the presets.
///
/// # Errors
/// A model error where there is no such network or it cannot be read.
pub fn run(args: Args) -> anyhow::Result<()> {
    let Some(model) = args.model else {
        let presets = summarize_presets()?;
        match args.json {
            true => output::json(&presets)?,
            false => output::result(&list(&presets))?,
        }
        return Ok(());
    };
    let spec = find(&model)?;
    let summary = Summary::new(&spec)?;
    if let Some(path) = &args.plot {
        let drawing = plot::svg(&spec)?;
        files::write_atomically(path, |file| file.write_all(drawing.as_bytes()))
            .map_err(|error| Error::config("cannot write the drawing").at_path(path).because(error))?;
    }
    match args.json {
        true => output::json(&summary)?,
        false => output::result(&summary.table())?,
    }
    Ok(())
}

/// Every preset under the name that `--model` takes, which need not be its network's.
fn summarize_presets() -> Result<Vec<Summary>> {
    let specs = PRESETS.iter().filter_map(|(name, _)| Some((name, preset(name)?)));
    specs.map(|(name, spec)| Ok(Summary { name: (*name).to_owned(), ..Summary::new(&spec)? })).collect()
}

fn list(presets: &[Summary]) -> String {
    let width = presets.iter().map(|summary| summary.name.len()).max().unwrap_or(0).max("preset".len());
    let mut text = format!("{:<width$}  {:>12}\n", "preset", "parameters");
    text.extend(presets.iter().map(|summary| format!("{:<width$}  {:>12}\n", summary.name, summary.total)));
    text
}

fn find(model: &str) -> Result<Spec> {
    if let Some(spec) = preset(model) {
        return Ok(spec);
    }
    let path = Path::new(model);
    let path = match path.is_file() && path.extension().is_some_and(|extension| extension == "json") {
        true => path.to_owned(),
        false => saved::locate(model).map_err(|error| unknown(model).because(error))?,
    };
    Spec::from_json(&saved::read_json(&path)?).map_err(|error| error.at_path(&path))
}

fn unknown(model: &str) -> Error {
    let names = PRESETS.map(|(name, _)| name);
    Error::model(format!("there is no preset, file or model '{model}'{}", nearest(model, &names)))
        .help(format!("presets: {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_listed_with_their_parameters() {
        let text = list(&summarize_presets().unwrap());
        assert_eq!(text.lines().count(), PRESETS.len() + 1);
        let line = text.lines().find(|line| line.starts_with("keras-cnn ")).unwrap();
        assert!(line.ends_with(" 34826"), "{line}");
    }

    #[test]
    fn networks_are_found_by_name_and_by_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("net.json");
        std::fs::write(&path, PRESETS[0].1).unwrap();
        assert_eq!(find(path.to_str().unwrap()).unwrap(), find(PRESETS[0].0).unwrap());
        std::fs::write(&path, "{}").unwrap();
        let error = find(path.to_str().unwrap()).unwrap_err();
        assert!(error.to_string().contains("net.json"), "{error}");
        let error = find("no-such-network").unwrap_err();
        assert_eq!(error.exit_code(), 4);
        assert!(error.to_string().contains("presets: keras-cnn"), "{error}");
    }
}
