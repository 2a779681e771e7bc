//! A network's plan: each layer in its place, with its shapes, its weights and what goes into it, and every call of a layer
//! that is no network, in order. `planner.rs` makes it; everything that needs shapes or weights reads it.

use super::layers::Effect;
use super::{Activation, Layer, LayerSpec, Source, WeightInfo};

/// What there is to know of a network before it is built.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The network's own layers, as its specification has them.
    pub layers: Vec<LayerPlan>,
    /// The calls of the layers that are no networks ([`flat_layers`]), those of nested networks in their place: each after
    /// those that it reads, the last one gives the network's outputs.
    pub calls: Vec<LayerCall>,
}

/// A layer in its place: what goes in, what comes out, what it holds. Shapes are Keras's, without the batch axis.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerPlan {
    /// The layer.
    pub layer: Layer,
    /// For each call of the layer what it takes.
    pub inputs: Vec<Vec<Connection>>,
    /// What goes in where it is called first, the first of several.
    pub input_shape: Vec<usize>,
    /// For each call what comes out.
    pub output_shapes: Vec<Vec<usize>>,
    /// Its own weights in Keras's order; none for a nested network.
    pub weights: Vec<WeightInfo>,
    /// The layers of a nested network; empty for every other layer.
    pub inner: Vec<LayerPlan>,
}

/// What a layer takes, among the layers of its own network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    /// The network's input.
    Input,
    /// What a layer gives.
    Layer {
        /// Its number.
        layer: usize,
        /// Which of its calls.
        call: usize,
    },
}

/// One use of a layer that is no network.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerCall {
    /// The layer's number among [`flat_layers`].
    pub leaf: usize,
    /// What goes in, among the plan's calls.
    pub inputs: Vec<Source>,
    /// Their shapes.
    pub input_shapes: Vec<Vec<usize>>,
    /// What comes out.
    pub output_shape: Vec<usize>,
    /// Whether it works as outside training always.
    pub in_inference: bool,
}

impl Plan {
    /// As [`flat_layers`], of the whole network.
    pub fn flat_layers(&self) -> Vec<(String, &LayerPlan)> {
        flat_layers(&self.layers)
    }

    /// The most values that a layer takes and gives for one image, together.
    pub fn largest_call(&self) -> usize {
        let values = |shape: &Vec<usize>| shape.iter().product::<usize>();
        let of_call = |call: &LayerCall| {
            let taken: usize = call.input_shapes.iter().map(values).sum();
            taken.saturating_add(values(&call.output_shape))
        };
        self.calls.iter().map(of_call).max().unwrap_or(0)
    }

    /// The shape of the network's outputs.
    pub fn output_shape(&self) -> &[usize] {
        &self.calls.last().expect("a network has a layer").output_shape
    }

    /// How many numbers all weights have together.
    pub fn num_parameters(&self) -> usize {
        self.layers.iter().map(LayerPlan::num_parameters).sum()
    }

    /// Of these, how many gradients change.
    pub fn num_trainable(&self) -> usize {
        self.layers.iter().map(LayerPlan::num_trainable).sum()
    }

    /// How many products of a weight and a value one image costs, each with its sum: those of convolutions and fully connected
    /// layers, at every place where they compute one.
    pub fn multiply_adds(&self) -> usize {
        let leaves = self.flat_layers();
        let of_call = |call: &LayerCall| {
            let leaf = leaves[call.leaf].1;
            let shape = match leaf.layer.spec {
                LayerSpec::Conv2DTranspose(_) => &call.input_shapes[0],
                _ => &call.output_shape,
            };
            let places: usize = shape[..shape.len().saturating_sub(1)].iter().product();
            let kernels = leaf.weights.iter().filter(|weight| weight.is_kernel());
            kernels.map(|weight| places.saturating_mul(weight.num_elements())).sum::<usize>()
        };
        self.calls.iter().map(of_call).sum()
    }

    /// Whether every call takes what the one before gives, and nothing else.
    pub fn is_chain(&self) -> bool {
        let is_next = |(index, call): (usize, &LayerCall)| {
            call.inputs == [index.checked_sub(1).map_or(Source::Input, Source::Call)]
        };
        self.calls.iter().enumerate().all(is_next)
    }

    /// The last call before the call `end` that gives the same for an image in every epoch, and behind which nothing reads
    /// what is before it: no weight up to it is trained, no statistic moves, nothing is drawn at random. None where no layer
    /// with weights is among those.
    pub(in super::super) fn last_fixed_call(&self, end: Option<usize>) -> Option<usize> {
        let leaves = self.flat_layers();
        let is_fixed = |call: &LayerCall| is_fixed(leaves[call.leaf].1, call);
        let num_fixed = self.calls.iter().position(|call| !is_fixed(call)).unwrap_or(self.calls.len());
        let end = num_fixed.min(end.unwrap_or(self.calls.len() - 1));
        // the first call that any call from this one on reads; the input is before all
        let mut first_reads = vec![usize::MAX; self.calls.len() + 1];
        for (index, call) in self.calls.iter().enumerate().rev() {
            let read = |source: &Source| match *source {
                Source::Input => 0,
                Source::Call(call) => call + 1,
            };
            let first = call.inputs.iter().map(read).min().unwrap_or(0);
            first_reads[index] = first.min(first_reads[index + 1]);
        }
        let found = (0..end).rev().find(|&call| first_reads[call + 1] > call)?;
        let has_weights = self.calls[..=found].iter().any(|call| !leaves[call.leaf].1.weights.is_empty());
        has_weights.then_some(found)
    }

