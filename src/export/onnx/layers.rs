//! What each class of layers is in ONNX, outside training: one arm a class. Images lie `[N, C, H, W]`, everything else in Keras's
//! order; what needs Keras's order is put into it and back.

use super::super::windows::{FROM_KERAS, TO_KERAS, dim_of};
use super::graph::{GraphBuilder, int, ints};
use super::joins::{self, Join};
use super::proto::AttributeProto;
use crate::error::{Error, Result};
use crate::model::Weight;
use crate::model::spec::layers::Concatenate;
use crate::model::spec::{LayerCall, LayerPlan, LayerSpec};

/// Writes the nodes of one call of a layer.
pub(super) struct Steps<'a> {
    pub graph: &'a mut GraphBuilder,
    /// The layer's path, which its nodes are called by.
    pub path: &'a str,
    call: &'a LayerCall,
    /// The layer's weights.
    own: &'a [Weight],
    /// What there is so far.
    pub value: String,
}

/// Writes the layer at `path`, called as `call` of the values `inputs`; the name of what it gives. `own` are its weights.
///
/// # Errors
/// A model error where ONNX has nothing that computes the same.
pub(super) fn layer(
    graph: &mut GraphBuilder,
    (path, layer): (&str, &LayerPlan),
    call: &LayerCall,
    own: &[Weight],
    inputs: &[String],
) -> Result<String> {
    let mut steps = Steps { graph, path, call, own, value: inputs[0].clone() };
    steps.add_layer(&layer.layer.spec, inputs)?;
    steps.activation(&layer.layer.spec.activation())?;
    Ok(steps.value)
}

impl<'a> Steps<'a> {
    /// Uses `op` on the value, with `more` inputs behind it; what it makes is the value.
    pub fn apply(&mut self, op: &str, more: &[&str], attributes: Vec<AttributeProto>) {
        self.value = self.made(op, &[&[&*self.value.clone()], more].concat(), attributes);
    }

    /// What `op` makes of `inputs`.
    pub fn made(&mut self, op: &str, inputs: &[&str], attributes: Vec<AttributeProto>) -> String {
        self.graph.node(self.path, op, inputs, attributes)
    }

    /// A constant of this layer.
    pub fn scalar(&mut self, value: f64) -> String {
        self.graph.scalar(self.path, value)
    }

    /// Numbers of this layer, of the shape `dims`.
    pub fn floats(&mut self, name: &str, dims: &[i64], values: &[f32]) -> String {
        self.graph.floats(&format!("{}/{name}", self.path), dims, values)
    }

    /// Whole numbers of this layer.
    pub fn integers(&mut self, name: &str, values: &[i64]) -> String {
        self.graph.integers(&format!("{}/{name}", self.path), values)
    }

    /// The layer's weight called `name` here, where it has one; its name in the file.
    pub fn optional_weight(&mut self, name: &str) -> Option<String> {
        let weight = self.own.iter().find(|weight| weight.info.name == name)?;
        self.graph.weight(&weight.name, &weight.tensor);
        Some(weight.name.clone())
    }

    /// As [`Steps::optional_weight`], of one that the plan has.
    pub fn weight(&mut self, name: &str) -> String {
        self.optional_weight(name).expect("the plan has it")
    }

