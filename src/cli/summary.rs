//! `convnet summary`: a network's layers as Keras's table, as a short form, as a drawing.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::drawings::{DRAWINGS, FileKind, write_drawing};
use super::{Globals, output};
use convnet::data::ImageShape;
use convnet::error::{Error, Result, nearest};
use convnet::files;
use convnet::model::presets::{PRESETS, Preset, preset};
use convnet::model::thousands;
use convnet::model::{Architecture, Spec, Summary, plot, saved};

/// What a network that leaves its input open is shown for: the size of Fashion-MNIST, as the presets have it.
const USUAL_SHAPE: ImageShape = ImageShape { height: 28, width: 28, channels: 1 };
/// As [`USUAL_SHAPE`].
const USUAL_CLASSES: usize = 10;

/// What `convnet summary` is told.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The network: a preset, a Keras JSON, a short form, or a trained model (its stem, a file of it, a run)
    #[arg(value_name = "MODEL", required_unless_present = "presets")]
    model: Option<String>,
    /// List the presets: what each is for, and its number of parameters
    #[arg(long, conflicts_with = "model")]
    presets: bool,
    /// The input shape of a preset or a short form: height, width, channels [default: 28,28,1]
    #[arg(long, value_name = "H,W,C", value_parser = shape, conflicts_with = "presets")]
    input_shape: Option<ImageShape>,
    /// The number of classes of a preset or a short form [default: 10]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "presets")]
    classes: Option<u64>,
    /// Print the network as a short form, one layer per line, to edit and give to train --model
    #[arg(long, conflicts_with_all = ["presets", "json"])]
    short: bool,
    /// Write the network to a new file: Keras's JSON (.json) or a short form (.txt)
    #[arg(long, value_name = "FILE", conflicts_with = "presets")]
    write: Option<PathBuf>,
    /// Draw the network too: .svg or .png
    #[arg(long, value_name = "FILE", conflicts_with = "presets")]
    plot: Option<PathBuf>,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

/// Prints a network's table of layers, or the list of presets.
///
/// # Errors
/// A model error where there is no such network or it cannot be read; a configuration error where a file cannot be written.
pub fn run(args: Args, globals: Globals) -> anyhow::Result<()> {
    let Some(model) = &args.model else {
        let presets = summarize_presets()?;
        match args.json {
            true => output::json(&presets)?,
            false => output::result(&list(&presets))?,
        }
        return Ok(());
    };
    args.plot.as_deref().map(|path| FileKind::of(path, &DRAWINGS)).transpose()?;
    let network = find(model)?;
    let spec = resolve(&network, &args)?;
    if matches!(network, Architecture::Short(_)) && (args.input_shape.is_none() || args.classes.is_none()) {
        output::note(globals, &format!("note: {}", what_is_shown(&spec)));
    }
    let summary = Summary::new(&spec)?;
    if let Some(path) = &args.plot {
        let (drawing, written) = (plot::svg(&spec)?, output::written(path));
        write_drawing(path, &drawing)?;
        output::note(globals, &written);
    }
    if let Some(path) = &args.write {
        write(path, &network, &spec)?;
        output::note(globals, &format!("written {}", path.display()));
    }
    match (args.short, args.json) {
        (true, _) => output::result(&short_form(&network, &spec)?)?,
        (false, true) => output::json(&summary)?,
        (false, false) => output::result(&summary.table())?,
    }
    Ok(())
}

/// `28,28,1`.
fn shape(text: &str) -> Result<ImageShape, String> {
    let sizes: Vec<usize> = text.split([',', 'x']).filter_map(|size| size.trim().parse().ok()).collect();
    match sizes[..] {
        [height, width, channels] if !sizes.contains(&0) => Ok(ImageShape { height, width, channels }),
        _ => Err("expected height, width and channels, such as 28,28,1".to_owned()),
    }
}

