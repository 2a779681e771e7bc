//! The network of a run: a preset, a Keras file, a trained model, a checkpoint.

use std::path::{Path, PathBuf};

use serde_json::json;
use tch::Device;

use crate::cli::{Globals, output};
use crate::config::{RunConfig, compiled};
use crate::data::split::Parts;
use crate::error::Result;
use crate::model::{Model, Network, presets, saved, transfer};
use crate::train::{self, Optimizer};

/// The Keras course's scale: pixels 0 to 255 become 0 to 1.
const INPUT_SCALE: f64 = 1.0 / 255.0;

/// The network that the run goes on with: that of `checkpoint`, a JSON's path, or a new one.
pub fn build_model(
    config: &RunConfig,
    parts: &Parts,
    checkpoint: Option<&Path>,
    device: Device,
    globals: Globals,
) -> Result<Model> {
    let (shape, num_classes) = (parts.train.shape(), parts.classes.len());
    let model = match checkpoint {
        Some(path) => saved::load(path, device)?.0,
        None => new_model(config, parts, device, globals)?,
    };
    match (model.spec().check_fits(shape, num_classes), source(config, checkpoint)?) {
        (Err(error), Some(path)) => Err(error.at_path(&path)),
        (checked, _) => checked.map(|()| model),
    }
}

/// The file that the network comes from; none where it is built in.
fn source(config: &RunConfig, checkpoint: Option<&Path>) -> Result<Option<PathBuf>> {
    match (checkpoint, &config.init_from) {
        (Some(path), _) => Ok(Some(path.to_owned())),
        (None, Some(model)) => saved::locate(model).map(Some),
        (None, None) => Ok(presets::preset(&config.model).is_none().then(|| PathBuf::from(&config.model))),
    }
}

/// A network with first weights, or with those of the model to start from.
fn new_model(config: &RunConfig, parts: &Parts, device: Device, globals: Globals) -> Result<Model> {
    let Some(source) = &config.init_from else {
        let mut spec = Network::find(&config.model)?.spec(parts.train.shape(), parts.classes.len())?;
        transfer::freeze(&mut spec, &config.freeze)?;
        return Model::new(spec, INPUT_SCALE, device, config.seed);
    };
    let (source, _) = saved::load(&saved::locate(source)?, device)?;
    let mut spec = source.spec().clone();
    spec.adapt(parts.train.shape(), parts.classes.len());
    transfer::freeze(&mut spec, &config.freeze)?;
    let model = Model::new(spec, source.input_scale(), device, config.seed)?;
    if let Some(head) = transfer::copy_weights(&source, &model)? {
        output::note(globals, &format!("note: layer {head} starts anew, with {} classes", parts.classes.len()));
    }
    Ok(model)
}

/// How much each class counts in the training loss, where the run says it.
pub fn class_weights(config: &RunConfig, parts: &Parts) -> Result<Option<Vec<f64>>> {
    let counts = parts.train.class_counts(parts.classes.len());
    config.class_weights.as_ref().map(|weights| weights.resolve(&parts.classes, &counts)).transpose()
}

/// Gives `optimizer` the state that the model to start from was trained with in Keras, where it fits.
pub fn take_over_state(config: &RunConfig, optimizer: &mut Optimizer, globals: Globals) -> Result<()> {
    let Some(source) = &config.init_from else { return Ok(()) };
    let path = saved::locate(source)?;
    let Some((compile, output)) = saved::compile_info(&path)? else { return Ok(()) };
    if compiled::keys(&compile, output).0.get("optimizer") != Some(&json!(config.optimizer)) {
        return Ok(());
    }
    match train::take_over_state(&path, optimizer) {
        Ok(None) => {}
        Ok(Some(steps)) => {
            output::note(globals, &format!("note: the optimizer goes on after its {steps} steps in Keras"));
        }
        Err(_) => output::note(globals, "note: the optimizer starts anew: its state belongs to other weights"),
    }
    Ok(())
}
