//! The flags of `train` and `lr-find` that set a field of [`convnet::config::RunConfig`].

use std::path::{Path, PathBuf};

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::cli::names::names;
use convnet::data::image::{Decode, Resize};
use convnet::data::options::{Cache, Channels, ImageSize};
use convnet::data::split::SplitMode;
use convnet::error::Error;
use convnet::log::TensorBoardLevel;
use convnet::model::config::PublishedWeights;
use convnet::model::{InputScale, Precision};
use convnet::train::{
    ClassWeightRule, ClassWeights, GradientCompression, Monitor, OptimizerKind, SaveEvery, ScheduleKind, Span, Target,
};

/// The flags of a training. Their defaults are not written here: [`crate::cli::help::with_default`] takes them from
/// [`convnet::config::RunConfig::default`].
#[derive(Debug, Clone, Default, Serialize, clap::Args)]
pub struct Flags {
    #[command(flatten)]
    #[serde(flatten)]
    run: EssentialsFlags,
    #[command(flatten, next_help_heading = "Data")]
    #[serde(flatten)]
    data: DataFlags,
    #[command(flatten, next_help_heading = "Network")]
    #[serde(flatten)]
    network: NetworkFlags,
    #[command(flatten, next_help_heading = "Training")]
    #[serde(flatten)]
    training: TrainingFlags,
    #[command(flatten, next_help_heading = "Optimizer")]
    #[serde(flatten)]
    optimizer: OptimizerFlags,
    #[command(flatten, next_help_heading = "Learning rate")]
    #[serde(flatten)]
    learning_rate: LearningRateFlags,
    #[command(flatten, next_help_heading = "Best epoch and early stopping")]
    #[serde(flatten)]
    stopping: StoppingFlags,
    #[command(flatten, next_help_heading = "Device")]
    #[serde(flatten)]
    device: DeviceFlags,
    #[command(flatten, next_help_heading = "Files")]
    #[serde(flatten)]
    files: FilesFlags,
}

