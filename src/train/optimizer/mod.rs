//! Optimizers whose state is plain tensors, so that it can be saved: Keras's definitions, step by step.
//!
//! All weights that gradients change lie in one flat tensor, the weights themselves being views of it, and so does the
//! state: a step takes the same few operations however many layers there are, and none of them waits for the device.

mod clip;
mod flat;
mod number;
mod options;
mod recording;
mod rules;
mod settings;
mod table;

use tch::{Device, Kind, Tensor};

pub use clip::Clip;
pub use options::StepOptions;
pub use rules::{OptimizerConfig, OptimizerKind};
pub use settings::OptimizerSettings;
pub use table::StateOrder;

use crate::distributed::Group;
use crate::error::{Error, Result};
use crate::model::Weight;
use crate::native::GradientReducer;
use clip::Segments;
use flat::{Parameter, ParameterGroup, alignment, flatten, parameter_groups};
use number::Number;
use rules::Update;

/// How many MiB of a gradient are summed over the processes at once: PyTorch's choice.
const BUCKET_MIB: usize = 25;
/// Another number, for measurements.
const BUCKET_VARIABLE: &str = "CONVNET_BUCKET_MIB";

/// Numbers of a gradient that are summed over the processes at once.
fn bucket_size() -> usize {
    let given = std::env::var(BUCKET_VARIABLE).ok().and_then(|text| text.parse().ok());
    given.unwrap_or(BUCKET_MIB).saturating_mul(1 << 18).max(1)
}

/// An optimizer at work on a network's weights.
pub struct Optimizer {
    config: OptimizerConfig,
    options: StepOptions,
    parameters: Vec<Parameter>,
    groups: Vec<ParameterGroup>,
    segments: Option<Segments>,
    /// All values, `f32 [P]`: the weights are views of it.
    values: Tensor,
    /// What lies in gaps of a gradient, `f32`.
    zeros: Tensor,
    /// One `f32 [P]` per name in [`OptimizerConfig::state_names`].
    state: Vec<Tensor>,
    /// The weights' moving average, `f32 [P]`.
    average: Option<Tensor>,
    /// Whether the average is still to begin: with the weights after the next step, as in Keras.
    average_begins: bool,
    /// What [`Optimizer::add_gradient`] gathered for the next step, `f32 [P]`.
    gradient: Option<Tensor>,
    /// Sums it over all processes, where there are others.
    reducer: Option<(GradientReducer, Group)>,
    /// Whether the next step's gradient is kept.
    keeps_gradient: bool,
    /// The gradient of the step that was to keep it, `f32 [P]`.
    kept_gradient: Option<Tensor>,
    steps: u64,
}

/// An [`Optimizer`] whose weights are their moving average: dropped, they are the trained ones again.
pub struct AveragedWeights<'a>(&'a mut Optimizer);

impl std::ops::Deref for AveragedWeights<'_> {
    type Target = Optimizer;

    fn deref(&self) -> &Optimizer {
        self.0
    }
}

impl Drop for AveragedWeights<'_> {
    fn drop(&mut self) {
        self.0.swap_average();
    }
}

impl Optimizer {
    /// Takes over the trainable ones of `weights`: from now on they are views of one tensor.
    pub fn new(config: OptimizerConfig, weights: &[Weight]) -> Self {
        Self::with_options(config, StepOptions::default(), weights)
    }

    /// As [`Optimizer::new`], with `options`.
    pub fn with_options(config: OptimizerConfig, options: StepOptions, weights: &[Weight]) -> Self {
        Self::with_rate_scales(config, options, weights, |_| 1.0)
    }

    /// As [`Optimizer::with_options`]; each weight's learning rate is `rate_scale` times the step's.
    pub fn with_rate_scales(
        config: OptimizerConfig,
        options: StepOptions,
        weights: &[Weight],
        rate_scale: impl Fn(&Weight) -> f64,
    ) -> Self {
        let (mut parameters, groups) = parameter_groups(weights, rate_scale);
        let device = parameters.first().map_or(Device::Cpu, |parameter| parameter.tensor.device());
        let zeros = Tensor::zeros([alignment(device)], (Kind::Float, device));
        let values = tch::no_grad(|| {
            let weights = parameters.iter().map(|parameter| parameter.tensor.detach());
            flatten(&parameters, weights, &zeros)
        });
        for parameter in &mut parameters {
            let view = parameter.view_of(&values);
            parameter.tensor.set_data(&view);
        }
        let counts: Vec<i64> = parameters.iter().map(|parameter| parameter.count + parameter.gap).collect();
        let segments = matches!(options.clip, Some(Clip::Norm(_))).then(|| Segments::new(&counts, values.device()));
        let state = config.state_names().iter().map(|_| values.zeros_like()).collect();
        let average = options.ema.map(|_| values.copy());
        Optimizer {
            config,
            options,
            parameters,
            groups,
            segments,
            values,
            zeros,
            state,
            average,
            average_begins: true,
            gradient: None,
            reducer: None,
            keeps_gradient: false,
            kept_gradient: None,
            steps: 0,
        }
    }

