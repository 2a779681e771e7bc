//! The modules that an exported network is made of: each as the line of Python that makes it, and as what it computes, so
//! that an export can be run here before it is called done.

use tch::{Kind, Tensor};

use crate::model::layers::activate;
use crate::model::spec::{Activation, FunctionLayer};

/// One element of the `nn.Sequential`. Tensors are `[B, C, H, W]` for images, in Keras's order otherwise.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Module {
    /// `nn.Conv2d`, weights `weight`, `bias`.
    Conv2d {
        channels: [i64; 2],
        kernel: [i64; 2],
        stride: [i64; 2],
        padding: [i64; 2],
        dilation: [i64; 2],
        groups: i64,
        bias: bool,
    },
    /// `nn.ConvTranspose2d` without padding, weights `weight`, `bias`.
    ConvTranspose2d { channels: [i64; 2], kernel: [i64; 2], stride: [i64; 2], output_padding: [i64; 2], bias: bool },
    /// `nn.Linear` over the last axis, weights `weight`, `bias`.
    Linear { features: [i64; 2], bias: bool },
    /// `nn.BatchNorm2d` or, for vectors, `nn.BatchNorm1d`: all its weights.
    BatchNorm { features: i64, epsilon: f64, momentum: f64, image: bool },
    /// `nn.LayerNorm` over the last axes, weights `weight`, `bias`.
    LayerNorm { shape: Vec<i64>, epsilon: f64 },
    /// `nn.GroupNorm`, weights `weight`, `bias`.
    GroupNorm { groups: i64, channels: i64, epsilon: f64 },
    /// The script's `PReLU`: slopes `weight` of the shape that broadcasts.
    Slopes { shape: Vec<i64> },
    /// `nn.ConstantPad2d`: left, right, top, bottom.
    Pad { sides: [i64; 4], value: f64 },
    /// The script's `Scale`: factors `weight` of the shape that broadcasts.
    Scale { shape: Vec<i64> },
    /// The script's `SharedDropout`.
    SharedDropout { rate: f64, dims: Vec<i64> },
    /// Axes of size 1 behind the batch's of Keras's order: from so many axes to so many.
    Lift { from: usize, to: usize },
    /// Rows `top..top + height`, columns `left..left + width`.
    Crop { top: i64, left: i64, height: i64, width: i64 },
    /// `nn.MaxPool2d`.
    MaxPool { kernel: [i64; 2], stride: [i64; 2] },
    /// `nn.AvgPool2d`, or, with padding at the sides, averages over the real pixels alone.
    AveragePool { kernel: [i64; 2], stride: [i64; 2], sides: [i64; 4] },
    /// The mean over height and width.
    GlobalAverage { keepdims: bool },
    /// The maximum over height and width.
    GlobalMax { keepdims: bool },
    /// `nn.Upsample`.
    Upsample { factors: [i64; 2], bilinear: bool },
    /// `nn.Dropout`.
    Dropout(f64),
    /// `nn.Dropout2d`.
    Dropout2d(f64),
    /// `nn.AlphaDropout`.
    AlphaDropout(f64),
    /// `nn.Identity`.
    Identity,
    /// `x.permute`.
    Permute(Vec<i64>),
    /// Another shape for each image.
    Reshape(Vec<i64>),
    /// `nn.Flatten`.
    Flatten,
    /// `x * scale + offset` by channel, along `dim`.
    Affine { scale: Vec<f64>, offset: Vec<f64>, rank: i64, dim: i64 },
    /// Vectors along `dims` brought to length 1.
    UnitNorm { dims: Vec<i64> },
    /// `nn.Softmax`.
    Softmax { dim: i64 },
    /// `nn.LogSoftmax`.
    LogSoftmax { dim: i64 },
    /// A function of each value.
    Elementwise(Activation),
}

