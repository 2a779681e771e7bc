//! Builds the training configuration of the loop from a resolved [`RunConfig`].

use std::path::PathBuf;

use super::RunConfig;
use crate::data::split::Validation;
use crate::data::{Samples, registry};
use crate::model::trained_on::{TrainedOn, digest_of_labels};
use crate::model::transfer::Stage;
use crate::train::{BestEpochConfig, EarlyStopping, ScheduleKind, TrainConfig, TrainState};

impl RunConfig {
    /// The same run with the numbers in place that its parts take where nobody says any. What depends on the data is still
    /// absent; `num_threads` is libtorch's.
    #[must_use]
    pub fn with_defaults(&self, num_threads: usize) -> Self {
        // the plateau's own default is another one, and without validation images there is none
        let is_plateau = self.learning_rate.schedule == ScheduleKind::Plateau;
        let has_monitor = !is_plateau && self.data.validation != Validation::None;
        let mut config = self.clone();
        config.optimizer = self.optimizer.with_defaults();
        config.learning_rate = self.learning_rate.with_defaults(self.training.epochs);
        config.learning_rate.backbone_lr_scale = Some(self.backbone_lr_scale());
        let BestEpochConfig { monitor, .. } = &mut config.best_epoch;
        *monitor = monitor.or(has_monitor.then(Default::default));
        config.device.threads = self.device.threads.or(Some(num_threads));
        config
    }

    /// What a model of this run is trained on: the data set called `name`, of which `validation` are validation images. The training
    /// images' fingerprints are not in it: they are of the images.
    pub fn trained_on(&self, name: &str, validation: Option<&Samples>) -> TrainedOn {
        let absolute = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
        TrainedOn {
            source: registry::canonical(&self.data.source),
            name: name.to_owned(),
            exclude: self.load.exclude.as_ref().map(absolute),
            validation: self.data.validation,
            split_mode: self.data.split_mode,
            seed: self.training.seed,
            validation_labels: validation.map(digest_of_labels),
            limit_train: self.data.limit_train,
            cache: self.load.cache,
            fingerprint: None,
            relative_fingerprint: None,
        }
    }

    /// What the learning rate of all layers but the last Dense one is multiplied by: a tenth, unless another is given, once the
    /// head has been trained alone.
    pub fn backbone_lr_scale(&self) -> f64 {
        let default = if self.network.freeze_epochs > 0 { 0.1 } else { 1.0 };
        self.learning_rate.backbone_lr_scale.unwrap_or(default)
    }

    /// Which layers are trained after `epochs` whole epochs.
    pub fn stage(&self, epochs: u64) -> Stage {
        if epochs < self.network.freeze_epochs { Stage::Head } else { Stage::Whole }
    }

    /// Whether a run that stands at `state` begins a stage that trains other layers than the one before, with a new optimizer.
    pub fn begins_stage(&self, state: &TrainState) -> bool {
        state.epochs > 0 && state.epochs == self.network.freeze_epochs && state.batches == 0
    }

    /// The [`TrainConfig`] of the loop for `num_images` training images, in a run's `stage`. The run has no name yet, and the class weights are as
    /// they were given.
    pub fn train_config(&self, num_images: usize, stage: Stage) -> TrainConfig {
        let RunConfig { training, learning_rate, best_epoch, .. } = self;
        let early_stopping = best_epoch.early_stopping();
        let (stage_end, patience) = match stage {
            Stage::Head => (Some(self.network.freeze_epochs), None),
            Stage::Whole => (None, early_stopping.patience),
        };
        TrainConfig {
            schedule: learning_rate.schedule(training.epochs, training.steps_per_epoch(num_images)),
            stage_end,
            early_stopping: EarlyStopping { patience, ..early_stopping },
            reduce_on_plateau: learning_rate.reduce_on_plateau(best_epoch.monitor),
            ..training.clone()
        }
    }
}
