//! From a specification to libtorch: the only place where Keras's meanings become torch's.
//!
//! Inside the network an image is `[B, C, H, W]` with the channels last in memory: a permuted view of Keras's
//! `[B, H, W, C]`, so that going from one to the other costs nothing. Every other shape is Keras's.

mod activation;
mod augmentation;
mod chain;
mod convolution;
mod copies;
mod dropout;
mod fusion;
mod merge;
mod moved;
mod moving;
mod normalization;
mod operation;
mod order;
mod padding;
mod pooling;
mod preprocessing;
mod reshaping;
mod runner;
mod timing;

use std::sync::Arc;

use tch::nn::{self, ModuleT, SequentialT};
use tch::{Device, Kind, Tensor};

use super::initialize::initial_values;
use super::spec::{Activation, Form, LayerPlan, LayerSpec, Output, Plan, WeightInfo};
use crate::distributed;
use crate::rng::{Stream, generator};
pub(crate) use activation::activate;
use activation::activate_in_place;
use chain::Chain;
use copies::Copies;
use fusion::Fusion;
use moved::Moved;
use moving::{MovingLayer, MovingStatistics};
use operation::{Operation, operation};
pub(crate) use order::axis_here;
pub use order::channels_last;
pub(super) use order::to_keras_order;
pub(crate) use reshaping::resize;
use runner::Runner;
pub use timing::CallTime;

/// A network that libtorch can run, and its weights in order.
pub struct Network {
    /// Call after call, up to the logits where the loss takes them: see [`Output`].
    calls: Calls,
    /// The path of each call's layer.
    paths: Vec<String>,
    /// The call whose layer is to blame for a call's values: see [`Fusion::makers`].
    makers: Vec<usize>,
    /// The call that gives an image's features: the same in every epoch of a training. See [`Plan::last_fixed_call`].
    features_call: Option<usize>,
    /// The outputs' softmax or sigmoid and what is behind it, where that is something in training only.
    training_end: Option<SequentialT>,
    /// The statistics of batch normalisations that move together, at the end of a forward pass in training.
    statistics: Option<Arc<MovingStatistics>>,
    /// Which of the weights layers copy into the kind that a pass computes in, each of them once.
    copied: Vec<usize>,
    /// Every weight, by its name in files.
    pub weights: Vec<Weight>,
}

/// How a network's calls follow one another.
enum Calls {
    /// Each takes what the one before gives.
    Chain(Chain),
    Graph(Runner),
}

/// A weight of a built network.
pub struct Weight {
    /// `<layer>.<weight>`, as in safetensors files; inside a nested network `<network>.<layer>.<weight>`.
    pub name: String,
    /// f32, in PyTorch's shape; convolution kernels lie channels-last in memory.
    pub tensor: Tensor,
    /// Whether gradients change it.
    pub trainable: bool,
    /// What the plan says of it.
    pub info: WeightInfo,
}

impl Weight {
    /// The path of its layer.
    pub fn layer(&self) -> &str {
        self.name.rsplit_once('.').map_or(&self.name, |(layer, _)| layer)
    }
}

/// Whether layers may be computed elsewhere than they stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fusing {
    /// Where it saves passes over memory: see [`Fusion::new`].
    Allowed,
    /// Each call gives its layer's values, which stay as they are: see [`Network::watch`].
    Forbidden,
}

