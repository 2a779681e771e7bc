//! A network: its architecture, its weights, what it computes.

mod calibration;
mod checksum;
pub mod config;
pub(crate) mod foreign;
mod initialize;
pub(crate) mod json_file;
mod layer_times;
pub(crate) mod layers;
pub mod network;
mod output;
mod penalties;
pub mod plot;
pub mod preprocess;
pub mod presets;
pub mod saved;
mod scaling;
mod seal;
pub mod spec;
pub(crate) mod summary;
pub mod trained_on;
pub mod training_look;
pub mod transfer;

use tch::{Device, Kind, Tensor, nn};

pub use calibration::{Calibration, Threshold, softmax};
pub use layer_times::LayerTime;
pub use layers::{Weight, channels_last};
pub use network::Architecture;
pub use output::Outputs;
pub use saved::{CompileInfo, InputInfo, ModelInfo};
pub use scaling::{InputScale, ScaleOrigin};
pub use spec::{OutputKind, Spec};
pub use summary::{Summary, SummaryLayer, thousands};

use crate::data::ImageShape;
use crate::data::batches::DataLoader;
use crate::error::{Error, Result};
use crate::native;
use layers::Fusing;
use spec::{Output, Plan};

/// In what kind of number the network computes. Weights, loss and optimizer are f32 always.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    serde::Serialize,
    serde::Deserialize,
    strum::Display,
    strum::EnumMessage,
    strum::EnumString,
    strum::VariantArray,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Precision {
    /// f32 throughout.
    #[default]
    Fp32,
    /// Activations, and a copy of the weights made in every step, in bfloat16.
    Bf16,
}

/// A network with weights, on a device.
pub struct Model {
    spec: Spec,
    plan: Plan,
    /// What its outputs mean; none where it is not a classifier.
    output: Option<Output>,
    store: nn::VarStore,
    network: layers::Network,
    input_scale: f64,
    image: Option<ImageShape>,
    precision: Precision,
}

impl Model {
    /// Builds `spec` on `device` with initial weights from `seed`. Stored images are multiplied by `input_scale` (Keras's
    /// courses: 1/255) before they enter the network.
    ///
    /// # Errors
    /// A model error where the shapes do not fit together.
    pub fn new(spec: Spec, input_scale: f64, device: Device, seed: u64) -> Result<Self> {
        let plan = spec.plan()?;
        if !input_scale.is_finite() || input_scale <= 0.0 {
            return Err(Error::model("the input scale is not usable").expected("a number above 0").got(input_scale));
        }
        native::settle_math_functions();
        let store = nn::VarStore::new(device);
        let output = spec.output(&plan).ok();
        let network = layers::build(&plan, output, &store.root(), seed, Fusing::Allowed);
        Ok(Model { spec, plan, output, store, network, input_scale, image: None, precision: Precision::Fp32 })
    }

    /// The same network, computing in `precision`.
    #[must_use]
    pub fn with_precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// The same network for images of `shape`: what an input `[H·W·C]` does not say.
    ///
    /// # Errors
    /// A model error where such images do not go into it.
    pub fn with_image_shape(mut self, shape: ImageShape) -> Result<Self> {
        self.spec.check_takes(shape)?;
        self.image = Some(shape);
        Ok(self)
    }

    /// H, W, C of the images that the network takes: see [`Spec::image_shape`] where nobody has said it.
    ///
    /// # Errors
    /// A model error where the network takes no images, or of a size that is not known.
    pub fn image_shape(&self) -> Result<ImageShape> {
        self.image.map_or_else(|| self.spec.image_shape(), Ok)
    }

    /// The architecture.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Shapes and weights of every layer.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// How many images are best put through the network at once outside training: as many as keep a GPU busy, but so few that what
    /// a layer takes and gives stays small beside what a training holds.
    pub fn inference_batch_size(&self) -> usize {
        const MOST: usize = 250;
        let most_values = match self.device() {
            Device::Cpu => 16 << 20, // 64 MiB of f32
            _ => 128 << 20,
        };
        (most_values / self.plan.largest_call().max(1)).clamp(1, MOST)
    }

