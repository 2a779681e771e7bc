//! The optimizers' update rules on flat tensors, as Keras 3 defines them (`keras/src/optimizers/*.py`).
//!
//! In the formulas `g` is the gradient, `η` the learning rate, `t` the step from 1.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumMessage, EnumString, IntoStaticStr, VariantArray};
use tch::Tensor;

use super::number::Number;
use crate::native::{self, AdamStep};

/// Nadam's momentum decay: Keras has no setting for it.
const NADAM_DECAY: f32 = 0.96;

/// Which optimizer.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    Serialize,
    Deserialize,
    Display,
    EnumMessage,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum OptimizerKind {
    /// Adam (Kingma and Ba 2014), as Keras computes it.
    #[default]
    Adam,
    /// Adam with weight decay beside the gradient (Loshchilov and Hutter 2017): 0.004 unless another is given.
    AdamW,
    /// Adam with Nesterov's momentum (Dozat 2016).
    Nadam,
    /// Stochastic gradient descent, with momentum where it is above 0.
    Sgd,
    /// A running mean of squared gradients divides the step (Hinton 2012).
    RmsProp,
    /// The sign of an interpolated momentum (Chen and others 2023).
    Lion,
}

/// An optimizer's settings; the learning rate comes from the schedule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum OptimizerConfig {
    /// <https://keras.io/api/optimizers/adam/>
    Adam {
        /// How much of the gradient's mean a step keeps.
        beta1: f64,
        /// How much of the squared gradient's mean a step keeps.
        beta2: f64,
        /// Added to the root of the squared gradient's mean, outside the bias correction.
        epsilon: f64,
    },
    /// <https://keras.io/api/optimizers/nadam/>
    Nadam {
        /// As Adam's.
        beta1: f64,
        /// As Adam's.
        beta2: f64,
        /// Added to the root of the corrected mean.
        epsilon: f64,
    },
    /// <https://keras.io/api/optimizers/sgd/>
    Sgd {
        /// How much of the last step a step keeps.
        momentum: f64,
        /// Whether the step looks ahead (Nesterov).
        nesterov: bool,
    },
    /// <https://keras.io/api/optimizers/rmsprop/>
    RmsProp {
        /// How much of the squared gradient's mean a step keeps.
        rho: f64,
        /// How much of the last step a step keeps.
        momentum: f64,
        /// Added to the mean, inside the root.
        epsilon: f64,
        /// Whether the gradient's own mean is taken off, so that its variance divides.
        centered: bool,
    },
    /// <https://keras.io/api/optimizers/lion/>
    Lion {
        /// How much of the momentum a step's sign takes.
        beta1: f64,
        /// How much of the momentum a step keeps.
        beta2: f64,
    },
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        OptimizerConfig::Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-7 }
    }
}

/// What a rule changes, all flat.
pub(super) struct Update<'a> {
    /// `f32 [P]`.
    pub values: &'a mut Tensor,
    /// One `f32 [P]` per name in [`OptimizerConfig::state_names`].
    pub state: &'a mut [Tensor],
    /// `f32 [P]`.
    pub gradient: &'a Tensor,
    /// Those of [`OptimizerConfig::numbers`].
    pub numbers: &'a [Number],
}

impl OptimizerConfig {
    /// What is kept from step to step, by Keras's names.
    pub fn state_names(self) -> &'static [&'static str] {
        match self {
            OptimizerConfig::Adam { .. } | OptimizerConfig::Nadam { .. } => &["momentum", "velocity"],
            OptimizerConfig::Sgd { momentum: 0.0, .. } => &[],
            OptimizerConfig::Sgd { .. } | OptimizerConfig::Lion { .. } => &["momentum"],
            OptimizerConfig::RmsProp { momentum, centered, .. } => match (momentum > 0.0, centered) {
                (false, false) => &["velocity"],
                (true, false) => &["velocity", "momentum"],
                (false, true) => &["velocity", "average_gradient"],
                (true, true) => &["velocity", "momentum", "average_gradient"],
            },
        }
    }

    /// What the rule takes in step `step` (t) at `learning_rate` (η) that it did not take in the one before.
    pub(super) fn numbers(self, learning_rate: f64, step: u64) -> Vec<f64> {
        match self {
            OptimizerConfig::Adam { beta1, beta2, .. } => vec![adam_alpha(learning_rate, beta1, beta2, step)],
            OptimizerConfig::Nadam { beta1, beta2, .. } => nadam_numbers(learning_rate, beta1, beta2, step).to_vec(),
            OptimizerConfig::Sgd { .. } | OptimizerConfig::RmsProp { .. } | OptimizerConfig::Lion { .. } => {
                vec![learning_rate]
            }
        }
    }

    pub(super) fn apply(self, update: Update) {
        match self {
            OptimizerConfig::Adam { beta1, beta2, epsilon } => adam(update, beta1, beta2, epsilon),
            OptimizerConfig::Nadam { beta1, beta2, epsilon } => nadam(update, beta1, beta2, epsilon),
            OptimizerConfig::Sgd { momentum, nesterov } => sgd(update, momentum, nesterov),
            OptimizerConfig::RmsProp { rho, momentum, epsilon, centered } => {
                rms_prop(update, rho, momentum, epsilon, centered);
            }
            OptimizerConfig::Lion { beta1, beta2 } => lion(update, beta1, beta2),
        }
    }
}

