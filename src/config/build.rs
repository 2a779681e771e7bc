//! From a resolved run to what its parts take.

use std::path::PathBuf;

use super::RunConfig;
use crate::data::split::Validation;
use crate::data::{LoadOptions, Samples, registry};
use crate::model::trained_on::{TrainedOn, digest_of_labels};
use crate::train::{
    Clip, EarlyStopping, OptimizerConfig, OptimizerKind, ReduceOnPlateau, Schedule, ScheduleKind, StepOptions,
    TrainConfig,
};

/// AdamW's weight decay in Keras.
const ADAMW_DECAY: f64 = 0.004;

impl RunConfig {
    /// The same run with the numbers in place that its parts take where nobody says any. What depends on the data is still
    /// absent; `num_threads` is libtorch's.
    #[must_use]
    pub fn with_defaults(&self, num_threads: usize) -> Self {
        let beta2 = match self.optimizer_config() {
            OptimizerConfig::Adam { beta2, .. }
            | OptimizerConfig::Nadam { beta2, .. }
            | OptimizerConfig::Lion { beta2, .. } => Some(beta2),
            OptimizerConfig::Sgd { .. } | OptimizerConfig::RmsProp { .. } => self.beta2.or(Some(0.999)),
        };
        // the plateau's own default is another one, and without validation images there is none
        let has_monitor = self.schedule != ScheduleKind::Plateau && self.validation != Validation::None;
        RunConfig {
            beta2,
            weight_decay: Some(self.step_options().weight_decay),
            decay_epochs: self.decay_epochs.or(Some(self.epochs as f64 / 3.0)),
            monitor: self.monitor.or(has_monitor.then(Default::default)),
            threads: self.threads.or(Some(num_threads)),
            ..self.clone()
        }
    }

    /// The optimizer's settings.
    pub fn optimizer_config(&self) -> OptimizerConfig {
        let &RunConfig { beta1, epsilon, momentum, nesterov, rho, centered, .. } = self;
        let beta2 = |default| self.beta2.unwrap_or(default);
        match self.optimizer {
            OptimizerKind::Adam | OptimizerKind::AdamW => OptimizerConfig::Adam { beta1, beta2: beta2(0.999), epsilon },
            OptimizerKind::Nadam => OptimizerConfig::Nadam { beta1, beta2: beta2(0.999), epsilon },
            OptimizerKind::Sgd => OptimizerConfig::Sgd { momentum, nesterov },
            OptimizerKind::RmsProp => OptimizerConfig::RmsProp { rho, momentum, epsilon, centered },
            OptimizerKind::Lion => OptimizerConfig::Lion { beta1, beta2: beta2(0.99) },
        }
    }

    /// What happens around the optimizer's rule.
    pub fn step_options(&self) -> StepOptions {
        let clip = self.clip_value.map(Clip::Value).or(self.clip_norm.map(Clip::Norm));
        let default_decay = if self.optimizer == OptimizerKind::AdamW { ADAMW_DECAY } else { 0.0 };
        StepOptions {
            clip: clip.or(self.global_clip_norm.map(Clip::GlobalNorm)),
            weight_decay: self.weight_decay.unwrap_or(default_decay),
            ema: self.ema,
        }
    }

    /// How the data set is loaded.
    pub fn load_options(&self) -> LoadOptions {
        LoadOptions {
            image_size: self.image_size,
            channels: self.channels,
            resize: self.resize,
            exclude: self.exclude.clone(),
            cache: self.cache,
        }
    }

    /// What a model of this run is trained on: the data set called `name`, of which `validation` are validation images.
    pub fn trained_on(&self, name: &str, validation: Option<&Samples>) -> TrainedOn {
        let absolute = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
        TrainedOn {
            source: registry::canonical(&self.data),
            name: name.to_owned(),
            exclude: self.exclude.as_ref().map(absolute),
            validation: self.validation,
            split_mode: self.split_mode,
            seed: self.seed,
            validation_labels: validation.map(digest_of_labels),
        }
    }

    /// The learning rate over the run, of `steps_per_epoch` optimizer steps an epoch.
    pub fn schedule(&self, steps_per_epoch: u64) -> Schedule {
        let steps_of = |epochs: f64| (epochs * steps_per_epoch as f64).round() as u64;
        Schedule {
            kind: self.schedule,
            base: self.lr,
            warmup_steps: steps_of(self.warmup_epochs),
            total_steps: self.epochs.saturating_mul(steps_per_epoch),
            end: self.min_lr,
            decay_rate: self.decay_rate,
            decay_steps: steps_of(self.decay_epochs.unwrap_or(self.epochs as f64 / 3.0)).max(1),
            power: self.power,
        }
    }

    /// What the loop is told to do with `num_images` training images; the run's name and the class weights, for which it
    /// takes more, are the defaults.
    pub fn train_config(&self, num_images: usize) -> TrainConfig {
        let batches = num_images.div_ceil(self.batch_size) as u64;
        TrainConfig {
            epochs: self.epochs,
            batch_size: self.batch_size,
            accumulate: self.accumulate,
            shuffle: self.shuffle,
            schedule: self.schedule(batches.div_ceil(self.accumulate as u64)),
            seed: self.seed,
            augment: self.augment,
            label_smoothing: self.label_smoothing,
            early_stopping: self.early_stopping(),
            reduce_on_plateau: self.reduce_on_plateau(),
            until: self.until,
            time: self.time,
            save_every: self.save_every,
            log_every: self.log_every,
            ..TrainConfig::default()
        }
    }

    /// Which epoch is the best, and when to give up.
    pub fn early_stopping(&self) -> EarlyStopping {
        EarlyStopping {
            monitor: self.monitor.unwrap_or_default(),
            min_delta: self.min_delta,
            patience: self.patience,
            restore_best: self.restore_best,
            ..EarlyStopping::default()
        }
    }

    /// When the learning rate is reduced.
    pub fn reduce_on_plateau(&self) -> Option<ReduceOnPlateau> {
        (self.schedule == ScheduleKind::Plateau).then(|| ReduceOnPlateau {
            monitor: self.monitor.unwrap_or(ReduceOnPlateau::default().monitor),
            factor: self.plateau_factor,
            patience: self.plateau_patience,
            min_delta: self.plateau_min_delta,
            cooldown: self.plateau_cooldown,
            min_rate: self.min_lr,
        })
    }
}
