//! The flags that are settings: [`crate::config::RunConfig`]'s fields, each where it was given.

use std::path::{Path, PathBuf};

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::data::image::Resize;
use crate::data::options::{Cache, Channels, ImageSize};
use crate::data::split::SplitMode;
use crate::error::Error;
use crate::model::{InputScale, Precision};
use crate::train::{ClassWeightRule, ClassWeights, Monitor, OptimizerKind, SaveEvery, ScheduleKind, Span, Target};

/// All of them.
#[derive(Debug, Clone, Default, Serialize, clap::Args)]
pub struct Flags {
    #[command(flatten)]
    #[serde(flatten)]
    what: What,
    #[command(flatten, next_help_heading = "Optimizer")]
    #[serde(flatten)]
    step: Step,
    #[command(flatten, next_help_heading = "Learning rate")]
    #[serde(flatten)]
    rate: Rate,
    #[command(flatten, next_help_heading = "Best epoch and ending")]
    #[serde(flatten)]
    ending: Ending,
    #[command(flatten, next_help_heading = "Machine and files")]
    #[serde(flatten)]
    place: Place,
}

#[derive(Debug, Clone, Default, Serialize, clap::Args)]
struct What {
    /// A known name (digits, fashion-mnist, …), a folder of classes or IDX files, a manifest, an archive [default: digits]
    #[arg(long, value_name = "D")]
    data: Option<String>,
    /// A preset's name, a Keras JSON or a short form (docs/layers.md) [default: keras-cnn]
    #[arg(long, value_name = "PRESET|FILE")]
    model: Option<String>,
    /// Start from a trained model: its network and weights, with a new last layer where the classes have other names
    #[arg(long, value_name = "MODEL", conflicts_with = "model")]
    init_from: Option<String>,
    /// Layers that stay as they are in this run, by name, with * and ?; none: train even what the model's file keeps
    #[arg(long, value_name = "PATTERN|none", value_delimiter = ',')]
    freeze: Option<Vec<String>>,
    /// What pixels 0 to 255 are multiplied by [default: 1/255; 1 for a network that scales them itself]
    #[arg(long, value_name = "S")]
    input_scale: Option<InputScale>,
    /// Change training images: none, light, strong or amounts (flip=0.5,shift=0.1) [default: none]
    #[arg(long, value_name = "none|light|strong|LIST")]
    augment: Option<String>,
    /// Bring all images to this size, in pixels: one side, or height x width [default: their own, if it is the same for all]
    #[arg(long, value_name = "N|HxW")]
    image_size: Option<ImageSize>,
    /// The images' channels: 1 (grey), 3 (colour) or auto [default: auto]
    #[arg(long, value_name = "1|3|auto")]
    channels: Option<Channels>,
    /// How images of another proportion come to the size [default: stretch]
    #[arg(long, value_enum)]
    resize: Option<Resize>,
    /// Leave out the images that a CSV names by split and index (data check --out writes one)
    #[arg(long, value_name = "FILE.csv")]
    exclude: Option<PathBuf>,
    /// Where the images are kept while they are used; auto: on the device, up to 4 GiB, else none [default: auto]
    #[arg(long, value_enum)]
    cache: Option<Cache>,
    /// Validation images: a count, a fraction, test or none [default: the data set's own, else 5000, or a tenth of fewer than 10,000]
    #[arg(long, value_name = "COUNT|FRACTION|test|none")]
    validation: Option<String>,
    /// How the validation images are chosen; tail takes the last ones, as Keras does [default: stratified]
    #[arg(long, value_enum)]
    split_mode: Option<SplitMode>,
    /// Train on at most so many images
    #[arg(long, value_name = "N")]
    limit_train: Option<usize>,
    /// Epochs of the whole run [default: 10]
    #[arg(long, value_name = "N")]
    epochs: Option<u64>,
    /// Images a batch [default: 128]
    #[arg(short, long, value_name = "B")]
    batch_size: Option<usize>,
    /// Batches whose gradients make one step: as one batch of N · B images [default: 1]
    #[arg(long, value_name = "N")]
    accumulate: Option<usize>,
    /// Whether every epoch has an order of its own, else the files' order [default: true]
    #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true")]
    shuffle: Option<bool>,
    /// Where all random numbers come from [default: 0]
    #[arg(long)]
    seed: Option<u64>,
}