    /// Where the weights lie.
    pub fn device(&self) -> Device {
        self.store.device()
    }

    /// What stored images are multiplied by.
    pub fn input_scale(&self) -> f64 {
        self.input_scale
    }

    /// In what kind of number the network computes.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Every weight, in the order of the layers and, within a layer, of Keras.
    pub fn weights(&self) -> &[Weight] {
        &self.network.weights
    }

    /// How many outputs the network has.
    pub fn num_outputs(&self) -> usize {
        *self.plan.output_shape().last().expect("every shape has an axis")
    }

    /// What the outputs mean.
    ///
    /// # Errors
    /// A model error where they are not those of a classifier.
    pub fn output_kind(&self) -> Result<OutputKind> {
        self.output.map_or_else(|| self.spec.output_kind(), |output| Ok(output.kind))
    }

    /// K: how many classes the network tells apart; of what is not a classifier, its outputs.
    pub fn num_classes(&self) -> usize {
        let num_outputs = self.num_outputs();
        self.output.map_or(num_outputs, |output| output.kind.num_classes(num_outputs))
    }

    /// What a classifier makes of `images`: `u8 [B, H, W, C]` as stored, or `f32 [B, H, W, C]` as they are.
    ///
    /// In training (`train`), dropout is on and batch statistics move.
    ///
    /// # Errors
    /// As [`Model::output_kind`].
    pub fn forward(&self, images: &Tensor, train: bool) -> Result<Outputs> {
        let kind = self.output_kind()?;
        Ok(Outputs { values: self.values(images, train), kind, form: kind.form(train) })
    }

    /// As [`Model::forward`] outside training, in f32 whatever the network's precision is: what the model computes once it was saved and
    /// loaded.
    ///
    /// # Errors
    /// As [`Model::output_kind`].
    pub(crate) fn forward_fp32(&self, images: &Tensor) -> Result<Outputs> {
        let kind = self.output_kind()?;
        let values = self.network.values(&self.inputs_as(images, Precision::Fp32), false);
        Ok(Outputs { values, kind, form: kind.form(false) })
    }

    /// Outputs `f32 [B, …]` of any network, as Keras's `predict` gives them, of `images` as in [`Model::forward`].
    pub fn predict(&self, images: &Tensor) -> Tensor {
        match self.forward(images, false) {
            Ok(outputs) => outputs.activated(),
            Err(_) => self.values(images, false),
        }
    }

    /// What any network computes, `f32 [B, …]`, of `images` as in [`Model::forward`]; logits where the outputs are
    /// [`spec::Form::Activated`].
    pub fn values(&self, images: &Tensor, train: bool) -> Tensor {
        self.network.values(&self.inputs(images), train)
    }

    /// The layer up to which a training changes nothing and draws nothing at random, by its path, and how many numbers it
    /// gives for an image; none where the first layer with weights is trained.
    pub fn features_layer(&self) -> Option<(&str, usize)> {
        let (path, call) = self.network.features_layer()?;
        Some((path, self.plan.calls[call].output_shape.iter().product()))
    }

    /// What that layer gives for `images` as in [`Model::forward`]: their features, `[B, …]`, in the network's precision.
    pub fn features(&self, images: &Tensor) -> Tensor {
        self.network.features(&self.inputs(images))
    }

    /// What a classifier makes of a batch of `loader`'s: images as in [`Model::forward`], or the features that are kept of
    /// them.
    ///
    /// # Errors
    /// As [`Model::output_kind`].
    pub fn forward_batch(&self, loader: &DataLoader, batch: &Tensor, train: bool) -> Result<Outputs> {
        if !loader.holds_features() {
            return self.forward(batch, train);
        }
        let kind = self.output_kind()?;
        Ok(Outputs { values: self.network.values_of_features(batch, train), kind, form: kind.form(train) })
    }