    /// Has every step's gradient be the sum over the processes of `group`, each of which computes its part. Sums begin during the
    /// backward pass, in buckets; numbers travel as bf16 where `is_bf16`.
    ///
    /// # Errors
    /// A device error where libtorch fails.
    pub fn share_with(&mut self, group: &Group, is_bf16: bool) -> Result<()> {
        let tensors: Vec<&Tensor> = self.parameters.iter().map(|parameter| &parameter.tensor).collect();
        let reducer = group.reducer(&tensors, bucket_size(), is_bf16)?;
        self.reducer = reducer.map(|reducer| (reducer, group.clone()));
        Ok(())
    }

    /// One step down the gradient of `loss` (a scalar) at `learning_rate`.
    ///
    /// # Errors
    /// As [`Optimizer::finish_gradient`].
    pub fn step(&mut self, loss: &Tensor, learning_rate: f64) -> Result<()> {
        self.add_gradient(loss, 1.0, true)?;
        self.finish_gradient()?;
        self.apply(learning_rate);
        Ok(())
    }

    /// Adds `share` times the gradient of `loss` (a scalar) to that of the next step: a large batch in parts. With the last one
    /// (`is_last`), the sum over all processes begins.
    ///
    /// # Errors
    /// A device error where libtorch fails.
    pub fn add_gradient(&mut self, loss: &Tensor, share: f64, is_last: bool) -> Result<()> {
        if self.parameters.is_empty() {
            return Ok(());
        }
        let tensors: Vec<&Tensor> = self.parameters.iter().map(|parameter| &parameter.tensor).collect();
        if let Some((reducer, _)) = &self.reducer {
            let adds = self.gradient.is_some();
            let has_gaps = self.parameters.iter().any(|parameter| parameter.gap > 0);
            let new = || if has_gaps { self.values.zeros_like() } else { self.values.empty_like() };
            let gradient = self.gradient.get_or_insert_with(new);
            reducer.begin(gradient, adds, is_last)?;
            // other processes' gradients depend on this one's where they share batch statistics: so the loss has its share
            Tensor::run_backward(&[loss * share], &tensors, false, false);
            return Ok(());
        }
        let gradients = Tensor::run_backward(&[loss], &tensors, false, false);
        tch::no_grad(|| {
            let mut gradient = flatten(&self.parameters, gradients.into_iter(), &self.zeros); // f32 [P]
            if share != 1.0 {
                gradient *= share;
            }
            self.gradient = Some(match self.gradient.take() {
                None => gradient,
                Some(sum) => sum + gradient,
            });
        });
        Ok(())
    }

    /// Waits for the sum over all processes; nothing where there is one.
    ///
    /// # Errors
    /// What another process failed at, or which one is gone.
    pub fn finish_gradient(&self) -> Result<()> {
        match &self.reducer {
            Some((reducer, group)) if !self.parameters.is_empty() => group.waiting(|| reducer.finish()),
            _ => Ok(()),
        }
    }

    /// One step down the gradient that was gathered. Nothing where there is none.
    pub fn apply(&mut self, learning_rate: f64) {
        let Some(gradient) = self.gradient.take() else { return };
        self.steps += 1;
        if std::mem::take(&mut self.keeps_gradient) {
            self.kept_gradient = Some(gradient.copy()); // clipping may change it in place
        }
        let numbers = self.numbers(learning_rate);
        self.change(gradient, numbers.into_iter().map(Number::Host).collect());
    }

    /// What the step that was counted last takes at `learning_rate` and the one before did not, group by group: what weights are
    /// multiplied by, where they decay, and the rule's numbers.
    fn numbers(&self, learning_rate: f64) -> Vec<f64> {
        let mut numbers = Vec::new();
        for group in &self.groups {
            let learning_rate = learning_rate * group.rate_scale;
            if self.options.weight_decay > 0.0 {
                numbers.push(1.0 - self.options.weight_decay * learning_rate);
            }
            numbers.extend(self.config.numbers(learning_rate, self.steps));
        }
        numbers
    }

    /// Changes weights, state and average by the step's gradient and its [`Optimizer::numbers`].
    fn change(&mut self, gradient: Tensor, numbers: Vec<Number>) {
        tch::no_grad(|| {
            let gradient = match self.options.clip {
                Some(clip) => clip.apply(gradient, self.segments.as_ref()),
                None => gradient,
            };
            for (group, numbers) in self.groups.iter().zip(numbers.chunks(numbers.len() / self.groups.len())) {
                self.update(group, &gradient, numbers);
            }
            self.move_average();
        });
    }