#[derive(Debug, Clone, Default, Serialize, clap::Args)]
struct Step {
    /// The optimizer [default: adam]
    #[arg(long, value_enum)]
    optimizer: Option<OptimizerKind>,
    /// The learning rate [default: 0.002]
    #[arg(long, value_name = "RATE", value_parser = finite)]
    lr: Option<f64>,
    /// Beta 1 of Adam, Nadam and Lion [default: 0.9]
    #[arg(long, value_parser = finite)]
    beta1: Option<f64>,
    /// Beta 2 of Adam, Nadam and Lion [default: 0.999; lion: 0.99]
    #[arg(long, value_parser = finite)]
    beta2: Option<f64>,
    /// Epsilon of Adam, Nadam and RMSprop, where Keras has it [default: 1e-7]
    #[arg(long, value_parser = finite)]
    epsilon: Option<f64>,
    /// Momentum of SGD and RMSprop [default: 0]
    #[arg(long, value_parser = finite)]
    momentum: Option<f64>,
    /// Let SGD's momentum look ahead
    #[arg(long, num_args = 0, default_missing_value = "true")]
    nesterov: Option<bool>,
    /// RMSprop's rho [default: 0.9]
    #[arg(long, value_parser = finite)]
    rho: Option<f64>,
    /// Let RMSprop take the gradient's mean off
    #[arg(long, num_args = 0, default_missing_value = "true")]
    centered: Option<bool>,
    /// Every weight loses this times the learning rate of itself in each step [default: 0; adamw: 0.004]
    #[arg(long, value_parser = finite)]
    weight_decay: Option<f64>,
    /// Cut each number of a gradient to -C … C
    #[arg(long, value_name = "C", value_parser = finite)]
    clip_value: Option<f64>,
    /// Cut each weight's gradient to the length C
    #[arg(long, value_name = "C", value_parser = finite)]
    clip_norm: Option<f64>,
    /// Cut all gradients together to the length C
    #[arg(long, value_name = "C", value_parser = finite, visible_alias = "clip-grad")]
    global_clip_norm: Option<f64>,
    /// Keep the weights' moving average, validate and save that [try: 0.999]
    #[arg(long, value_name = "DECAY", value_parser = finite)]
    ema: Option<f64>,
    /// Smooth labels by this [default: 0]
    #[arg(long, value_name = "EPSILON", value_parser = finite, visible_alias = "smoothing")]
    label_smoothing: Option<f64>,
    /// How much each class counts: balanced, a JSON file with a list or a table, or numbers
    #[arg(long, value_name = "balanced|FILE|a,b,c", value_parser = class_weights)]
    class_weights: Option<ClassWeights>,
}

#[derive(Debug, Clone, Default, Serialize, clap::Args)]
struct Rate {
    /// How the learning rate changes over the run [default: constant]
    #[arg(long, value_enum)]
    schedule: Option<ScheduleKind>,
    /// Epochs over which the learning rate rises first [default: 0]
    #[arg(long, value_name = "N", value_parser = finite)]
    warmup_epochs: Option<f64>,
    /// The final rate of linear, cosine and polynomial; plateau's least [default: 0]
    #[arg(long, value_name = "RATE", value_parser = finite)]
    min_lr: Option<f64>,
    /// What exponential and step multiply the rate by [default: 0.1]
    #[arg(long, value_parser = finite)]
    decay_rate: Option<f64>,
    /// Over how many epochs they do [default: a third of the run]
    #[arg(long, value_name = "N", value_parser = finite)]
    decay_epochs: Option<f64>,
    /// Polynomial's exponent [default: 1]
    #[arg(long, value_parser = finite)]
    power: Option<f64>,
    /// Epochs without improvement before plateau reduces the rate [default: 10]
    #[arg(long, value_name = "N")]
    plateau_patience: Option<u64>,
    /// What plateau multiplies the rate by [default: 0.1]
    #[arg(long, value_name = "FACTOR", value_parser = finite)]
    plateau_factor: Option<f64>,
    /// By how much an epoch has to be better for plateau [default: 0.0001]
    #[arg(long, value_name = "DELTA", value_parser = finite)]
    plateau_min_delta: Option<f64>,
    /// Epochs after a reduction that do not count [default: 0]
    #[arg(long, value_name = "N")]
    plateau_cooldown: Option<u64>,
}

