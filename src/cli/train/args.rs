//! The flags of `convnet train`.

use std::path::PathBuf;

use serde::Serialize;
use serde_json::{Map, Value};

use super::run_folder::RunFolder;
use crate::cli::Globals;
use crate::config::{self, RunConfig};
use crate::data::image::Resize;
use crate::data::options::{Cache, Channels, ImageSize};
use crate::data::split::SplitMode;
use crate::error::{Error, Result};
use crate::log::console::Progress;
use crate::model::Precision;
use crate::train::{OptimizerKind, ScheduleKind};

/// What may change when a run is resumed; everything else is as it was.
const FREE_ON_RESUME: [&str; 6] = ["epochs", "device", "threads", "models", "name", "cache"];

/// Train a network.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    flags: Flags,
    /// Continue a run: its name in --logs, or its folder
    #[arg(long, value_name = "RUN", conflicts_with_all = ["config", "run"])]
    pub resume: Option<String>,
    /// Read settings from a TOML or JSON file; flags win
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print one JSON document on stdout
    #[arg(long)]
    pub json: bool,
    /// Do not look for faults in the data set
    #[arg(long)]
    pub no_check: bool,
    /// How to show progress
    #[arg(long, value_enum, default_value_t = Progress::Auto)]
    progress: Progress,
}

/// The flags that are settings: [`RunConfig`]'s fields, each where it was given.
#[derive(Debug, Serialize, clap::Args)]
struct Flags {
    /// A known name (digits, fashion-mnist, …), a folder of classes or IDX files, a manifest, an archive [default: digits]
    #[arg(long, value_name = "D")]
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<String>,
    /// A preset's name or a Keras JSON [default: keras-cnn]
    #[arg(long, value_name = "PRESET|FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    /// Start from a trained model: its network and weights, with a new last layer where the classes are others in number
    #[arg(long, value_name = "MODEL", conflicts_with = "model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    init_from: Option<String>,
    /// Layers that stay as they are, by name, with * and ?
    #[arg(long, value_name = "PATTERN", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Option::is_none")]
    freeze: Option<Vec<String>>,
    /// Epochs of the whole run [default: 10]
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    epochs: Option<u64>,
    /// Images a batch [default: 128]
    #[arg(short, long, value_name = "B")]
    #[serde(skip_serializing_if = "Option::is_none")]
    batch_size: Option<usize>,
    /// The optimizer [default: adam]
    #[arg(long, value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    optimizer: Option<OptimizerKind>,
    /// The learning rate [default: 0.002]
    #[arg(long, value_name = "RATE", value_parser = finite, allow_hyphen_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    lr: Option<f64>,
    /// Adam's beta 1 [default: 0.9]
    #[arg(long, value_parser = finite)]
    #[serde(skip_serializing_if = "Option::is_none")]
    beta1: Option<f64>,
    /// Adam's beta 2 [default: 0.999]
    #[arg(long, value_parser = finite)]
    #[serde(skip_serializing_if = "Option::is_none")]
    beta2: Option<f64>,
    /// Adam's epsilon, outside the bias correction as in Keras [default: 1e-7]
    #[arg(long, value_parser = finite)]
    #[serde(skip_serializing_if = "Option::is_none")]
    epsilon: Option<f64>,
    /// SGD's momentum [default: 0]
    #[arg(long, value_parser = finite)]
    #[serde(skip_serializing_if = "Option::is_none")]
    momentum: Option<f64>,
    /// Let SGD's momentum look ahead
    #[arg(long, num_args = 0, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    nesterov: Option<bool>,
    /// How the learning rate changes over the run [default: constant]
    #[arg(long, value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule: Option<ScheduleKind>,
    /// Epochs over which the learning rate rises first [default: 0]
    #[arg(long, value_name = "N", value_parser = finite)]
    #[serde(skip_serializing_if = "Option::is_none")]
    warmup_epochs: Option<f64>,
    /// Change training images: none, light, strong or amounts (flip=0.5,shift=0.1) [default: none]
    #[arg(long, value_name = "none|light|strong|LIST")]
    #[serde(skip_serializing_if = "Option::is_none")]
    augment: Option<String>,
    /// Bring all images to this size, in pixels [default: their own, if it is the same for all]
    #[arg(long, value_name = "N|HxW")]
    #[serde(skip_serializing_if = "Option::is_none")]
    image_size: Option<ImageSize>,
    /// The images' channels: 1 (grey), 3 (colour) or auto [default: auto]
    #[arg(long, value_name = "1|3|auto")]
    #[serde(skip_serializing_if = "Option::is_none")]
    channels: Option<Channels>,
    /// How images of another proportion come to the size [default: stretch]
    #[arg(long, value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    resize: Option<Resize>,
    /// Leave out the images that a CSV names by split and index (data check --out writes one)
    #[arg(long, value_name = "FILE.csv")]
    #[serde(skip_serializing_if = "Option::is_none")]
    exclude: Option<PathBuf>,
    /// Where the images are kept while they are used; auto: on the device, up to 4 GiB, else none [default: auto]
    #[arg(long, value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    cache: Option<Cache>,
    /// Validation images: a count, a fraction, test or none [default: the data set's own, else 5000]
    #[arg(long, value_name = "COUNT|FRACTION|test|none")]
    #[serde(skip_serializing_if = "Option::is_none")]
    validation: Option<String>,
    /// How the validation images are chosen; tail takes the last ones, as Keras does [default: stratified]
    #[arg(long, value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    split_mode: Option<SplitMode>,
    /// Where all random numbers come from [default: 0]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    /// auto, cpu, cuda or cuda:N [default: auto]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<String>,
    /// The kind of number to compute in [default: fp32]
    #[arg(long, value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    precision: Option<Precision>,
    /// CPU threads [default: one per core]
    #[arg(short = 'j', long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    threads: Option<usize>,
    /// The folder of the logs [default: logs]
    #[arg(long, value_name = "FOLDER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    logs: Option<PathBuf>,
    /// The folder of the saved models [default: models]
    #[arg(long, value_name = "FOLDER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    models: Option<PathBuf>,
    /// The saved model's name [default: model]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The run's name [default: the time, YYYYmmdd-HHMMSS]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<String>,
    /// Train on at most so many images
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    limit_train: Option<usize>,
}