impl Module {
    /// The Python that makes it.
    pub fn python(&self) -> String {
        match self {
            Module::Conv2d { channels: [inputs, outputs], kernel, stride, padding, dilation, groups, bias } => format!(
                "nn.Conv2d({inputs}, {outputs}, {}, groups={groups}, bias={})",
                window(kernel, &[("stride", stride), ("padding", padding), ("dilation", dilation)]),
                boolean(*bias)
            ),
            Module::ConvTranspose2d { channels: [inputs, outputs], kernel, stride, output_padding, bias } => format!(
                "nn.ConvTranspose2d({inputs}, {outputs}, {}, bias={})",
                window(kernel, &[("stride", stride), ("output_padding", output_padding)]),
                boolean(*bias)
            ),
            Module::Linear { features: [inputs, outputs], bias } => {
                format!("nn.Linear({inputs}, {outputs}, bias={})", boolean(*bias))
            }
            Module::BatchNorm { features, epsilon, momentum, image } => {
                let dimensions = if *image { 2 } else { 1 };
                format!("nn.BatchNorm{dimensions}d({features}, eps={epsilon:?}, momentum={momentum:?})")
            }
            Module::LayerNorm { shape, epsilon } => format!("nn.LayerNorm({}, eps={epsilon:?})", tuple(shape)),
            Module::GroupNorm { groups, channels, epsilon } => {
                format!("nn.GroupNorm({groups}, {channels}, eps={epsilon:?})")
            }
            Module::Slopes { shape } => format!("PReLU({})", tuple(shape)),
            Module::Pad { sides, value } => format!("nn.ConstantPad2d({}, {})", tuple(sides), number(*value)),
            Module::MaxPool { kernel, stride } => format!("nn.MaxPool2d({}, stride={})", tuple(kernel), tuple(stride)),
            Module::AveragePool { kernel, stride, sides: [0, 0, 0, 0] } => {
                format!("nn.AvgPool2d({}, stride={})", tuple(kernel), tuple(stride))
            }
            Module::Upsample { factors, bilinear } => {
                let mode = if *bilinear { "bilinear" } else { "nearest" };
                format!("nn.Upsample(scale_factor={}, mode=\"{mode}\")", tuple(factors))
            }
            Module::Dropout(rate) => format!("nn.Dropout({rate:?})"),
            Module::Dropout2d(rate) => format!("nn.Dropout2d({rate:?})"),
            Module::AlphaDropout(rate) => format!("nn.AlphaDropout({rate:?})"),
            Module::SharedDropout { rate, dims } => format!("SharedDropout({rate:?}, {})", tuple(dims)),
            Module::Scale { shape } => format!("Scale({})", tuple(shape)),
            Module::Lift { from, to } => function(lifted(*from, *to)),
            Module::Identity => "nn.Identity()".into(),
            Module::Flatten => "nn.Flatten()".into(),
            Module::Softmax { dim } => format!("nn.Softmax(dim={dim})"),
            Module::LogSoftmax { dim } => format!("nn.LogSoftmax(dim={dim})"),
            Module::Elementwise(activation) => elementwise(activation),
            Module::Crop { top, left, height, width } => {
                function(format!("x[:, :, {top}:{}, {left}:{}]", top + height, left + width))
            }
            Module::AveragePool { kernel, stride, sides } => function(padded_average(kernel, stride, sides)),
            Module::GlobalAverage { keepdims } => function(format!("x.mean((2, 3), keepdim={})", boolean(*keepdims))),
            Module::GlobalMax { keepdims } => function(format!("x.amax((2, 3), keepdim={})", boolean(*keepdims))),
            Module::Permute(dims) => function(format!("x.permute{}", tuple(dims))),
            Module::Reshape(shape) => function(format!("x.reshape(len(x), *{})", tuple(shape))),
            Module::Affine { scale, offset, rank, dim } => {
                let [scale, offset] = [scale, offset].map(|numbers| numbers_along(numbers, *rank, *dim));
                function(format!("x * {scale} + {offset}"))
            }
            Module::UnitNorm { dims } => {
                function(format!("x * x.square().sum({}, keepdim=True).clamp_min(1e-12).rsqrt()", tuple(dims)))
            }
        }
    }

