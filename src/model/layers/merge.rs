//! Layers that join several inputs.

use tch::Tensor;

use super::super::spec::layers::Concatenate;
use super::order::{axis_here, from_keras_order, to_keras_order};

/// Combines `inputs` two by two. What has fewer axes gets axes of size 1 behind the batch's, as Keras's `Merge` does it.
fn combined(inputs: &[&Tensor], combine: impl Fn(&Tensor, &Tensor) -> Tensor) -> Tensor {
    let rank = inputs.iter().map(|input| input.dim()).max().unwrap_or(0);
    let fitted = |input: &&Tensor| match input.dim() {
        own if own == rank => input.shallow_clone(),
        own => from_keras_order(&(own..rank).fold(to_keras_order(input), |input, _| input.unsqueeze(1))),
    };
    let mut fitted = inputs.iter().map(fitted);
    let first = fitted.next().expect("the plan has checked that there is an input");
    fitted.fold(first, |joined, input| combine(&joined, &input))
}

/// The sum of `inputs`.
pub fn add(inputs: &[&Tensor]) -> Tensor {
    combined(inputs, |a, b| a + b)
}

/// The first of `inputs` less the second.
pub fn subtract(inputs: &[&Tensor]) -> Tensor {
    combined(inputs, |a, b| a - b)
}

/// The product of `inputs`, value by value.
pub fn multiply(inputs: &[&Tensor]) -> Tensor {
    combined(inputs, |a, b| a * b)
}

/// The mean of `inputs`.
pub fn average(inputs: &[&Tensor]) -> Tensor {
    add(inputs) / inputs.len() as f64
}

/// The largest of `inputs`, value by value.
pub fn maximum(inputs: &[&Tensor]) -> Tensor {
    combined(inputs, Tensor::maximum)
}

/// The smallest of `inputs`, value by value.
pub fn minimum(inputs: &[&Tensor]) -> Tensor {
    combined(inputs, Tensor::minimum)
}

/// The first of two inputs plus the second times `scale`.
pub fn add_scaled(scale: f64) -> impl Fn(&[&Tensor]) -> Tensor + Send + 'static {
    move |inputs| combined(inputs, |a, b| a + b * scale)
}

/// The inputs one after the other; `input` is the first one's shape.
pub fn concatenate(spec: &Concatenate, input: &[usize]) -> impl Fn(&[&Tensor]) -> Tensor + Send + 'static {
    let rank = input.len() + 1;
    let axis = axis_here(spec.axis_of(rank).expect("the plan has checked the axis"), rank);
    move |inputs| Tensor::cat(inputs, axis)
}
