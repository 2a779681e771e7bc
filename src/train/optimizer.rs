//! Optimizers whose state is plain tensors, so that it can be saved: Keras's definitions, step by step.
//!
//! All weights that gradients change lie in one flat tensor, the weights themselves being views of it, and so does the
//! state: a step takes the same few operations however many layers there are.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::error::{Error, Result};
use crate::model::Weight;

/// Which optimizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// Adam (Kingma and Ba 2014), as Keras computes it.
    #[default]
    Adam,
    /// Stochastic gradient descent, with momentum where it is above 0.
    Sgd,
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
    /// <https://keras.io/api/optimizers/sgd/>
    Sgd {
        /// How much of the last step a step keeps.
        momentum: f64,
        /// Whether the step looks ahead (Nesterov).
        nesterov: bool,
    },
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        OptimizerConfig::Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-7 }
    }
}

/// An optimizer at work on a network's weights.
pub struct Optimizer {
    config: OptimizerConfig,
    parameters: Vec<Parameter>,
    /// All values, `f32 [P]`: the weights are views of it.
    values: Tensor,
    /// One `f32 [P]` per name in [`OptimizerConfig::state_names`].
    state: Vec<Tensor>,
    steps: u64,
}

/// A weight in the flat tensor.
struct Parameter {
    name: String,
    tensor: Tensor,
    start: i64,
    count: i64,
}

impl OptimizerConfig {
    /// What is kept from step to step, by Keras's names.
    fn state_names(self) -> &'static [&'static str] {
        match self {
            OptimizerConfig::Adam { .. } => &["momentum", "velocity"],
            OptimizerConfig::Sgd { momentum: 0.0, .. } => &[],
            OptimizerConfig::Sgd { .. } => &["momentum"],
        }
    }
}

impl Optimizer {
    /// Takes over the trainable ones of `weights`: from now on they are views of one tensor.
    pub fn new(config: OptimizerConfig, weights: &[Weight]) -> Self {
        let mut parameters = Vec::new();
        let mut start = 0;
        for weight in weights.iter().filter(|weight| weight.trainable) {
            let (name, tensor) = (weight.name.clone(), weight.tensor.shallow_clone());
            let count = tensor.numel() as i64;
            parameters.push(Parameter { name, tensor, start, count });
            start += count;
        }
        let values = tch::no_grad(|| flatten(parameters.iter().map(|parameter| parameter.tensor.detach())));
        for parameter in &mut parameters {
            let view = parameter.view_of(&values);
            parameter.tensor.set_data(&view);
        }
        let state = config.state_names().iter().map(|_| values.zeros_like()).collect();
        Optimizer { config, parameters, values, state, steps: 0 }
    }

    /// One step down the gradient of `loss` (a scalar) at `learning_rate`.
    pub fn step(&mut self, loss: &Tensor, learning_rate: f64) {
        let tensors: Vec<&Tensor> = self.parameters.iter().map(|parameter| &parameter.tensor).collect();
        let gradients = Tensor::run_backward(&[loss], &tensors, false, false);
        self.steps += 1;
        tch::no_grad(|| {
            let gradient = flatten(gradients.into_iter()); // f32 [P]
            match self.config {
                OptimizerConfig::Adam { beta1, beta2, epsilon } => {
                    let alpha = adam_alpha(learning_rate, beta1, beta2, self.steps);
                    self.adam(&gradient, alpha, beta1, beta2, epsilon);
                }
                OptimizerConfig::Sgd { momentum, nesterov } => self.sgd(&gradient, learning_rate, momentum, nesterov),
            }
        });
    }

    /// `m += (g - m)(1 - β₁)`, `v += (g² - v)(1 - β₂)`, `w -= m·α / (√v + ε)`.
    fn adam(&mut self, gradient: &Tensor, alpha: f64, beta1: f64, beta2: f64, epsilon: f64) {
        let [momentum, velocity] = &mut self.state[..] else { unreachable!("Adam keeps two tensors") };
        let _ = momentum.lerp_(gradient, 1.0 - beta1);
        let _ = velocity.lerp_(&gradient.square(), 1.0 - beta2);
        self.values -= &*momentum * alpha / (velocity.sqrt() + epsilon);
    }

    /// `v = μv - ηg`, then `w += v`, or `w += μv - ηg` (Nesterov); without momentum `w -= ηg`.
    fn sgd(&mut self, gradient: &Tensor, learning_rate: f64, momentum: f64, nesterov: bool) {
        let descent = gradient * learning_rate;
        match &mut self.state[..] {
            [velocity] => {
                let _ = velocity.g_mul_scalar_(momentum).g_sub_(&descent);
                self.values += if nesterov { &*velocity * momentum - descent } else { velocity.shallow_clone() };
            }
            _ => self.values -= descent,
        }
    }

    /// How many steps were taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The state as named tensors, each in its weight's shape: `<weight>.<state>`.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let mut named = Vec::new();
        for parameter in &self.parameters {
            for (name, state) in self.config.state_names().iter().zip(&self.state) {
                named.push((format!("{}.{name}", parameter.name), parameter.view_of(state)));
            }
        }
        named
    }

    /// Continues after `steps` steps from a state that [`Optimizer::state`] gave; `find` gives the tensor of a name.
    ///
    /// # Errors
    /// A model error where a tensor is missing or of another shape.
    pub fn restore(&mut self, steps: u64, mut find: impl FnMut(&str) -> Result<Tensor>) -> Result<()> {
        for (name, mut state) in self.state() {
            let saved = find(&name)?;
            if saved.size() != state.size() {
                return Err(Error::model(format!("the optimizer's {name} has another shape"))
                    .expected(format!("{:?}", state.size()))
                    .got(format!("{:?}", saved.size())));
            }
            tch::no_grad(|| state.copy_(&saved));
        }
        self.steps = steps;
        Ok(())
    }
}

impl Parameter {
    /// This weight's part of a flat tensor, in the weight's shape; kernels channels-last in memory.
    fn view_of(&self, flat: &Tensor) -> Tensor {
        let part = flat.narrow(0, self.start, self.count);
        match self.tensor.size()[..] {
            [a, b, h, w] => part.view([a, h, w, b]).permute([0, 3, 1, 2]),
            ref size => part.view(size),
        }
    }
}

/// Tensors one after the other as `f32 [P]`, each in the order of its memory where it is channels-last.
fn flatten(tensors: impl Iterator<Item = Tensor>) -> Tensor {
    let flat: Vec<Tensor> = tensors
        .map(|tensor| match tensor.dim() {
            4 => tensor.permute([0, 2, 3, 1]).reshape([-1]),
            _ => tensor.reshape([-1]),
        })
        .collect();
    match flat.is_empty() {
        true => Tensor::zeros([0], (Kind::Float, tch::Device::Cpu)),
        false => Tensor::cat(&flat, 0),
    }
}

/// Adam's step size with its bias correction, `η·√(1 - β₂ᵗ) / (1 - β₁ᵗ)`, in f32 as Keras computes it: `1 - 0.999f` is
/// 9.9998713e-4, and the difference shows in a trajectory's fourth digit.
fn adam_alpha(learning_rate: f64, beta1: f64, beta2: f64, step: u64) -> f64 {
    let power = |beta: f64| libm::powf(beta as f32, step as f32);
    f64::from(learning_rate as f32 * (1.0 - power(beta2)).sqrt() / (1.0 - power(beta1)))
}