    /// The first input's shape, Keras's.
    pub fn input(&self) -> &'a [usize] {
        &self.call.input_shapes[0]
    }

    /// The output's shape, Keras's.
    pub fn output(&self) -> &'a [usize] {
        &self.call.output_shape
    }

    /// The axes of the input with the batch.
    pub fn rank(&self) -> usize {
        self.input().len() + 1
    }

    /// The input's channels.
    pub fn channels(&self) -> usize {
        self.input().last().copied().unwrap_or(1)
    }

    /// Where a Keras axis (the batch is 0) of the input lies.
    pub fn dim(&self, axis: usize) -> i64 {
        dim_of(axis, self.rank())
    }

    /// The axes in another order; nothing where it is the same.
    pub fn transpose(&mut self, order: &[i64]) {
        if !order.iter().copied().eq(0..order.len() as i64) {
            self.apply("Transpose", &[], vec![ints("perm", order)]);
        }
    }

    /// An image of Keras's shape `of` into Keras's order.
    pub fn put_in_keras_order(&mut self, of: &[usize]) {
        if of.len() == 3 {
            self.transpose(&TO_KERAS);
        }
    }

    /// An image of Keras's shape `of` from Keras's order.
    pub fn put_back(&mut self, of: &[usize]) {
        if of.len() == 3 {
            self.transpose(&FROM_KERAS);
        }
    }

    /// Each image's values in another shape; `name` is what its sizes are called.
    pub fn reshape(&mut self, name: &str, sizes: &[i64]) {
        let sizes = self.integers(name, &[&[0], sizes].concat()); // 0: the batch's
        self.apply("Reshape", &[&sizes], vec![]);
    }

    /// A constant in another shape.
    pub fn reshaped(&mut self, constant: &str, dims: &[i64]) -> String {
        let dims = self.integers("shape", dims);
        self.made("Reshape", &[constant, &dims], vec![])
    }

    /// One value a channel in a shape that goes with the input, whose channels lie last in Keras.
    pub fn per_channel(&mut self, values: &str) -> String {
        match self.rank() {
            4 => self.reshaped(values, &[-1, 1, 1]),
            _ => values.to_owned(),
        }
    }

    fn add_layer(&mut self, spec: &LayerSpec, inputs: &[String]) -> Result<()> {
        match spec {
            LayerSpec::Conv2D(conv) => self.conv2d(conv),
            LayerSpec::DepthwiseConv2D(conv) => self.depthwise(conv),
            LayerSpec::SeparableConv2D(conv) => self.separable(conv),
            LayerSpec::Conv2DTranspose(conv) => self.transposed(conv),
            LayerSpec::Dense(_) => self.dense(),
            LayerSpec::MaxPooling2D(pool) => self.max_pool(pool),
            LayerSpec::AveragePooling2D(pool) => self.average_pool(pool),
            LayerSpec::GlobalAveragePooling2D(pool) => self.global("GlobalAveragePool", pool.keepdims),
            LayerSpec::GlobalMaxPooling2D(pool) => self.global("GlobalMaxPool", pool.keepdims),
            LayerSpec::BatchNormalization(norm) => self.batch_norm(norm)?,
            LayerSpec::LayerNormalization(norm) => self.layer_norm(norm)?,
            LayerSpec::GroupNormalization(norm) => self.group_norm(norm)?,
            LayerSpec::UnitNormalization(norm) => self.unit_norm(norm)?,
            LayerSpec::LayerScale(_) => self.layer_scale(),
            LayerSpec::PReLU(_) => self.prelu(),
            LayerSpec::Rescaling(rescaling) => self.rescaling(rescaling),
            LayerSpec::Normalization(norm) => self.normalization(norm)?,
            LayerSpec::Flatten(_) => self.flatten(),
            LayerSpec::Reshape(_) => self.reshape_layer(),
            LayerSpec::Permute(permute) => self.permute(permute),
            LayerSpec::ZeroPadding2D(pad) => self.zero_pad(pad.padding),
            LayerSpec::Cropping2D(crop) => self.crop([crop.cropping.top, crop.cropping.left]),
            LayerSpec::CenterCrop(_) => self.center_crop(),
            LayerSpec::UpSampling2D(up) => self.upsample(up),
            LayerSpec::Resizing(resizing) => self.resize(resizing.interpolation),
            LayerSpec::Add(_) => self.join(Join::Add, inputs),
            LayerSpec::Subtract(_) => self.join(Join::Subtract, inputs),
            LayerSpec::Multiply(_) => self.join(Join::Multiply, inputs),
            LayerSpec::Average(_) => self.join(Join::Average, inputs),
            LayerSpec::Maximum(_) => self.join(Join::Maximum, inputs),
            LayerSpec::Minimum(_) => self.join(Join::Minimum, inputs),
            LayerSpec::CustomScaleLayer(layer) => self.join(Join::AddScaled(layer.scale), inputs),
            LayerSpec::Concatenate(layer) => self.concatenate(layer, inputs)?,
            // at work in training only
            LayerSpec::Dropout(_)
            | LayerSpec::SpatialDropout2D(_)
            | LayerSpec::AlphaDropout(_)
            | LayerSpec::GaussianDropout(_)
            | LayerSpec::GaussianNoise(_)
            | LayerSpec::StochasticDepth(_)
            | LayerSpec::ActivityRegularization(_)
            | LayerSpec::RandomFlip(_)
            | LayerSpec::RandomRotation(_)
            | LayerSpec::RandomZoom(_)
            | LayerSpec::RandomTranslation(_)
            | LayerSpec::RandomContrast(_)
            | LayerSpec::RandomBrightness(_)
            // an activation alone, which follows
            | LayerSpec::Identity(_)
            | LayerSpec::Activation(_)
            | LayerSpec::ReLU(_)
            | LayerSpec::LeakyReLU(_)
            | LayerSpec::ELU(_)
            | LayerSpec::Softmax(_) => {}
            LayerSpec::Network(_) => unreachable!("a nested network is written layer by layer"),
        }
        Ok(())
    }

    /// Each pixel or vector times the kernel, plus the bias.
    fn dense(&mut self) {
        let (kernel, bias) = (self.weight("weight"), self.optional_weight("bias"));
        match self.rank() {
            2 => {
                let inputs: Vec<&str> = std::iter::once(&*kernel).chain(bias.as_deref()).collect();
                self.apply("Gemm", &inputs, vec![int("transB", 1)]);
            }
            4 => {
                let kernel = self.reshaped(&kernel, &[0, 0, 1, 1]); // [units, C, 1, 1]
                let inputs: Vec<&str> = std::iter::once(&*kernel).chain(bias.as_deref()).collect();
                self.apply("Conv", &inputs, vec![ints("kernel_shape", &[1, 1])]);
            }
            _ => {
                let kernel = self.made("Transpose", &[&kernel], vec![ints("perm", &[1, 0])]);
                self.apply("MatMul", &[&kernel], vec![]);
                if let Some(bias) = bias {
                    self.apply("Add", &[&bias], vec![]);
                }
            }
        }
    }

    fn join(&mut self, join: Join, inputs: &[String]) {
        self.value = joins::join(self.graph, self.path, join, inputs, &self.call.input_shapes);
    }

    fn concatenate(&mut self, layer: &Concatenate, inputs: &[String]) -> Result<()> {
        let dim = self.dim(layer.axis_of(self.rank())?);
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        self.value = self.made("Concat", &inputs, vec![int("axis", dim)]);
        Ok(())
    }
}

/// The error for what ONNX cannot compute.
pub(super) fn refused(what: &str) -> Error {
    Error::model(format!("{what} cannot be written in ONNX")).help("use another `format`")
}
