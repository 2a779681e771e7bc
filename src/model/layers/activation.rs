//! Activation functions by Keras's formulas.

use tch::Tensor;

use super::super::spec::layers::ReLU;
use super::super::spec::{Activation, Axes, FunctionLayer};
use super::order::axis_here;

/// `activation` of `x`, any shape.
pub fn activate(x: &Tensor, activation: &Activation) -> Tensor {
    match activation {
        Activation::Linear => x.shallow_clone(),
        Activation::Relu => x.relu(),
        Activation::Relu6 => x.relu6(),
        Activation::LeakyRelu => leaky(x, 0.2),
        // α = 1, where CELU is the same function
        Activation::Elu | Activation::Celu => x.elu(),
        Activation::Selu => x.selu(),
        Activation::Tanh => x.tanh(),
        Activation::Sigmoid => x.sigmoid(),
        Activation::HardSigmoid => (x + 3.0).clamp(0.0, 6.0) / 6.0,
        Activation::Keras2HardSigmoid => (x * 0.2 + 0.5).clamp(0.0, 1.0),
        Activation::LogSigmoid => x.log_sigmoid(),
        Activation::Softplus => x.softplus(),
        Activation::Softsign => x / (x.abs() + 1.0),
        Activation::Silu => x.silu(),
        Activation::HardSilu => x * (x + 3.0).clamp(0.0, 6.0) / 6.0,
        Activation::Gelu => x.gelu("none"),
        Activation::Mish => x.mish(),
        Activation::Exponential => x.exp(),
        Activation::Squareplus => (x + (x * x + 4.0).sqrt()) / 2.0,
        Activation::SoftShrink => x - x.clamp(-0.5, 0.5),
        Activation::HardShrink => x * x.abs().gt(0.5).to_kind(x.kind()),
        Activation::TanhShrink => x - x.tanh(),
        Activation::HardTanh => x.clamp(-1.0, 1.0),
        Activation::SparsePlus => sparse_plus(x),
        Activation::SparseSigmoid => ((x + 1.0) / 2.0).clamp(0.0, 1.0),
        Activation::Softmax => x.softmax(last_axis(x), None),
        Activation::LogSoftmax => x.log_softmax(last_axis(x), None),
        Activation::Layer(layer) => function(x, layer),
    }
}

/// `activation` of `x`, which nobody else reads: in its place where that is as good.
pub fn activate_in_place(x: &Tensor, activation: &Activation) -> Tensor {
    match activation {
        Activation::Relu => x.shallow_clone().relu_(),
        Activation::Relu6 => x.shallow_clone().relu6_(),
        _ => activate(x, activation),
    }
}

fn function(x: &Tensor, layer: &FunctionLayer) -> Tensor {
    match layer {
        FunctionLayer::ReLU(spec) => relu(x, spec),
        FunctionLayer::LeakyReLU(spec) => leaky(x, spec.negative_slope),
        FunctionLayer::ELU(spec) => x.relu() + x.clamp_max(0.0).expm1() * spec.alpha,
        FunctionLayer::Softmax(spec) => softmax(x, &spec.axis),
    }
}

/// `slope` may be above 1, where the larger of the two is not the right one.
fn leaky(x: &Tensor, slope: f64) -> Tensor {
    x.relu() + x.clamp_max(0.0) * slope
}

/// Keras's order of operations: what is above the threshold, held to the maximum, and what is below it.
fn relu(x: &Tensor, spec: &ReLU) -> Tensor {
    let ReLU { max_value, negative_slope, threshold } = *spec;
    let passed = if threshold == 0.0 { x.relu() } else { x * x.gt(threshold).to_kind(x.kind()) };
    let passed = max_value.map_or_else(|| passed.shallow_clone(), |max_value| passed.clamp(0.0, max_value));
    match negative_slope {
        0.0 => passed,
        slope => passed - (threshold - x).relu() * slope,
    }
}

/// Softmax over one axis or several together.
fn softmax(x: &Tensor, axis: &Axes) -> Tensor {
    let rank = x.dim();
    let axes = axis.resolve(rank).expect("the plan has checked the axes");
    let here: Vec<i64> = axes.iter().map(|&axis| axis_here(axis, rank)).collect();
    match here[..] {
        [axis] => x.softmax(axis, None),
        _ => {
            let shifted = (x - x.amax(&here[..], true)).exp();
            &shifted / shifted.sum_dim_intlist(&here[..], true, None)
        }
    }
}

/// 0 up to -1, (x + 1)² / 4 up to 1, x above.
fn sparse_plus(x: &Tensor) -> Tensor {
    let middle = (x.clamp(-1.0, 1.0) + 1.0).square() / 4.0;
    middle + (x - 1.0).relu()
}

/// Keras's last axis.
fn last_axis(x: &Tensor) -> i64 {
    axis_here(x.dim() - 1, x.dim())
}

/// `x` above 0, `alpha · x` below; alpha has the shape of one input, or 1 for a shared axis.
pub fn prelu(mut own: Vec<Tensor>) -> impl Fn(&Tensor) -> Tensor + Send + 'static {
    let alpha = own.remove(0);
    move |x| {
        let alpha = if alpha.dim() == 3 { alpha.permute([2, 0, 1]) } else { alpha.shallow_clone() };
        x.relu() - alpha.to_kind(x.kind()) * (-x).relu()
    }
}