/// The network with the input and the classes that were asked for.
fn resolve(network: &Architecture, args: &Args) -> Result<Spec> {
    let classes = args.classes.map(|classes| usize::try_from(classes).unwrap_or(usize::MAX));
    if let (Architecture::Preset(spec), None, None) = (network, args.input_shape, classes) {
        return Ok(spec.clone());
    }
    let spec = network.spec(args.input_shape.unwrap_or(USUAL_SHAPE), classes.unwrap_or(USUAL_CLASSES))?;
    if let Some(asked) = args.input_shape
        && spec.image_shape().ok() != Some(asked)
    {
        let own = format!("{:?}, the network's own", spec.input_shape.as_deref().unwrap_or_default());
        return Err(Error::config("the network says its input itself").expected(own).got(asked).at("--input-shape"));
    }
    if let Some(asked) = classes {
        let plan = spec.plan()?;
        let own = plan.output_shape();
        if own[..] != [asked] {
            let own = format!("an output of {own:?}, the network's own");
            return Err(Error::config("the network says its classes itself").expected(own).got(asked).at("--classes"));
        }
    }
    Ok(spec)
}

fn what_is_shown(spec: &Spec) -> String {
    let shape = spec.input_shape.as_deref().unwrap_or_default();
    format!(
        "for an input of {shape:?} and {USUAL_CLASSES} classes where it leaves them open (--input-shape, --classes)"
    )
}

/// A short form that adapts to the data where `network` does.
fn short_form(network: &Architecture, spec: &Spec) -> Result<String> {
    spec.to_short(!matches!(network, Architecture::Keras(_)))
}

fn write(path: &Path, network: &Architecture, spec: &Spec) -> Result<()> {
    let text = match path.extension().and_then(OsStr::to_str) {
        Some("json") => serde_json::to_string_pretty(&spec.to_json()).expect("a JSON value is printable") + "\n",
        Some("txt") => short_form(network, spec)?,
        _ => {
            let wrong = Error::config("the file's ending does not say what to write");
            return Err(wrong.expected(".json, Keras's, or .txt, a short form").at_path(path));
        }
    };
    if path.exists() {
        return Err(Error::config("the file is there already").help("choose another name, or remove it").at_path(path));
    }
    files::write_output(path, |file| file.write_all(text.as_bytes()))
        .map_err(|error| Error::config("cannot write the network").at_path(path).because(error))
}

/// Every preset under the name that `--model` takes, which need not be its network's.
fn summarize_presets() -> Result<Vec<Summary>> {
    let specs = PRESETS.iter().filter_map(|of| Some((of.name, preset(of.name)?)));
    specs.map(|(name, spec)| Ok(Summary { name: name.to_owned(), ..Summary::new(&spec)? })).collect()
}

fn list(presets: &[Summary]) -> String {
    let widest = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0);
    let width = widest(&mut presets.iter().map(|summary| summary.name.len())).max("preset".len());
    let sources = widest(&mut PRESETS.iter().map(|preset| preset.weights.len())).max("weights of".len());
    let row = |name: &str, parameters: &str, products: &str, input: &str, weights: &str, purpose: &str| {
        format!("{name:<width$}  {parameters:>10}  {products:>13}  {input:<11}  {weights:<sources$}  {purpose}\n")
    };
    let mut text = row("preset", "parameters", "multiply-adds", "input", "weights of", "what for");
    text.extend(presets.iter().zip(PRESETS).map(|(summary, Preset { purpose, weights, .. })| {
        let input: Vec<String> = summary.input_shape.iter().map(usize::to_string).collect();
        let weights = if weights.is_empty() { "-" } else { weights };
        let (parameters, products) = (thousands(summary.total), thousands(summary.multiply_adds));
        row(&summary.name, &parameters, &products, &input.join("x"), weights, purpose)
    }));
    text + "\nfor an input as shown and 10 or 1,000 classes; train --model PRESET fits it to the data, and\n\
            convnet import PRESET WEIGHTS takes the weights of others\n"
}

/// A preset, an architecture in a file, or that of a saved model.
fn find(model: &str) -> Result<Architecture> {
    let path = Path::new(model);
    if let Some(spec) = preset(model) {
        return Ok(Architecture::Preset(spec));
    }
    match path.is_file() && path.extension().is_none_or(|extension| extension != "safetensors") {
        true => Architecture::read(path),
        false => Architecture::read(&saved::locate(model).map_err(|error| unknown(model).because(error))?),
    }
}

fn unknown(model: &str) -> Error {
    let names = PRESETS.map(|preset| preset.name);
    Error::model(format!("there is no preset, file or model '{model}'{}", nearest(model, &names)))
        .help(format!("presets: {}", names.join(", ")))
}

#[cfg(test)]
mod tests;
