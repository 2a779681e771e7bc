//! `convnet import`: a Keras model, or a preset with the weights of others, as `models/<name>.{json,safetensors}`.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use tch::Device;

use super::{Globals, class_labels, output, spelling};
use convnet::data::ImageShape;
use convnet::data::options::{Channels, ImageSize};
use convnet::error::{Error, Result};
use convnet::keras::{self, KerasModel, OptimizerState};
use convnet::model::preprocess::Preprocess;
use convnet::model::presets::{Dialect, NamedDialect, Preset};
use convnet::model::saved::{self, Destination};
use convnet::model::spec::CompiledLoss;
use convnet::model::{CompileInfo, InputScale, Model, ModelInfo, OutputKind, ScaleOrigin, Spec};
use convnet::pytorch::{self, Told};

/// The word for published weights.
const IMAGENET: &str = "imagenet";
/// How many classes are named one by one.
const MAX_LISTED: usize = 20;

/// What `convnet import` is told.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The Keras model: a .keras file, a whole-model .h5, or an architecture's JSON; or a preset
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// The weights that go with a JSON: .weights.h5 or .h5; with a preset: PyTorch's .safetensors or .pth, Keras's .h5, or
    /// imagenet, which downloads published ones
    #[arg(value_name = "WEIGHTS")]
    weights: Option<PathBuf>,
    /// The saved model's name [default: MODEL's file name without its extension]
    #[arg(long)]
    name: Option<String>,
    /// The folder of the saved models
    #[arg(long, value_name = "FOLDER", default_value = "models")]
    models: PathBuf,
    /// What pixels 0 to 255 are multiplied by before they enter the network: 1/255, 1 or another number [default: asks]
    #[arg(long, value_name = "S")]
    input_scale: Option<InputScale>,
    /// What becomes of pixels before a preset, as its weights want it [default: the preset's]
    #[arg(long, value_name = "HOW", value_parser = super::names::names::<Preprocess>())]
    preprocess: Option<Preprocess>,
    /// Whose conventions a preset's weights follow, where timm's names do not tell [default: the likeliest, with a note]
    #[arg(long, value_name = "WHOSE", value_parser = super::names::names::<Dialect>())]
    source: Option<Dialect>,
    /// Height and width of the images, in pixels, if the network's input is flat [default: a square]
    #[arg(long, value_name = "N|HxW")]
    image_size: Option<ImageSize>,
    /// The images' channels, if the network's input is flat: 1 (grayscale) or 3 (RGB) [default: by the input's size]
    #[arg(long, value_name = "1|3")]
    channels: Option<Channels>,
    /// The classes' names in the order of the outputs: a file with one per line, a JSON list, Keras's class_indices, or a,b,c
    /// [default: 0, 1, 2, …]
    #[arg(long, value_name = "FILE|A,B,C")]
    labels: Option<String>,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

/// What `import --json` prints.
#[derive(Serialize)]
struct ImportReport<'a> {
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

/// What is to be saved.
struct Imported {
    model: Model,
    info: ModelInfo,
    /// The optimizer's state.
    state: Option<OptimizerState>,
    notes: Vec<String>,
}

/// Imports a Keras model, or a preset with weights of PyTorch's or Keras's, checks that it is a classifier and saves it.
///
/// # Errors
/// A model error where the files cannot be used; a configuration error where the input's scale is not known.
pub fn run(args: Args, globals: Globals) -> anyhow::Result<()> {
    let name = name_of(&args)?;
    let imported = match preset_of(&args)? {
        Some((preset, weights)) => of_preset(&args, preset, &weights)?,
        None => of_keras(&args)?,
    };
    save(&args, &name, imported, globals)
}

/// The preset whose weights MODEL names, where it is no file.
fn preset_of(args: &Args) -> Result<Option<(&'static Preset, PathBuf)>> {
    let preset = args.model.to_str().and_then(Preset::find).filter(|_| !args.model.exists());
    let of_preset = [("--preprocess", args.preprocess.is_some()), ("--source", args.source.is_some())];
    let given = of_preset.iter().find(|(_, is_given)| *is_given);
    match (preset, &args.weights) {
        (Some(preset), Some(weights)) if weights.as_os_str() == IMAGENET && !weights.exists() => {
            pytorch::published_file(preset).map(|weights| Some((preset, weights)))
        }
        (Some(preset), Some(weights)) => Ok(Some((preset, weights.clone()))),
        (Some(preset), None) => Err(Error::config(format!("the weights for the preset {} are missing", preset.name))
            .expected(format!("convnet import {} WEIGHTS, or imagenet", preset.name))),
        (None, _) => match given {
            Some((flag, _)) => {
                Err(Error::config(format!("{flag} is for a preset with weights of others")).got(args.model.display()))
            }
            None => Ok(None),
        },
    }
}