    /// Keeps the next step's gradient, as it is before it is clipped.
    pub(super) fn keep_next_gradient(&mut self) {
        self.keeps_gradient = true;
    }

    /// The gradient that was kept, by the weights' names, in any shape; empty where there is none.
    pub(super) fn take_gradient(&mut self) -> Vec<(&str, Tensor)> {
        let Some(gradient) = self.kept_gradient.take() else { return Vec::new() };
        let part = |parameter: &Parameter| gradient.narrow(0, parameter.start, parameter.count);
        self.parameters.iter().map(|parameter| (parameter.name.as_str(), part(parameter))).collect()
    }

    /// Decays and updates the parameters of `group`. All are changed in place.
    fn update(&self, group: &ParameterGroup, gradient: &Tensor, numbers: &[Number]) {
        let part = |flat: &Tensor| match &self.groups[..] {
            [_] => flat.shallow_clone(),
            _ => flat.narrow(0, group.start, group.count),
        };
        let mut values = part(&self.values);
        let mut state: Vec<Tensor> = self.state.iter().map(part).collect();
        let (decay, numbers) = numbers.split_at(usize::from(self.options.weight_decay > 0.0));
        decay.iter().for_each(|decay| decay.scale(&mut values));
        let (values, state) = (&mut values, &mut state[..]);
        self.config.apply(Update { values, state, gradient: &part(gradient), numbers });
    }

    /// The average begins as the weights after the first step.
    fn move_average(&mut self) {
        if let (Some(average), Some(decay)) = (&mut self.average, self.options.ema) {
            let kept = if self.average_begins { 0.0 } else { decay };
            let _ = average.lerp_(&self.values, 1.0 - kept);
            self.average_begins = false;
        }
    }

    /// Whether the weights' moving average is kept.
    pub fn has_average(&self) -> bool {
        self.average.is_some()
    }

    /// The weights' moving average in the weights' place, for as long as the guard lives. Nothing where none is kept.
    pub fn averaged(&mut self) -> AveragedWeights<'_> {
        self.swap_average();
        AveragedWeights(self)
    }

    /// Ends with the weights' moving average as the weights. Nothing where none is kept.
    pub fn use_average(&mut self) {
        self.swap_average();
    }

    fn swap_average(&mut self) {
        if let Some(average) = &mut self.average {
            tch::no_grad(|| {
                let values = self.values.copy();
                self.values.copy_(average);
                average.copy_(&values);
            });
        }
    }

    /// How many steps were taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The state as named tensors, each in its weight's shape: `<weight>.<state>`, and `<weight>.average` where an average
    /// is kept.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let names = self.config.state_names().iter().copied().chain(self.average.iter().map(|_| "average"));
        let kept: Vec<(&str, &Tensor)> = names.zip(self.state.iter().chain(&self.average)).collect();
        let of = |parameter: &Parameter| -> Vec<(String, Tensor)> {
            kept.iter().map(|(name, flat)| (format!("{}.{name}", parameter.name), parameter.view_of(flat))).collect()
        };
        self.parameters.iter().flat_map(of).collect()
    }

    /// Continues after `steps` steps from a state that [`Optimizer::state`] gave; `find` gives the tensor of a name.
    ///
    /// # Errors
    /// A model error where a tensor is missing or of another shape; then nothing has changed.
    pub fn restore(&mut self, steps: u64, find: impl FnMut(&str) -> Result<Tensor>) -> Result<()> {
        self.fill(self.state(), find)?;
        self.steps = steps;
        self.average_begins = steps == 0;
        Ok(())
    }

    /// As [`Optimizer::restore`], from a state without averages: they begin with the weights after the next step.
    ///
    /// # Errors
    /// As [`Optimizer::restore`].
    pub fn restore_without_average(&mut self, steps: u64, find: impl FnMut(&str) -> Result<Tensor>) -> Result<()> {
        let mut state = self.state();
        state.retain(|(name, _)| !name.ends_with(".average"));
        self.fill(state, find)?;
        self.steps = steps;
        self.average_begins = true;
        Ok(())
    }

    /// Fills the tensors of `state` with those that `find` gives.
    fn fill(&self, state: Vec<(String, Tensor)>, mut find: impl FnMut(&str) -> Result<Tensor>) -> Result<()> {
        let mut found = Vec::new();
        for (name, state) in state {
            let saved = find(&name)?;
            if saved.size() != state.size() {
                return Err(Error::model(format!("the optimizer's {name} has another shape"))
                    .expected(format!("{:?}", state.size()))
                    .got(format!("{:?}", saved.size())));
            }
            found.push((state, saved));
        }
        for (mut state, saved) in found {
            tch::no_grad(|| state.copy_(&saved));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
