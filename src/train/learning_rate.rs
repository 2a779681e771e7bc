//! The learning rate's settings, as users give them.

use serde::{Deserialize, Serialize};

use super::{Monitor, ReduceOnPlateau, Schedule, ScheduleKind};
use crate::error::Result;
use crate::settings::{Absent, above_0, at_least_0, from_0_to_below_1, wrong};

/// The learning rate, and how it changes over the run. Each schedule takes the settings that it has and leaves the others.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LearningRateConfig {
    /// The learning rate.
    pub lr: f64,
    /// What the rate of all layers but the last Dense one is multiplied by; 0.1 with `freeze_epochs`, else 1, where absent.
    pub backbone_lr_scale: Option<f64>,
    /// How it changes.
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
}

impl Default for LearningRateConfig {
    /// The Keras course's 0.002, constant; the plateau's numbers are those of Keras's `ReduceLROnPlateau`.
    fn default() -> Self {
        LearningRateConfig {
            lr: 0.002,
            backbone_lr_scale: None,
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
        }
    }
}

impl LearningRateConfig {
    /// What absent settings stand for.
    pub const ABSENT: &[Absent] =
        &[("decay_epochs", "a third of the run"), ("backbone_lr_scale", "1; 0.1 with `freeze_epochs`")];

    /// Checks the values.
    ///
    /// # Errors
    /// A configuration error for a value that cannot be used.
    pub fn check(&self) -> Result<()> {
        above_0(&[
            ("lr", Some(self.lr)),
            ("backbone_lr_scale", self.backbone_lr_scale),
            ("power", Some(self.power)),
            ("decay_rate", Some(self.decay_rate)),
            ("decay_epochs", self.decay_epochs),
        ])?;
        from_0_to_below_1(&[("plateau_factor", Some(self.plateau_factor))])?;
        at_least_0(&[
            ("warmup_epochs", Some(self.warmup_epochs)),
            ("min_lr", Some(self.min_lr)),
            ("plateau_min_delta", Some(self.plateau_min_delta)),
        ])?;
        if self.min_lr > self.lr {
            return wrong("min_lr", format!("at most the learning rate, {}", self.lr), self.min_lr);
        }
        match self.schedule == ScheduleKind::OneCycle && self.warmup_epochs > 0.0 {
            true => wrong("warmup_epochs", "none: one-cycle has a warm-up of its own", self.warmup_epochs),
            false => Ok(()),
        }
    }

    /// The same with the numbers in place that a run of `epochs` epochs decides where nobody says any.
    #[must_use]
    pub fn with_defaults(&self, epochs: u64) -> Self {
        LearningRateConfig { decay_epochs: Some(self.decay_epochs(epochs)), ..*self }
    }

    /// The learning rate over a run of `epochs` epochs of `steps_per_epoch` optimizer steps.
    pub fn schedule(&self, epochs: u64, steps_per_epoch: u64) -> Schedule {
        let steps_of = |epochs: f64| (epochs * steps_per_epoch as f64).round() as u64;
        Schedule {
            kind: self.schedule,
            base: self.lr,
            warmup_steps: steps_of(self.warmup_epochs),
            total_steps: epochs.saturating_mul(steps_per_epoch),
            end: self.min_lr,
            decay_rate: self.decay_rate,
            decay_steps: steps_of(self.decay_epochs(epochs)).max(1),
            power: self.power,
        }
    }

    fn decay_epochs(&self, epochs: u64) -> f64 {
        self.decay_epochs.unwrap_or(epochs as f64 / 3.0)
    }

    /// When the learning rate is reduced; `monitor` is what has to improve, Keras's validation loss where absent.
    pub fn reduce_on_plateau(&self, monitor: Option<Monitor>) -> Option<ReduceOnPlateau> {
        (self.schedule == ScheduleKind::Plateau).then(|| ReduceOnPlateau {
            monitor: monitor.unwrap_or(ReduceOnPlateau::default().monitor),
            factor: self.plateau_factor,
            patience: self.plateau_patience,
            min_delta: self.plateau_min_delta,
            cooldown: self.plateau_cooldown,
            min_rate: self.min_lr,
        })
    }
}