fn finite(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => Err("expected a finite number".to_owned()),
    }
}

impl Args {
    /// The run as it will be: a resumed run's own settings, or defaults and the file's; then the flags.
    pub fn resolve(&self, resumed: Option<&RunFolder>) -> Result<RunConfig> {
        let flags = self.given();
        let Some(folder) = resumed else {
            let file = self.config.as_deref().map(config::read_file).transpose()?;
            return RunConfig::resolve(file.unwrap_or_default(), flags);
        };
        let before = folder.config()?;
        let after = before.overlaid(flags.clone())?;
        let [old, new] = [&before, &after].map(|config| serde_json::to_value(config).unwrap_or_default());
        match flags.keys().find(|key| old[key.as_str()] != new[key.as_str()] && !FREE_ON_RESUME.contains(&key.as_str()))
        {
            None => Ok(after),
            Some(key) if key == "logs" => Ok(RunConfig { logs: before.logs, ..after }),
            Some(key) => Err(Error::config(format!("{key} cannot change when a run is resumed"))
                .expected(&old[key.as_str()])
                .got(&new[key.as_str()])
                .help(format!("what may change: {}", FREE_ON_RESUME.join(", ")))),
        }
    }

    /// Where runs are looked for by name.
    pub fn logs_folder(&self) -> PathBuf {
        self.flags.logs.clone().unwrap_or_else(|| RunConfig::default().logs)
    }

    /// How progress is shown.
    pub fn progress_mode(&self, globals: Globals) -> Progress {
        if globals.quiet { Progress::None } else { self.progress }
    }

    fn given(&self) -> Map<String, Value> {
        match serde_json::to_value(&self.flags) {
            Ok(Value::Object(given)) => given,
            _ => Map::new(),
        }
    }
}