/// Builds the network with this `plan` and `output`, where it is a classifier, below `path`, with initial weights from
/// `seed`.
///
/// What is computed elsewhere than its layer stands leaves every value as it is: see [`Fusion`]; softmax or sigmoid of logits
/// that the loss takes are left to [`super::Outputs`].
pub fn build(plan: &Plan, output: Option<Output>, path: &nn::Path, seed: u64, fusing: Fusing) -> Network {
    let leaves = plan.flat_layers();
    let activated_by = output.and_then(|output| output.activated_by);
    let weights = create_weights(&leaves, path, seed);
    let own = |index: usize| weights_of(&weights, plan.calls[index].leaf);
    let features_call = plan.last_fixed_call(activated_by);
    let fusion = match fusing {
        Fusing::Allowed => Fusion::new(plan, &leaves, features_call),
        Fusing::Forbidden => Fusion::none(plan, &leaves),
    };
    let activations = &fusion.activations;
    let moving = moving_statistics(plan, &leaves, &weights, path.device());
    let call_operation = |index: usize| {
        let call = &plan.calls[index];
        let moved = Moved { statistics: moving.of(call.leaf), ..fusion.moved(plan, &leaves, index, own) };
        let mut own = own(index);
        if moved.bias_is_added_behind {
            own.truncate(1); // the kernel
        }
        operation(leaves[call.leaf].1, call, own, moved, path.device())
    };
    let is_left_out = output.is_some_and(|output| output.kind.evaluated == Form::Activated);
    // behind the logits nothing changes a value outside training
    let num_calls = activated_by.filter(|_| is_left_out).map_or(plan.calls.len(), |last| last + 1);
    let calls = (0..num_calls).map(|index| {
        let activation = match activated_by == Some(index) {
            true if is_left_out => None,
            // probabilities, and the means of them, are f32
            true => Some(activated(activations[index].clone(), Some(Kind::Float))),
            false if activations[index] == Activation::Linear => None,
            false if fusion.in_place[index] => Some(activated_in_place(activations[index].clone())),
            false => Some(activated(activations[index].clone(), None)),
        };
        (plan.calls[index].inputs.clone(), call_operation(index).into_iter().chain(activation).collect())
    });
    let calls = match plan.is_chain() {
        true => {
            let dense_input = plan.last_dense().map(|(_, input)| input);
            let is_end = |call| fusing == Fusing::Forbidden || [features_call, dense_input].contains(&Some(call));
            Calls::Chain(Chain::new(calls.map(|(_, operations)| one_module(operations)), is_end))
        }
        false => Calls::Graph(Runner::new(calls.collect())),
    };
    let training_end = output.filter(|output| output.kind.trained != output.kind.evaluated).and(activated_by);
    let training_end = training_end.map(|first| {
        let behind = (first + 1..plan.calls.len()).filter_map(call_operation);
        let all = std::iter::once(activated(activations[first].clone(), None)).chain(behind);
        nn::seq_t().add(one_module(all.collect()))
    });
    let makers = fusion.makers();
    let paths = plan.calls[..num_calls].iter().map(|call| leaves[call.leaf].0.clone()).collect();
    Network {
        calls,
        paths,
        makers,
        features_call,
        training_end,
        statistics: moving.statistics,
        copied: copied_weights(plan, &leaves, &weights),
        weights: weights.into_iter().map(|(_, weight)| weight).collect(),
    }
}

impl Network {
    /// What the network gives for `inputs`, in its own order of axes; logits where the outputs are
    /// [`Form::Activated`] in training (`train`) or outside it.
    pub fn values(&self, inputs: &Tensor, train: bool) -> Tensor {
        let values = self.pass(inputs.kind(), || match &self.calls {
            Calls::Chain(chain) => chain.run(0..chain.len(), inputs, train, |_, _| {}),
            Calls::Graph(runner) => runner.run(inputs, train, |_, _| {}),
        });
        self.ended(&values, train)
    }

    /// As [`Network::values`] outside training; `see` sees what calls give up to the values, with their numbers, in the network's
    /// order of axes: every call's where nothing is fused ([`Fusing::Forbidden`]), else at least what the last Dense layer takes. Only
    /// that is sure to be a layer's own then, as activations and biases may be still to come to others.
    pub fn watch(&self, inputs: &Tensor, see: impl FnMut(usize, &Tensor)) -> Tensor {
        let values = match &self.calls {
            Calls::Chain(chain) => chain.run(0..chain.len(), inputs, false, see),
            Calls::Graph(runner) => runner.run(inputs, false, see),
        };
        self.ended(&values, false)
    }

