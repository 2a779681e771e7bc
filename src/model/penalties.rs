//! What Keras adds to the loss for weights, and what it holds weights to after a step.

use tch::{Kind, Tensor};

use super::layers::Weight;
use super::spec::{Constraint, OrthogonalMode, Regularizer, WeightOrder};

/// Keras's `backend.epsilon()`, added to norms that are divided by.
const EPSILON: f64 = 1e-7;
/// The floor under a squared length in Keras's `ops.normalize`.
const SMALLEST_SQUARE: f64 = 1e-12;

/// The sum of the trainable weights' regularisation losses; `None` where no weight has one.
pub fn regularization_loss(weights: &[Weight]) -> Option<Tensor> {
    let held = weights.iter().filter(|weight| weight.trainable);
    let losses = held.filter_map(|weight| weight.info.regularizer.map(|regularizer| loss(weight, regularizer)));
    losses.reduce(|sum, loss| sum + loss)
}

fn loss(weight: &Weight, regularizer: Regularizer) -> Tensor {
    let w = &weight.tensor;
    let absolute = || w.abs().sum(Kind::Float);
    let squared = || w.square().sum(Kind::Float);
    match regularizer {
        Regularizer::L1 { l1 } => absolute() * l1,
        Regularizer::L2 { l2 } => squared() * l2,
        Regularizer::L1L2 { l1, l2 } => absolute() * l1 + squared() * l2,
        Regularizer::Orthogonal { factor, mode } => orthogonal(&in_keras_order(weight), factor, mode),
    }
}

/// `matrix [in, out]`: the mean of |cos| between different rows, or columns, times `factor`.
fn orthogonal(matrix: &Tensor, factor: f64, mode: OrthogonalMode) -> Tensor {
    let vectors = if mode == OrthogonalMode::Rows { matrix.shallow_clone() } else { matrix.transpose(0, 1) };
    let square = vectors.square().sum_dim_intlist(1, true, Kind::Float);
    let vectors = &vectors * square.clamp_min(SMALLEST_SQUARE).rsqrt();
    let count = vectors.size()[0];
    let products = vectors.matmul(&vectors.transpose(0, 1));
    let others: Tensor = 1.0 - Tensor::eye(count, (Kind::Float, matrix.device()));
    let num_pairs = (count * (count - 1)) as f64 / 2.0;
    (products * &others).abs().sum(Kind::Float) * (factor * 0.5 / num_pairs)
}

/// Applies the constraints of the trainable weights.
pub fn apply_constraints(weights: &[Weight]) {
    tch::no_grad(|| {
        for weight in weights.iter().filter(|weight| weight.trainable) {
            if let Some(constraint) = &weight.info.constraint {
                let held = in_keras_order(weight);
                held.shallow_clone().copy_(&constrained(&held, constraint));
            }
        }
    });
}

/// `w` in Keras's order, as `constraint` wants it.
fn constrained(w: &Tensor, constraint: &Constraint) -> Tensor {
    let norms = || {
        let axes = constraint.axis().map_or(Ok(vec![]), |axis| axis.resolve(w.dim()));
        let axes = axes.expect("the plan has checked the axes").into_iter().map(|axis| axis as i64);
        w.square().sum_dim_intlist(&axes.collect::<Vec<i64>>()[..], true, Kind::Float).sqrt()
    };
    match *constraint {
        Constraint::NonNeg => w.clamp_min(0.0),
        Constraint::UnitNorm { .. } => w / (norms() + EPSILON),
        Constraint::MaxNorm { max_value, .. } => {
            let norms = norms();
            w * (norms.clamp(0.0, max_value) / (norms + EPSILON))
        }
        Constraint::MinMaxNorm { min_value, max_value, rate, .. } => {
            let norms = norms();
            let desired = norms.clamp(min_value, max_value) * rate + &norms * (1.0 - rate);
            w * (desired / (norms + EPSILON))
        }
    }
}

/// The weight's own values, seen in Keras's shape.
fn in_keras_order(weight: &Weight) -> Tensor {
    let w = &weight.tensor;
    match (weight.info.order, &weight.info.keras_shape[..]) {
        (WeightOrder::Same, _) => w.shallow_clone(),
        (WeightOrder::Dense, _) => w.transpose(0, 1),
        (WeightOrder::Convolution, _) => w.permute([2, 3, 1, 0]),
        (WeightOrder::Depthwise, &[_, _, channels, multiplier]) => {
            // [C·M, 1, kh, kw] → [C, M, kh, kw] → [kh, kw, C, M]
            w.squeeze_dim(1).unflatten(0, [channels as i64, multiplier as i64]).permute([2, 3, 0, 1])
        }
        (WeightOrder::Depthwise, _) => unreachable!("a depthwise kernel has four axes"),
    }
}
