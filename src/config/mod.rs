//! What a run does, resolved: defaults, then a file, then flags. What was resolved is saved with the run.

mod build;
mod check;
pub mod compiled;
pub mod effects;
pub mod file;
pub mod origin;
pub mod paths;
pub mod resolved;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::data::augment::AugmentConfig;
use crate::data::image::Resize;
use crate::data::options::{Cache, Channels, ImageSize};
use crate::data::split::{SplitMode, Validation};
use crate::device::DeviceChoice;
use crate::error::{Error, Result, nearest};
use crate::model::{InputScale, Precision};
use crate::train::{ClassWeights, Monitor, OptimizerKind, SaveEvery, ScheduleKind, Span, Target};

/// A resolved run. Field names are the keys of `--config` files and of `run.json`; the flags are the same words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunConfig {
    // what is trained
    /// A known data set's name, or a path.
    pub data: String,
    /// A preset's name, or the path of a Keras JSON or a short form.
    pub model: String,
    /// The model whose network and weights the run starts from, in place of `model`.
    pub init_from: Option<String>,
    /// Names of layers that stay as they are, with `*` and `?`; `none` trains all, whatever the model's file says.
    pub freeze: Vec<String>,
    /// What pixels 0 to 255 are multiplied by; 1/255, or 1 where the network scales them itself, where absent.
    pub input_scale: Option<InputScale>,
    /// How training images are changed.
    pub augment: AugmentConfig,
    /// The images' size; their own where absent.
    pub image_size: Option<ImageSize>,
    /// The images' channels.
    pub channels: Channels,
    /// What becomes of images of another size.
    pub resize: Resize,
    /// A CSV of images to leave out.
    pub exclude: Option<PathBuf>,
    /// Where the images are kept.
    pub cache: Cache,
    /// Where the validation images come from.
    pub validation: Validation,
    /// How they are chosen.
    pub split_mode: SplitMode,
    /// How many training images are used at most.
    pub limit_train: Option<usize>,

    // how long
    /// Epochs of the whole run.
    pub epochs: u64,
    /// Images a batch.
    pub batch_size: usize,
    /// Batches whose gradients make one step.
    pub accumulate: usize,
    /// Whether every epoch has an order of its own; else the files' order.
    pub shuffle: bool,
    /// Training ends once a number is reached.
    pub until: Option<Target>,
    /// Training ends after this time.
    pub time: Option<Span>,

    // the step
    /// Which optimizer.
    pub optimizer: OptimizerKind,
    /// The learning rate.
    pub lr: f64,
    /// Adam's, Nadam's and Lion's β₁.
    pub beta1: f64,
    /// Their β₂; 0.999, and 0.99 for Lion, where absent.
    pub beta2: Option<f64>,
    /// The ε of Adam, Nadam and RMSprop.
    pub epsilon: f64,
    /// SGD's and RMSprop's momentum.
    pub momentum: f64,
    /// Whether SGD's momentum looks ahead.
    pub nesterov: bool,
    /// RMSprop's ρ.
    pub rho: f64,
    /// Whether RMSprop takes the gradient's mean off.
    pub centered: bool,
    /// λ of `w -= λ·η·w`; 0, and 0.004 for AdamW, where absent.
    pub weight_decay: Option<f64>,
    /// Gradients' numbers are cut to this.
    pub clip_value: Option<f64>,
    /// Each weight's gradient is cut to this length.
    pub clip_norm: Option<f64>,
    /// All gradients together are cut to this length.
    pub global_clip_norm: Option<f64>,
    /// The weights' moving average is kept, with this share of it in each step, and used.
    pub ema: Option<f64>,
    /// How far labels are smoothed.
    pub label_smoothing: f64,
    /// How much each class counts in the training loss.
    pub class_weights: Option<ClassWeights>,

    // the learning rate
    /// How the learning rate changes.
    pub schedule: ScheduleKind,
    /// Epochs over which it rises first.
    pub warmup_epochs: f64,
    /// The final rate of linear, cosine and polynomial; plateau does not go below it.
    pub min_lr: f64,
    /// What exponential and step multiply by.
    pub decay_rate: f64,
    /// Over how many epochs; a third of the run where absent.
    pub decay_epochs: Option<f64>,
    /// Polynomial's exponent.
    pub power: f64,
    /// Epochs without improvement before plateau reduces the rate.
    pub plateau_patience: u64,
    /// What plateau multiplies by.
    pub plateau_factor: f64,
    /// By how much an epoch has to be better for plateau.
    pub plateau_min_delta: f64,
    /// Epochs after a reduction that do not count.
    pub plateau_cooldown: u64,

    // the best epoch
    /// What makes an epoch the best; validation accuracy where absent.
    pub monitor: Option<Monitor>,
    /// By how much an epoch has to be better than the best.
    pub min_delta: f64,
    /// After how many epochs without a better one training ends.
    pub patience: Option<u64>,
    /// Whether the saved model has the best epoch's weights, not the last one's.
    pub restore_best: bool,

    // the machine
    /// Where all random numbers come from.
    pub seed: u64,
    /// Where to compute.
    pub device: DeviceChoice,
    /// In what kind of number.
    pub precision: Precision,
    /// Whether f32 products may be computed in TensorFloat-32 on CUDA.
    pub tf32: bool,
    /// Whether cuDNN is held to algorithms that give the same bits each time.
    pub deterministic: bool,
    /// CPU threads of an operator; libtorch's choice where absent.
    pub threads: Option<usize>,

    // what is written
    /// The folder of the runs' logs.
    pub logs: PathBuf,
    /// The folder of the saved models.
    pub models: PathBuf,
    /// The saved model's name.
    pub name: String,
    /// The run's name; the time where absent.
    pub run: Option<String>,
    /// How often a checkpoint is saved within an epoch.
    pub save_every: Option<SaveEvery>,
    /// Batches between two of the log's points; a twentieth of an epoch where absent.
    pub log_every: Option<u64>,
}

