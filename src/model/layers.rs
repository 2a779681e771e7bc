//! From a specification to libtorch: the only place where Keras's meanings become torch's.
//!
//! Inside the network an image is `[B, C, H, W]` with the channels last in memory: a permuted view of Keras's
//! `[B, H, W, C]`, so that going from one to the other costs nothing.

use tch::Tensor;
use tch::nn::{self, SequentialT};

use super::initialize::initial_values;
use super::spec::{
    Activation, BatchNormalization, Conv2D, Dense, Dropout, LayerInfo, LayerSpec, MaxPooling2D, Padding, Pair, Spec,
    same_padding,
};
use crate::rng::{Stream, generator};

/// A network that libtorch can run, and its weights in order.
pub struct Network {
    /// Layer after layer; the output's softmax is not part of it.
    pub layers: SequentialT,
    /// Every weight, by its name in files.
    pub weights: Vec<Weight>,
}

/// A weight of a built network.
pub struct Weight {
    /// `<layer>.<weight>`, as in safetensors files.
    pub name: String,
    /// f32, in PyTorch's shape; convolution kernels lie channels-last in memory.
    pub tensor: Tensor,
    /// Whether gradients change it.
    pub trainable: bool,
}

/// Builds `spec` (with its `plan`) below `path`, with initial weights from `seed`.
///
/// Two changes of order leave every value as it is: max-pooling goes before ReLU (a quarter of the elements to clip), and
/// the output's softmax is left to the loss and to [`super::Model::outputs`].
pub fn build(spec: &Spec, plan: &[LayerInfo], path: &nn::Path, seed: u64) -> Network {
    let mut weights = create_weights(plan, path, seed);
    let mut layers = nn::seq_t();
    let mut deferred = None;
    for (index, (layer, info)) in spec.layers.iter().zip(plan).enumerate() {
        let own: Vec<Tensor> =
            weights.iter_mut().filter(|w| w.0 == index).map(|w| w.1.tensor.shallow_clone()).collect();
        layers = add_layer(layers, &layer.spec, info, own, layer.trainable);
        let activation = deferred.take().or(activation_of(&layer.spec));
        let next = spec.layers.get(index + 1).map(|next| &next.spec);
        match activation {
            Some(Activation::Softmax) if next.is_none() => {}
            Some(Activation::Relu) if matches!(next, Some(LayerSpec::MaxPooling2D(_))) => deferred = activation,
            Some(activation) => layers = layers.add_fn(move |x| activate(x, activation)),
            None => {}
        }
    }
    Network { layers, weights: weights.into_iter().map(|(_, weight)| weight).collect() }
}

/// Every weight with the index of its layer.
fn create_weights(plan: &[LayerInfo], path: &nn::Path, seed: u64) -> Vec<(usize, Weight)> {
    let mut generator = generator(seed, Stream::Init);
    let mut weights = Vec::new();
    for (index, info) in plan.iter().enumerate() {
        for weight in &info.weights {
            let shape: Vec<i64> = weight.shape.iter().map(|&size| size as i64).collect();
            let values = Tensor::from_slice(&initial_values(weight, &mut generator)).reshape(&shape);
            let values = channels_last(&values).to_device(path.device());
            let tensor = (path / &info.name).add(weight.name, values, weight.trainable);
            let name = format!("{}.{}", info.name, weight.name);
            weights.push((index, Weight { name, tensor, trainable: weight.trainable }));
        }
    }
    weights
}

/// The same values; a 4-D tensor `[a, b, h, w]` lies in memory as `[a, h, w, b]`.
pub fn channels_last(tensor: &Tensor) -> Tensor {
    match tensor.dim() {
        4 => tensor.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]),
        _ => tensor.contiguous(),
    }
}

