//! `convnet export`: a saved model as files for Keras or PyTorch.

use std::path::PathBuf;

use serde::Serialize;
use tch::Device;

use super::names::names;
use super::output;
use convnet::export::{self, ExportFormat};
use convnet::model::saved;

/// What `convnet export` is told.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The model: a stem (models/model), either of its two files, or a run's name or folder
    #[arg(value_name = "MODEL")]
    model: String,
    /// Output format
    #[arg(long, value_parser = names::<ExportFormat>())]
    format: ExportFormat,
    /// The file to write; further files get its name with another extension
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

/// What `export --json` prints.
#[derive(Serialize)]
struct ExportReport {
    files: Vec<String>,
    max_difference: f64,
}

/// Exports the model, reads the files back and compares weights and outputs.
///
/// # Errors
/// A model error where the model cannot be loaded or said in that format; a check error where what was written is not the
/// model.
pub fn run(args: Args) -> anyhow::Result<()> {
    let (model, info) = saved::load(&saved::locate(&args.model)?, Device::Cpu)?;
    let exported = export::export(&model, &info, args.format, &args.out)?;
    let files: Vec<String> = exported.files.iter().map(|path| path.display().to_string()).collect();
    let replaced: Vec<String> = exported.replaced.iter().map(|path| path.display().to_string()).collect();
    let replaced = if replaced.is_empty() { String::new() } else { format!("replaced  {}\n", replaced.join(", ")) };
    let report = ExportReport { files, max_difference: exported.max_difference };
    match args.json {
        true => output::json(&report)?,
        false => output::result(&format!(
            "exported  {}\n{replaced}checked   {}, outputs within {:.1e}\n",
            report.files.join(", "),
            exported.checked,
            report.max_difference
        ))?,
    }
    Ok(())
}