/// `m += (g - m)(1 - β₁)`, `v += (g² - v)(1 - β₂)`, `w -= m·α / (√v + ε)`.
fn adam(update: Update, beta1: f64, beta2: f64, epsilon: f64) {
    let [momentum, velocity] = update.state else { unreachable!("Adam keeps two tensors") };
    let alpha = &update.numbers[0];
    if let Number::Host(alpha) = *alpha {
        let step = AdamStep { new_momentum: 1.0 - beta1, new_velocity: 1.0 - beta2, alpha, epsilon };
        let done = native::adam(step, update.gradient, momentum, velocity, update.values);
        if done.unwrap_or_else(|error| native::throw(error)) {
            return;
        }
    }
    let _ = momentum.lerp_(update.gradient, 1.0 - beta1);
    let _ = velocity.lerp_(&update.gradient.square(), 1.0 - beta2);
    *update.values -= alpha.times(momentum) / (velocity.sqrt() + epsilon);
}

/// Adam's step size with its bias correction, `η·√(1 - β₂ᵗ) / (1 - β₁ᵗ)`, in f32 as Keras computes it: `1 - 0.999f` is
/// 9.9998713e-4, and the difference shows in a trajectory's fourth digit.
fn adam_alpha(learning_rate: f64, beta1: f64, beta2: f64, step: u64) -> f64 {
    let power = |beta: f64| libm::powf(beta as f32, step as f32);
    f64::from(learning_rate as f32 * (1.0 - power(beta2)).sqrt() / (1.0 - power(beta1)))
}

/// With `uᵢ = β₁(1 - 0.96ⁱ/2)` and `U` the product of u₁ to uₜ: m and v as Adam's,
/// `w -= η·(uₜ₊₁·m / (1 - U·uₜ₊₁) + (1 - uₜ)·g / (1 - U)) / (√(v / (1 - β₂ᵗ)) + ε)`.
fn nadam(update: Update, beta1: f64, beta2: f64, epsilon: f64) {
    let [momentum, velocity] = update.state else { unreachable!("Nadam keeps two tensors") };
    let [of_momentum, of_gradient, velocity_scale, learning_rate] = update.numbers else {
        unreachable!("Nadam takes four numbers")
    };
    let _ = momentum.lerp_(update.gradient, 1.0 - beta1);
    let _ = velocity.lerp_(&update.gradient.square(), 1.0 - beta2);
    let mean = of_momentum.times(momentum) + of_gradient.times(update.gradient);
    let root = velocity_scale.below(velocity).sqrt() + epsilon;
    *update.values -= learning_rate.times(&mean) / root;
}

/// What Nadam multiplies momentum and gradient by, what it divides the velocity by, and η.
fn nadam_numbers(learning_rate: f64, beta1: f64, beta2: f64, step: u64) -> [f64; 4] {
    let u = |step: u64| beta1 as f32 * (1.0 - 0.5 * libm::powf(NADAM_DECAY, step as f32));
    let product = nadam_product(beta1, step);
    let of_momentum = u(step + 1) / (1.0 - product * u(step + 1));
    let of_gradient = (1.0 - u(step)) / (1.0 - product);
    let velocity_scale = 1.0 - libm::powf(beta2 as f32, step as f32);
    [of_momentum.into(), of_gradient.into(), velocity_scale.into(), learning_rate]
}

/// The product of Nadam's u₁ to u_step, multiplied in f32 in Keras's order. It is 0 after some hundred steps.
fn nadam_product(beta1: f64, step: u64) -> f32 {
    let mut product = 1.0f32;
    for i in 1..=step {
        product = product * beta1 as f32 * (1.0 - 0.5 * libm::powf(NADAM_DECAY, i as f32));
        if product == 0.0 {
            break;
        }
    }
    product
}

/// `v = μv - ηg`, then `w += v`, or `w += μv - ηg` (Nesterov); without momentum `w -= ηg`.
fn sgd(update: Update, momentum: f64, nesterov: bool) {
    let descent = update.numbers[0].times(update.gradient);
    match update.state {
        [velocity] => {
            let _ = velocity.g_mul_scalar_(momentum).g_sub_(&descent);
            *update.values += if nesterov { &*velocity * momentum - descent } else { velocity.shallow_clone() };
        }
        _ => *update.values -= descent,
    }
}

/// `v = ρv + (1 - ρ)g²`, `d = ηg / √(v + ε)` (centred: `√(v - a² + ε)` with `a = ρa + (1 - ρ)g`); `w -= d`, or with
/// momentum `m = μm + d`, `w -= m`.
fn rms_prop(update: Update, rho: f64, momentum: f64, epsilon: f64, centered: bool) {
    let (velocity, others) = update.state.split_first_mut().expect("RMSprop keeps the velocity");
    let _ = velocity.lerp_(&update.gradient.square(), 1.0 - rho);
    let denominator = match others.last_mut() {
        Some(average) if centered => {
            let _ = average.lerp_(update.gradient, 1.0 - rho);
            &*velocity - average.square() + epsilon
        }
        _ => &*velocity + epsilon,
    };
    let descent = update.numbers[0].times(update.gradient) / denominator.sqrt();
    match others.first_mut() {
        Some(moving) if momentum > 0.0 => {
            let _ = moving.g_mul_scalar_(momentum).g_add_(&descent);
            *update.values -= &*moving;
        }
        _ => *update.values -= descent,
    }
}

/// `w -= η·sign(β₁m + (1 - β₁)g)`, then `m = β₂m + (1 - β₂)g`.
fn lion(update: Update, beta1: f64, beta2: f64) {
    let [momentum] = update.state else { unreachable!("Lion keeps one tensor") };
    let direction = (&*momentum * beta1 + update.gradient * (1.0 - beta1)).sign();
    *update.values -= update.numbers[0].times(&direction);
    let _ = momentum.g_mul_scalar_(beta2).g_add_(&(update.gradient * (1.0 - beta2)));
}
