//! Activation functions by Keras's formulas.

use super::super::windows::dim_of;
use super::graph::{float, int};
use super::layers::{Steps, refused};
use super::normalization::{inverse, sizes_in};
use crate::error::Result;
use crate::model::spec::layers::{ReLU, Softmax};
use crate::model::spec::{Activation, FunctionLayer};

impl Steps<'_> {
    /// `activation` of the value, which has the output's shape.
    ///
    /// # Errors
    /// A model error where it is over the batch's axis with others.
    pub(super) fn activation(&mut self, activation: &Activation) -> Result<()> {
        match activation {
            Activation::Linear => {}
            Activation::Relu => self.apply("Relu", &[], vec![]),
            Activation::Relu6 => self.clip(0.0, 6.0),
            Activation::LeakyRelu => self.apply("LeakyRelu", &[], vec![float("alpha", 0.2)]),
            // α = 1, where CELU is the same function
            Activation::Elu | Activation::Celu => self.apply("Elu", &[], vec![float("alpha", 1.0)]),
            Activation::Selu => self.apply("Selu", &[], vec![]),
            Activation::Tanh => self.apply("Tanh", &[], vec![]),
            Activation::Sigmoid => self.apply("Sigmoid", &[], vec![]),
            Activation::HardSigmoid => self.hard_sigmoid(1.0 / 6.0),
            Activation::Keras2HardSigmoid => self.hard_sigmoid(0.2),
            Activation::LogSigmoid => ["Neg", "Softplus", "Neg"].iter().for_each(|op| self.apply(op, &[], vec![])),
            Activation::Softplus => self.apply("Softplus", &[], vec![]),
            Activation::Softsign => self.apply("Softsign", &[], vec![]),
            Activation::Silu => self.times(&["Sigmoid"]),
            Activation::HardSilu => self.apply("HardSwish", &[], vec![]),
            Activation::Gelu => self.gelu(),
            Activation::Mish => self.times(&["Softplus", "Tanh"]),
            Activation::Exponential => self.apply("Exp", &[], vec![]),
            Activation::Squareplus => self.squareplus(),
            Activation::SoftShrink => self.apply("Shrink", &[], vec![float("bias", 0.5), float("lambd", 0.5)]),
            Activation::HardShrink => self.apply("Shrink", &[], vec![float("bias", 0.0), float("lambd", 0.5)]),
            Activation::TanhShrink => {
                let tanh = self.made("Tanh", &[&self.value.clone()], vec![]);
                self.apply("Sub", &[&tanh], vec![]);
            }
            Activation::HardTanh => self.clip(-1.0, 1.0),
            Activation::SparsePlus => self.sparse_plus(),
            Activation::SparseSigmoid => self.hard_sigmoid(0.5),
            Activation::Softmax => self.over_last("Softmax"),
            Activation::LogSoftmax => self.over_last("LogSoftmax"),
            Activation::Layer(FunctionLayer::ReLU(relu)) => self.relu(relu),
            Activation::Layer(FunctionLayer::LeakyReLU(relu)) => {
                self.apply("LeakyRelu", &[], vec![float("alpha", relu.negative_slope)]);
            }
            Activation::Layer(FunctionLayer::ELU(elu)) => self.apply("Elu", &[], vec![float("alpha", elu.alpha)]),
            Activation::Layer(FunctionLayer::Softmax(softmax)) => self.softmax(softmax)?,
        }
        Ok(())
    }

    fn clip(&mut self, least: f64, most: f64) {
        let [least, most] = [least, most].map(|bound| self.scalar(bound));
        self.apply("Clip", &[&least, &most], vec![]);
    }

    /// `x · slope + 0.5` held to [0, 1].
    fn hard_sigmoid(&mut self, slope: f64) {
        self.apply("HardSigmoid", &[], vec![float("alpha", slope), float("beta", 0.5)]);
    }

    /// `x` times what `functions` make of it one after the other.
    fn times(&mut self, functions: &[&str]) {
        let x = self.value.clone();
        functions.iter().for_each(|op| self.apply(op, &[], vec![]));
        self.apply("Mul", &[&x], vec![]);
    }

    /// The value with a number behind it.
    fn with(&mut self, op: &str, number: f64) {
        let number = self.scalar(number);
        self.apply(op, &[&number], vec![]);
    }

    /// `x · (1 + erf(x / √2)) / 2`.
    fn gelu(&mut self) {
        let x = self.value.clone();
        self.with("Mul", std::f64::consts::FRAC_1_SQRT_2);
        self.apply("Erf", &[], vec![]);
        self.with("Add", 1.0);
        self.apply("Mul", &[&x], vec![]);
        self.with("Mul", 0.5);
    }

    /// `(x + √(x² + 4)) / 2`.
    fn squareplus(&mut self) {
        let x = self.value.clone();
        self.apply("Mul", &[&x], vec![]);
        self.with("Add", 4.0);
        self.apply("Sqrt", &[], vec![]);
        self.apply("Add", &[&x], vec![]);
        self.with("Mul", 0.5);
    }

    /// 0 up to -1, `(x + 1)² / 4` up to 1, `x` above.
    fn sparse_plus(&mut self) {
        let x = self.value.clone();
        self.clip(-1.0, 1.0);
        self.with("Add", 1.0);
        let shifted = self.value.clone();
        self.apply("Mul", &[&shifted], vec![]);
        self.with("Mul", 0.25);
        let middle = std::mem::replace(&mut self.value, x);
        self.with("Sub", 1.0);
        self.apply("Relu", &[], vec![]);
        self.apply("Add", &[&middle], vec![]);
    }

    /// What is above the threshold, held to the maximum, and what is below it.
    fn relu(&mut self, relu: &ReLU) {
        let ReLU { max_value, negative_slope, threshold } = *relu;
        let x = self.value.clone();
        match threshold {
            0.0 => self.apply("Relu", &[], vec![]),
            _ => {
                let (bound, zero) = (self.scalar(threshold), self.scalar(0.0));
                let is_above = self.made("Greater", &[&x, &bound], vec![]);
                self.value = self.made("Where", &[&is_above, &x, &zero], vec![]);
            }
        }
        if let Some(max_value) = max_value {
            self.clip(0.0, max_value);
        }
        if negative_slope != 0.0 {
            let (bound, slope) = (self.scalar(threshold), self.scalar(negative_slope));
            let below = self.made("Sub", &[&bound, &x], vec![]);
            let below = self.made("Relu", &[&below], vec![]);
            let below = self.made("Mul", &[&below, &slope], vec![]);
            self.apply("Sub", &[&below], vec![]);
        }
    }

    /// Over Keras's last axis.
    fn over_last(&mut self, op: &str) {
        let rank = self.output().len() + 1;
        self.apply(op, &[], vec![int("axis", dim_of(rank - 1, rank))]);
    }

    /// Over one axis, or several as one.
    fn softmax(&mut self, softmax: &Softmax) -> Result<()> {
        let axes = softmax.axis.resolve(self.rank())?;
        if let [axis] = axes[..] {
            self.apply("Softmax", &[], vec![int("axis", self.dim(axis))]);
            return Ok(());
        }
        if axes.first() == Some(&0) {
            return Err(refused("Softmax over the batch and other axes"));
        }
        let order = self.with_last(&axes);
        let sizes = sizes_in(self.output(), &order);
        let others = self.rank() - axes.len();
        self.transpose(&order);
        self.reshape("together", &[&sizes[..others - 1], &[-1]].concat());
        self.apply("Softmax", &[], vec![int("axis", others as i64)]);
        self.reshape("apart", &sizes);
        self.transpose(&inverse(&order));
        Ok(())
    }
}
