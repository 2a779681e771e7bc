//! The order of axes: Keras's `[B, H, W, C]` and the network's `[B, C, H, W]`.

use tch::Tensor;

/// The same values; a 4-D tensor `[a, b, h, w]` lies in memory as `[a, h, w, b]`.
pub fn channels_last(tensor: &Tensor) -> Tensor {
    match tensor.dim() {
        4 => tensor.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]),
        _ => tensor.contiguous(),
    }
}

/// `[B, C, H, W] → [B, H, W, C]`, a view; other shapes as they are.
pub fn to_keras_order(x: &Tensor) -> Tensor {
    if x.dim() == 4 { x.permute([0, 2, 3, 1]) } else { x.shallow_clone() }
}

/// `[B, H, W, C] → [B, C, H, W]`, a view; other shapes as they are.
pub fn from_keras_order(x: &Tensor) -> Tensor {
    if x.dim() == 4 { x.permute([0, 3, 1, 2]) } else { x.shallow_clone() }
}

/// Where an axis of Keras's order (counted with the batch) lies in the network's, of `rank` axes.
pub fn axis_here(keras_axis: usize, rank: usize) -> i64 {
    match (rank, keras_axis) {
        (4, 1) => 2,
        (4, 2) => 3,
        (4, 3) => 1,
        (_, axis) => axis as i64,
    }
}

/// `x` with its axis `axis` (see [`axis_here`]) as axis 1, and how to go back.
pub fn with_axis_second(x: &Tensor, axis: i64, compute: impl FnOnce(&Tensor) -> Tensor) -> Tensor {
    match axis {
        1 => compute(x),
        _ => compute(&x.movedim_int(axis, 1)).movedim_int(1, axis),
    }
}

/// One value a channel, in a shape that goes with `x`.
pub fn per_channel(values: &Tensor, x: &Tensor) -> Tensor {
    match x.dim() {
        4 if values.numel() > 1 => values.reshape([1, -1, 1, 1]),
        _ => values.shallow_clone(),
    }
}