fn of_preset(args: &Args, preset: &'static Preset, weights: &Path) -> Result<Imported> {
    let is_keras_s = weights.extension().is_some_and(|extension| extension == "h5" || extension == "hdf5");
    let mut notes = Vec::new();
    let model = match is_keras_s {
        true => {
            let (model, has_top) = keras::into_preset(preset, weights, args.preprocess)?;
            if !has_top {
                notes.push("the file has no top layer: the model's has random weights until it is trained".to_owned());
            }
            model
        }
        false => {
            let state_dict = pytorch::read_weights(weights)?;
            let told = Told { dialect: args.source, preprocess: args.preprocess };
            let (model, dialect) =
                pytorch::into_preset(preset, &state_dict, told).map_err(|error| error.at_path(weights))?;
            if let NamedDialect::Likely(dialect) = dialect {
                notes.push(format!(
                    "timm has networks of several conventions with these names: they are taken as --source {dialect}"
                ));
            }
            model
        }
    };
    if args.preprocess.is_none() {
        notes.push("pixels go in as they do for most weights of the preset (--preprocess)".to_owned());
    }
    let labels = class_labels::choose(args.labels.as_deref(), None, model.num_classes(), &mut notes)?;
    Ok(Imported { model, info: ModelInfo { labels, ..ModelInfo::default() }, state: None, notes })
}

fn of_keras(args: &Args) -> Result<Imported> {
    let keras = KerasModel::open(&args.model, args.weights.as_deref())?;
    keras.spec().check_classifies().map_err(|error| error.at_path(&args.model))?;
    let mut notes = Vec::new();
    let shape = image_shape(args, &keras, &mut notes)?;
    let (scale, origin) = input_scale(args, &keras)?;
    let model = keras.build(scale.factor(), Device::Cpu)?.with_image_shape(shape)?;
    notes.extend(note_on_outputs(model.output_kind()?, keras.compile()));
    if let ScaleOrigin::Network(_) = origin {
        notes.push(spelling::with_flags(&origin.describe(scale)));
    }
    notes
        .extend(keras.mixed_policy().map(|policy| format!("the model's policy is {policy}; it computes in fp32 here")));
    let labels = class_labels::choose(
        args.labels.as_deref(),
        keras.metadata().labels.as_deref(),
        model.num_classes(),
        &mut notes,
    )?;
    let state = keras.optimizer_state().unwrap_or_else(|error| {
        notes.push(format!("the optimizer's state is not taken over: {}", spelling::describe(&error)));
        None
    });
    let info = ModelInfo { labels, compile: keras.compile().cloned(), ..ModelInfo::default() };
    Ok(Imported { model, info, state, notes })
}

