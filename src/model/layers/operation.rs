//! What each class of layers computes: one arm a class.

use tch::{Device, Tensor};

use super::super::spec::layers::{Conv2D, Dropout, ZeroPadding2D};
use super::super::spec::{LayerCall, LayerPlan, LayerSpec};
use super::convolution::Convolution;
use super::moved::Moved;
use super::order::to_keras_order;
use super::{activation, augmentation, convolution, dropout, merge, normalization, pooling, preprocessing, reshaping};

/// What a call computes of its inputs, in training (`true`) or outside it.
pub type Operation = Box<dyn Fn(&[&Tensor], bool) -> Tensor + Send>;

/// What a layer does before its activation, called as `call`, with the weights `own`; `None` where that is nothing. `moved` is
/// what it does for its neighbours.
pub fn operation(
    plan: &LayerPlan,
    call: &LayerCall,
    own: Vec<Tensor>,
    moved: Moved,
    device: Device,
) -> Option<Operation> {
    let (input, output) = (&call.input_shapes[0][..], &call.output_shape[..]);
    let operation = match &plan.layer.spec {
        LayerSpec::Conv2D(spec) => of_convolution(spec, input, own, moved)?,
        LayerSpec::DepthwiseConv2D(spec) => always(convolution::depthwise(spec, input, own, moved.zeros)),
        LayerSpec::SeparableConv2D(spec) => always(convolution::separable(spec, input, own, moved.zeros)),
        LayerSpec::Conv2DTranspose(spec) => always(convolution::transposed(spec, input, output, own)),
        LayerSpec::Dense(spec) => always(convolution::dense(spec, own)),
        LayerSpec::MaxPooling2D(spec) => always(pooling::max(spec, input, moved)),
        LayerSpec::AveragePooling2D(spec) => always(pooling::average(spec, input, device)),
        LayerSpec::GlobalAveragePooling2D(spec) => always(pooling::global_average(spec.keepdims)),
        LayerSpec::GlobalMaxPooling2D(spec) => always(pooling::global_max(spec.keepdims)),
        LayerSpec::BatchNormalization(spec) => by_mode(normalization::batch(spec, plan, input, own, moved)),
        LayerSpec::LayerNormalization(spec) => always(normalization::layer(spec, input, own)),
        LayerSpec::GroupNormalization(spec) => always(normalization::group(spec, input, own, device)),
        LayerSpec::UnitNormalization(spec) => always(normalization::unit(spec, input)),
        LayerSpec::LayerScale(_) => always(normalization::channel_scale(own)),
        LayerSpec::PReLU(_) => always(activation::prelu(own)),
        LayerSpec::Flatten(_) => always(|x| to_keras_order(x).flatten(1, -1)),
        LayerSpec::Reshape(_) => always(reshaping::reshape(output)),
        LayerSpec::Permute(spec) => always(reshaping::permute(spec)),
        LayerSpec::ZeroPadding2D(spec) => of_padding(spec, moved.is_padded_behind)?,
        LayerSpec::Cropping2D(spec) => always(reshaping::crop(spec.cropping, output)),
        LayerSpec::UpSampling2D(spec) => always(reshaping::resize(spec.interpolation, output)),
        LayerSpec::Resizing(spec) => always(reshaping::resize(spec.interpolation, output)),
        LayerSpec::CenterCrop(_) => always(reshaping::center_crop(input, output)),
        LayerSpec::Rescaling(spec) => always(preprocessing::rescaling(spec, device)),
        LayerSpec::Normalization(spec) => always(preprocessing::normalization(spec, input, own, device)),
        LayerSpec::Dropout(spec) => of_dropout(spec)?,
        LayerSpec::SpatialDropout2D(spec) => with_rate(spec.rate, dropout::spatial)?,
        LayerSpec::AlphaDropout(spec) => with_rate(spec.rate, dropout::alpha)?,
        LayerSpec::GaussianDropout(spec) => with_rate(spec.rate, dropout::gaussian)?,
        LayerSpec::GaussianNoise(spec) => with_rate(spec.stddev, dropout::noise)?,
        LayerSpec::StochasticDepth(spec) => with_rate(spec.drop_path_rate, dropout::whole_images)?,
        LayerSpec::RandomFlip(spec) => in_training(spec, augmentation::flip),
        LayerSpec::RandomRotation(spec) => in_training(spec, augmentation::rotate),
        LayerSpec::RandomZoom(spec) => in_training(spec, augmentation::zoom),
        LayerSpec::RandomTranslation(spec) => in_training(spec, augmentation::translate),
        LayerSpec::RandomContrast(spec) => in_training(spec, augmentation::contrast),
        LayerSpec::RandomBrightness(spec) => in_training(spec, augmentation::brightness),
        LayerSpec::Add(_) => joining(merge::add),
        LayerSpec::Subtract(_) => joining(merge::subtract),
        LayerSpec::Multiply(_) => joining(merge::multiply),
        LayerSpec::Average(_) => joining(merge::average),
        LayerSpec::Maximum(_) => joining(merge::maximum),
        LayerSpec::Minimum(_) => joining(merge::minimum),
        LayerSpec::CustomScaleLayer(spec) => joining(merge::add_scaled(spec.scale)),
        LayerSpec::Concatenate(spec) => joining(merge::concatenate(spec, input)),
        LayerSpec::Identity(_)
        | LayerSpec::ActivityRegularization(_)
        | LayerSpec::Activation(_)
        | LayerSpec::ReLU(_)
        | LayerSpec::LeakyReLU(_)
        | LayerSpec::ELU(_)
        | LayerSpec::Softmax(_) => return None,
        LayerSpec::Network(_) => unreachable!("nested networks are built leaf by leaf"),
    };
    Some(match call.in_inference {
        true => Box::new(move |inputs, _| operation(inputs, false)),
        false => operation,
    })
}

