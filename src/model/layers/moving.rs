//! The moving statistics of all batch normalisations of a network on a GPU: one after the other in one tensor, so that a step moves
//! all of them at once, by four operators, where each layer by itself takes four.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tch::{Kind, Tensor};

/// What moves a layer's statistics.
#[derive(Debug)]
pub struct MovingLayer {
    /// The moving mean and variance, `f32 [C]`.
    pub moving: [Tensor; 2],
    /// How much of them stays in a step.
    pub momentum: f64,
    /// Added to the variance before its root.
    pub epsilon: f64,
}

impl MovingLayer {
    /// Towards a batch's mean and what its values were multiplied by, 1 / √(σ² + ε), `[C]` each, as Keras 3 does: by the biased variance.
    pub fn move_towards(&self, batch_mean: &Tensor, inverse_stddev: &Tensor) {
        let MovingLayer { moving: [mean, variance], momentum, epsilon } = self;
        tch::no_grad(|| {
            let batch_variance = inverse_stddev.pow_tensor_scalar(-2.0) - *epsilon;
            let _ = mean.shallow_clone().lerp_(&batch_mean.to_kind(mean.kind()), 1.0 - momentum);
            let _ = variance.shallow_clone().lerp_(&batch_variance.to_kind(variance.kind()), 1.0 - momentum);
        });
    }
}

/// The layers of a network whose statistics move together.
#[derive(Debug)]
pub struct MovingStatistics(Mutex<State>);

#[derive(Debug)]
struct State {
    layers: Vec<MovingLayer>,
    /// All means, then all variances, `f32 [2S]`: the layers' are views of it.
    all: Tensor,
    /// How far each goes in a step, `f32 [2S]`.
    shares: Tensor,
    /// ε of each variance, `f32 [S]`.
    epsilons: Tensor,
    /// What batches had since they were moved.
    batches: Vec<OfBatch>,
}

/// What a layer saw in a batch.
#[derive(Debug)]
struct OfBatch {
    layer: usize,
    mean: Tensor,
    inverse_stddev: Tensor,
}

impl MovingStatistics {
    /// Takes over the statistics of `layers`: from now on they are views of one tensor. None where there are none.
    pub fn new(mut layers: Vec<MovingLayer>) -> Option<Arc<Self>> {
        let device = layers.first()?.moving[0].device();
        let each = |number: fn(&MovingLayer) -> f64| {
            let repeated = layers.iter().flat_map(|layer| vec![number(layer); layer.moving[0].numel()]);
            Tensor::from_slice(&repeated.collect::<Vec<_>>()).to_kind(Kind::Float).to_device(device) // f32 [S]
        };
        let (share, epsilons) = (each(|layer| 1.0 - layer.momentum), each(|layer| layer.epsilon));
        let moving = [0, 1].map(|which| layers.iter().map(move |layer| layer.moving[which].shallow_clone()));
        let all = tch::no_grad(|| Tensor::cat(&moving.into_iter().flatten().collect::<Vec<_>>(), 0));
        let mut start = 0;
        for which in [0, 1] {
            for layer in &mut layers {
                let count = layer.moving[which].numel() as i64;
                layer.moving[which].set_data(&all.narrow(0, start, count));
                start += count;
            }
        }
        let shares = Tensor::cat(&[&share, &share], 0);
        let state = State { layers, all, shares, epsilons, batches: Vec::new() };
        Some(Arc::new(MovingStatistics(Mutex::new(state))))
    }

    /// Takes note of what layer `layer` saw in a batch: see [`MovingLayer::move_towards`].
    pub fn note(&self, layer: usize, mean: Tensor, inverse_stddev: Tensor) {
        self.state().batches.push(OfBatch { layer, mean, inverse_stddev });
    }

    /// Forgets what was noted.
    pub fn forget(&self) {
        self.state().batches.clear();
    }

    /// Moves the statistics by what was noted, and forgets it.
    pub fn settle(&self) {
        self.state().settle();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn settle(&mut self) {
        let mut batches = std::mem::take(&mut self.batches);
        batches.sort_by_key(|batch| batch.layer); // stable: a layer that is called twice moves twice, in order
        if !batches.iter().map(|batch| batch.layer).eq(0..self.layers.len()) {
            for OfBatch { layer, mean, inverse_stddev } in &batches {
                self.layers[*layer].move_towards(mean, inverse_stddev);
            }
            return;
        }
        tch::no_grad(|| {
            let means = batches.iter().map(|batch| batch.mean.to_kind(Kind::Float));
            let scales = batches.iter().map(|batch| batch.inverse_stddev.to_kind(Kind::Float));
            let of_batch = Tensor::cat(&means.chain(scales).collect::<Vec<_>>(), 0); // f32 [2S]
            let num_means = self.epsilons.size()[0];
            let _ = of_batch.narrow(0, num_means, num_means).pow_(-2.0).g_sub_(&self.epsilons);
            let _ = self.all.lerp_tensor_(&of_batch, &self.shares);
        });
    }
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;

    fn layers() -> Vec<MovingLayer> {
        let layer = |count: i64, momentum: f64, epsilon: f64| {
            let numbers = Tensor::arange(count, (Kind::Float, Device::Cpu)) / 3.0;
            MovingLayer { moving: [numbers.copy(), numbers + 1.0], momentum, epsilon }
        };
        vec![layer(3, 0.99, 1e-3), layer(5, 0.9, 1e-5)]
    }

    #[test]
    fn together_they_move_as_each_by_itself() {
        for called in [&[0, 1][..], &[1, 0], &[0, 1, 0], &[1], &[]] {
            let (apart, together) = (layers(), layers());
            let handles: Vec<[Tensor; 2]> =
                together.iter().map(|layer| layer.moving.each_ref().map(Tensor::shallow_clone)).collect();
            let statistics = MovingStatistics::new(together).unwrap();
            statistics.note(0, Tensor::from(9f32), Tensor::from(9f32));
            statistics.forget();
            for &layer in called {
                let seen = &apart[layer].moving[0];
                let (mean, inverse_stddev) = (seen.cos(), (seen + 0.3).rsqrt());
                apart[layer].move_towards(&mean, &inverse_stddev);
                statistics.note(layer, mean, inverse_stddev);
            }
            statistics.settle();
            statistics.settle(); // nothing is left
            for (apart, together) in apart.iter().zip(&handles) {
                assert!(apart.moving.iter().zip(together).all(|(a, b)| a.equal(b)), "{called:?}");
            }
        }
        assert!(MovingStatistics::new(Vec::new()).is_none());
    }
}
