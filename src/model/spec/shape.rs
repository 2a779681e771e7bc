//! What comes out of each layer and which weights it has, by Keras's formulas.

use super::{BatchNormalization, Conv2D, Dense, Initializer, Layer, LayerInfo, LayerSpec, Padding, Pair, Spec};
use super::{WeightInfo, WeightOrder};
use crate::error::{Error, Result};

/// More weights than this in one network is taken for a mistake: 4·10⁹ f32 values are 16 GB.
const MAX_PARAMETERS: usize = 4_000_000_000;
/// No side of an output may be longer.
const MAX_SIZE: usize = 1 << 24;

pub(super) fn plan(spec: &Spec) -> Result<Vec<LayerInfo>> {
    let unknown = || Error::model("the network's input shape is not known").help("add an InputLayer to its JSON");
    let mut shape = spec.input_shape.clone().ok_or_else(unknown)?;
    check_sizes(&shape).map_err(|error| error.at("the input"))?;
    let mut total = 0usize;
    let mut plan = Vec::with_capacity(spec.layers.len());
    for layer in &spec.layers {
        let at_layer = |error: Error| error.at(format!("layer {} ({})", layer.name, layer.spec.class_name()));
        let info = place(layer, &shape).map_err(at_layer)?;
        check_sizes(&info.output_shape).map_err(at_layer)?;
        for weight in &info.weights {
            total = (weight.shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size)))
                .and_then(|elements| total.checked_add(elements))
                .filter(|&total| total <= MAX_PARAMETERS)
                .ok_or_else(|| {
                    at_layer(
                        Error::model("the network is too large")
                            .expected(format!("at most {MAX_PARAMETERS} parameters")),
                    )
                })?;
        }
        shape.clone_from(&info.output_shape);
        plan.push(info);
    }
    Ok(plan)
}

fn check_sizes(shape: &[usize]) -> Result<()> {
    let product = shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
    match product {
        Some(product) if shape.iter().all(|&size| (1..=MAX_SIZE).contains(&size)) && product <= MAX_PARAMETERS => {
            Ok(())
        }
        _ => Err(Error::model("a shape is out of bounds")
            .expected(format!("sizes from 1 to {MAX_SIZE}"))
            .got(format!("{shape:?}"))),
    }
}

fn place(layer: &Layer, input: &[usize]) -> Result<LayerInfo> {
    let (output_shape, mut weights) = match &layer.spec {
        LayerSpec::Conv2D(conv) => conv2d(conv, input)?,
        LayerSpec::MaxPooling2D(pool) => {
            let [height, width, channels] = image(input)?;
            let strides = pool.strides.unwrap_or(pool.pool_size);
            let out = window_output((height, width), pool.pool_size, strides, Pair::square(1), pool.padding)?;
            (vec![out.height, out.width, channels], vec![])
        }
        LayerSpec::GlobalAveragePooling2D(pool) => {
            let [_, _, channels] = image(input)?;
            (if pool.keepdims { vec![1, 1, channels] } else { vec![channels] }, vec![])
        }
        LayerSpec::BatchNormalization(norm) => (input.to_vec(), batch_normalization(norm, last(input)?)),
        LayerSpec::Dropout(dropout) => {
            if !(0.0..1.0).contains(&dropout.rate) {
                return Err(Error::model("the dropout rate is out of range")
                    .expected("0 to below 1")
                    .got(dropout.rate));
            }
            (input.to_vec(), vec![])
        }
        LayerSpec::Flatten(_) => (vec![input.iter().product()], vec![]),
        LayerSpec::Dense(dense) => dense_layer(dense, input)?,
        LayerSpec::Activation(_) => (input.to_vec(), vec![]),
    };
    for weight in &mut weights {
        weight.trainable &= layer.trainable;
    }
    let class_name = layer.spec.class_name();
    Ok(LayerInfo {
        name: layer.name.clone(),
        class_name,
        input_shape: input.to_vec(),
        output_shape,
        weights,
        inner: vec![],
    })
}

fn conv2d(conv: &Conv2D, input: &[usize]) -> Result<(Vec<usize>, Vec<WeightInfo>)> {
    let [height, width, channels] = image(input)?;
    positive("filters", conv.filters)?;
    positive("groups", conv.groups)?;
    if !channels.is_multiple_of(conv.groups) || !conv.filters.is_multiple_of(conv.groups) {
        return Err(Error::model("channels and filters do not fall into the groups")
            .expected(format!("multiples of groups = {}", conv.groups))
            .got(format!("{channels} channels, {} filters", conv.filters)));
    }
    if conv.strides != Pair::square(1) && conv.dilation_rate != Pair::square(1) {
        return Err(Error::model("strides and dilation cannot both be above 1"));
    }
    let out = window_output((height, width), conv.kernel_size, conv.strides, conv.dilation_rate, conv.padding)?;
    let Pair { height: kh, width: kw } = conv.kernel_size;
    let per_group = channels / conv.groups;
    let kernel = vec![kh, kw, per_group, conv.filters];
    let mut weights =
        vec![WeightInfo::new(["weight", "kernel"], kernel, WeightOrder::Convolution, conv.kernel_initializer)];
    weights.extend(conv.use_bias.then(|| vector(["bias", "bias"], conv.filters, conv.bias_initializer)));
    Ok((vec![out.height, out.width, conv.filters], weights))
}

