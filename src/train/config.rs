//! What the training loop does.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumMessage, EnumString, VariantArray};

use super::{ClassWeights, EarlyStopping, ReduceOnPlateau, SaveEvery, Schedule, Span, Target};
use crate::data::augment::AugmentConfig;
use crate::error::Result;
use crate::settings::{Absent, at_least_1, from_0_to_below_1, wrong};

/// As what numbers gradients travel between the processes of a training.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, Display, EnumMessage, EnumString, VariantArray,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum GradientCompression {
    /// f32, as they are computed.
    #[default]
    None,
    /// bf16: half the bytes, and 8 bits of each number; sums are rounded, too.
    Bf16,
}

/// The largest batch.
const MAX_BATCH_SIZE: usize = 1 << 20;

/// What the training loop does. The default: 10 epochs of batches of 128 at a constant rate, every epoch shuffled.
///
/// The fields below `histograms` are no settings of their own: they follow from those of other parts and from the images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Epochs of the whole run.
    pub epochs: u64,
    /// Images per batch; an epoch's last batch may be smaller.
    pub batch_size: usize,
    /// Batches whose gradients make one optimizer step, weighted by their images; an epoch's last group may be smaller.
    pub accumulate: usize,
    /// Whether the images are shuffled anew each epoch, else in their own order.
    pub shuffle: bool,
    /// The random seed.
    pub seed: u64,
    /// Whether batch normalisation's statistics are those of the whole batch where several processes share it.
    pub sync_batchnorm: bool,
    /// As what numbers gradients travel between processes.
    pub gradient_compression: GradientCompression,
    /// Whether a GPU does a whole step by one launch, from a CUDA graph.
    pub cuda_graph: bool,
    /// How training images are changed.
    pub augment: AugmentConfig,
    /// ε of `y(1 - ε) + ε/K`, in training and validation.
    pub label_smoothing: f64,
    /// What the images' training losses are multiplied by, class by class. The loop takes a list of K numbers only:
    /// [`ClassWeights::resolve`] makes it.
    pub class_weights: Option<ClassWeights>,
    /// Training ends after the epoch that reaches this.
    pub until: Option<Target>,
    /// Training ends after the step at which this is over, counted over resumes.
    pub time: Option<Span>,
    /// How often a checkpoint is saved within an epoch; one is saved after each epoch anyway.
    pub save_every: Option<SaveEvery>,
    /// Batches between two points of the logs; a twentieth of an epoch where absent.
    pub log_every: Option<u64>,
    /// Epochs between two histograms of the weights and gradients in TensorBoard's logs; 0 for none.
    pub histograms: u64,

    /// The run's name.
    #[serde(skip)]
    pub run: String,
    /// The learning rate, optimizer step by optimizer step.
    #[serde(skip)]
    pub schedule: Schedule,
    /// The loop ends after so many epochs of the run for another stage of it to go on, which trains other layers.
    #[serde(skip)]
    pub stage_end: Option<u64>,
    /// Which epoch is the best, and when to give up.
    #[serde(skip)]
    pub early_stopping: EarlyStopping,
    /// When the learning rate is reduced.
    #[serde(skip)]
    pub reduce_on_plateau: Option<ReduceOnPlateau>,
}

impl Default for TrainConfig {
    fn default() -> Self {
        TrainConfig {
            epochs: 10,
            batch_size: 128,
            accumulate: 1,
            shuffle: true,
            seed: 0,
            sync_batchnorm: false,
            gradient_compression: GradientCompression::None,
            cuda_graph: false,
            augment: AugmentConfig::default(),
            label_smoothing: 0.0,
            class_weights: None,
            until: None,
            time: None,
            save_every: None,
            log_every: None,
            histograms: 0,
            run: "run".into(),
            schedule: Schedule::default(),
            stage_end: None,
            early_stopping: EarlyStopping::default(),
            reduce_on_plateau: None,
        }
    }
}

impl TrainConfig {
    /// What absent settings stand for.
    pub const ABSENT: &[Absent] = &[
        ("class_weights", "1 each"),
        ("until", "never"),
        ("time", "no limit"),
        ("save_every", "after each epoch"),
        ("log_every", "a twentieth of an epoch"),
    ];

    /// Checks the values.
    ///
    /// # Errors
    /// A configuration error for a value that cannot be used.
    pub fn check(&self) -> Result<()> {
        at_least_1("epochs", Some(self.epochs))?;
        at_least_1("accumulate", Some(self.accumulate as u64))?;
        at_least_1("log_every", self.log_every)?;
        if !(1..=MAX_BATCH_SIZE).contains(&self.batch_size) {
            return wrong("batch_size", format!("1 to {MAX_BATCH_SIZE}"), self.batch_size);
        }
        from_0_to_below_1(&[("label_smoothing", Some(self.label_smoothing))])
    }

    /// Refuses to watch a metric that tells nothing of a classifier of `num_classes` classes.
    ///
    /// # Errors
    /// A configuration error.
    pub fn check_monitors(&self, num_classes: usize) -> Result<()> {
        let plateau = self.reduce_on_plateau.map(|plateau| plateau.monitor);
        let watched = [Some(self.early_stopping.monitor), plateau, self.until.map(|target| target.monitor)];
        watched.into_iter().flatten().try_for_each(|monitor| monitor.check_classes(num_classes))
    }

    /// Optimizer steps of an epoch of `num_images` images.
    pub fn steps_per_epoch(&self, num_images: usize) -> u64 {
        num_images.div_ceil(self.batch_size).div_ceil(self.accumulate) as u64
    }
}
