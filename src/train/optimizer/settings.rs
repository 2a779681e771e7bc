//! The optimizer's settings, as users give them.

use serde::{Deserialize, Serialize};

use super::OptimizerKind;
use crate::error::{Error, Result};
use crate::settings::{Absent, above_0, at_least_0, from_0_to_below_1};

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
}