fn dense_layer(dense: &Dense, input: &[usize]) -> Result<(Vec<usize>, Vec<WeightInfo>)> {
    let inputs = last(input)?;
    positive("units", dense.units)?;
    let kernel = vec![inputs, dense.units];
    let mut weights = vec![WeightInfo::new(["weight", "kernel"], kernel, WeightOrder::Dense, dense.kernel_initializer)];
    weights.extend(dense.use_bias.then(|| vector(["bias", "bias"], dense.units, dense.bias_initializer)));
    let mut output = input.to_vec();
    *output.last_mut().expect("checked above") = dense.units;
    Ok((output, weights))
}

fn batch_normalization(norm: &BatchNormalization, channels: usize) -> Vec<WeightInfo> {
    let mut weights = Vec::new();
    weights.extend(norm.scale.then(|| vector(["weight", "gamma"], channels, norm.gamma_initializer)));
    weights.extend(norm.center.then(|| vector(["bias", "beta"], channels, norm.beta_initializer)));
    let statistics = [
        vector(["running_mean", "moving_mean"], channels, norm.moving_mean_initializer),
        vector(["running_var", "moving_variance"], channels, norm.moving_variance_initializer),
    ];
    weights.extend(statistics.map(|weight| WeightInfo { trainable: false, ..weight }));
    weights
}

fn vector(names: [&'static str; 2], size: usize, initializer: Initializer) -> WeightInfo {
    WeightInfo::new(names, vec![size], WeightOrder::Same, initializer)
}

fn image(input: &[usize]) -> Result<[usize; 3]> {
    <[usize; 3]>::try_from(input).map_err(|_| {
        Error::model("the layer needs an image").expected("an input of shape [H, W, C]").got(format!("{input:?}"))
    })
}

fn last(input: &[usize]) -> Result<usize> {
    input.last().copied().ok_or_else(|| Error::model("the layer needs at least one axis").got("none"))
}

fn positive(key: &str, value: usize) -> Result<()> {
    if value == 0 { Err(Error::model(format!("{key} must not be 0"))) } else { Ok(()) }
}

/// Keras's output size of a sliding window along both axes.
fn window_output(size: (usize, usize), window: Pair, strides: Pair, dilation: Pair, padding: Padding) -> Result<Pair> {
    Ok(Pair {
        height: axis_output("height", size.0, window.height, strides.height, dilation.height, padding)?,
        width: axis_output("width", size.1, window.width, strides.width, dilation.width, padding)?,
    })
}

/// `valid`: ⌈(n − (k − 1)·d) / s⌉; `same`: ⌈n / s⌉.
fn axis_output(axis: &str, n: usize, k: usize, s: usize, d: usize, padding: Padding) -> Result<usize> {
    for (key, value) in [("the window", k), ("strides", s), ("dilation_rate", d)] {
        positive(key, value)?;
    }
    let reach = (k - 1).checked_mul(d).filter(|reach| *reach < MAX_SIZE);
    let reach = reach.ok_or_else(|| Error::model(format!("the window is too large along the {axis}")).got(k))?;
    match padding {
        Padding::Same => Ok(n.div_ceil(s)),
        Padding::Valid if n > reach => Ok((n - reach).div_ceil(s)),
        Padding::Valid => Err(Error::model(format!("the window does not fit into the image's {axis}"))
            .expected(format!("at least {} pixels", reach + 1))
            .got(n)
            .help("use larger images, a smaller window, or padding \"same\"")),
    }
}

/// Zeros before and after along one axis that give `same` padding: the odd pixel goes after.
pub fn same_padding(n: usize, k: usize, s: usize, d: usize) -> (usize, usize) {
    let covered = (n.div_ceil(s) - 1) * s + (k - 1) * d + 1;
    let total = covered.saturating_sub(n);
    (total / 2, total - total / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_padding_puts_the_odd_pixel_after() {
        assert_eq!(same_padding(28, 3, 1, 1), (1, 1));
        assert_eq!(same_padding(28, 2, 1, 1), (0, 1));
        assert_eq!(same_padding(28, 3, 2, 1), (0, 1));
        assert_eq!(same_padding(5, 3, 2, 1), (1, 1));
        assert_eq!(same_padding(4, 1, 2, 1), (0, 0));
    }

    #[test]
    fn windows_follow_keras() {
        use Padding::{Same, Valid};
        assert_eq!(axis_output("height", 28, 3, 1, 1, Valid).unwrap(), 26);
        assert_eq!(axis_output("height", 11, 2, 2, 1, Valid).unwrap(), 5);
        assert_eq!(axis_output("height", 11, 2, 2, 1, Same).unwrap(), 6);
        assert_eq!(axis_output("height", 12, 3, 1, 2, Valid).unwrap(), 8);
        assert!(axis_output("height", 2, 3, 1, 1, Valid).is_err());
        assert!(axis_output("height", 2, 0, 1, 1, Valid).is_err());
    }
}
