//! The table of optimizers: what each is called in Keras, which settings it takes, its own defaults, and how Keras's files
//! hold its state. An optimizer is a variant of [`OptimizerKind`] and its rule in `rules.rs`, and a row here.

use strum::VariantArray;

use super::rules::{OptimizerConfig, OptimizerKind};
use super::settings::OptimizerSettings;
use super::{Clip, StepOptions};

/// In which order Keras 3 numbers the state of several weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateOrder {
    /// Momentum of the first weight, velocity of the first, momentum of the second …
    ByWeight,
    /// The velocities of all weights, then their momenta …
    ByName,
}

/// What is to be said of an optimizer beside its rule.
struct OptimizerRow {
    /// Its class in Keras: `RMSprop`.
    keras_name: &'static str,
    /// The keys of the [`OptimizerSettings`] that its rule takes.
    takes: &'static [&'static str],
    /// β₂ where nobody says another.
    beta2: f64,
    /// λ of the weight decay where nobody says another.
    weight_decay: f64,
    state_order: StateOrder,
    /// Its rule, of all settings and β₂.
    rule: fn(&OptimizerSettings, f64) -> OptimizerConfig,
}

/// Adam's row, from which the others differ.
const ADAM: OptimizerRow = OptimizerRow {
    keras_name: "Adam",
    takes: &["beta1", "beta2", "epsilon"],
    beta2: 0.999,
    weight_decay: 0.0,
    state_order: StateOrder::ByWeight,
    rule: |of, beta2| OptimizerConfig::Adam { beta1: of.beta1, beta2, epsilon: of.epsilon },
};

const NADAM: OptimizerRow = OptimizerRow {
    keras_name: "Nadam",
    rule: |of, beta2| OptimizerConfig::Nadam { beta1: of.beta1, beta2, epsilon: of.epsilon },
    ..ADAM
};

const SGD: OptimizerRow = OptimizerRow {
    keras_name: "SGD",
    takes: &["momentum", "nesterov"],
    rule: |of, _| OptimizerConfig::Sgd { momentum: of.momentum, nesterov: of.nesterov },
    ..ADAM
};

const RMSPROP: OptimizerRow = OptimizerRow {
    keras_name: "RMSprop",
    takes: &["epsilon", "momentum", "rho", "centered"],
    state_order: StateOrder::ByName,
    rule: |of, _| OptimizerConfig::RmsProp {
        rho: of.rho,
        momentum: of.momentum,
        epsilon: of.epsilon,
        centered: of.centered,
    },
    ..ADAM
};

const LION: OptimizerRow = OptimizerRow {
    keras_name: "Lion",
    takes: &["beta1", "beta2"],
    beta2: 0.99,
    rule: |of, beta2| OptimizerConfig::Lion { beta1: of.beta1, beta2 },
    ..ADAM
};

impl OptimizerKind {
    fn row(self) -> OptimizerRow {
        match self {
            OptimizerKind::Adam => ADAM,
            OptimizerKind::AdamW => OptimizerRow { keras_name: "AdamW", weight_decay: 0.004, ..ADAM },
            OptimizerKind::Nadam => NADAM,
            OptimizerKind::Sgd => SGD,
            OptimizerKind::RmsProp => RMSPROP,
            OptimizerKind::Lion => LION,
        }
    }

    /// Every optimizer.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::VARIANTS.iter().copied()
    }

    /// The optimizer whose class in Keras is `class_name`; `None` where there is none here.
    pub fn of_keras(class_name: &str) -> Option<Self> {
        Self::all().find(|kind| kind.keras_name() == class_name)
    }

    /// Its class in Keras: `RMSprop`.
    pub fn keras_name(self) -> &'static str {
        self.row().keras_name
    }

    /// Its name in configurations: `rmsprop`.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Whether its rule takes the setting `key` of [`OptimizerSettings`].
    pub fn takes(self, key: &str) -> bool {
        self.row().takes.contains(&key)
    }

    /// The names of the optimizers that take the setting `key`; none where it is not an optimizer's own.
    pub fn names_taking(key: &str) -> Vec<&'static str> {
        Self::all().filter(|kind| kind.takes(key)).map(Self::name).collect()
    }

    /// How Keras 3 numbers its state.
    pub fn state_order(self) -> StateOrder {
        self.row().state_order
    }
}

impl OptimizerSettings {
    /// The same with the numbers in place that its kind decides where nobody says any.
    #[must_use]
    pub fn with_defaults(&self) -> Self {
        OptimizerSettings { beta2: Some(self.beta2()), weight_decay: Some(self.step_options().weight_decay), ..*self }
    }

    /// The optimizer's rule.
    pub fn rule(&self) -> OptimizerConfig {
        (self.kind.row().rule)(self, self.beta2())
    }

    /// What happens around the rule.
    pub fn step_options(&self) -> StepOptions {
        let clip = self.clip_value.map(Clip::Value).or(self.clip_norm.map(Clip::Norm));
        StepOptions {
            clip: clip.or(self.global_clip_norm.map(Clip::GlobalNorm)),
            weight_decay: self.weight_decay.unwrap_or(self.kind.row().weight_decay),
            ema: self.ema,
        }
    }

    fn beta2(&self) -> f64 {
        self.beta2.unwrap_or(self.kind.row().beta2)
    }
}

#[cfg(test)]
mod tests;
