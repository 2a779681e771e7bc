//! Layers as modules of PyTorch. Images lie `[B, C, H, W]` there; what needs Keras's order is put into it and back.

use tch::Tensor;

use super::super::windows::{self, FROM_KERAS, TO_KERAS, dim_of, sides, sizes};
use super::module::Module;
use crate::error::{Error, Result};
use crate::model::spec::layers::{
    AveragePooling2D, Conv2D, Conv2DTranspose, Dense, DepthwiseConv2D, Dropout, Interpolation, MaxPooling2D, Permute,
    SeparableConv2D, Softmax, UnitNormalization, UpSampling2D, ZeroPadding2D,
};
use crate::model::spec::{Activation, FunctionLayer, LayerCall, LayerPlan, LayerSpec, Padding, Pair};

/// A module with its weights by the names that PyTorch gives them. The first with an empty suffix has the layer's own name.
pub(super) struct TorchStep {
    /// What is added to the layer's name.
    pub suffix: &'static str,
    pub module: Module,
    pub weights: Vec<(&'static str, Tensor)>,
}

/// Puts a layer's steps together.
pub(super) struct TorchSteps<'a> {
    layer: &'a LayerPlan,
    call: &'a LayerCall,
    own: Vec<Tensor>,
    steps: Vec<TorchStep>,
}

/// The modules of a layer that is no nested network, called as `call`: what they make of its one input, or of what joining
/// its inputs gives. `own` are its weights in the plan's order, on the CPU.
///
/// # Errors
/// A model error where PyTorch has no module for it.
pub(super) fn steps(layer: &LayerPlan, call: &LayerCall, own: Vec<Tensor>) -> Result<Vec<TorchStep>> {
    let mut steps = TorchSteps { layer, call, own, steps: Vec::new() };
    steps.add_layer(&layer.layer.spec)?;
    steps.add_activation(&layer.layer.spec.activation())?;
    Ok(steps.steps)
}

