//! `convnet export`: a saved model as files for other programs.

use std::ffi::OsStr;
use std::path::PathBuf;

use clap::builder::{PossibleValue, TypedValueParser};
use serde::Serialize;
use tch::Device;

use super::names::names;
use super::output;
use convnet::export::{self, ExportFormat, ExportInput};
use convnet::model::saved;

/// What `convnet export` is told.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The model: a stem (models/model), either of its two files, or a run's name or folder
    #[arg(value_name = "MODEL")]
    model: String,
    /// Output format
    #[arg(long, value_parser = Formats)]
    format: ExportFormat,
    /// What the exported file takes, where it takes stored images (onnx, torchscript) [default: uint8]
    #[arg(long, value_parser = names::<ExportInput>())]
    input: Option<ExportInput>,
    /// The file to write; further files get its name with another extension
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

/// Formats that others' programs make of the .onnx file, and how.
const CONVERTED: [(&str, &str); 2] = [
    ("openvino", "pip install openvino, then: ovc model.onnx --compress_to_fp16=False"),
    ("tflite", "pip install onnx2tf, then: onnx2tf -i model.onnx -o model -kat images"),
];

/// The names of formats, and what to do for those that are [`CONVERTED`].
#[derive(Clone)]
struct Formats;

impl TypedValueParser for Formats {
    type Value = ExportFormat;

    fn parse_ref(
        &self,
        command: &clap::Command,
        arg: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<Self::Value, clap::Error> {
        match CONVERTED.iter().find(|(name, _)| *name == value) {
            Some((name, how)) => {
                let text = format!("--format {name} is made of the file that --format onnx writes: {how}\n");
                Err(clap::Error::raw(clap::error::ErrorKind::InvalidValue, text).with_cmd(command))
            }
            None => names::<ExportFormat>().parse_ref(command, arg, value),
        }
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let all: Vec<PossibleValue> = names::<ExportFormat>().possible_values()?.collect();
        Some(Box::new(all.into_iter()))
    }
}

/// What `export --json` prints.
#[derive(Serialize)]
struct ExportReport {
    files: Vec<String>,
    /// None where the files were read back but could not be run here.
    max_difference: Option<f64>,
    checked: String,
}

/// Exports the model, reads the files back and compares weights and outputs.
///
/// # Errors
/// A model error where the model cannot be loaded or said in that format; a check error where what was written is not the
/// model.
pub fn run(args: Args) -> anyhow::Result<()> {
    let (model, info) = saved::load(&saved::locate(&args.model)?, Device::Cpu)?;
    let exported = match args.input {
        Some(input) => export::export_taking(input, &model, &info, args.format, &args.out)?,
        None => export::export(&model, &info, args.format, &args.out)?,
    };
    let files: Vec<String> = exported.files.iter().map(|path| path.display().to_string()).collect();
    let replaced: Vec<String> = exported.replaced.iter().map(|path| path.display().to_string()).collect();
    let replaced = if replaced.is_empty() { String::new() } else { format!("replaced  {}\n", replaced.join(", ")) };
    let report = ExportReport { files, max_difference: exported.max_difference, checked: exported.checked };
    match args.json {
        true => output::json(&report)?,
        false => {
            output::result(&format!("exported  {}\n{replaced}checked   {}\n", report.files.join(", "), report.checked))?
        }
    }
    Ok(())
}