#[derive(Debug, Clone, Default, Serialize, clap::Args)]
struct Ending {
    /// What makes an epoch the best [default: val_accuracy; plateau: val_loss]
    #[arg(long, value_parser = monitors())]
    monitor: Option<Monitor>,
    /// By how much an epoch has to be better than the best [default: 0]
    #[arg(long, value_name = "DELTA", value_parser = finite)]
    min_delta: Option<f64>,
    /// End after so many epochs without a better one
    #[arg(long, value_name = "N")]
    patience: Option<u64>,
    /// Save the best epoch's weights as the model, not the last one's
    #[arg(long, num_args = 0, default_missing_value = "true")]
    restore_best: Option<bool>,
    /// End once a number is reached: val_accuracy=0.92
    #[arg(long, value_name = "NAME=VALUE")]
    until: Option<Target>,
    /// End after this time: 90s, 10m, 1.5h
    #[arg(long, value_name = "TIME")]
    time: Option<Span>,
}

#[derive(Debug, Clone, Default, Serialize, clap::Args)]
struct Place {
    /// auto, cpu, cuda or cuda:N [default: auto]
    #[arg(long)]
    device: Option<String>,
    /// The kind of number to compute in [default: fp32]
    #[arg(long, value_enum)]
    precision: Option<Precision>,
    /// Whether CUDA may round the factors of fp32 products to TF32: faster [default: true]
    #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true")]
    tf32: Option<bool>,
    /// Hold cuDNN to algorithms that give the same bits each time: slower [default: false]
    #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true")]
    deterministic: Option<bool>,
    /// CPU threads [default: one per core]
    #[arg(short = 'j', long, value_name = "N")]
    threads: Option<usize>,
    /// The folder of the logs [default: logs]
    #[arg(long, value_name = "FOLDER")]
    logs: Option<PathBuf>,
    /// The folder of the saved models [default: models]
    #[arg(long, value_name = "FOLDER")]
    models: Option<PathBuf>,
    /// The saved model's name [default: model]
    #[arg(long)]
    name: Option<String>,
    /// The run's name [default: the time, YYYYmmdd-HHMMSS]
    #[arg(long)]
    run: Option<String>,
    /// Save a checkpoint within an epoch, too: every so many batches (500), or so often (5m)
    #[arg(long, value_name = "BATCHES|TIME")]
    save_every: Option<SaveEvery>,
    /// Batches between two points of the logs [default: a twentieth of an epoch]
    #[arg(long, value_name = "N")]
    log_every: Option<u64>,
}

impl Flags {
    /// The ones that were given, by their keys.
    pub fn given(&self) -> crate::error::Result<Map<String, Value>> {
        let mut given = crate::config::keys_of(self)?;
        given.retain(|_, value| !value.is_null());
        Ok(given)
    }

    /// Where runs are looked for, where it was given.
    pub fn logs(&self) -> Option<&Path> {
        self.place.logs.as_deref()
    }
}

/// The names of what can be watched.
fn monitors() -> impl TypedValueParser<Value = Monitor> {
    let value = |monitor: Monitor| {
        let images = if monitor.of_validation { "Validation" } else { "Training" };
        PossibleValue::new(monitor.to_string()).help(format!("{images} {}", monitor.metric.definition().label))
    };
    PossibleValuesParser::new(Monitor::all().map(value)).try_map(|name| name.parse())
}

fn finite(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => Err("expected a finite number".to_owned()),
    }
}

/// `balanced`, `1,2.5,1`, or a JSON file.
fn class_weights(text: &str) -> Result<ClassWeights, Error> {
    if text == "balanced" {
        return Ok(ClassWeights::Rule(ClassWeightRule::Balanced));
    }
    if let Ok(numbers) = text.split(',').map(|number| finite(number.trim())).collect() {
        return Ok(ClassWeights::List(numbers));
    }
    let expected = "balanced, numbers (1,2.5,1), or a JSON file with a list of them or a table {\"class\": 2.5}";
    let wrong = || Error::config("no class weights").expected(expected).got(format!("'{text}'"));
    let bytes = std::fs::read(text).map_err(|error| wrong().because(error))?;
    serde_json::from_slice(&bytes).map_err(|error| wrong().because(error))
}
