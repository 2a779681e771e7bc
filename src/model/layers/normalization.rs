//! Normalisation by Keras's formulas.

use std::sync::Arc;

use tch::{Device, Kind, Tensor};

use super::super::spec::LayerPlan;
use super::super::spec::layers::{BatchNormalization, GroupNormalization, LayerNormalization, UnitNormalization};
use crate::distributed;
use crate::error::Result;
use crate::native::{self, BatchNorm, Behind};

use super::moved::Moved;
use super::moving::{MovingLayer, MovingStatistics};
use super::order::{axis_here, from_keras_order, per_channel, to_keras_order, with_axis_second};

/// Keras's floor under the squared length in [`unit`].
const SMALLEST_SQUARE: f64 = 1e-12;

/// Gamma and beta, where there are any.
fn affine(scale: bool, center: bool, own: &mut Vec<Tensor>) -> [Option<Tensor>; 2] {
    [scale, center].map(|there| there.then(|| own.remove(0)))
}

/// Normalises each place along an axis, by default each channel, of `x` (`[B, C]`, `[B, C, H, W]` or Keras's order), by the
/// batch in training (and moves the
/// statistics as Keras 3 does: by the biased variance), by the moving statistics otherwise. What `moved` has behind it is done to what
/// that gives.
pub fn batch(
    spec: &BatchNormalization,
    plan: &LayerPlan,
    input: &[usize],
    mut own: Vec<Tensor>,
    moved: Moved,
) -> impl Fn(&Tensor, bool) -> Tensor + Send + 'static {
    let [scale, center] = affine(spec.scale, spec.center, &mut own);
    let moving = <[Tensor; 2]>::try_from(own).expect("the plan ends with the two moving statistics");
    let Moved { behind, statistics, .. } = moved;
    let layer = BatchNorm { scale, center, moving, momentum: spec.momentum, epsilon: spec.epsilon, behind };
    let axis = axis_here(spec.channel_axis(input).expect("the plan has checked the axis"), input.len() + 1);
    let trainable = plan.layer.is_trained();
    move |x, train| {
        with_axis_second(x, axis, |x| {
            let by_images = train && trainable;
            let is_summed = by_images && distributed::sums_statistics();
            let fused = if is_summed { Ok(None) } else { native::batch_norm(x, &layer, by_images) };
            if by_images && !is_summed {
                distributed::note_moved(&layer.moving);
            }
            fused.unwrap_or_else(|error| native::throw(error)).unwrap_or_else(|| {
                let mut values = match (by_images, is_summed) {
                    (true, true) => by_all_images(x, &layer).unwrap_or_else(|error| native::throw(error)),
                    (true, false) => by_batch(x, &layer, statistics.as_ref()),
                    (false, _) => by_moving_statistics(x, &layer),
                };
                match behind {
                    Behind::Linear => values,
                    Behind::Relu => values.relu_(),
                    Behind::Relu6 => values.relu6_(),
                }
            })
        })
    }
}

fn by_moving_statistics(x: &Tensor, layer: &BatchNorm) -> Tensor {
    let BatchNorm { scale, center, moving: [mean, variance], epsilon, .. } = layer;
    x.native_batch_norm(scale.as_ref(), center.as_ref(), Some(mean), Some(variance), false, 0.0, *epsilon).0
}

/// Its statistics move at once, or with those of the other `statistics`.
fn by_batch(x: &Tensor, layer: &BatchNorm, statistics: Option<&(Arc<MovingStatistics>, usize)>) -> Tensor {
    let BatchNorm { scale, center, moving, momentum, epsilon, .. } = layer;
    let none = None::<&Tensor>;
    let (y, mean, inverse_stddev) =
        x.native_batch_norm(scale.as_ref(), center.as_ref(), none, none, true, 0.0, *epsilon);
    match statistics {
        Some((statistics, number)) => statistics.note(*number, mean, inverse_stddev),
        None => {
            let moving = moving.each_ref().map(Tensor::shallow_clone);
            let layer = MovingLayer { moving, momentum: *momentum, epsilon: *epsilon };
            layer.move_towards(&mean, &inverse_stddev);
        }
    }
    y
}

