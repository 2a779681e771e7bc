//! The optimizer's settings, as users give them.

use serde::{Deserialize, Serialize};

use super::{Clip, OptimizerConfig, OptimizerKind, StepOptions};
use crate::error::{Error, Result};
use crate::settings::{Absent, above_0, at_least_0, from_0_to_below_1};

/// AdamW's weight decay in Keras.
const ADAMW_DECAY: f64 = 0.004;

/// Which optimizer, and its numbers. Each optimizer takes those that it has and leaves the others.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerSettings {
    /// Which optimizer.
    #[serde(rename = "optimizer")]
    pub kind: OptimizerKind,
    /// Adam's, Nadam's and Lion's β₁.
    pub beta1: f64,
    /// Their β₂; 0.999, and 0.99 for Lion, where absent.
    pub beta2: Option<f64>,
    /// The ε of Adam, Nadam and RMSprop.
    pub epsilon: f64,
    /// SGD's and RMSprop's momentum.
    pub momentum: f64,
    /// Whether SGD's momentum is Nesterov's.
    pub nesterov: bool,
    /// RMSprop's ρ.
    pub rho: f64,
    /// Whether RMSprop is centred on the gradient's mean.
    pub centered: bool,
    /// λ of `w -= λ·η·w`; 0, and 0.004 for AdamW, where absent.
    pub weight_decay: Option<f64>,
    /// The gradients' numbers are clipped to this.
    pub clip_value: Option<f64>,
    /// Each weight's gradient is clipped to this norm.
    pub clip_norm: Option<f64>,
    /// All gradients together are clipped to this norm.
    pub global_clip_norm: Option<f64>,
    /// The weights' moving average is kept, with this share of it in each step, and used.
    pub ema: Option<f64>,
}

impl Default for OptimizerSettings {
    /// Keras's Adam.
    fn default() -> Self {
        OptimizerSettings {
            kind: OptimizerKind::Adam,
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
        }
    }
}

impl OptimizerSettings {
    /// What absent settings stand for.
    pub const ABSENT: &[Absent] = &[
        ("beta2", "0.999; lion: 0.99"),
        ("weight_decay", "0; adamw: 0.004"),
        ("clip_value", "none"),
        ("clip_norm", "none"),
        ("global_clip_norm", "none"),
        ("ema", "none"),
    ];

    /// Checks the values.
    ///
    /// # Errors
    /// A configuration error for a value that cannot be used.
    pub fn check(&self) -> Result<()> {
        above_0(&[
            ("epsilon", Some(self.epsilon)),
            ("clip_value", self.clip_value),
            ("clip_norm", self.clip_norm),
            ("global_clip_norm", self.global_clip_norm),
        ])?;
        from_0_to_below_1(&[
            ("beta1", Some(self.beta1)),
            ("beta2", self.beta2),
            ("momentum", Some(self.momentum)),
            ("rho", Some(self.rho)),
            ("ema", self.ema),
        ])?;
        at_least_0(&[("weight_decay", self.weight_decay)])?;
        let clips = [self.clip_value, self.clip_norm, self.global_clip_norm];
        match clips.iter().flatten().count() {
            0 | 1 => Ok(()),
            _ => Err(Error::config("`clip_value`, `clip_norm` and `global_clip_norm` cannot be used")
                .expected("one of them, as in Keras")
                .got("more")),
        }
    }

    /// The same with the numbers in place that its kind decides where nobody says any.
    #[must_use]
    pub fn with_defaults(&self) -> Self {
        let beta2 = match self.rule() {
            OptimizerConfig::Adam { beta2, .. }
            | OptimizerConfig::Nadam { beta2, .. }
            | OptimizerConfig::Lion { beta2, .. } => Some(beta2),
            OptimizerConfig::Sgd { .. } | OptimizerConfig::RmsProp { .. } => self.beta2.or(Some(0.999)),
        };
        OptimizerSettings { beta2, weight_decay: Some(self.step_options().weight_decay), ..*self }
    }

    /// The optimizer's rule.
    pub fn rule(&self) -> OptimizerConfig {
        let &OptimizerSettings { beta1, epsilon, momentum, nesterov, rho, centered, .. } = self;
        let beta2 = |default| self.beta2.unwrap_or(default);
        match self.kind {
            OptimizerKind::Adam | OptimizerKind::AdamW => OptimizerConfig::Adam { beta1, beta2: beta2(0.999), epsilon },
            OptimizerKind::Nadam => OptimizerConfig::Nadam { beta1, beta2: beta2(0.999), epsilon },
            OptimizerKind::Sgd => OptimizerConfig::Sgd { momentum, nesterov },
            OptimizerKind::RmsProp => OptimizerConfig::RmsProp { rho, momentum, epsilon, centered },
            OptimizerKind::Lion => OptimizerConfig::Lion { beta1, beta2: beta2(0.99) },
        }
    }

    /// What happens around the rule.
    pub fn step_options(&self) -> StepOptions {
        let clip = self.clip_value.map(Clip::Value).or(self.clip_norm.map(Clip::Norm));
        let default_decay = if self.kind == OptimizerKind::AdamW { ADAMW_DECAY } else { 0.0 };
        StepOptions {
            clip: clip.or(self.global_clip_norm.map(Clip::GlobalNorm)),
            weight_decay: self.weight_decay.unwrap_or(default_decay),
            ema: self.ema,
        }
    }
}