impl Default for RunConfig {
    /// The numbers of the Keras course: Adam(0.002, 0.9, 0.999), batches of 128, 10 epochs.
    fn default() -> Self {
        RunConfig {
            data: "digits".into(),
            model: "keras-cnn".into(),
            init_from: None,
            freeze: Vec::new(),
            input_scale: None,
            augment: AugmentConfig::default(),
            image_size: None,
            channels: Channels::Auto,
            resize: Resize::Stretch,
            exclude: None,
            cache: Cache::Auto,
            validation: Validation::Auto,
            split_mode: SplitMode::Stratified,
            limit_train: None,
            epochs: 10,
            batch_size: 128,
            accumulate: 1,
            shuffle: true,
            until: None,
            time: None,
            optimizer: OptimizerKind::Adam,
            lr: 0.002,
            beta1: 0.9,
            beta2: None,
            epsilon: 1e-7,
            momentum: 0.0,
            nesterov: false,
            rho: 0.9,
            centered: false,
            weight_decay: None,
            clip_value: None,
            clip_norm: None,
            global_clip_norm: None,
            ema: None,
            label_smoothing: 0.0,
            class_weights: None,
            schedule: ScheduleKind::Constant,
            warmup_epochs: 0.0,
            min_lr: 0.0,
            decay_rate: 0.1,
            decay_epochs: None,
            power: 1.0,
            plateau_patience: 10,
            plateau_factor: 0.1,
            plateau_min_delta: 1e-4,
            plateau_cooldown: 0,
            monitor: None,
            min_delta: 0.0,
            patience: None,
            restore_best: false,
            seed: 0,
            device: DeviceChoice::Auto,
            precision: Precision::Fp32,
            tf32: true,
            deterministic: false,
            threads: None,
            logs: crate::model::saved::LOGS.into(),
            models: "models".into(),
            name: "model".into(),
            run: None,
            save_every: None,
            log_every: None,
        }
    }
}