/// By the mean and the biased variance of a batch that several processes share: two sums over all of them.
fn by_all_images(x: &Tensor, layer: &BatchNorm) -> Result<Tensor> {
    let BatchNorm { scale, center, moving: [mean, variance], momentum, epsilon, .. } = layer;
    let values = x.to_kind(Kind::Float);
    let axes: Vec<i64> = (0..x.dim() as i64).filter(|&axis| axis != 1).collect();
    let sum = |values: &Tensor| values.sum_dim_intlist(&axes[..], false, Kind::Double); // f64 [C]
    let mut shape = vec![1; x.dim()];
    shape[1] = -1;
    let channel = |numbers: &Tensor| numbers.to_kind(Kind::Float).reshape(&shape); // f32 [1, C, 1, …]
    let channels = x.size()[1];
    let count = (x.numel() as i64 / channels) as f64;
    let sums = Tensor::cat(&[sum(&values), Tensor::from(count).reshape([1]).to_device(x.device())], 0);
    let sums = distributed::batch_sum(&sums)?;
    let count = sums.narrow(0, channels, 1).detach(); // f64 [1]
    let batch_mean = sums.narrow(0, 0, channels) / &count;
    let centered = &values - channel(&batch_mean);
    let batch_variance = distributed::batch_sum(&sum(&centered.square()))? / &count;
    tch::no_grad(|| {
        let share = 1.0 - momentum;
        let _ = mean.shallow_clone().lerp_(&batch_mean.detach().to_kind(mean.kind()), share);
        let _ = variance.shallow_clone().lerp_(&batch_variance.detach().to_kind(variance.kind()), share);
    });
    let inverse_deviation = (batch_variance + *epsilon).rsqrt();
    let factor = match scale {
        Some(scale) => inverse_deviation * scale,
        None => inverse_deviation,
    };
    let normalized = centered * channel(&factor);
    let moved = match center {
        Some(center) => normalized + channel(center),
        None => normalized,
    };
    Ok(moved.to_kind(x.kind()))
}

/// Normalises each image over some axes.
pub fn layer(
    spec: &LayerNormalization,
    input: &[usize],
    mut own: Vec<Tensor>,
) -> impl Fn(&Tensor) -> Tensor + Send + 'static {
    let rank = input.len() + 1;
    let axes = spec.axes(rank).expect("the plan has checked the axes");
    let shape: Vec<i64> = axes.iter().map(|&axis| input[axis - 1] as i64).collect();
    // the normalised axes last, in ascending order, as the weights have them
    let first = (0..rank).filter(|axis| !axes.contains(axis));
    let order: Vec<i64> = first.chain(axes.iter().copied()).map(|axis| axis as i64).collect();
    let mut back = vec![0; rank];
    for (here, &axis) in order.iter().enumerate() {
        back[axis as usize] = here as i64;
    }
    let [scale, center] = affine(spec.scale, spec.center, &mut own);
    let epsilon = spec.epsilon;
    move |x| {
        let kind = x.kind();
        let [scale, center] = [&scale, &center].map(|weight| weight.as_ref().map(|weight| weight.to_kind(kind)));
        let y = to_keras_order(x).permute(&order).layer_norm(&shape, scale, center, epsilon, true);
        from_keras_order(&y.permute(&back))
    }
}

/// Normalises groups of neighbouring channels of each image.
pub fn group(
    spec: &GroupNormalization,
    input: &[usize],
    mut own: Vec<Tensor>,
    device: Device,
) -> impl Fn(&Tensor) -> Tensor + Send + 'static {
    let keras_axis = spec.channel_axis(input).expect("the plan has checked the axis");
    let (channels, axis) = (input[keras_axis - 1], axis_here(keras_axis, input.len() + 1));
    let groups = spec.num_groups(channels).expect("the plan has checked the groups") as i64;
    let [scale, center] = affine(spec.scale, spec.center, &mut own);
    // libtorch 2.11's backward fails where only one of the two is there
    let constant = |value: f64| Tensor::full([channels as i64], value, (Kind::Float, device));
    let (scale, center) = (scale.unwrap_or_else(|| constant(1.0)), center.unwrap_or_else(|| constant(0.0)));
    let epsilon = spec.epsilon;
    move |x| {
        let (scale, center) = (scale.to_kind(x.kind()), center.to_kind(x.kind()));
        with_axis_second(x, axis, |x| {
            // libtorch 2.11's backward of this one reads through a null pointer where the channels lie last and the
            // input needs no gradient: as the network's first layer
            let x = if x.requires_grad() { x.shallow_clone() } else { x.contiguous() };
            x.group_norm(groups, Some(&scale), Some(&center), epsilon, true)
        })
    }
}

/// Brings each image's vectors along some axes to length 1.
pub fn unit(spec: &UnitNormalization, input: &[usize]) -> impl Fn(&Tensor) -> Tensor + Send + 'static {
    let rank = input.len() + 1;
    let axes = spec.axes(rank).expect("the plan has checked the axes");
    let axes: Vec<i64> = axes.into_iter().map(|axis| axis_here(axis, rank)).collect();
    move |x| x * x.square().sum_dim_intlist(&axes[..], true, None).clamp_min(SMALLEST_SQUARE).rsqrt()
}

/// A factor for each channel of `x`, any shape.
pub fn channel_scale(mut own: Vec<Tensor>) -> impl Fn(&Tensor) -> Tensor + Send + 'static {
    let factors = own.remove(0);
    move |x| x * per_channel(&factors.to_kind(x.kind()), x)
}

#[cfg(test)]
mod tests;