    /// The number of calls that give the features.
    fn num_features(&self) -> usize {
        self.features_call.map_or(0, |call| call + 1)
    }

    /// The path of the layer that gives an image's features, and the number of its call; none where no layer does.
    pub fn features_layer(&self) -> Option<(&str, usize)> {
        self.features_call.map(|call| (self.paths[call].as_str(), call))
    }

    /// An image's features for `inputs`, in the network's order of axes.
    pub fn features(&self, inputs: &Tensor) -> Tensor {
        match &self.calls {
            Calls::Chain(chain) => chain.run(0..self.num_features(), inputs, false, |_, _| {}),
            Calls::Graph(runner) => runner.run_up_to(self.features_call.unwrap_or(0), inputs),
        }
    }

    /// As [`Network::values`], of the images' features.
    pub fn values_of_features(&self, features: &Tensor, train: bool) -> Tensor {
        let values = self.pass(features.kind(), || match &self.calls {
            Calls::Chain(chain) => chain.run(self.num_features()..chain.len(), features, train, |_, _| {}),
            Calls::Graph(runner) => runner.run_from(self.features_call.unwrap_or(0), features, train),
        });
        self.ended(&values, train)
    }

    /// What `run` gives, a forward pass in `kind`: copies of weights are made before it, and statistics are moved behind it, where that
    /// is done for several layers at once.
    fn pass<T>(&self, kind: Kind, run: impl FnOnce() -> T) -> T {
        let is_on_gpu = self.weights.first().is_some_and(|weight| weight.tensor.device() != Device::Cpu);
        // several processes sum each gradient as soon as it is there: then each comes by itself
        let copies_at_once = kind == Kind::BFloat16 && is_on_gpu && !distributed::shares_batch();
        let copied = self.copied.iter().map(|&weight| &self.weights[weight].tensor);
        let _copies = copies_at_once.then(|| Copies::in_bf16(&copied.collect::<Vec<_>>()));
        let Some(statistics) = &self.statistics else { return run() };
        statistics.forget(); // of a pass that failed
        let values = run();
        statistics.settle();
        values
    }

    /// What the last call gives as the network's values.
    fn ended(&self, values: &Tensor, train: bool) -> Tensor {
        let values = to_keras_order(values).to_kind(Kind::Float);
        match &self.training_end {
            Some(end) if train => end.forward_t(&values, train),
            _ => values,
        }
    }

    /// The path of the first layer, as the network is in training, of whose output `is_found` holds.
    pub fn first_layer(&self, inputs: &Tensor, is_found: impl Fn(&Tensor) -> bool) -> Option<&str> {
        let mut found = None;
        let see = |index, value: &Tensor| {
            if found.is_none() && is_found(value) {
                found = Some(index);
            }
        };
        self.pass(inputs.kind(), || match &self.calls {
            Calls::Chain(chain) => chain.run_seeing_all(inputs, true, see),
            Calls::Graph(runner) => drop(runner.run(inputs, true, see)),
        });
        found.map(|index| self.paths[self.makers[index]].as_str())
    }
}

/// The statistics that move together, and which layers they are of.
struct Moving {
    statistics: Option<Arc<MovingStatistics>>,
    leaves: Vec<usize>,
}

impl Moving {
    /// What moves those of layer `leaf`, and its number there; none where it moves them itself.
    fn of(&self, leaf: usize) -> Option<(Arc<MovingStatistics>, usize)> {
        self.statistics.clone().zip(self.leaves.iter().position(|&moving| moving == leaf))
    }
}

