//! From a specification to libtorch: the only place where Keras's meanings become torch's.
//!
//! Inside the network an image is `[B, C, H, W]` with the channels last in memory: a permuted view of Keras's
//! `[B, H, W, C]`, so that going from one to the other costs nothing. Every other shape is Keras's.

mod activation;
mod augmentation;
mod convolution;
mod dropout;
mod normalization;
mod order;
mod pooling;
mod preprocessing;
mod reshaping;

use tch::nn::{self, SequentialT};
use tch::{Device, Kind, Tensor};

use super::initialize::initial_values;
use super::spec::{Activation, Form, Layer, LayerPlan, LayerSpec, Output, Spec, WeightInfo, flat_layers};
use crate::rng::{Stream, generator};
pub(crate) use activation::activate;
pub use order::channels_last;
pub(super) use order::to_keras_order;

/// A network that libtorch can run, and its weights in order.
pub struct Network {
    /// Layer after layer, up to the logits where the loss takes them: see [`Output`].
    pub layers: SequentialT,
    /// For each of `layers`' functions the layer that it belongs to; one with an activation has two.
    pub stages: Vec<String>,
    /// The outputs' softmax or sigmoid and what is behind it, where that is something in training only.
    pub training_end: Option<SequentialT>,
    /// Every weight, by its name in files.
    pub weights: Vec<Weight>,
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

/// Builds `spec` (with its `plan` and `output`, where it is a classifier) below `path`, with initial weights from `seed`.
///
/// Two changes of order leave every value as it is: max-pooling goes before ReLU (a quarter of the elements to clip), and
/// softmax or sigmoid of logits that the loss takes are left to [`super::Outputs`].
pub fn build(spec: &Spec, plan: &[LayerPlan], output: Option<Output>, path: &nn::Path, seed: u64) -> Network {
    let infos = flat_layers(plan);
    let specs: Vec<&Layer> = spec.flat_layers();
    let weights = create_weights(&infos, path, seed);
    let own = |index: usize| {
        let own = weights.iter().filter(|(owner, _)| *owner == index);
        own.map(|(_, weight)| weight.tensor.shallow_clone()).collect()
    };
    let activated_by = output.and_then(|output| output.activated_by);
    let ends_in_logits = output.is_some_and(|output| output.kind.evaluated == Form::Activated);
    let mut layers = nn::seq_t();
    let mut stages = Vec::new();
    let mut deferred = None;
    for (index, (layer, (name, info))) in specs.iter().zip(&infos).enumerate() {
        layers = add_layer(layers, layer, info, own(index), path.device());
        let activation = deferred.take().unwrap_or_else(|| layer.spec.activation());
        let next = specs.get(index + 1).map(|next| &next.spec);
        let is_last_activation = activated_by == Some(index);
        match activation {
            _ if is_last_activation && ends_in_logits => {
                stages.resize(layers.len() as usize, name.clone());
                break; // nothing behind it changes a value outside training
            }
            // probabilities, and the means of them, are f32
            activation if is_last_activation => {
                layers = layers.add_fn(move |x| activate(&x.to_kind(Kind::Float), &activation));
            }
            Activation::Linear => {}
            Activation::Relu if matches!(next, Some(LayerSpec::MaxPooling2D(_))) => deferred = Some(activation),
            activation => layers = layers.add_fn(move |x| activate(x, &activation)),
        }
        stages.resize(layers.len() as usize, name.clone());
    }
    let training_end = output.filter(|output| output.kind.trained != output.kind.evaluated).and(activated_by);
    let training_end = training_end.map(|index| training_end_of(&specs[index..], &infos[index..], path.device()));
    Network { layers, stages, training_end, weights: weights.into_iter().map(|(_, weight)| weight).collect() }
}

/// The activation of the first of `specs`, and the others, of which none has a weight or another activation.
fn training_end_of(specs: &[&Layer], infos: &[(String, &LayerPlan)], device: Device) -> SequentialT {
    let activation = specs[0].spec.activation();
    let first = nn::seq_t().add_fn(move |x| activate(x, &activation));
    let behind = specs.iter().zip(infos).skip(1);
    behind.fold(first, |layers, (layer, (_, info))| add_layer(layers, layer, info, Vec::new(), device))
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

/// What a layer does before its activation.
fn add_layer(layers: SequentialT, layer: &Layer, info: &LayerPlan, own: Vec<Tensor>, device: Device) -> SequentialT {
    let input = &info.input_shape[..];
    match &layer.spec {
        LayerSpec::Conv2D(spec) => layers.add_fn(convolution::conv2d(spec, input, own)),
        LayerSpec::DepthwiseConv2D(spec) => layers.add_fn(convolution::depthwise(spec, input, own)),
        LayerSpec::SeparableConv2D(spec) => layers.add_fn(convolution::separable(spec, input, own)),
        LayerSpec::Conv2DTranspose(spec) => layers.add_fn(convolution::transposed(spec, info, own)),
        LayerSpec::Dense(spec) => layers.add_fn(convolution::dense(spec, own)),
        LayerSpec::MaxPooling2D(spec) => layers.add_fn(pooling::max(spec, input)),
        LayerSpec::AveragePooling2D(spec) => layers.add_fn(pooling::average(spec, input)),
        LayerSpec::GlobalAveragePooling2D(spec) => layers.add_fn(pooling::global_average(spec.keepdims)),
        LayerSpec::GlobalMaxPooling2D(spec) => layers.add_fn(pooling::global_max(spec.keepdims)),
        LayerSpec::BatchNormalization(spec) => {
            layers.add_fn_t(normalization::batch(spec, input, own, layer.is_trained()))
        }
        LayerSpec::LayerNormalization(spec) => layers.add_fn(normalization::layer(spec, input, own)),
        LayerSpec::GroupNormalization(spec) => layers.add_fn(normalization::group(spec, input, own)),
        LayerSpec::UnitNormalization(spec) => layers.add_fn(normalization::unit(spec, input)),
        LayerSpec::PReLU(_) => layers.add_fn(activation::prelu(own)),
        LayerSpec::Flatten(_) => layers.add_fn(|x| to_keras_order(x).flatten(1, -1)),
        LayerSpec::Reshape(_) => layers.add_fn(reshaping::reshape(&info.output_shape)),
        LayerSpec::Permute(spec) => layers.add_fn(reshaping::permute(spec)),
        LayerSpec::ZeroPadding2D(spec) => layers.add_fn(reshaping::zero_padding(spec.padding)),
        LayerSpec::Cropping2D(spec) => layers.add_fn(reshaping::crop(spec.cropping, &info.output_shape)),
        LayerSpec::UpSampling2D(spec) => layers.add_fn(reshaping::resize(spec.interpolation, &info.output_shape)),
        LayerSpec::Resizing(spec) => layers.add_fn(reshaping::resize(spec.interpolation, &info.output_shape)),
        LayerSpec::CenterCrop(_) => layers.add_fn(reshaping::center_crop(input, &info.output_shape)),
        LayerSpec::Rescaling(spec) => layers.add_fn(preprocessing::rescaling(spec, device)),
        LayerSpec::Normalization(spec) => layers.add_fn(preprocessing::normalization(spec, input, own, device)),
        LayerSpec::Dropout(spec) => with_rate(layers, spec.rate, dropout::dropout),
        LayerSpec::SpatialDropout2D(spec) => with_rate(layers, spec.rate, dropout::spatial),
        LayerSpec::AlphaDropout(spec) => with_rate(layers, spec.rate, dropout::alpha),
        LayerSpec::GaussianDropout(spec) => with_rate(layers, spec.rate, dropout::gaussian),
        LayerSpec::GaussianNoise(spec) => with_rate(layers, spec.stddev, dropout::noise),
        LayerSpec::RandomFlip(spec) => in_training(layers, spec, augmentation::flip),
        LayerSpec::RandomRotation(spec) => in_training(layers, spec, augmentation::rotate),
        LayerSpec::RandomZoom(spec) => in_training(layers, spec, augmentation::zoom),
        LayerSpec::RandomTranslation(spec) => in_training(layers, spec, augmentation::translate),
        LayerSpec::RandomContrast(spec) => in_training(layers, spec, augmentation::contrast),
        LayerSpec::RandomBrightness(spec) => in_training(layers, spec, augmentation::brightness),
        LayerSpec::Identity(_)
        | LayerSpec::ActivityRegularization(_)
        | LayerSpec::Activation(_)
        | LayerSpec::ReLU(_)
        | LayerSpec::LeakyReLU(_)
        | LayerSpec::ELU(_)
        | LayerSpec::Softmax(_) => layers,
        LayerSpec::Sequential(_) => unreachable!("nested networks are built leaf by leaf"),
    }
}

/// A layer that changes what goes through it in training only, by random numbers.
fn in_training<S>(layers: SequentialT, spec: &S, change: fn(&Tensor, &S) -> Tensor) -> SequentialT
where
    S: Clone + Send + 'static,
{
    let spec = spec.clone();
    layers.add_fn_t(move |x, train| if train { change(x, &spec) } else { x.shallow_clone() })
}

/// As [`in_training`], of a layer with one number, which changes nothing where that is 0.
fn with_rate(layers: SequentialT, rate: f64, change: fn(&Tensor, f64) -> Tensor) -> SequentialT {
    match rate {
        0.0 => layers,
        _ => layers.add_fn_t(move |x, train| if train { change(x, rate) } else { x.shallow_clone() }),
    }
}
