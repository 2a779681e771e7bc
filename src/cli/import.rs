//! `convnet import`: a model that Keras saved becomes one of ours.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Serialize;
use tch::Device;

use super::{Globals, class_labels, output};
use crate::error::{Error, Result};
use crate::model::keras::{CompileInfo, KerasModel};
use crate::model::saved::{self, Destination};
use crate::model::spec::Loss;
use crate::model::{Model, ModelInfo, OutputKind};

/// What `convnet import` is told.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A .keras file, a whole-model .h5, or an architecture's JSON
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// The weights that go with a JSON: .weights.h5 or .h5
    #[arg(value_name = "WEIGHTS")]
    weights: Option<PathBuf>,
    /// The model's name here; MODEL's without its extension where absent
    #[arg(long)]
    name: Option<String>,
    /// The folder of the models
    #[arg(long, value_name = "DIR", default_value = "models")]
    models: PathBuf,
    /// What pixels 0 to 255 are multiplied by before they enter the network: 1/255, 1 or another number
    #[arg(long, value_name = "S")]
    input_scale: Option<InputScale>,
    /// The classes' names in the order of the outputs: a file with a name on each line, a JSON list or Keras's class_indices; or
    /// a,b,c
    #[arg(long, value_name = "FILE|A,B,C")]
    labels: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// A number above 0, or a fraction such as 1/255.
#[derive(Debug, Clone, Copy, PartialEq)]
struct InputScale(f64);

impl FromStr for InputScale {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let number = |text: &str| text.trim().parse::<f64>().map_err(|_| format!("'{text}' is not a number"));
        let value = match text.split_once('/') {
            Some((above, below)) => number(above)? / number(below)?,
            None => number(text)?,
        };
        match value.is_finite() && value > 0.0 {
            true => Ok(InputScale(value)),
            false => Err("it must be a number above 0".to_owned()),
        }
    }
}

/// What `import --json` prints.
#[derive(Serialize)]
struct Report<'a> {
    model: String,
    parameters: usize,
    input_scale: f64,
    labels: &'a [String],
    outputs: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    compile: Option<&'a CompileInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    optimizer_steps: Option<u64>,
    notes: &'a [String],
}

/// Reads, checks and saves the model.
///
/// # Errors
/// A model error where the files cannot be used; a configuration error where the input's scale is not known.
pub fn run(args: Args, globals: Globals) -> anyhow::Result<()> {
    let name = name_of(&args)?;
    let keras = KerasModel::open(&args.model, args.weights.as_deref())?;
    keras.spec().check_classifies().map_err(|error| error.at_path(&args.model))?;
    let mut notes = Vec::new();
    let scale = input_scale(&args, &keras, &mut notes)?;
    let model = keras.build(scale, Device::Cpu)?;
    let output = model.output_kind()?;
    notes.extend(note_on_outputs(output, keras.compile()));
    let labels = class_labels::choose(
        args.labels.as_deref(),
        keras.remembered().labels.as_deref(),
        model.num_classes(),
        &mut notes,
    )?;
    let state = keras.optimizer_state().unwrap_or_else(|error| {
        notes.push(format!("the optimizer's state is not taken over: {}", crate::log::describe(&error)));
        None
    });
    let info = ModelInfo { labels, compile: keras.compile().cloned(), ..ModelInfo::default() };
    let stem = args.models.join(&name);
    let mut to = Destination::pair(&stem);
    let optimizer_steps = state.as_ref().map(|state| state.steps);
    to.state = state.map(|state| (saved::with_suffix(&stem, ".optimizer.safetensors"), state.bytes));
    std::fs::create_dir_all(&args.models)
        .map_err(|error| Error::config("cannot make the folder of the models").at_path(&args.models).because(error))?;
    saved::save(&model, &info, &to)?;
    for note in &notes {
        output::note(globals, &format!("note: {note}"));
    }
    let report = Report {
        model: stem.display().to_string(),
        parameters: model.weights().iter().map(|weight| weight.tensor.numel()).sum(),
        input_scale: scale,
        labels: &info.labels,
        outputs: output.to_string(),
        compile: info.compile.as_ref(),
        optimizer_steps,
        notes: &notes,
    };
    match args.json {
        true => output::json(&report)?,
        false => output::result(&describe(&model, &report))?,
    }
    Ok(())
}