/// The statistics that batch normalisations move in training, on a GPU. Not of those that also normalise by them in training: they are
/// to be there at once.
fn moving_statistics(
    plan: &Plan,
    leaves: &[(String, &LayerPlan)],
    weights: &[(usize, Weight)],
    device: Device,
) -> Moving {
    let (mut layers, mut moving_leaves) = (Vec::new(), Vec::new());
    for (index, (_, leaf)) in leaves.iter().enumerate() {
        let LayerSpec::BatchNormalization(spec) = &leaf.layer.spec else { continue };
        let is_read = plan.calls.iter().any(|call| call.leaf == index && call.in_inference);
        if device == Device::Cpu || !leaf.layer.is_trained() || is_read {
            continue;
        }
        let own = weights.iter().filter(|(leaf, _)| *leaf == index).map(|(_, weight)| weight.tensor.shallow_clone());
        let [.., mean, variance] = &own.collect::<Vec<_>>()[..] else { continue };
        let moving = [mean, variance].map(Tensor::shallow_clone);
        layers.push(MovingLayer { moving, momentum: spec.momentum, epsilon: spec.epsilon });
        moving_leaves.push(index);
    }
    Moving { statistics: MovingStatistics::new(layers), leaves: moving_leaves }
}

/// The trained weights that layers copy into the kind that a pass computes in, of layers that are called once.
fn copied_weights(plan: &Plan, leaves: &[(String, &LayerPlan)], weights: &[(usize, Weight)]) -> Vec<usize> {
    let is_copied = |leaf: usize| {
        let copies = matches!(
            leaves[leaf].1.layer.spec,
            LayerSpec::Conv2D(_)
                | LayerSpec::DepthwiseConv2D(_)
                | LayerSpec::SeparableConv2D(_)
                | LayerSpec::Conv2DTranspose(_)
                | LayerSpec::Dense(_)
        );
        copies && plan.calls.iter().filter(|call| call.leaf == leaf).count() == 1
    };
    let all = weights.iter().enumerate();
    all.filter(|(_, (leaf, weight))| weight.trainable && is_copied(*leaf)).map(|(index, _)| index).collect()
}

/// `operations` one after the other, the first of which takes one input.
fn one_module(operations: Vec<Operation>) -> impl ModuleT + 'static {
    nn::func_t(move |input, train| {
        let mut operations = operations.iter();
        let first = operations.next().map_or_else(|| input.shallow_clone(), |first| first(&[input], train));
        operations.fold(first, |value, next| next(&[&value], train))
    })
}

/// The activation alone, of values of another `kind` where one is given.
fn activated(activation: Activation, kind: Option<Kind>) -> Operation {
    match kind {
        Some(kind) => Box::new(move |inputs, _| activate(&inputs[0].to_kind(kind), &activation)),
        None => Box::new(move |inputs, _| activate(inputs[0], &activation)),
    }
}

/// The activation alone, of values that nobody else reads.
fn activated_in_place(activation: Activation) -> Operation {
    Box::new(move |inputs, _| activate_in_place(inputs[0], &activation))
}

/// The tensors of layer `leaf`.
fn weights_of(weights: &[(usize, Weight)], leaf: usize) -> Vec<Tensor> {
    weights.iter().filter(|(of, _)| *of == leaf).map(|(_, weight)| weight.tensor.shallow_clone()).collect()
}

/// Every weight with the index of its layer.
fn create_weights(layers: &[(String, &LayerPlan)], path: &nn::Path, seed: u64) -> Vec<(usize, Weight)> {
    let mut generator = generator(seed, Stream::Init);
    let mut weights = Vec::new();
    for (index, (layer, info)) in layers.iter().enumerate() {
        let below = layer.split('.').fold(path.clone(), |path, name| path / name);
        for weight in &info.weights {
            let shape: Vec<i64> = weight.shape.iter().map(|&size| size as i64).collect();
            let values = Tensor::from_slice(&initial_values(weight, &mut generator)).reshape(&shape);
            let values = channels_last(&values).to_device(path.device());
            let tensor = below.add(weight.name, values, weight.trainable);
            let name = format!("{layer}.{}", weight.name);
            weights.push((index, Weight { name, tensor, trainable: weight.trainable, info: weight.clone() }));
        }
    }
    weights
}