impl RunConfig {
    /// Defaults, overlaid by a file's keys, overlaid by the flags that were given.
    ///
    /// # Errors
    /// A configuration error for an unknown key or a value that cannot be used.
    pub fn resolve(file: Map<String, Value>, flags: Map<String, Value>) -> Result<Self> {
        RunConfig::default().overlaid(merged([file, flags]))
    }

    /// This configuration with `keys` in place of its own.
    ///
    /// # Errors
    /// As [`RunConfig::resolve`].
    pub fn overlaid(&self, keys: Map<String, Value>) -> Result<Self> {
        let Ok(Value::Object(mut values)) = serde_json::to_value(self) else {
            return Err(Error::config("a value is not a finite number"));
        };
        for (key, value) in keys {
            if !values.contains_key(&key) {
                let known: Vec<&str> = values.keys().map(String::as_str).collect();
                return Err(Error::config(format!("unknown key '{key}'{}", nearest(&key, &known))));
            }
            values.insert(key, value);
        }
        let config: RunConfig = serde_path_to_error::deserialize(Value::Object(values))
            .map_err(|error| Error::config(error.inner().to_string()).at(format!("key {}", error.path())))?;
        config.check()?;
        Ok(config)
    }
}

/// What Keras and this program take one of only: a layer that says one of them takes the others of the layers below back.
const CLIPS: [&str; 3] = ["clip_value", "clip_norm", "global_clip_norm"];

/// Layers of keys as one: later ones win.
pub fn merged<const N: usize>(layers: [Map<String, Value>; N]) -> Map<String, Value> {
    layers.into_iter().fold(Map::new(), |mut below, above| {
        if CLIPS.iter().any(|key| above.contains_key(*key)) {
            below.retain(|key, _| !CLIPS.contains(&key.as_str()));
        }
        below.extend(above);
        below
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_defaults() {
        let file = object(json!({ "epochs": 3, "lr": 0.1, "validation": 100 }));
        let config = RunConfig::resolve(file, object(json!({ "lr": 0.2 }))).unwrap();
        assert_eq!((config.epochs, config.lr, config.batch_size), (3, 0.2, 128));
        assert_eq!(config.validation, Validation::Count(100));
    }

    #[test]
    fn only_what_comes_of_all_layers_has_to_fit_together() {
        for (file, flags) in [
            (json!({ "min_lr": 0.01 }), json!({ "lr": 0.1 })),
            (json!({ "monitor": "val_loss", "validation": "none" }), json!({ "validation": 50 })),
            (json!({ "clip_norm": 1.0 }), json!({ "global_clip_norm": 2.0 })),
            (
                json!({ "schedule": "cosine", "warmup_epochs": 2 }),
                json!({ "schedule": "one-cycle", "warmup_epochs": 0 }),
            ),
        ] {
            RunConfig::resolve(object(file.clone()), object(flags)).unwrap_or_else(|error| panic!("{file}: {error}"));
        }
        let both = object(json!({ "clip_norm": 1.0, "clip_value": 1.0 }));
        assert!(RunConfig::resolve(both, Map::new()).is_err(), "one layer says two of them");
        let config =
            RunConfig::resolve(object(json!({ "clip_norm": 1.0 })), object(json!({ "clip_value": 0.5 }))).unwrap();
        assert_eq!((config.clip_norm, config.clip_value), (None, Some(0.5)));
    }

    #[test]
    fn a_resolved_run_survives_json() {
        let config = RunConfig {
            run: Some("a".into()),
            threads: Some(2),
            until: Some("val_loss=0.25".parse().unwrap()),
            time: Some("10m".parse().unwrap()),
            save_every: Some("500".parse().unwrap()),
            class_weights: Some(ClassWeights::List(vec![1.0, 2.0])),
            monitor: Some(Monitor::ValLoss),
            input_scale: Some("1/3".parse().unwrap()),
            ..RunConfig::default()
        };
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<RunConfig>(&text).unwrap(), config);
    }
}