fn save(args: &Args, name: &str, imported: Imported, globals: Globals) -> anyhow::Result<()> {
    let Imported { model, info, state, mut notes } = imported;
    let stem = args.models.join(name);
    let mut to = Destination::pair(&stem);
    let optimizer_steps = state.as_ref().map(|state| state.steps);
    to.state = state.map(|state| (saved::with_suffix(&stem, ".optimizer.safetensors"), state.tensors));
    std::fs::create_dir_all(&args.models)
        .map_err(|error| Error::config("cannot make the folder of the models").at_path(&args.models).because(error))?;
    saved::save(&model, &info, &to)?;
    for note in &notes {
        output::note(globals, &format!("note: {note}"));
    }
    let warnings: Vec<String> = model.scaling_warnings().iter().map(|warning| spelling::with_flags(warning)).collect();
    for warning in &warnings {
        output::note(globals, &format!("warning: {warning}"));
    }
    notes.extend(warnings);
    let report = ImportReport {
        model: stem.display().to_string(),
        parameters: model.weights().iter().map(|weight| weight.tensor.numel()).sum(),
        input_scale: model.input_scale(),
        labels: &info.labels,
        outputs: model.output_kind()?.to_string(),
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

/// H, W, C of the images: what the flags say, else what the file or the network's input does.
fn image_shape(args: &Args, keras: &KerasModel, notes: &mut Vec<String>) -> Result<ImageShape> {
    let spec = keras.spec();
    let is_flat = spec.input_shape.as_ref().is_some_and(|shape| shape.len() == 1);
    let remembered = keras.metadata().image_shape.filter(|shape| spec.takes(*shape));
    let Some(told) = told_shape(args, spec)? else {
        let shape = remembered.map_or_else(|| spec.image_shape().map_err(|error| error.at_path(&args.model)), Ok)?;
        if is_flat && remembered.is_none() {
            notes.push(format!("the network's input is flat: it is taken for images of {shape}; --image-size and --channels say otherwise"));
        }
        return Ok(shape);
    };
    match spec.takes(told) {
        true => Ok(told),
        false => Err(Error::config("--image-size and --channels do not go with the network's input")
            .expected(format!("{:?}", spec.input_shape.as_deref().unwrap_or_default()))
            .got(told)),
    }
}

/// What `--image-size` and `--channels` say; one of them alone leaves the other to the network's input.
fn told_shape(args: &Args, spec: &Spec) -> Result<Option<ImageShape>> {
    let values = spec.input_shape.iter().flatten().product::<usize>();
    let channels = args.channels.and_then(Channels::count);
    match (args.image_size, channels) {
        (None, None) => Ok(None),
        (Some(ImageSize { height, width }), channels) => {
            let fitting = values / height.saturating_mul(width).max(1);
            Ok(Some(ImageShape { height, width, channels: channels.unwrap_or(fitting) }))
        }
        (None, Some(channels)) => {
            let own = spec.image_shape()?;
            let side = (values / channels).isqrt();
            let flat = ImageShape { height: side, width: side, channels };
            let is_flat = spec.input_shape.as_ref().is_some_and(|shape| shape.len() == 1);
            Ok(Some(if is_flat { flat } else { ImageShape { channels, ..own } }))
        }
    }
}

/// Keras's files do not say what the pixels were divided by: a flag, our own earlier note or the network itself does, else
/// the user is asked.
fn input_scale(args: &Args, keras: &KerasModel) -> Result<(InputScale, ScaleOrigin)> {
    match keras.spec().input_scale(args.input_scale, keras.metadata().input_scale) {
        (_, ScaleOrigin::Default) => {
            let asked = match io::stdin().is_terminal() && io::stderr().is_terminal() {
                true => ask_input_scale(&mut io::stdin().lock()),
                false => Err(unknown_scale()),
            };
            asked.map(|scale| (scale, ScaleOrigin::Told))
        }
        known => Ok(known),
    }
}

fn unknown_scale() -> Error {
    Error::config("Keras's files do not say how pixels were scaled before they entered the network")
        .expected("--input-scale")
        .help("--input-scale 1/255 for pixels from 0 to 1 (as in most courses), --input-scale 1 for 0 to 255")
}

fn ask_input_scale(answers: &mut dyn BufRead) -> Result<InputScale> {
    loop {
        eprint!("What were pixels 0 to 255 multiplied by before they entered the network? (1/255, 1 or a number) ");
        let _ = io::stderr().flush();
        let mut answer = String::new();
        match answers.read_line(&mut answer) {
            Ok(0) | Err(_) => return Err(unknown_scale()),
            Ok(_) => match answer.trim().parse::<InputScale>() {
                Ok(scale) => return Ok(scale),
                Err(problem) => eprintln!("{problem}"),
            },
        }
    }
}

/// What is taken for granted of outputs that were compiled with another loss than their own.
fn note_on_outputs(output: OutputKind, compile: Option<&CompileInfo>) -> Option<String> {
    let loss = CompiledLoss::from_json(&compile?.loss).filter(|loss| !output.is_trained_with(loss))?;
    let from_logits = if loss.from_logits { " from logits" } else { "" };
    Some(format!("the outputs are taken as {output}; they were compiled with the loss {}{from_logits}", loss.name))
}

/// The classes' names: of many the first ones and the last.
fn listed(labels: &[String]) -> String {
    match labels {
        [first @ .., last] if labels.len() > MAX_LISTED => {
            format!("{} … {last} ({})", first[..MAX_LISTED / 2].join(", "), labels.len())
        }
        few => few.join(", "),
    }
}

fn describe(model: &Model, report: &ImportReport) -> String {
    let ImportReport { model: stem, parameters, .. } = report;
    let scale = InputScale::new(report.input_scale).unwrap_or(InputScale::NONE);
    let spec = model.spec();
    let shape = model.image_shape().map(|shape| shape.to_string()).unwrap_or_default();
    let mut text = format!("imported  {}: {} layers, {parameters} parameters\n", spec.name, spec.layers.len());
    text += &format!("input     {shape}, pixels times {scale}\n");
    text += &format!("classes   {}\n", listed(report.labels));
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
    fn the_user_is_asked_until_the_answer_is_a_number() {
        assert_eq!(ask_input_scale(&mut &b"what?\n\n1/4\n"[..]).unwrap().factor(), 0.25);
        let error = ask_input_scale(&mut &b"what?\n"[..]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("--input-scale 1/255"), "{error}");
    }
}