    /// What it computes outside training. `weight` gives its weights by name.
    pub fn forward(&self, x: &Tensor, weight: &dyn Fn(&str) -> Tensor) -> Tensor {
        let optional = |there: bool| there.then(|| weight("bias"));
        match self {
            Module::Conv2d { stride, padding, dilation, groups, bias, .. } => {
                x.conv2d(&weight("weight"), optional(*bias), *stride, *padding, *dilation, *groups)
            }
            Module::ConvTranspose2d { stride, output_padding, bias, .. } => {
                x.conv_transpose2d(&weight("weight"), optional(*bias), *stride, [0, 0], *output_padding, 1, [1, 1])
            }
            Module::Linear { bias, .. } => x.linear(&weight("weight"), optional(*bias)),
            Module::BatchNorm { epsilon, .. } => {
                let [scale, offset, mean, variance] = ["weight", "bias", "running_mean", "running_var"].map(weight);
                x.batch_norm(Some(scale), Some(offset), Some(mean), Some(variance), false, 0.0, *epsilon, false)
            }
            Module::LayerNorm { shape, epsilon } => {
                x.layer_norm(shape, Some(weight("weight")), Some(weight("bias")), *epsilon, false)
            }
            Module::GroupNorm { groups, epsilon, .. } => {
                x.group_norm(*groups, Some(weight("weight")), Some(weight("bias")), *epsilon, false)
            }
            Module::Slopes { .. } => x.relu() - weight("weight") * (-x).relu(),
            Module::Pad { sides, value } => x.pad(*sides, "constant", *value),
            Module::Crop { top, left, height, width } => x.narrow(2, *top, *height).narrow(3, *left, *width),
            Module::MaxPool { kernel, stride } => x.max_pool2d(*kernel, *stride, [0, 0], [1, 1], false),
            Module::AveragePool { kernel, stride, sides } => {
                let pool = |x: &Tensor| x.constant_pad_nd(*sides).avg_pool2d(*kernel, *stride, 0, false, true, None);
                pool(x) / pool(&x.narrow(0, 0, 1).narrow(1, 0, 1).ones_like())
            }
            Module::GlobalAverage { keepdims } => x.mean_dim([2i64, 3].as_slice(), *keepdims, None::<Kind>),
            Module::GlobalMax { keepdims } => x.amax([2i64, 3].as_slice(), *keepdims),
            Module::Upsample { factors: [height, width], bilinear } => {
                let size = [x.size()[2] * height, x.size()[3] * width];
                match bilinear {
                    true => x.upsample_bilinear2d(size, false, None::<f64>, None::<f64>),
                    false => x.upsample_nearest2d(size, None::<f64>, None::<f64>),
                }
            }
            Module::Scale { .. } => x * weight("weight"),
            Module::Lift { from, to } => lift(x, *from, *to),
            Module::SharedDropout { .. }
            | Module::Dropout(_)
            | Module::Dropout2d(_)
            | Module::AlphaDropout(_)
            | Module::Identity => x.shallow_clone(),
            Module::Permute(dims) => x.permute(dims),
            Module::Reshape(shape) => x.reshape([&[x.size()[0]], &shape[..]].concat()),
            Module::Flatten => x.flatten(1, -1),
            Module::Affine { scale, offset, rank, dim } => {
                let of = |numbers: &[f64]| {
                    Tensor::from_slice(numbers).to_kind(Kind::Float).reshape(along(numbers.len(), *rank, *dim))
                };
                x * of(scale) + of(offset)
            }
            Module::UnitNorm { dims } => {
                x * x.square().sum_dim_intlist(dims.as_slice(), true, None::<Kind>).clamp_min(1e-12).rsqrt()
            }
            Module::Softmax { dim } => x.softmax(*dim, None::<Kind>),
            Module::LogSoftmax { dim } => x.log_softmax(*dim, None::<Kind>),
            Module::Elementwise(activation) => activate(x, activation),
        }
    }
}

/// The Python that gives `x` axes of size 1: see [`Module::Lift`].
fn lifted(from: usize, to: usize) -> String {
    let order = if to == 4 { ".permute(0, 3, 1, 2)" } else { "" };
    format!("x[:{}]{order}", ", None".repeat(to - from))
}

/// See [`Module::Lift`].
fn lift(x: &Tensor, from: usize, to: usize) -> Tensor {
    let lifted = (from..to).fold(x.shallow_clone(), |x, _| x.unsqueeze(1));
    if to == 4 { lifted.permute([0, 3, 1, 2]) } else { lifted }
}