#[derive(Debug, Clone, Default, Serialize, clap::Args)]
struct EssentialsFlags {
    /// The data set: a known name (digits, fashion-mnist, …), a folder of classes or IDX files, a manifest or an archive
    #[arg(value_name = "DATA", conflicts_with = "data")]
    #[serde(skip)]
    named_data: Option<String>,
    /// The data set, as a flag
    #[arg(short, long, value_name = "DATA")]
    data: Option<String>,
    /// A preset's name (summary --presets), a Keras JSON or a short form (docs/layers.md)
    #[arg(long, value_name = "PRESET|FILE")]
    model: Option<String>,
    /// Start from a trained model: its network and weights, with a new last layer if the classes differ
    #[arg(long, value_name = "MODEL", conflicts_with = "model")]
    init_from: Option<String>,
    /// Epochs of the whole run
    #[arg(short, long, value_name = "N")]
    epochs: Option<u64>,
    /// Images per batch
    #[arg(short, long, value_name = "B")]
    batch_size: Option<usize>,
    /// Random seed of weights, order, validation images, dropout and augmentation
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

#[derive(Debug, Clone, Default, Serialize, clap::Args)]
struct DataFlags {
    /// Validation images: a count, a fraction (0.1), a fold (2/5: the second of five), test or none
    #[arg(long, value_name = "COUNT|FRACTION|FOLD|test|none")]
    validation: Option<String>,
    /// How the validation images are chosen; tail takes the last ones, as Keras does
    #[arg(long, value_parser = names::<SplitMode>())]
    split_mode: Option<SplitMode>,
    /// Train on at most this many images
    #[arg(long, value_name = "N")]
    limit_train: Option<usize>,
    /// Augment the training images: none, light, strong, or amounts (flip=0.5,shift=0.1)
    #[arg(long, value_name = "none|light|strong|LIST")]
    augment: Option<String>,
    /// Resize all images to this, in pixels: one side, or height x width
    #[arg(long, value_name = "N|HxW")]
    image_size: Option<ImageSize>,
    /// The images' channels: 1 (grayscale), 3 (RGB) or auto
    #[arg(long, value_name = "1|3|auto")]
    channels: Option<Channels>,
    /// How to fit images with another aspect ratio
    #[arg(long, value_parser = names::<Resize>())]
    resize: Option<Resize>,
    /// How JPEGs much larger than the images' size are decoded; the model keeps it for predictions
    #[arg(long, value_parser = names::<Decode>())]
    decode: Option<Decode>,
    /// Leave out the images that a CSV lists by split and index (data check --out writes one)
    #[arg(long, value_name = "FILE.csv")]
    exclude: Option<PathBuf>,
    /// Where decoded images are kept; auto: on the device up to 4 GiB, else nowhere
    #[arg(long, value_parser = names::<Cache>())]
    cache: Option<Cache>,
}

#[derive(Debug, Clone, Default, Serialize, clap::Args)]
struct NetworkFlags {
    /// Start a preset from published weights, downloaded once, with a new last layer
    #[arg(long, conflicts_with = "init_from", value_parser = names::<PublishedWeights>())]
    weights: Option<PublishedWeights>,
    /// Layers to freeze (not trained), by name, with * and ?; repeat it or use commas; backbone: all but the last Dense
    /// layer; none: train all, whatever the model says
    #[arg(long, value_name = "PATTERN,…|none", value_delimiter = ',')]
    freeze: Option<Vec<String>>,
    /// Train only the last Dense layer for the first N epochs, then all
    #[arg(long, value_name = "N")]
    freeze_epochs: Option<u64>,
    /// Compute once what frozen first layers give for each image, where no image is augmented
    #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true")]
    keep_features: Option<bool>,
    /// What pixels 0 to 255 are multiplied by before they enter the network
    #[arg(long, value_name = "S")]
    input_scale: Option<InputScale>,
    /// The floating-point type of the computation
    #[arg(long, value_parser = names::<Precision>())]
    precision: Option<Precision>,
}

#[derive(Debug, Clone, Default, Serialize, clap::Args)]
struct TrainingFlags {
    /// Accumulate the gradients of N batches into one optimizer step, as for one batch of N · B images
    #[arg(long, value_name = "N")]
    accumulate: Option<usize>,
    /// Shuffle the images anew each epoch
    #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true")]
    shuffle: Option<bool>,
    /// Label smoothing
    #[arg(long, value_name = "EPSILON", value_parser = finite, visible_alias = "smoothing")]
    label_smoothing: Option<f64>,
    /// Weight of each class in the loss: balanced, a JSON file with a list or a table, or numbers
    #[arg(long, value_name = "balanced|FILE|a,b,c", value_parser = class_weights)]
    class_weights: Option<ClassWeights>,
    /// Of several processes: let batch normalisation use the statistics of the whole batch, not of each process's part
    #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true")]
    sync_batchnorm: Option<bool>,
    /// Of several processes: the numbers as which gradients travel between them
    #[arg(long, value_parser = names::<GradientCompression>())]
    gradient_compression: Option<GradientCompression>,
}

#[derive(Debug, Clone, Default, Serialize, clap::Args)]
struct OptimizerFlags {
    /// The optimizer
    #[arg(long, value_parser = names::<OptimizerKind>())]
    optimizer: Option<OptimizerKind>,
    /// Beta 1
    #[arg(long, value_parser = finite)]
    beta1: Option<f64>,
    /// Beta 2
    #[arg(long, value_parser = finite)]
    beta2: Option<f64>,
    /// Epsilon, where Keras has it
    #[arg(long, value_parser = finite)]
    epsilon: Option<f64>,
    /// Momentum
    #[arg(long, value_parser = finite)]
    momentum: Option<f64>,
    /// Use Nesterov momentum
    #[arg(long, num_args = 0, default_missing_value = "true")]
    nesterov: Option<bool>,
    /// Rho
    #[arg(long, value_parser = finite)]
    rho: Option<f64>,
    /// Divide by the gradient's variance in place of its mean square
    #[arg(long, num_args = 0, default_missing_value = "true")]
    centered: Option<bool>,
    /// Each step shrinks every weight by this × learning rate
    #[arg(long, value_parser = finite)]
    weight_decay: Option<f64>,
    /// Clip each number of a gradient to -C … C
    #[arg(long, value_name = "C", value_parser = finite)]
    clip_value: Option<f64>,
    /// Clip each weight's gradient to norm C
    #[arg(long, value_name = "C", value_parser = finite)]
    clip_norm: Option<f64>,
    /// Clip all gradients together to norm C
    #[arg(long, value_name = "C", value_parser = finite, visible_alias = "clip-grad")]
    global_clip_norm: Option<f64>,
    /// Keep an exponential moving average of the weights; validate and save it (try 0.999)
    #[arg(long, value_name = "DECAY", value_parser = finite)]
    ema: Option<f64>,
}

#[derive(Debug, Clone, Default, Serialize, clap::Args)]
struct LearningRateFlags {
    /// The learning rate
    #[arg(long, value_name = "RATE", value_parser = finite)]
    lr: Option<f64>,
    /// What the rate of all layers but the last Dense one is multiplied by
    #[arg(long, value_name = "S", value_parser = finite)]
    backbone_lr_scale: Option<f64>,
    /// How the learning rate changes over the run
    #[arg(long, value_parser = names::<ScheduleKind>())]
    schedule: Option<ScheduleKind>,
    /// Epochs over which the learning rate first rises linearly
    #[arg(long, value_name = "N", value_parser = finite)]
    warmup_epochs: Option<f64>,
    /// Final rate of linear, cosine and polynomial; lower bound of plateau
    #[arg(long, value_name = "RATE", value_parser = finite)]
    min_lr: Option<f64>,
    /// Factor for exponential and step
    #[arg(long, value_name = "FACTOR", value_parser = finite)]
    decay_rate: Option<f64>,
    /// Epochs over which exponential and step apply the factor once
    #[arg(long, value_name = "N", value_parser = finite)]
    decay_epochs: Option<f64>,
    /// Exponent of polynomial
    #[arg(long, value_parser = finite)]
    power: Option<f64>,
    /// Epochs without improvement before plateau reduces the rate
    #[arg(long, value_name = "N")]
    plateau_patience: Option<u64>,
    /// Factor by which plateau reduces the rate
    #[arg(long, value_name = "FACTOR", value_parser = finite)]
    plateau_factor: Option<f64>,
    /// Smallest change that counts as an improvement for plateau
    #[arg(long, value_name = "DELTA", value_parser = finite)]
    plateau_min_delta: Option<f64>,
    /// Epochs after a reduction that plateau does not count
    #[arg(long, value_name = "N")]
    plateau_cooldown: Option<u64>,
}

#[derive(Debug, Clone, Default, Serialize, clap::Args)]
struct StoppingFlags {
    /// The metric that decides which epoch is the best
    #[arg(long, value_parser = monitors())]
    monitor: Option<Monitor>,
    /// Smallest change of the metric that counts as an improvement
    #[arg(long, value_name = "DELTA", value_parser = finite)]
    min_delta: Option<f64>,
    /// Stop after this many epochs without improvement
    #[arg(long, value_name = "N")]
    patience: Option<u64>,
    /// Save the best epoch's weights as the model, not the last one's
    #[arg(long, num_args = 0, default_missing_value = "true")]
    restore_best: Option<bool>,
    /// Stop once a metric reaches a value: val_accuracy=0.92
    #[arg(long, value_name = "METRIC=VALUE")]
    until: Option<Target>,
    /// Stop after this time: 90s, 10m, 1.5h
    #[arg(long, value_name = "TIME")]
    time: Option<Span>,
}

#[derive(Debug, Clone, Default, Serialize, clap::Args)]
struct DeviceFlags {
    /// The device: auto, cpu, cuda or cuda:N
    #[arg(long)]
    device: Option<String>,
    /// Let CUDA round the factors of fp32 products to TF32, which is faster
    #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true")]
    tf32: Option<bool>,
    /// Use only cuDNN algorithms that give the same bits each time, which is slower
    #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true")]
    deterministic: Option<bool>,
    /// Do a whole step on a GPU by one launch, from a CUDA graph that is first checked against plain steps
    #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true")]
    cuda_graph: Option<bool>,
    /// CPU threads
    #[arg(short = 'j', long, value_name = "N")]
    threads: Option<usize>,
}

#[derive(Debug, Clone, Default, Serialize, clap::Args)]
struct FilesFlags {
    /// The folder of the logs
    #[arg(long, value_name = "FOLDER")]
    logs: Option<PathBuf>,
    /// The folder of the saved models
    #[arg(long, value_name = "FOLDER")]
    models: Option<PathBuf>,
    /// The saved model's name
    #[arg(long)]
    name: Option<String>,
    /// The run's name
    #[arg(long)]
    run: Option<String>,
    /// Save a checkpoint within epochs too: every so many batches (500) or so often (5m)
    #[arg(long, value_name = "BATCHES|TIME")]
    save_every: Option<SaveEvery>,
    /// Batches between two points of the logs
    #[arg(long, value_name = "N")]
    log_every: Option<u64>,
    /// How much to write for TensorBoard
    #[arg(long, value_parser = names::<TensorBoardLevel>())]
    tensorboard: Option<TensorBoardLevel>,
    /// Write histograms of the weights and gradients for TensorBoard every N epochs; 0: none
    #[arg(long, value_name = "N")]
    histograms: Option<u64>,
}

impl Flags {
    /// The flags that were given, by their configuration keys.
    ///
    /// # Errors
    /// A configuration error for a path that is not UTF-8: configurations are JSON.
    pub fn given(&self) -> Result<Map<String, Value>, Error> {
        let mut given = convnet::config::keys_of(self)?;
        given.retain(|_, value| !value.is_null());
        if let Some(data) = &self.run.named_data {
            given.insert("data".into(), data.as_str().into());
        }
        Ok(given)
    }

    /// The value of `--logs`, if given.
    pub fn logs(&self) -> Option<&Path> {
        self.files.logs.as_deref()
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