    /// The last call of a Dense layer that takes one value from another call, with that call's number: what goes in there are an
    /// image's features. None where there is none.
    pub fn last_dense(&self) -> Option<(usize, usize)> {
        let leaves = self.flat_layers();
        let last = self.calls.iter().rposition(|call| matches!(leaves[call.leaf].1.layer.spec, LayerSpec::Dense(_)))?;
        match self.calls[last].inputs[..] {
            [Source::Call(input)] => Some((last, input)),
            _ => None,
        }
    }

    /// The last call that gives a map of features `[H, W, C]` which a convolution went into, before what pools or moves them: what
    /// Grad-CAM looks at. None where there is no convolution.
    pub fn last_feature_map(&self) -> Option<usize> {
        let leaves = self.flat_layers();
        let spec = |call: usize| &leaves[self.calls[call].leaf].1.layer.spec;
        let mut found = (0..self.calls.len()).rfind(|&call| self.is_map(call))?;
        loop {
            let call = &self.calls[found];
            let effect = spec(found).rules()?.effect(&call.input_shapes[0], &call.output_shape);
            let is_passed = match effect {
                Effect::Pools | Effect::Moves { .. } | Effect::Noise { .. } | Effect::Augments => true,
                Effect::Keeps => spec(found).activation() == Activation::Linear,
                Effect::Mixes | Effect::Bends(_) | Effect::Scales | Effect::Joins(_) => false,
            };
            match call.inputs[0] {
                _ if !is_passed => break,
                Source::Call(before) if self.is_map(before) => found = before,
                Source::Call(_) | Source::Input => break,
            }
        }
        (0..=found).any(|call| spec(call).is_convolution()).then_some(found)
    }

    /// Whether call `call` gives `[H, W, C]` with more than one place.
    pub fn is_map(&self, call: usize) -> bool {
        matches!(self.calls[call].output_shape[..], [height, width, _] if height * width > 1)
    }

    /// For each call the numbers of those that read it, in order, once for each time.
    pub fn readers(&self) -> Vec<Vec<usize>> {
        let mut readers = vec![Vec::new(); self.calls.len()];
        for (index, call) in self.calls.iter().enumerate() {
            for input in &call.inputs {
                if let Source::Call(read) = *input {
                    readers[read].push(index);
                }
            }
        }
        readers
    }
}

impl LayerPlan {
    /// The layer's name.
    pub fn name(&self) -> &str {
        &self.layer.name
    }

    /// Keras's class name.
    pub fn class_name(&self) -> &'static str {
        self.layer.spec.class_name()
    }

    /// What comes out where it is called last, as Keras's table has it.
    pub fn output_shape(&self) -> &[usize] {
        self.output_shapes.last().map_or(&[], Vec::as_slice)
    }

    /// Whether it is a nested network.
    pub fn is_network(&self) -> bool {
        matches!(self.layer.spec, LayerSpec::Network(_))
    }

    /// How many numbers its weights have together, a nested network's layers included.
    pub fn num_parameters(&self) -> usize {
        self.count(|_| true)
    }

    /// Of these, how many gradients change.
    pub fn num_trainable(&self) -> usize {
        self.count(|weight| weight.trainable)
    }

    fn count(&self, counts: impl Fn(&WeightInfo) -> bool + Copy) -> usize {
        let own = self.weights.iter().filter(|weight| counts(weight)).map(WeightInfo::num_elements).sum::<usize>();
        own + self.inner.iter().map(|layer| layer.count(counts)).sum::<usize>()
    }
}

/// Whether the call of `leaf` does the same in every epoch of a training, and changes nothing in it.
fn is_fixed(leaf: &LayerPlan, call: &LayerCall) -> bool {
    let spec = &leaf.layer.spec;
    let moves = matches!(spec, LayerSpec::BatchNormalization(_)) && leaf.layer.is_trained();
    let effect = spec.rules().map(|rules| rules.effect(&call.input_shapes[0], &call.output_shape));
    let is_random = match effect {
        Some(Effect::Noise { amount }) => amount != 0.0,
        Some(Effect::Augments) | None => true,
        Some(_) => false,
    };
    leaf.weights.iter().all(|weight| !weight.trainable) && (call.in_inference || !moves && !is_random)
}

/// A layer's name as a part of a path, whose parts '.' separates: `//` for '/', `/-` for '.', so that no two are alike.
pub fn in_path(name: &str) -> String {
    name.replace('/', "//").replace('.', "/-")
}

/// Every layer that is no network, in order, with its path `<outer>.<inner>`: its weights are called `<path>.<weight>` in
/// files, and [`crate::model::Model::weights`] has them in this order.
pub fn flat_layers(layers: &[LayerPlan]) -> Vec<(String, &LayerPlan)> {
    let mut found = Vec::new();
    for layer in layers {
        let name = in_path(layer.name());
        match layer.layer.spec {
            LayerSpec::Network(_) => {
                let below = flat_layers(&layer.inner).into_iter();
                found.extend(below.map(|(path, leaf)| (format!("{name}.{path}"), leaf)));
            }
            _ => found.push((name, layer)),
        }
    }
    found
}

#[cfg(test)]
mod tests;
