//! What a step takes of the optimizer that is recorded once and done again many times.

use tch::{Kind, Tensor};

use super::Optimizer;
use super::number::Number;

impl Optimizer {
    /// Whether the next step does what the steps after it do.
    pub(in super::super) fn next_step_is_usual(&self) -> bool {
        !self.parameters.is_empty() && !self.keeps_gradient && (self.average.is_none() || !self.average_begins)
    }

    /// The tensors that a step changes, by what they are.
    pub(in super::super) fn changing(&self) -> Vec<(&'static str, Tensor)> {
        let state = self.state.iter().map(|state| ("the optimizer's state", state));
        let average = self.average.iter().map(|average| ("the moving average of the weights", average));
        let all = std::iter::once(("the weights", &self.values)).chain(state).chain(average);
        all.map(|(what, tensor)| (what, tensor.shallow_clone())).collect()
    }

    /// Counts a step that is done again from a record.
    pub(in super::super) fn count_step(&mut self) {
        self.steps += 1;
    }

    /// What the step that was counted last takes at `learning_rate` and the one before did not: for the tensor that
    /// [`Optimizer::apply_recorded`] reads.
    pub(in super::super) fn recorded_numbers(&self, learning_rate: f64) -> Vec<f32> {
        self.numbers(learning_rate).into_iter().map(|number| number as f32).collect() // as an operator on f32 rounds it
    }

    /// As [`Optimizer::apply`], without counting, while a step is recorded: from now on it reads the
    /// [`Optimizer::recorded_numbers`] from `numbers`, `f32 [N]`.
    pub(in super::super) fn apply_recorded(&mut self, numbers: &Tensor) {
        let Some(gradient) = self.gradient.take() else { return };
        let numbers = (0..numbers.size()[0]).map(|number| Number::Device(numbers.select(0, number))).collect();
        self.change(gradient, numbers);
    }

    /// Forgets a gradient that was gathered and whose step failed.
    pub(in super::super) fn forget_gradient(&mut self) {
        self.gradient = None;
    }

    /// Room for the [`Optimizer::recorded_numbers`], `f32 [N]`, in which none is a number yet.
    pub(in super::super) fn room_for_numbers(&self) -> Tensor {
        let count = self.numbers(0.0).len() as i64;
        Tensor::full([count], f64::NAN, (Kind::Float, self.values.device()))
    }
}
