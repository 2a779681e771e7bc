//! Builds what a configuration names: the device, the data splits, the network with its optimizer. The one wiring, for training,
//! for the learning rate finder, and so for whatever trains a run again.

use std::path::Path;

use super::data_check::tell_faults;
use super::network;
use crate::config::RunConfig;
use crate::data::split::split;
use crate::data::{Dataset, Samples, registry, sources};
use crate::device::{self, Selected};
use crate::distributed::Group;
use crate::error::Result;
use crate::log::Sinks;
use crate::model::transfer::{self, Stage};
use crate::model::{Model, thousands};
use crate::native;
use crate::train::{ClassWeights, Optimizer, TrainConfig};

/// A network and what trains it.
pub struct PreparedNetwork {
    /// The network, on its device, computing in the run's precision.
    pub model: Model,
    /// Its optimizer: fresh, or with the state that the model to start from was trained with in Keras.
    pub optimizer: Optimizer,
    /// How it is trained; the run has no name yet.
    pub train_config: TrainConfig,
}

/// Sets libtorch up as `config` asks and selects the device, which is told. Of `group`, the processes of one machine share its
/// processors, and each has a GPU of its own.
///
/// # Errors
/// A device error where it cannot be used.
pub fn device(config: &RunConfig, group: &Group, sinks: &mut Sinks) -> Result<Selected> {
    let (number, processes) = group.local();
    let share = || (processes > 1).then(|| (device::threads::num_processors() / processes).max(1));
    device::configure(config.device.threads.or_else(share))?;
    native::allow_tf32(config.device.tf32)?;
    native::set_deterministic(config.device.deterministic)?;
    let selected = device::select_behind(config.device.choice, number)?;
    sinks.note(device_line(&selected));
    Ok(selected)
}

/// Loads the images of `config` and splits them. What may be wrong with them is told where it `checks_data`.
///
/// # Errors
/// A data error where they cannot be used, a configuration error where they cannot be split so.
pub fn splits(config: &RunConfig, checks_data: bool, sinks: &mut Sinks) -> Result<Dataset> {
    let dataset = registry::load_unshaped(&config.data.source, &config.load)?;
    for text in &dataset.notes {
        sinks.note(format!("note: {text}"));
    }
    if checks_data {
        tell_faults(&dataset, &config.data.source, sinks);
    }
    let splits =
        split(dataset, &config.data.validation, config.data.split_mode, config.data.limit_train, config.training.seed)?;
    // images that nobody trains on are not resized
    let splits = sources::shaped_for_training(splits, &config.load)?;
    let are_characters = splits.classes.iter().all(|class| class.chars().count() == 1);
    if config.training.augment.flip > 0.0 && are_characters {
        sinks.note("note: mirrored digits and letters become wrong; add flip=0 to `augment`");
    }
    Ok(splits)
}

/// The network of `config` for the images of `splits`, with its optimizer, in the stage of the run that it has come to: that of
/// `checkpoint`, a JSON's path, whose optimizer state is still to be restored, or a new one.
///
/// # Errors
/// A model error where the network cannot be used or does not fit the images, a configuration error where a class weight or a
/// layer to freeze names nothing.
pub fn network(
    config: &RunConfig,
    splits: &Dataset,
    checkpoint: Option<&Path>,
    stage: Stage,
    selected: &Selected,
    sinks: &mut Sinks,
) -> Result<PreparedNetwork> {
    let model = network::build_model(config, splits, checkpoint, stage, selected.device, sinks)?;
    let model = model.with_precision(config.network.precision);
    let mut train_config = config.train_config(splits.train.len(), stage);
    train_config.class_weights = class_weights(config, splits)?;
    train_config.check_monitors(splits.classes.len())?;
    let mut optimizer = optimizer(config, &model)?;
    if checkpoint.is_none() {
        network::take_over_state(config, &splits.classes, &mut optimizer, sinks)?;
    }
    sinks.note(images_line(splits));
    sinks.detail(format!("network: {} parameters", model.plan().num_parameters()));
    Ok(PreparedNetwork { model, optimizer, train_config })
}

/// A new optimizer of `config` for the weights that `model` trains.
fn optimizer(config: &RunConfig, model: &Model) -> Result<Optimizer> {
    let scale = transfer::rate_scales(model.spec(), config.backbone_lr_scale())?;
    let (rule, options) = (config.optimizer.rule(), config.optimizer.step_options());
    Ok(Optimizer::with_rate_scales(rule, options, model.weights(), scale))
}

/// The network of `before` in the next stage of its run: all layers that `freeze` leaves are trained, with a new optimizer.
///
/// # Errors
/// A configuration error where nothing is left to train.
pub fn next_stage(
    config: &RunConfig,
    before: &Model,
    train_config: &TrainConfig,
    sinks: &mut Sinks,
) -> Result<PreparedNetwork> {
    let model = transfer::next_stage(before, &config.network.freeze, Stage::Whole)?;
    let num_trainable = thousands(model.plan().num_trainable());
    let scale = config.backbone_lr_scale();
    sinks.note(format!(
        "from epoch {}: {num_trainable} parameters are trained, the backbone's at {scale} times the learning rate",
        config.network.freeze_epochs + 1
    ));
    let best = config.best_epoch.early_stopping();
    let train_config = TrainConfig { stage_end: None, early_stopping: best, ..train_config.clone() };
    Ok(PreparedNetwork { optimizer: optimizer(config, &model)?, model, train_config })
}

/// How much each class counts in the training loss, where the run says it.
fn class_weights(config: &RunConfig, splits: &Dataset) -> Result<Option<ClassWeights>> {
    let counts = splits.train.class_counts(splits.classes.len());
    config
        .training
        .class_weights
        .as_ref()
        .map(|weights| weights.resolve(&splits.classes, &counts).map(ClassWeights::List))
        .transpose()
}

/// What computes, and why not CUDA.
fn device_line(selected: &Selected) -> String {
    let threads = tch::get_num_threads();
    let Selected { name, gpu, why_not_cuda, .. } = selected;
    match (gpu, why_not_cuda) {
        (_, Some(reason)) => format!("device: {name}, {threads} threads (CUDA not used: {reason})"),
        (Some(gpu), None) => format!("device: {name} ({gpu}), {threads} threads"),
        (None, None) => format!("device: {name}, {threads} threads"),
    }
}

/// How many images there are to train on, to validate with and to test on.
fn images_line(splits: &Dataset) -> String {
    let count = |samples: &Option<Samples>| samples.as_ref().map_or("no".to_owned(), |images| images.len().to_string());
    let (validation, test) = (count(&splits.validation), count(&splits.test));
    format!("data: {}, {} training, {validation} validation and {test} test images", splits.name, splits.train.len())
}