impl TorchSteps<'_> {
    pub(super) fn push(&mut self, suffix: &'static str, module: Module) {
        self.steps.push(TorchStep { suffix, module, weights: Vec::new() });
    }

    /// A module with weights, called as the layer is.
    pub(super) fn push_with(&mut self, suffix: &'static str, module: Module, weights: Vec<(&'static str, Tensor)>) {
        self.steps.push(TorchStep { suffix, module, weights });
    }

    /// The first input's shape.
    pub(super) fn input(&self) -> &[usize] {
        &self.call.input_shapes[0]
    }

    fn output(&self) -> &[usize] {
        &self.call.output_shape
    }

    /// Whether the layer has no weights.
    pub(super) fn has_no_weights(&self) -> bool {
        self.layer.weights.is_empty()
    }

    /// The layer's own weight called `name` here.
    fn own(&self, name: &str) -> Option<Tensor> {
        let index = self.layer.weights.iter().position(|weight| weight.name == name)?;
        self.own.get(index).map(Tensor::shallow_clone)
    }

    pub(super) fn weight(&self, name: &str) -> Tensor {
        self.own(name).expect("the plan has it")
    }

    /// `weight`, and `bias` where there is one.
    fn weight_and_bias(&self, weight: &str) -> Vec<(&'static str, Tensor)> {
        let mut weights = vec![("weight", self.weight(weight))];
        weights.extend(self.own("bias").map(|bias| ("bias", bias)));
        weights
    }

    /// Factor and offset of a normalisation, 1 and 0 where Keras leaves them out.
    pub(super) fn affine(&self, shape: &[i64]) -> Vec<(&'static str, Tensor)> {
        let options = (tch::Kind::Float, tch::Device::Cpu);
        let scale = self.own("weight").unwrap_or_else(|| Tensor::ones(shape, options));
        let offset = self.own("bias").unwrap_or_else(|| Tensor::zeros(shape, options));
        vec![("weight", scale), ("bias", offset)]
    }

    pub(super) fn is_image(&self) -> bool {
        self.input().len() == 3
    }

    /// The axes of the input with the batch.
    pub(super) fn rank(&self) -> i64 {
        self.input().len() as i64 + 1
    }

    pub(super) fn channels(&self) -> i64 {
        self.input().last().copied().unwrap_or(1) as i64
    }

    /// Where a Keras axis (the batch is 0) lies in PyTorch.
    pub(super) fn dim(&self, axis: usize) -> i64 {
        dim_of(axis, self.input().len() + 1)
    }

    pub(super) fn push_to_keras(&mut self) {
        if self.input().len() == 3 {
            self.push("_to_keras", Module::Permute(TO_KERAS.to_vec()));
        }
    }

    pub(super) fn push_from_keras(&mut self) {
        if self.output().len() == 3 {
            self.push("_from_keras", Module::Permute(FROM_KERAS.to_vec()));
        }
    }

    fn add_layer(&mut self, spec: &LayerSpec) -> Result<()> {
        match spec {
            LayerSpec::Conv2D(conv) => self.conv2d(conv),
            LayerSpec::DepthwiseConv2D(conv) => self.depthwise(conv),
            LayerSpec::SeparableConv2D(conv) => self.separable(conv),
            LayerSpec::Conv2DTranspose(conv) => self.transposed(conv),
            LayerSpec::Dense(dense) => self.dense(dense),
            LayerSpec::MaxPooling2D(pool) => self.max_pool(pool),
            LayerSpec::AveragePooling2D(pool) => self.average_pool(pool),
            LayerSpec::GlobalAveragePooling2D(pool) => self.push("", Module::GlobalAverage { keepdims: pool.keepdims }),
            LayerSpec::GlobalMaxPooling2D(pool) => self.push("", Module::GlobalMax { keepdims: pool.keepdims }),
            LayerSpec::BatchNormalization(norm) => self.batch_norm(norm)?,
            LayerSpec::LayerNormalization(norm) => self.layer_norm(norm)?,
            LayerSpec::GroupNormalization(norm) => self.group_norm(norm)?,
            LayerSpec::UnitNormalization(norm) => self.unit_norm(norm)?,
            LayerSpec::Dropout(dropout) => self.dropout(dropout),
            LayerSpec::StochasticDepth(depth) => {
                let dims = (1..self.rank()).collect();
                self.push("", Module::SharedDropout { rate: depth.drop_path_rate, dims });
            }
            LayerSpec::SpatialDropout2D(dropout) => self.push("", Module::Dropout2d(dropout.rate)),
            LayerSpec::AlphaDropout(dropout) => self.push("", Module::AlphaDropout(dropout.rate)),
            // at work in training only
            LayerSpec::GaussianDropout(_)
            | LayerSpec::GaussianNoise(_)
            | LayerSpec::ActivityRegularization(_)
            | LayerSpec::Identity(_)
            | LayerSpec::RandomFlip(_)
            | LayerSpec::RandomRotation(_)
            | LayerSpec::RandomZoom(_)
            | LayerSpec::RandomTranslation(_)
            | LayerSpec::RandomContrast(_)
            | LayerSpec::RandomBrightness(_) => self.push("", Module::Identity),
            LayerSpec::PReLU(_) => self.slopes(),
            LayerSpec::LayerScale(_) => self.channel_scale(),
            LayerSpec::Rescaling(rescaling) => self.rescaling(rescaling),
            LayerSpec::Normalization(norm) => self.normalization(norm)?,
            LayerSpec::Resizing(_) => return Err(refused("Resizing")),
            LayerSpec::Flatten(_) => self.flatten(),
            LayerSpec::Reshape(_) => self.reshape(),
            LayerSpec::Permute(permute) => self.permute(permute),
            LayerSpec::ZeroPadding2D(pad) => self.zero_pad(pad),
            LayerSpec::Cropping2D(crop) => self.crop(crop.cropping.top, crop.cropping.left)?,
            LayerSpec::CenterCrop(_) => self.center_crop()?,
            LayerSpec::UpSampling2D(up) => self.upsample(up),
            // an activation alone, which `add_activation` adds
            // and what joins several, which `join.rs` has
            LayerSpec::Add(_)
            | LayerSpec::Subtract(_)
            | LayerSpec::Multiply(_)
            | LayerSpec::Average(_)
            | LayerSpec::Maximum(_)
            | LayerSpec::Minimum(_)
            | LayerSpec::CustomScaleLayer(_)
            | LayerSpec::Concatenate(_)
            | LayerSpec::Activation(_)
            | LayerSpec::ReLU(_)
            | LayerSpec::LeakyReLU(_)
            | LayerSpec::ELU(_)
            | LayerSpec::Softmax(_) => {}
            LayerSpec::Network(_) => unreachable!("a nested network is converted layer by layer"),
        }
        Ok(())
    }

    fn conv2d(&mut self, conv: &Conv2D) {
        let padding = self.padding(conv.padding, conv.kernel_size, conv.strides, conv.dilation_rate, 0.0);
        let module = self.convolution(conv.kernel_size, conv.strides, conv.dilation_rate, padding, conv.groups);
        let weights = self.weight_and_bias("weight");
        self.push_with("", module, weights);
    }

    fn depthwise(&mut self, conv: &DepthwiseConv2D) {
        let padding = self.padding(conv.padding, conv.kernel_size, conv.strides, conv.dilation_rate, 0.0);
        let groups = self.channels() as usize;
        let module = self.convolution(conv.kernel_size, conv.strides, conv.dilation_rate, padding, groups);
        let weights = self.weight_and_bias("weight");
        self.push_with("", module, weights);
    }

    fn dense(&mut self, dense: &Dense) {
        let module = Module::Linear { features: [self.channels(), dense.units as i64], bias: dense.use_bias };
        let weights = self.weight_and_bias("weight");
        self.push_to_keras();
        self.push_with("", module, weights);
        self.push_from_keras();
    }

    fn max_pool(&mut self, pool: &MaxPooling2D) {
        let strides = pool.strides.unwrap_or(pool.pool_size);
        self.pad_all(pool.padding, pool.pool_size, strides, Pair::square(1), f64::NEG_INFINITY);
        self.push("", Module::MaxPool { kernel: sizes(pool.pool_size), stride: sizes(strides) });
    }

    fn average_pool(&mut self, pool: &AveragePooling2D) {
        let strides = pool.strides.unwrap_or(pool.pool_size);
        let sides = self.sides(pool.padding, pool.pool_size, strides, Pair::square(1));
        self.push("", Module::AveragePool { kernel: sizes(pool.pool_size), stride: sizes(strides), sides });
    }

    fn dropout(&mut self, dropout: &Dropout) {
        let module = match dropout.shared_axes() {
            None => Module::Dropout(dropout.rate),
            Some(shared) => {
                let axes = shared.iter().enumerate().filter(|(_, is_shared)| **is_shared);
                let dims = axes.map(|(axis, _)| self.dim(axis)).collect();
                Module::SharedDropout { rate: dropout.rate, dims }
            }
        };
        self.push("", module);
    }

    fn unit_norm(&mut self, norm: &UnitNormalization) -> Result<()> {
        let dims = norm.axes(self.rank() as usize)?.into_iter().map(|axis| self.dim(axis)).collect();
        self.push("", Module::UnitNorm { dims });
        Ok(())
    }

    fn flatten(&mut self) {
        self.push_to_keras();
        self.push("", Module::Flatten);
    }

    fn reshape(&mut self) {
        self.push_to_keras();
        let shape = self.output().iter().map(|&size| size as i64).collect();
        self.push("", Module::Reshape(shape));
        self.push_from_keras();
    }

    fn permute(&mut self, permute: &Permute) {
        self.push_to_keras();
        let dims = std::iter::once(0).chain(permute.dims.iter().map(|&axis| axis as i64)).collect();
        self.push("", Module::Permute(dims));
        self.push_from_keras();
    }

    fn zero_pad(&mut self, pad: &ZeroPadding2D) {
        let sides = [pad.padding.left, pad.padding.right, pad.padding.top, pad.padding.bottom];
        self.push("", Module::Pad { sides: sides.map(|size| size as i64), value: 0.0 });
    }

    fn center_crop(&mut self) -> Result<()> {
        let offset = |axis: usize| (self.input()[axis] - self.output()[axis]) / 2;
        self.crop(offset(0), offset(1))
    }

    fn upsample(&mut self, up: &UpSampling2D) {
        let bilinear = match up.interpolation {
            Interpolation::Nearest => false,
            Interpolation::Bilinear => true,
        };
        self.push("", Module::Upsample { factors: sizes(up.size), bilinear });
    }

    /// The output's height and width from `top`, `left` on.
    fn crop(&mut self, top: usize, left: usize) -> Result<()> {
        let [height, width, _] = image(self.output())?;
        self.push("", Module::Crop { top: top as i64, left: left as i64, height, width });
        Ok(())
    }

    /// Zeros or the like at the sides that give Keras's padding: left, right, top, bottom.
    fn sides(&self, padding: Padding, window: Pair, strides: Pair, dilation: Pair) -> [i64; 4] {
        sides(padding, self.input(), window, strides, dilation)
    }

    fn pad_all(&mut self, padding: Padding, window: Pair, strides: Pair, dilation: Pair, value: f64) {
        let sides = self.sides(padding, window, strides, dilation);
        if sides != [0; 4] {
            self.push("_pad", Module::Pad { sides, value });
        }
    }

    /// The padding that the operator can do itself; what is uneven is a module before it.
    fn padding(&mut self, padding: Padding, window: Pair, strides: Pair, dilation: Pair, value: f64) -> [i64; 2] {
        match self.sides(padding, window, strides, dilation) {
            [left, right, top, bottom] if left == right && top == bottom => [top, left],
            _ => {
                self.pad_all(padding, window, strides, dilation, value);
                [0, 0]
            }
        }
    }

    fn convolution(&self, kernel: Pair, strides: Pair, dilation: Pair, padding: [i64; 2], groups: usize) -> Module {
        Module::Conv2d {
            channels: [self.channels(), self.outputs()],
            kernel: sizes(kernel),
            stride: sizes(strides),
            padding,
            dilation: sizes(dilation),
            groups: groups as i64,
            bias: self.own("bias").is_some(),
        }
    }

    fn outputs(&self) -> i64 {
        self.output().last().copied().unwrap_or(1) as i64
    }

    fn separable(&mut self, conv: &SeparableConv2D) {
        let padding = self.padding(conv.padding, conv.kernel_size, conv.strides, conv.dilation_rate, 0.0);
        let between = self.channels() * conv.depth_multiplier as i64;
        let depthwise = Module::Conv2d {
            channels: [self.channels(), between],
            kernel: sizes(conv.kernel_size),
            stride: sizes(conv.strides),
            padding,
            dilation: sizes(conv.dilation_rate),
            groups: self.channels(),
            bias: false,
        };
        let pointwise = Module::Conv2d {
            channels: [between, self.outputs()],
            kernel: [1, 1],
            stride: [1, 1],
            padding: [0, 0],
            dilation: [1, 1],
            groups: 1,
            bias: conv.use_bias,
        };
        let weights = vec![("weight", self.weight("depthwise_weight"))];
        self.push_with("_depthwise", depthwise, weights);
        let weights = self.weight_and_bias("pointwise_weight");
        self.push_with("", pointwise, weights);
    }

    /// The whole transposed convolution, as large as Keras's output needs, then Keras's part of it.
    fn transposed(&mut self, conv: &Conv2DTranspose) {
        let [rows, columns] = windows::transposed(conv, self.input(), self.output());
        let module = Module::ConvTranspose2d {
            channels: [self.channels(), self.outputs()],
            kernel: sizes(conv.kernel_size),
            stride: sizes(conv.strides),
            output_padding: [rows, columns].map(|axis| (-axis.after).max(0)),
            bias: conv.use_bias,
        };
        let weights = self.weight_and_bias("weight");
        self.push_with("", module, weights);
        let (height, width) = (self.output()[0] as i64, self.output()[1] as i64);
        self.push("_crop", Module::Crop { top: rows.before, left: columns.before, height, width });
    }

    fn add_activation(&mut self, activation: &Activation) -> Result<()> {
        let last = if self.output().len() == 3 { 1 } else { self.output().len() as i64 };
        let module = match activation {
            Activation::Linear => return Ok(()),
            Activation::Softmax => Module::Softmax { dim: last },
            Activation::LogSoftmax => Module::LogSoftmax { dim: last },
            Activation::Layer(FunctionLayer::Softmax(softmax)) => self.softmax(softmax)?,
            each => Module::Elementwise(each.clone()),
        };
        self.push("_activation", module);
        Ok(())
    }

    fn softmax(&self, softmax: &Softmax) -> Result<Module> {
        let rank = self.output().len() + 1;
        match softmax.axis.resolve(rank)?[..] {
            [axis] => Ok(Module::Softmax { dim: dim_of(axis, rank) }),
            _ => Err(refused("Softmax over several axes")),
        }
    }
}

fn image(shape: &[usize]) -> Result<[i64; 3]> {
    let sizes = <[usize; 3]>::try_from(shape).map_err(|_| Error::internal("an image was expected"))?;
    Ok(sizes.map(|size| size as i64))
}

pub(super) fn refused(what: &str) -> Error {
    Error::model(format!("{what} cannot be written as modules of PyTorch")).help("use another `format`")
}
