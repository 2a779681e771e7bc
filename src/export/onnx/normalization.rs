//! Normalisation and fixed changes of values.

use super::super::windows::dim_of;
use super::graph::{float, int, ints};
use super::layers::Steps;
use crate::error::Result;
use crate::model::spec::Numbers;
use crate::model::spec::layers::{
    BatchNormalization, GroupNormalization, LayerNormalization, Normalization, Rescaling, UnitNormalization,
};

/// Keras's floor under the squared length of a vector.
const SMALLEST_SQUARE: f64 = 1e-12;
/// Keras's floor under a standard deviation.
const SMALLEST_STDDEV: f64 = 1e-7;

impl Steps<'_> {
    /// By the moving statistics.
    pub(super) fn batch_norm(&mut self, norm: &BatchNormalization) -> Result<()> {
        let axis = norm.channel_axis(self.input())?;
        let channels = [self.input()[axis - 1]];
        let (scale, offset) = (self.factor(&channels), self.offset(&channels));
        let (mean, variance) = (self.weight("running_mean"), self.weight("running_var"));
        let order = self.to_second(axis);
        self.transpose(&order);
        self.apply("BatchNormalization", &[&scale, &offset, &mean, &variance], vec![float("epsilon", norm.epsilon)]);
        self.transpose(&order);
        Ok(())
    }

    /// The order of axes that brings Keras's `axis` to the second place, and back.
    fn to_second(&self, axis: usize) -> Vec<i64> {
        let mut order: Vec<i64> = (0..self.rank() as i64).collect();
        order.swap(1, self.dim(axis) as usize);
        order
    }

    /// The weight that is multiplied by, ones where there is none.
    fn factor(&mut self, shape: &[usize]) -> String {
        self.optional_weight("weight").unwrap_or_else(|| self.filled("ones", shape, 1.0))
    }

    /// The weight that is added, zeros where there is none.
    fn offset(&mut self, shape: &[usize]) -> String {
        self.optional_weight("bias").unwrap_or_else(|| self.filled("zeros", shape, 0.0))
    }

    fn filled(&mut self, name: &str, shape: &[usize], value: f32) -> String {
        let dims: Vec<i64> = shape.iter().map(|&size| size as i64).collect();
        self.floats(name, &dims, &vec![value; shape.iter().product()])
    }

    /// Over axes, which are put last in ascending order, as the weights have them.
    pub(super) fn layer_norm(&mut self, norm: &LayerNormalization) -> Result<()> {
        let rank = self.rank();
        let axes = norm.axes(rank)?;
        let shape: Vec<usize> = axes.iter().map(|&axis| self.input()[axis - 1]).collect();
        let (scale, offset) = (self.factor(&shape), self.offset(&shape));
        let order = self.with_last(&axes);
        self.transpose(&order);
        let attributes = vec![int("axis", (rank - axes.len()) as i64), float("epsilon", norm.epsilon)];
        self.apply("LayerNormalization", &[&scale, &offset], attributes);
        self.transpose(&inverse(&order));
        Ok(())
    }

    /// The order of axes that puts Keras's `axes` last, the others before them in Keras's order.
    pub(super) fn with_last(&self, axes: &[usize]) -> Vec<i64> {
        let others = (0..self.rank()).filter(|axis| !axes.contains(axis));
        others.chain(axes.iter().copied()).map(|axis| self.dim(axis)).collect()
    }

    /// Each group as one channel of InstanceNormalization; factors and offsets are each channel's behind it.
    pub(super) fn group_norm(&mut self, norm: &GroupNormalization) -> Result<()> {
        let axis = norm.channel_axis(self.input())?;
        let channels = self.input()[axis - 1];
        let groups = norm.num_groups(channels)?;
        let (scale, offset) = (self.optional_weight("weight"), self.optional_weight("bias"));
        let order = self.to_second(axis);
        self.transpose(&order);
        let sizes = sizes_in(self.input(), &order);
        self.reshape("groups", &[groups as i64, -1]);
        let (ones, zeros) = (self.filled("ones", &[groups], 1.0), self.filled("zeros", &[groups], 0.0));
        self.apply("InstanceNormalization", &[&ones, &zeros], vec![float("epsilon", norm.epsilon)]);
        self.reshape("channels", &sizes);
        let along: Vec<i64> = std::iter::once(-1).chain(sizes[1..].iter().map(|_| 1)).collect();
        for (op, weight) in [("Mul", scale), ("Add", offset)] {
            if let Some(weight) = weight {
                let weight = self.reshaped(&weight, &along);
                self.apply(op, &[&weight], vec![]);
            }
        }
        self.transpose(&order);
        Ok(())
    }

    pub(super) fn unit_norm(&mut self, norm: &UnitNormalization) -> Result<()> {
        let dims: Vec<i64> = norm.axes(self.rank())?.into_iter().map(|axis| self.dim(axis)).collect();
        let (x, dims, smallest) = (self.value.clone(), self.integers("axes", &dims), self.scalar(SMALLEST_SQUARE));
        let squares = self.made("Mul", &[&x, &x], vec![]);
        let sum = self.made("ReduceSum", &[&squares, &dims], vec![int("keepdims", 1)]);
        let held = self.made("Max", &[&sum, &smallest], vec![]);
        let length = self.made("Sqrt", &[&held], vec![]);
        self.apply("Div", &[&length], vec![]);
        Ok(())
    }

    /// A factor a channel.
    pub(super) fn layer_scale(&mut self) {
        let factors = self.weight("weight");
        let factors = self.per_channel(&factors);
        self.apply("Mul", &[&factors], vec![]);
    }

    pub(super) fn prelu(&mut self) {
        let alpha = self.weight("weight");
        let alpha = match self.rank() {
            4 => self.made("Transpose", &[&alpha], vec![ints("perm", &[2, 0, 1])]),
            _ => alpha,
        };
        self.apply("PRelu", &[&alpha], vec![]);
    }

    pub(super) fn rescaling(&mut self, rescaling: &Rescaling) {
        let (scale, offset) = (self.numbers("scale", &rescaling.scale), self.numbers("offset", &rescaling.offset));
        self.apply("Mul", &[&scale], vec![]);
        self.apply("Add", &[&offset], vec![]);
    }

    /// One number, or one a channel.
    fn numbers(&mut self, name: &str, numbers: &Numbers) -> String {
        let values: Vec<f32> = numbers.values().iter().map(|&value| value as f32).collect();
        let count = values.len() as i64;
        match (count, self.rank()) {
            (1, _) => self.floats(name, &[], &values),
            (_, 4) => self.floats(name, &[count, 1, 1], &values),
            _ => self.floats(name, &[count], &values),
        }
    }

    /// `(x - mean) / s` with `s = max(√variance, 1e-7)`; inverted `x · s + mean`.
    pub(super) fn normalization(&mut self, norm: &Normalization) -> Result<()> {
        let (mean, variance) = match (&norm.mean, &norm.variance) {
            (Some(mean), Some(variance)) => (self.numbers("mean", mean), self.numbers("variance", variance)),
            _ => (self.statistic(norm, "mean")?, self.statistic(norm, "variance")?),
        };
        let smallest = self.scalar(SMALLEST_STDDEV);
        let stddev = self.made("Sqrt", &[&variance], vec![]);
        let stddev = self.made("Max", &[&stddev, &smallest], vec![]);
        let then = match norm.invert {
            true => [("Mul", stddev), ("Add", mean)],
            false => [("Sub", mean), ("Div", stddev)],
        };
        for (op, with) in then {
            self.apply(op, &[&with], vec![]);
        }
        Ok(())
    }

    /// The weight `name`, of the sizes of the kept axes, in a shape that goes with the input.
    fn statistic(&mut self, norm: &Normalization, name: &str) -> Result<String> {
        let kept = norm.kept_axes(self.input())?;
        let size = |(axis, &size): (usize, &usize)| if kept.contains(&(axis + 1)) { size as i64 } else { 1 };
        let sizes: Vec<i64> = self.input().iter().enumerate().map(size).collect();
        let weight = self.weight(name);
        let weight = self.reshaped(&weight, &sizes);
        Ok(match self.rank() {
            4 => self.made("Transpose", &[&weight], vec![ints("perm", &[2, 0, 1])]),
            _ => weight,
        })
    }
}

/// The order of axes that takes `order` back.
pub(super) fn inverse(order: &[i64]) -> Vec<i64> {
    let mut back = vec![0; order.len()];
    for (place, &axis) in order.iter().enumerate() {
        back[axis as usize] = place as i64;
    }
    back
}

/// The sizes of a tensor of Keras's `shape` with its axes in `order`, less the batch's, which is first in both.
pub(super) fn sizes_in(shape: &[usize], order: &[i64]) -> Vec<i64> {
    let rank = shape.len() + 1;
    let size = |dim: i64| (1..rank).find(|&axis| dim_of(axis, rank) == dim).map_or(1, |axis| shape[axis - 1] as i64);
    order[1..].iter().map(|&dim| size(dim)).collect()
}