/// A layer that does the same in training and outside it.
fn always(compute: impl Fn(&Tensor) -> Tensor + Send + 'static) -> Operation {
    Box::new(move |inputs, _| compute(inputs[0]))
}

fn by_mode(compute: impl Fn(&Tensor, bool) -> Tensor + Send + 'static) -> Operation {
    Box::new(move |inputs, train| compute(inputs[0], train))
}

fn joining(compute: impl Fn(&[&Tensor]) -> Tensor + Send + 'static) -> Operation {
    Box::new(move |inputs, _| compute(inputs))
}

fn of_dropout(spec: &Dropout) -> Option<Operation> {
    match spec.shared_axes() {
        Some(shared) => with_rate(spec.rate, move |x, rate| dropout::shared(x, rate, &shared)),
        None => with_rate(spec.rate, dropout::dropout),
    }
}

/// Nothing where what is behind computes it.
fn of_convolution(spec: &Conv2D, input: &[usize], own: Vec<Tensor>, moved: Moved) -> Option<Operation> {
    let convolution = Convolution::new(spec, input, own, moved.zeros);
    (!moved.is_convolved_behind).then(|| always(move |x| convolution.run(x)))
}

/// Nothing where what is behind adds the zeros.
fn of_padding(spec: &ZeroPadding2D, is_padded_behind: bool) -> Option<Operation> {
    (!is_padded_behind).then(|| always(reshaping::zero_padding(spec.padding)))
}

/// A layer that changes what goes through it in training only, by random numbers.
fn in_training<S: Clone + Send + 'static>(spec: &S, change: fn(&Tensor, &S) -> Tensor) -> Operation {
    let spec = spec.clone();
    by_mode(move |x, train| if train { change(x, &spec) } else { x.shallow_clone() })
}

/// As [`in_training`], of a layer with one number, which changes nothing where that is 0.
fn with_rate(rate: f64, change: impl Fn(&Tensor, f64) -> Tensor + Send + 'static) -> Option<Operation> {
    (rate != 0.0).then(|| by_mode(move |x, train| if train { change(x, rate) } else { x.shallow_clone() }))
}