/// What a layer does before its activation.
fn add_layer(
    layers: SequentialT,
    spec: &LayerSpec,
    info: &LayerInfo,
    own: Vec<Tensor>,
    trainable: bool,
) -> SequentialT {
    match spec {
        LayerSpec::Conv2D(conv) => layers.add_fn(conv2d(conv, &info.input_shape, own)),
        LayerSpec::MaxPooling2D(pool) => layers.add_fn(max_pooling(pool, &info.input_shape)),
        LayerSpec::GlobalAveragePooling2D(pool) => {
            let keepdims = pool.keepdims;
            layers.add_fn(move |x| x.mean_dim([2i64, 3].as_slice(), keepdims, None))
        }
        LayerSpec::BatchNormalization(norm) => layers.add_fn_t(batch_normalization(norm, own, trainable)),
        LayerSpec::Dropout(Dropout { rate, .. }) => match *rate {
            0.0 => layers,
            rate => layers.add_fn_t(move |x, train| if train { dropout(x, rate) } else { x.shallow_clone() }),
        },
        LayerSpec::Flatten(_) => layers.add_fn(|x| to_keras_order(x).flatten(1, -1)),
        LayerSpec::Dense(dense) => layers.add_fn(dense_layer(dense, own)),
        LayerSpec::Activation(_) => layers,
    }
}

/// The activation that a layer ends in, where it is not the identity.
fn activation_of(spec: &LayerSpec) -> Option<Activation> {
    let activation = match spec {
        LayerSpec::Conv2D(conv) => conv.activation,
        LayerSpec::Dense(dense) => dense.activation,
        LayerSpec::Activation(layer) => layer.activation,
        _ => Activation::Linear,
    };
    (activation != Activation::Linear).then_some(activation)
}

/// `[B, C, H, W] → [B, H, W, C]`; other shapes as they are.
fn to_keras_order(x: &Tensor) -> Tensor {
    if x.dim() == 4 { x.permute([0, 2, 3, 1]) } else { x.shallow_clone() }
}

/// `x [B, C, H, W] → [B, filters, H', W']`. Weights take the input's kind, so that bf16 input is computed in bf16.
fn conv2d(conv: &Conv2D, input_shape: &[usize], mut own: Vec<Tensor>) -> impl Fn(&Tensor) -> Tensor + Send + 'static {
    let kernel = own.remove(0);
    let bias = own.pop();
    let strides = sizes(conv.strides);
    let dilation = sizes(conv.dilation_rate);
    let groups = conv.groups as i64;
    let pad = Pad::new(conv.padding, input_shape, conv.kernel_size, conv.strides, conv.dilation_rate);
    move |x| {
        let (x, padding) = pad.apply(x, 0.0);
        let bias = bias.as_ref().map(|bias| bias.to_kind(x.kind()));
        x.conv2d(&kernel.to_kind(x.kind()), bias, strides, padding, dilation, groups)
    }
}

/// `x [B, C, H, W] → [B, C, H', W']`.
fn max_pooling(pool: &MaxPooling2D, input_shape: &[usize]) -> impl Fn(&Tensor) -> Tensor + Send + 'static {
    let window = sizes(pool.pool_size);
    let strides = pool.strides.unwrap_or(pool.pool_size);
    let pad = Pad::new(pool.padding, input_shape, pool.pool_size, strides, Pair::square(1));
    let strides = sizes(strides);
    move |x| {
        let (x, _) = pad.unevenly(x, f64::NEG_INFINITY);
        x.max_pool2d(window, strides, [0, 0], [1, 1], false)
    }
}

/// Keras's padding in numbers: left, right, top, bottom.
struct Pad([i64; 4]);

impl Pad {
    fn new(padding: Padding, input_shape: &[usize], window: Pair, strides: Pair, dilation: Pair) -> Self {
        let (Padding::Same, &[height, width, _]) = (padding, input_shape) else {
            return Pad([0; 4]);
        };
        let (top, bottom) = same_padding(height, window.height, strides.height, dilation.height);
        let (left, right) = same_padding(width, window.width, strides.width, dilation.width);
        Pad([left as i64, right as i64, top as i64, bottom as i64])
    }

    /// The input and the padding to give to the operator: even padding is the operator's own, the rest is done here.
    fn apply(&self, x: &Tensor, value: f64) -> (Tensor, [i64; 2]) {
        let [left, right, top, bottom] = self.0;
        if left == right && top == bottom { (x.shallow_clone(), [top, left]) } else { self.unevenly(x, value) }
    }

    fn unevenly(&self, x: &Tensor, value: f64) -> (Tensor, [i64; 2]) {
        let padded = if self.0 == [0; 4] { x.shallow_clone() } else { x.pad(self.0, "constant", value) };
        (padded, [0, 0])
    }
}

