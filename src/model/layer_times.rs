//! Where a network's time goes, layer by layer.

use serde::Serialize;
use tch::Tensor;

use super::Model;
use super::layers::CallTime;
use crate::error::Result;
use crate::native;

/// The first runs of a network are slower: memory is fetched and plans are made.
const WARM_UP_RUNS: usize = 1;
/// Of so many the fastest counts: what else the machine does only adds time.
const RUNS: usize = 5;

/// How long a layer takes for one batch in training, over all its calls.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerTime {
    /// Its path: `conv2d`, or `<network>.<layer>` in a nested network.
    pub layer: String,
    /// Keras's name of its class.
    pub class_name: String,
    /// In seconds.
    pub forward_seconds: f64,
    /// In seconds: the gradients of its inputs and weights.
    pub backward_seconds: f64,
}

impl Model {
    /// How long each layer takes for the batch `images`, `u8 [B, H, W, C]`, in training, by itself: one layer after the other,
    /// none of them fused with another. The model stays as it is; random numbers are drawn. Waits for the device.
    ///
    /// # Errors
    /// A model error where the network cannot be built, a device error where libtorch fails.
    pub fn layer_times(&self, images: &Tensor) -> Result<Vec<LayerTime>> {
        native::guarded(|| self.time_layers(images))
    }

    fn time_layers(&self, images: &Tensor) -> Result<Vec<LayerTime>> {
        let model = self.unfused()?;
        let inputs = model.inputs(images);
        let runs = (0..WARM_UP_RUNS + RUNS).map(|_| model.network.time_calls(&inputs)).skip(WARM_UP_RUNS);
        let fastest = |best: Vec<CallTime>, run: Vec<CallTime>| {
            let pairs = best.iter().zip(run);
            pairs
                .map(|(a, b)| CallTime { forward: a.forward.min(b.forward), backward: a.backward.min(b.backward) })
                .collect()
        };
        let times = runs.reduce(fastest).unwrap_or_default();
        let leaves = model.plan.flat_layers();
        let mut layers: Vec<(usize, LayerTime)> = Vec::new();
        for (call, time) in model.plan.calls.iter().zip(times) {
            let seconds = [time.forward.as_secs_f64(), time.backward.as_secs_f64()];
            match layers.iter_mut().find(|(leaf, _)| *leaf == call.leaf) {
                Some((_, known)) => {
                    known.forward_seconds += seconds[0];
                    known.backward_seconds += seconds[1];
                }
                None => {
                    let (path, plan) = &leaves[call.leaf];
                    let (layer, class_name) = (path.clone(), plan.layer.spec.class_name().to_owned());
                    let [forward_seconds, backward_seconds] = seconds;
                    layers.push((call.leaf, LayerTime { layer, class_name, forward_seconds, backward_seconds }));
                }
            }
        }
        Ok(layers.into_iter().map(|(_, time)| time).collect())
    }
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind};

    use super::*;
    use crate::data::ImageShape;
    use crate::model::presets::preset;

    #[test]
    fn every_layer_of_chains_and_graphs_has_a_time() {
        for (name, shape) in [("keras-cnn", [28, 28, 1]), ("resnet9", [32, 32, 3])] {
            let mut spec = preset(name).unwrap();
            let [height, width, channels] = shape.map(|size| size as usize);
            spec.adapt(ImageShape { height, width, channels }, 10);
            let model = Model::new(spec, 1.0 / 255.0, Device::Cpu, 0).unwrap();
            let before: Vec<Tensor> = model.weights().iter().map(|weight| weight.tensor.detach().copy()).collect();
            let images = Tensor::zeros([2, shape[0], shape[1], shape[2]], (Kind::Uint8, Device::Cpu));
            let times = model.layer_times(&images).unwrap();
            let convolution = times.iter().find(|time| time.class_name == "Conv2D").unwrap();
            assert!(convolution.forward_seconds > 0.0 && convolution.backward_seconds > 0.0, "{convolution:?}");
            let dense = times.iter().rfind(|time| time.class_name == "Dense").unwrap();
            assert!(dense.forward_seconds > 0.0, "{dense:?}");
            for (weight, before) in model.weights().iter().zip(before) {
                assert!(weight.tensor.equal(&before) && !weight.tensor.grad().defined(), "{}", weight.name);
            }
        }
    }
}