fn name_of(args: &Args) -> Result<String> {
    let stem = || args.model.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let name = args.name.clone().or_else(stem).unwrap_or_default();
    match Path::new(&name).file_name() == Some(name.as_ref()) {
        true => Ok(name),
        false => {
            Err(Error::config("--name cannot be used").expected("a plain name without '/'").got(format!("'{name}'")))
        }
    }
}

/// Keras's files do not say what the pixels were divided by: a flag, our own earlier note or the network itself does, else
/// the user is asked.
fn input_scale(args: &Args, keras: &KerasModel, notes: &mut Vec<String>) -> Result<f64> {
    if let Some(InputScale(scale)) = args.input_scale {
        return Ok(scale);
    }
    if let Some(scale) = keras.remembered().input_scale.filter(|scale| scale.is_finite() && *scale > 0.0) {
        return Ok(scale);
    }
    if keras.scales_its_input() {
        notes.push("the network scales its input itself: pixels go in as 0 to 255".to_owned());
        return Ok(1.0);
    }
    match io::stdin().is_terminal() && io::stderr().is_terminal() {
        true => ask_input_scale(&mut io::stdin().lock()),
        false => Err(unknown_scale()),
    }
}

fn unknown_scale() -> Error {
    Error::config("Keras's files do not say how pixels were scaled before they entered the network")
        .expected("--input-scale")
        .help("--input-scale 1/255 for pixels from 0 to 1 (as in most courses), --input-scale 1 for 0 to 255")
}

fn ask_input_scale(answers: &mut dyn BufRead) -> Result<f64> {
    loop {
        eprint!("What were pixels 0 to 255 multiplied by before they entered the network? (1/255, 1 or a number) ");
        let _ = io::stderr().flush();
        let mut answer = String::new();
        match answers.read_line(&mut answer) {
            Ok(0) | Err(_) => return Err(unknown_scale()),
            Ok(_) => match answer.trim().parse() {
                Ok(InputScale(scale)) => return Ok(scale),
                Err(problem) => eprintln!("{problem}"),
            },
        }
    }
}

/// What is taken for granted of outputs that were compiled with another loss than their own.
fn note_on_outputs(output: OutputKind, compile: Option<&CompileInfo>) -> Option<String> {
    let loss = Loss::from_json(&compile?.loss).filter(|loss| !output.is_trained_with(loss))?;
    let from_logits = if loss.from_logits { " from logits" } else { "" };
    Some(format!("the outputs are taken as {output}; they were compiled with the loss {}{from_logits}", loss.name))
}

fn describe(model: &Model, report: &Report) -> String {
    let Report { model: stem, parameters, input_scale, .. } = report;
    let spec = model.spec();
    let shape = spec.image_shape().map(|shape| shape.to_string()).unwrap_or_default();
    let mut text = format!("imported  {}: {} layers, {parameters} parameters\n", spec.name, spec.layers.len());
    text += &format!("input     {shape}, pixels times {input_scale}\n");
    text += &format!("classes   {}\n", report.labels.join(", "));
    text += &format!("outputs   {}\n", report.outputs);
    if let Some(compile) = report.compile {
        let rate = compile.learning_rate().map(|rate| format!(", learning rate {rate}")).unwrap_or_default();
        text += &format!("compiled  {}{rate}\n", compile.optimizer);
    }
    if let Some(steps) = report.optimizer_steps {
        text += &format!("state     the optimizer's, after {steps} steps: {stem}.optimizer.safetensors\n");
    }
    text + &format!("model     {stem}.json, {stem}.safetensors\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_are_numbers_or_fractions() {
        for (text, scale) in [("1/255", 1.0 / 255.0), ("1", 1.0), ("0.5", 0.5), (" 2 / 4", 0.5)] {
            assert_eq!(text.parse(), Ok(InputScale(scale)));
        }
        for text in ["", "0", "-1", "1/0", "0/0", "x", "1/2/3", "inf", "NaN"] {
            assert!(text.parse::<InputScale>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_user_is_asked_until_the_answer_is_a_number() {
        assert_eq!(ask_input_scale(&mut &b"what?\n\n1/4\n"[..]).unwrap(), 0.25);
        let error = ask_input_scale(&mut &b"what?\n"[..]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("--input-scale 1/255"), "{error}");
    }
}