/// `x [B, C] → [B, units]`, or on the channels of an image.
fn dense_layer(dense: &Dense, mut own: Vec<Tensor>) -> impl Fn(&Tensor) -> Tensor + Send + 'static {
    let kernel = own.remove(0);
    let bias = dense.use_bias.then(|| own.remove(0));
    move |x| {
        let bias = bias.as_ref().map(|bias| bias.to_kind(x.kind()));
        let y = to_keras_order(x).linear(&kernel.to_kind(x.kind()), bias);
        if y.dim() == 4 { y.permute([0, 3, 1, 2]) } else { y }
    }
}

/// Normalises each channel of `x [B, C]` or `[B, C, H, W]`, by the batch in training (and moves the statistics as Keras 3
/// does: by the biased variance), by the moving statistics otherwise.
fn batch_normalization(
    norm: &BatchNormalization,
    mut own: Vec<Tensor>,
    trainable: bool,
) -> impl Fn(&Tensor, bool) -> Tensor + Send + 'static {
    let scale = norm.scale.then(|| own.remove(0));
    let center = norm.center.then(|| own.remove(0));
    let [mean, variance] = <[Tensor; 2]>::try_from(own).expect("the plan ends with the two moving statistics");
    let (momentum, epsilon) = (norm.momentum, norm.epsilon);
    move |x, train| {
        if !(train && trainable) {
            let statistics = (Some(&mean), Some(&variance));
            return x
                .native_batch_norm(scale.as_ref(), center.as_ref(), statistics.0, statistics.1, false, 0.0, epsilon)
                .0;
        }
        let none = None::<&Tensor>;
        let (y, batch_mean, inverse_stddev) =
            x.native_batch_norm(scale.as_ref(), center.as_ref(), none, none, true, 0.0, epsilon);
        tch::no_grad(|| {
            let batch_variance = inverse_stddev.pow_tensor_scalar(-2.0) - epsilon;
            let _ = mean.shallow_clone().lerp_(&batch_mean.to_kind(mean.kind()), 1.0 - momentum);
            let _ = variance.shallow_clone().lerp_(&batch_variance.to_kind(variance.kind()), 1.0 - momentum);
        });
        y
    }
}

/// Inverted dropout of `x`, any shape: a value stays with probability `1 - rate` (to the next 1/65536, by whose exact
/// value it is then divided), else becomes 0.
///
/// The mask comes from 16-bit pieces of random 64-bit words: libtorch draws them one after the other on the CPU, and this
/// needs a fourth of the draws of its own dropout.
fn dropout(x: &Tensor, rate: f64) -> Tensor {
    let dropped = (rate * 65536.0).round();
    let count = x.numel() as i64;
    let mut words = Tensor::empty([(count + 3) / 4], (tch::Kind::Int64, x.device()));
    // from the smallest value without an upper bound: all 64 bits are drawn
    let words = words.random_from_(i64::MIN, None);
    let pieces = words.view_dtype(tch::Kind::Int16).narrow(0, 0, count);
    let kept = pieces.ge(dropped - 32768.0).to_kind(x.kind());
    let mask = kept * (65536.0 / (65536.0 - dropped));
    match x.size()[..] {
        [batch, channels, height, width] => x * mask.reshape([batch, height, width, channels]).permute([0, 3, 1, 2]),
        _ => x * mask.reshape(x.size()),
    }
}

fn activate(x: &Tensor, activation: Activation) -> Tensor {
    match activation {
        Activation::Linear => x.shallow_clone(),
        Activation::Relu => x.relu(),
        Activation::Relu6 => x.clamp(0.0, 6.0),
        Activation::LeakyRelu => x.maximum(&(x * 0.2)),
        Activation::Elu => x.elu(),
        Activation::Selu => x.selu(),
        Activation::Tanh => x.tanh(),
        Activation::Sigmoid => x.sigmoid(),
        Activation::Softplus => x.softplus(),
        Activation::Softsign => x / (x.abs() + 1.0),
        Activation::Silu => x.silu(),
        Activation::Gelu => x.gelu("none"),
        Activation::Mish => x.mish(),
        Activation::Exponential => x.exp(),
        // the last axis of Keras's order is axis 1 here
        Activation::Softmax => x.softmax(1, None),
    }
}

fn sizes(pair: Pair) -> [i64; 2] {
    [pair.height as i64, pair.width as i64]
}