/// The Python of an activation that treats each value by itself.
fn elementwise(activation: &Activation) -> String {
    let text = match activation {
        Activation::Linear => "nn.Identity()",
        Activation::Relu => "nn.ReLU()",
        Activation::Relu6 => "nn.ReLU6()",
        Activation::LeakyRelu => "nn.LeakyReLU(0.2)",
        Activation::Elu => "nn.ELU()",
        Activation::Selu => "nn.SELU()",
        Activation::Celu => "nn.CELU()",
        Activation::Tanh => "nn.Tanh()",
        Activation::Sigmoid => "nn.Sigmoid()",
        Activation::HardSigmoid => "nn.Hardsigmoid()",
        Activation::Keras2HardSigmoid => "Function(lambda x: (0.2 * x + 0.5).clamp(0.0, 1.0))",
        Activation::LogSigmoid => "nn.LogSigmoid()",
        Activation::Softplus => "nn.Softplus()",
        Activation::Softsign => "nn.Softsign()",
        Activation::Silu => "nn.SiLU()",
        Activation::HardSilu => "nn.Hardswish()",
        Activation::Gelu => "nn.GELU()",
        Activation::Mish => "nn.Mish()",
        Activation::Exponential => "Function(torch.exp)",
        Activation::Squareplus => "Function(lambda x: (x + (x.square() + 4.0).sqrt()) / 2.0)",
        Activation::SoftShrink => "nn.Softshrink(0.5)",
        Activation::HardShrink => "nn.Hardshrink(0.5)",
        Activation::TanhShrink => "nn.Tanhshrink()",
        Activation::HardTanh => "nn.Hardtanh()",
        Activation::SparsePlus => {
            "Function(lambda x: torch.where(x <= -1.0, 0.0 * x, torch.where(x < 1.0, (x + 1.0).square() / 4.0, x)))"
        }
        Activation::SparseSigmoid => "Function(lambda x: ((x + 1.0) / 2.0).clamp(0.0, 1.0))",
        Activation::Layer(layer) => return function_layer(layer),
        Activation::Softmax | Activation::LogSoftmax => unreachable!("no function of each value by itself"),
    };
    text.to_owned()
}

fn function_layer(layer: &FunctionLayer) -> String {
    match layer {
        FunctionLayer::ReLU(relu) => {
            let (threshold, slope) = (number(relu.threshold), number(relu.negative_slope));
            let cut = relu.max_value.map(|most| format!(".clamp(max={})", number(most))).unwrap_or_default();
            format!("Function(lambda x: torch.where(x >= {threshold}, x, {slope} * (x - {threshold})){cut})")
        }
        FunctionLayer::LeakyReLU(relu) => format!("nn.LeakyReLU({:?})", relu.negative_slope),
        FunctionLayer::ELU(elu) => format!("nn.ELU({:?})", elu.alpha),
        FunctionLayer::Softmax(_) => unreachable!("no function of each value by itself"),
    }
}

/// The shape in which `count` numbers lie along `dim` of a tensor with `rank` axes.
fn along(count: usize, rank: i64, dim: i64) -> Vec<i64> {
    (0..rank).map(|axis| if axis == dim { count as i64 } else { 1 }).collect()
}

fn tuple(sizes: &[i64]) -> String {
    let sizes: Vec<String> = sizes.iter().map(i64::to_string).collect();
    match &sizes[..] {
        [one] => format!("({one},)"),
        many => format!("({})", many.join(", ")),
    }
}

/// An operator's kernel, and what else is said of its windows.
fn window(kernel: &[i64], others: &[(&str, &[i64; 2])]) -> String {
    let others = others.iter().map(|(name, sizes)| format!(", {name}={}", tuple(*sizes)));
    tuple(kernel) + &others.collect::<String>()
}

/// What becomes of `x`, where that is no module of PyTorch's: `expression`, in the script's own class.
fn function(expression: String) -> String {
    format!("Function(lambda x: {expression})")
}

/// One number, or several along the axis `dim` of `rank` axes.
fn numbers_along(numbers: &[f64], rank: i64, dim: i64) -> String {
    match numbers {
        [one] => number(*one),
        many => format!("x.new_tensor({many:?}).reshape{}", tuple(&along(many.len(), rank, dim))),
    }
}

fn boolean(value: bool) -> &'static str {
    if value { "True" } else { "False" }
}

fn number(value: f64) -> String {
    if value.is_finite() { format!("{value:?}") } else { format!("float(\"{value}\")") }
}

/// The mean over the pixels of a window that are there, as Keras's `same` padding has it.
fn padded_average(kernel: &[i64], stride: &[i64], sides: &[i64]) -> String {
    let pool = |x: &str| format!("F.avg_pool2d(F.pad({x}, {}), {}, {})", tuple(sides), tuple(kernel), tuple(stride));
    format!("{} / {}", pool("x"), pool("torch.ones_like(x[:1, :1])"))
}