    /// As [`Model::forward`] outside training. `see` sees what calls of [`Plan::calls`] up to the outputs give, with their numbers:
    /// images as `[B, C, H, W]`, everything else in Keras's order, in the network's precision. Of a model that is not
    /// [`Model::unfused`] only what the last Dense layer takes is sure to be seen, and to be the layer's own.
    ///
    /// # Errors
    /// As [`Model::output_kind`].
    pub fn watch(&self, images: &Tensor, see: impl FnMut(usize, &Tensor)) -> Result<Outputs> {
        let kind = self.output_kind()?;
        Ok(Outputs { values: self.network.watch(&self.inputs(images), see), kind, form: kind.form(false) })
    }

    /// The same network with weights of its own, where every call gives its layer's values: slower, for [`Model::watch`].
    ///
    /// # Errors
    /// As [`Model::new`].
    pub fn unfused(&self) -> Result<Self> {
        let Model { spec, input_scale, image, precision, .. } = self;
        let (plan, output) = (self.plan.clone(), self.output);
        let store = nn::VarStore::new(self.device());
        let network = layers::build(&plan, output, &store.root(), 0, Fusing::Forbidden);
        for (weight, other) in network.weights.iter().zip(self.weights()) {
            tch::no_grad(|| weight.tensor.shallow_clone().copy_(&other.tensor));
        }
        let (spec, precision) = (spec.clone(), *precision);
        Ok(Model { spec, plan, output, store, network, input_scale: *input_scale, image: *image, precision })
    }

    /// The first layer with an output that is not finite, as the network is in training, for `images` as in
    /// [`Model::forward`]. Waits for the device.
    pub fn first_non_finite_layer(&self, images: &Tensor) -> Option<&str> {
        let is_finite = |outputs: &Tensor| outputs.isfinite().all().int64_value(&[]) != 0;
        tch::no_grad(|| self.network.first_layer(&self.inputs(images), |outputs| !is_finite(outputs)))
    }

    /// `images` as they enter the first layer: `[B, C, H, W]`, channels last in memory, or as the network's input has them;
    /// in its precision.
    fn inputs(&self, images: &Tensor) -> Tensor {
        self.inputs_as(images, self.precision)
    }

    fn inputs_as(&self, images: &Tensor, precision: Precision) -> Tensor {
        let kind = match precision {
            Precision::Fp32 => Kind::Float,
            Precision::Bf16 => Kind::BFloat16,
        };
        let scaled = match images.kind() {
            Kind::Uint8 => images * self.input_scale, // f32 [B, H, W, C]
            _ => images.shallow_clone(),
        };
        let inputs = match self.spec.input_shape.as_deref() {
            Some([_, _, _]) => scaled.permute([0, 3, 1, 2]), // [B, C, H, W], channels last in memory
            shape => {
                let sizes = shape.unwrap_or_default().iter().map(|&size| size as i64);
                scaled.reshape(std::iter::once(-1).chain(sizes).collect::<Vec<_>>()) // [B, H, W] or [B, H·W·C]
            }
        };
        inputs.to_kind(kind)
    }

    /// Turns the first convolution's weights round: those for blue first become those for red first.
    pub fn flip_input_channels(&self) {
        if let Some(first) = self.weights().iter().find(|weight| weight.tensor.dim() == 4) {
            tch::no_grad(|| first.tensor.shallow_clone().copy_(&first.tensor.flip([1])));
        }
    }

    /// `loss` plus what the weights' regularisers add to it. Keras counts them in training and in evaluation.
    pub fn with_penalties(&self, loss: Tensor) -> Tensor {
        match self.regularization_loss() {
            Some(penalty) => loss + penalty,
            None => loss,
        }
    }

    /// What the regularisers of the trainable weights add to the loss, f32, a scalar; `None` where there is none.
    pub fn regularization_loss(&self) -> Option<Tensor> {
        penalties::regularization_loss(self.weights())
    }

    /// Brings the trainable weights back to where their constraints hold them: after each step of the optimizer.
    pub fn apply_constraints(&self) {
        penalties::apply_constraints(self.weights());
    }
}
