//! The network of a run: a preset, a Keras file, a trained model, a checkpoint.

use std::path::{Path, PathBuf};

use serde_json::json;
use tch::Device;

use crate::config::{RunConfig, compiled};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::log::Sinks;
use crate::model::config::PublishedWeights;
use crate::model::presets::Preset;
use crate::model::spec::mixed_policy;
use crate::model::transfer::{HeadTransfer, Stage};
use crate::model::{Architecture, InputScale, Model, ModelInfo, ScaleOrigin, Spec, presets, saved, transfer};
use crate::pytorch;
use crate::train::{self, Optimizer};

/// The network that the run goes on with: that of `checkpoint`, a JSON's path, or a new one. Says what becomes of pixels
/// before they enter it, and what of it is not trained.
pub fn build_model(
    config: &RunConfig,
    parts: &Dataset,
    checkpoint: Option<&Path>,
    stage: Stage,
    device: Device,
    sinks: &mut Sinks,
) -> Result<Model> {
    let (shape, num_classes) = (parts.train.shape(), parts.classes.len());
    let (model, origin) = match checkpoint {
        Some(path) => {
            let freeze = |spec: &mut Spec| transfer::freeze(spec, &config.network.freeze, stage);
            (saved::load_with(path, device, freeze)?.0, ScaleOrigin::Model)
        }
        None => new_model(config, parts, stage, device, sinks)?,
    };
    match (model.spec().check_fits(shape, num_classes), source(config, checkpoint)?) {
        (Err(error), Some(path)) => return Err(error.at_path(&path)),
        (checked, _) => checked?,
    }
    let model = model.with_image_shape(shape)?;
    let scale = InputScale::new(model.input_scale()).unwrap_or(InputScale::NONE);
    sinks.note(format!("input: {}", origin.describe(scale)));
    for warning in model.scaling_warnings() {
        sinks.note(format!("warning: {warning}"));
    }
    if let Some(line) = transfer::describe_frozen(&model, stage) {
        sinks.note(line);
    }
    Ok(model)
}

/// The file that the network comes from; none where it is built in.
fn source(config: &RunConfig, checkpoint: Option<&Path>) -> Result<Option<PathBuf>> {
    match (checkpoint, &config.network.init_from) {
        (Some(path), _) => Ok(Some(path.to_owned())),
        (None, Some(model)) => saved::locate(model).map(Some),
        (None, None) => {
            Ok(presets::preset(&config.network.model).is_none().then(|| PathBuf::from(&config.network.model)))
        }
    }
}

/// A network with first weights, or with those of the model to start from.
fn new_model(
    config: &RunConfig,
    parts: &Dataset,
    stage: Stage,
    device: Device,
    sinks: &mut Sinks,
) -> Result<(Model, ScaleOrigin)> {
    let Some((source, info)) = start(config, device)? else {
        let network = Architecture::find(&config.network.model)?;
        note_policy(config, &network, sinks);
        let mut spec = network.spec(parts.train.shape(), parts.classes.len())?;
        transfer::freeze(&mut spec, &config.network.freeze, stage)?;
        let (scale, origin) = spec.input_scale(config.network.input_scale, None);
        return Ok((Model::new(spec, scale.factor(), device, config.training.seed)?, origin));
    };
    let mut spec = source.spec().clone();
    spec.adapt(parts.train.shape(), parts.classes.len());
    transfer::freeze(&mut spec, &config.network.freeze, stage)?;
    let (scale, origin) = spec.input_scale(config.network.input_scale, InputScale::new(source.input_scale()));
    let model = Model::new(spec, scale.factor(), device, config.training.seed)?;
    if scale.factor() != source.input_scale() {
        let own = InputScale::new(source.input_scale()).unwrap_or(InputScale::NONE);
        sinks.note(format!("warning: the model to start from was trained with pixels times {own}"));
    }
    let head = HeadTransfer::of(&info, &parts.classes);
    let layer = transfer::copy_weights(&source, &model, &head)?;
    match (head, layer) {
        (HeadTransfer::New, Some(layer)) => sinks
            .note(format!("note: layer {layer} starts anew: the model was trained on other classes than these {}", parts.classes.len())),
        (HeadTransfer::New, None) => sinks
            .note("warning: the model was trained on other classes, and it has no Dense layer at its end to start anew for them"),
        (HeadTransfer::Reordered(_), _) => sinks.note("note: the model's classes come in the order of the data"),
        (HeadTransfer::Kept, _) => {}
    }
    Ok((model, origin))
}

/// The model that the run starts from, and what is known of it: a trained one, or a preset with published weights; none where
/// weights are random.
fn start(config: &RunConfig, device: Device) -> Result<Option<(Model, ModelInfo)>> {
    let network = &config.network;
    match (&network.init_from, network.weights) {
        (Some(source), _) => saved::load(&saved::locate(source)?, device).map(Some),
        (None, Some(PublishedWeights::Imagenet)) => {
            let unknown =
                || Error::config("`weights` are of presets").expected("a preset as `model`").got(&network.model);
            let preset = Preset::find(&network.model).ok_or_else(unknown)?;
            let model = pytorch::published(preset)?;
            let labels = (0..model.num_classes()).map(|class| class.to_string()).collect();
            Ok(Some((model, ModelInfo { labels, ..ModelInfo::default() })))
        }
        (None, None) => Ok(None),
    }
}

/// Says what becomes of a mixed precision policy in a Keras JSON.
fn note_policy(config: &RunConfig, network: &Architecture, sinks: &mut Sinks) {
    let Architecture::Keras(_) = network else { return };
    let Ok(document) = saved::read_json(Path::new(&config.network.model)) else { return };
    if let Some(policy) = mixed_policy(&document) {
        let precision = config.network.precision;
        sinks.note(format!(
            "note: the network's policy is {policy}; it computes in {precision} (`precision` fp32 or bf16)"
        ));
    }
}

/// Gives `optimizer` the state that the model to start from was trained with in Keras, where it fits.
pub fn take_over_state(
    config: &RunConfig,
    classes: &[String],
    optimizer: &mut Optimizer,
    sinks: &mut Sinks,
) -> Result<()> {
    let Some(source) = &config.network.init_from else { return Ok(()) };
    let path = saved::locate(source)?;
    let Some((compile, output)) = saved::compile_info(&path)? else { return Ok(()) };
    if compiled::keys(&compile, output).0.get("optimizer") != Some(&json!(config.optimizer.kind)) {
        return Ok(());
    }
    if HeadTransfer::of(&saved::info(&path)?, classes) != HeadTransfer::Kept {
        sinks.note("note: the optimizer starts anew: its state belongs to other classes");
        return Ok(());
    }
    match train::take_over_state(&path, optimizer) {
        Ok(None) => {}
        Ok(Some(steps)) => {
            sinks.note(format!("note: the optimizer goes on after its {steps} steps in Keras"));
        }
        Err(_) => sinks.note("note: the optimizer starts anew: its state belongs to other weights"),
    }
    Ok(())
}
