//! Layers that join several inputs.

use super::super::windows::{FROM_KERAS, TO_KERAS};
use super::graph::{GraphBuilder, ints};

/// What makes one tensor of several of the same shape, or with sizes of 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Join {
    Add,
    Subtract,
    Multiply,
    Average,
    Maximum,
    Minimum,
    /// The first plus the second times a number.
    AddScaled(f64),
}

impl Join {
    /// The operator that makes one of two.
    fn operator(self) -> &'static str {
        match self {
            Join::Add | Join::Average | Join::AddScaled(_) => "Add",
            Join::Subtract => "Sub",
            Join::Multiply => "Mul",
            Join::Maximum => "Max",
            Join::Minimum => "Min",
        }
    }
}

/// What `join` makes of `inputs`, of Keras's `shapes`, in the layer at `path`.
pub(super) fn join(
    graph: &mut GraphBuilder,
    path: &str,
    join: Join,
    inputs: &[String],
    shapes: &[Vec<usize>],
) -> String {
    let rank = shapes.iter().map(Vec::len).max().unwrap_or(0) + 1;
    let lifted = inputs.iter().zip(shapes).map(|(input, shape)| lift(graph, path, input, shape.len() + 1, rank));
    let mut inputs: Vec<String> = lifted.collect();
    if let (Join::AddScaled(scale), Some(second)) = (join, inputs.get_mut(1)) {
        let scale = graph.scalar(path, scale);
        *second = graph.node(path, "Mul", &[second, &scale], vec![]);
    }
    let count = inputs.len();
    let mut inputs = inputs.into_iter();
    let first = inputs.next().unwrap_or_default();
    let joined = inputs.fold(first, |joined, input| graph.node(path, join.operator(), &[&joined, &input], vec![]));
    match join {
        Join::Average if count > 1 => {
            let count = graph.scalar(path, count as f64);
            graph.node(path, "Div", &[&joined, &count], vec![])
        }
        _ => joined,
    }
}

/// A value with `from` axes, with axes of size 1 behind the batch's of Keras's order up to `to`.
fn lift(graph: &mut GraphBuilder, path: &str, value: &str, from: usize, to: usize) -> String {
    if from == to {
        return value.to_owned();
    }
    let mut value = value.to_owned();
    if from == 4 {
        value = graph.node(path, "Transpose", &[&value], vec![ints("perm", &TO_KERAS)]);
    }
    let new: Vec<i64> = (0..to - from).map(|axis| axis as i64 + 1).collect();
    let new = graph.integers(&format!("{path}/axes"), &new);
    value = graph.node(path, "Unsqueeze", &[&value, &new], vec![]);
    if to == 4 {
        value = graph.node(path, "Transpose", &[&value], vec![ints("perm", &FROM_KERAS)]);
    }
    value
}
