//! How long each call of a network takes, forward and backward.

use std::time::{Duration, Instant};

use tch::{Cuda, Device, Kind, Tensor};

use super::{Calls, Network};

/// How long one call takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CallTime {
    /// In training, from its inputs to its output.
    pub forward: Duration,
    /// From its output's gradient to those of its inputs and weights.
    pub backward: Duration,
}

impl Network {
    /// Runs each call of the network for itself in training, on what those before gave for `inputs`. The network has to be built
    /// with [`super::Fusing::Forbidden`], so that each call computes its own layer; its weights get gradients. Waits for the device.
    pub fn time_calls(&self, inputs: &Tensor) -> Vec<CallTime> {
        let mut values: Vec<Option<Tensor>> = Vec::new();
        let num_calls = match &self.calls {
            Calls::Chain(chain) => chain.len(),
            Calls::Graph(runner) => runner.len(),
        };
        let call = |index: usize, values: &[Option<Tensor>]| match &self.calls {
            Calls::Chain(chain) => {
                let before = index.checked_sub(1).and_then(|before| values[before].as_ref()).unwrap_or(inputs);
                chain.run(index..index + 1, before, true, |_, _| {})
            }
            Calls::Graph(runner) => runner.run_one(index, inputs, values, true),
        };
        let mut times = Vec::new();
        for index in 0..num_calls {
            let (output, forward) = timed(inputs.device(), || call(index, &values));
            let loss = (output.requires_grad() && output.is_floating_point()).then(|| output.sum(Kind::Float));
            let ((), backward) = timed(inputs.device(), || loss.iter().for_each(Tensor::backward));
            times.push(CallTime { forward, backward });
            // a value of its own: the next call's gradient ends here
            let value = output.detach().copy();
            values.push(Some(if value.is_floating_point() { value.set_requires_grad(true) } else { value }));
        }
        times
    }
}

/// What `work` gives, and how long it takes until the device has done it.
fn timed<T>(device: Device, work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let value = work();
    if let Device::Cuda(index) = device {
        Cuda::synchronize(index as i64); // waits for the device
    }
    (value, start.elapsed())
}
