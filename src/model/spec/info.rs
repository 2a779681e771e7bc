//! What a network's plan says of each weight, and how a weight's values lie in Keras's files and here.

use super::{Constraint, Initializer, Regularizer};

/// How a weight's axes lie in Keras and here. A closed set: values cross by one permutation each, never by a flip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightOrder {
    /// The same shape in both: vectors, and everything that PyTorch has no layer for.
    Same,
    /// A matrix: `[in, out]` in Keras, `[out, in]` here.
    Dense,
    /// Keras `[kh, kw, in, out]`, here `[out, in, kh, kw]`. A transposed convolution's kernel is `[kh, kw, out, in]` there
    /// and `[in, out, kh, kw]` here: the same permutation.
    Convolution,
    /// A depthwise kernel: Keras `[kh, kw, C, M]`, here `[C·M, 1, kh, kw]`, channel c's m-th output at c·M + m.
    Depthwise,
}

impl WeightOrder {
    /// For each axis here (a depthwise kernel's first two not yet merged), the axis of Keras that it is.
    fn axes(self, num_axes: usize) -> Vec<usize> {
        match self {
            WeightOrder::Same => (0..num_axes).collect(),
            WeightOrder::Dense => vec![1, 0],
            WeightOrder::Convolution => vec![3, 2, 0, 1],
            WeightOrder::Depthwise => vec![2, 3, 0, 1],
        }
    }

    /// The shape here of a weight with `keras_shape`.
    fn shape(self, keras_shape: &[usize]) -> Vec<usize> {
        match (self, keras_shape) {
            (WeightOrder::Depthwise, &[height, width, channels, multiplier]) => {
                vec![channels.saturating_mul(multiplier), 1, height, width]
            }
            _ => self.axes(keras_shape.len()).into_iter().map(|axis| keras_shape[axis]).collect(),
        }
    }
}

/// A weight as its layer needs it.
#[derive(Debug, Clone, PartialEq)]
pub struct WeightInfo {
    /// Its name below the layer's, as PyTorch has it: `weight`, `bias`, `running_mean` …
    pub name: &'static str,
    /// Its name in Keras: `kernel`, `bias`, `gamma`, `moving_mean` …
    pub keras_name: &'static str,
    /// Its shape here, as PyTorch has it: convolution `[out, in/groups, kh, kw]`, dense `[out, in]`.
    pub shape: Vec<usize>,
    /// Its shape in Keras, from which the initialiser's fans come.
    pub keras_shape: Vec<usize>,
    /// How the two shapes belong together.
    pub order: WeightOrder,
    /// How it begins.
    pub initializer: Initializer,
    /// Whether gradients change it (moving statistics are changed otherwise).
    pub trainable: bool,
    /// A loss on its values.
    pub regularizer: Option<Regularizer>,
    /// What it is held to after each step.
    pub constraint: Option<Constraint>,
}

impl WeightInfo {
    /// A trainable weight of `keras_shape`, called `names` here and in Keras.
    pub(super) fn new(
        [name, keras_name]: [&'static str; 2],
        keras_shape: Vec<usize>,
        order: WeightOrder,
        initializer: Initializer,
    ) -> Self {
        let shape = order.shape(&keras_shape);
        WeightInfo {
            name,
            keras_name,
            shape,
            keras_shape,
            order,
            initializer,
            trainable: true,
            regularizer: None,
            constraint: None,
        }
    }

    /// The same weight with a loss on it and what it is held to.
    #[must_use]
    pub(super) fn held(self, regularizer: Option<Regularizer>, constraint: &Option<Constraint>) -> Self {
        WeightInfo { regularizer, constraint: constraint.clone(), ..self }
    }

    /// Whether values are multiplied by it and summed: a convolution's or a fully connected layer's.
    pub fn is_kernel(&self) -> bool {
        self.name.ends_with("weight") && self.keras_name.ends_with("kernel")
    }

    /// How many numbers it has.
    pub fn num_elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether `name` is what a Keras file calls it: Keras 3 calls DepthwiseConv2D's kernel just that, Keras 2 depthwise.
    pub fn is_called_in_keras(&self, name: &str) -> bool {
        self.keras_name == name || self.keras_name == "depthwise_kernel" && self.name == "weight" && name == "kernel"
    }

    /// Whether Keras keeps it as an i64 rather than as f32: only the `count` of Normalization.
    pub fn is_integer_in_keras(&self) -> bool {
        self.keras_name == "count"
    }

    /// Row-major values of `keras_shape` as row-major values of `shape`. There must be [`WeightInfo::num_elements`].
    pub fn to_torch(&self, keras: &[f32]) -> Vec<f32> {
        self.sources().map(|source| keras[source]).collect()
    }

    /// Row-major values of `shape` as row-major values of `keras_shape`. There must be [`WeightInfo::num_elements`].
    pub fn to_keras(&self, torch: &[f32]) -> Vec<f32> {
        let mut keras = vec![0.0; torch.len()];
        for (value, target) in torch.iter().zip(self.sources()) {
            keras[target] = *value;
        }
        keras
    }

    /// For each value here, in row-major order, its index in Keras's row-major order.
    fn sources(&self) -> impl Iterator<Item = usize> {
        let axes = self.order.axes(self.keras_shape.len());
        let stride = |axis: usize| self.keras_shape[axis + 1..].iter().product::<usize>();
        // (size, stride in Keras's order) of every axis here, the innermost first
        let walk: Vec<(usize, usize)> =
            axes.into_iter().rev().map(|axis| (self.keras_shape[axis], stride(axis))).collect();
        (0..self.num_elements()).map(move |index| {
            let step = |(rest, source): (usize, usize), &(size, stride): &(usize, usize)| {
                (rest / size, source + rest % size * stride)
            };
            walk.iter().fold((index, 0), step).1
        })
    }
}

#[cfg(test)]
mod tests;
