//! A network's architecture as types: Keras's Sequential, layer by layer. Pure: nothing here touches libtorch.
//!
//! A layer is one variant of [`LayerSpec`], its settings in `layers.rs`, one arm in `json.rs` (its class name), one rule
//! in `shape.rs` (output shape and weights) and one arm in `model/layers.rs` (what libtorch computes).

mod info;
mod json;
mod layers;
mod shape;
mod values;

pub use info::{LayerInfo, WeightInfo, WeightOrder, leaves};
pub(in crate::model) use json::snake_case;
pub use layers::{
    ActivationLayer, BatchNormalization, Conv2D, Dense, Dropout, Flatten, GlobalAveragePooling2D, MaxPooling2D,
};
pub use shape::same_padding;
pub use values::{Activation, Initializer, Padding, Pair};

use crate::data::ImageShape;
use crate::error::{Error, Result};

/// What a layer computes, with its settings.
#[derive(Debug, Clone, PartialEq)]
pub enum LayerSpec {
    /// See [`Conv2D`].
    Conv2D(Conv2D),
    /// See [`MaxPooling2D`].
    MaxPooling2D(MaxPooling2D),
    /// See [`GlobalAveragePooling2D`].
    GlobalAveragePooling2D(GlobalAveragePooling2D),
    /// See [`BatchNormalization`].
    BatchNormalization(BatchNormalization),
    /// See [`Dropout`].
    Dropout(Dropout),
    /// See [`Flatten`].
    Flatten(Flatten),
    /// See [`Dense`].
    Dense(Dense),
    /// See [`ActivationLayer`].
    Activation(ActivationLayer),
}

/// A layer with its name, unique in its network.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Names the layer's weights in files: `<name>.weight`.
    pub name: String,
    /// Whether training changes its weights.
    pub trainable: bool,
    /// What it computes.
    pub spec: LayerSpec,
}

/// A Sequential network: its layers, each taking what the one before gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// The network's name.
    pub name: String,
    /// `[H, W, C]` (or `[features]`), without the batch axis; `None` until the data says it.
    pub input_shape: Option<Vec<usize>>,
    /// The layers in order, at least one; the input is not a layer.
    pub layers: Vec<Layer>,
}

impl Spec {
    /// Shapes and weights of every layer.
    ///
    /// # Errors
    /// A model error that names the layer, where its input does not fit it or a size is out of bounds, or where the
    /// input shape is not known.
    pub fn plan(&self) -> Result<Vec<LayerInfo>> {
        shape::plan(self)
    }

    /// The input as an image's shape.
    ///
    /// # Errors
    /// A model error where the network does not take images `[H, W, C]`.
    pub fn image_shape(&self) -> Result<ImageShape> {
        match self.input_shape.as_deref() {
            Some(&[height, width, channels]) => Ok(ImageShape { height, width, channels }),
            Some(other) => Err(Error::model("the network does not take images")
                .expected("an input of shape [H, W, C]")
                .got(format!("{other:?}"))),
            None => Err(Error::model("the network's input shape is not known").help("add an InputLayer to its JSON")),
        }
    }

    /// The activation that makes the output: the last layer's.
    pub fn output_activation(&self) -> Activation {
        match self.layers.last().map(|layer| &layer.spec) {
            Some(LayerSpec::Dense(dense)) => dense.activation,
            Some(LayerSpec::Conv2D(conv)) => conv.activation,
            Some(LayerSpec::Activation(layer)) => layer.activation,
            _ => Activation::Linear,
        }
    }

    /// Fits a preset to a data set: its input shape becomes `shape`, its last Dense layer gets `num_classes` units.
    pub fn adapt(&mut self, shape: ImageShape, num_classes: usize) {
        self.input_shape = Some(vec![shape.height, shape.width, shape.channels]);
        let dense = self.layers.iter_mut().rev().find_map(|layer| match &mut layer.spec {
            LayerSpec::Dense(dense) => Some(dense),
            _ => None,
        });
        if let Some(dense) = dense {
            dense.units = num_classes;
        }
    }

    /// Checks that the network can learn a data set of images of `shape` in `num_classes` classes.
    ///
    /// # Errors
    /// A model error that names both sides of a mismatch.
    pub fn check_fits(&self, shape: ImageShape, num_classes: usize) -> Result<()> {
        let input = self.image_shape()?;
        if input != shape {
            return Err(Error::model("the model and the data do not go together")
                .expected(format!("images of {input}, the model's input"))
                .got(format!("images of {shape} in the data"))
                .help("choose other data, or change the model's InputLayer"));
        }
        let plan = self.plan()?;
        let output = &plan.last().expect("a network has a layer").output_shape;
        if output != &[num_classes] {
            return Err(Error::model("the model and the data do not go together")
                .expected(format!("outputs of shape [{num_classes}], one per class of the data"))
                .got(format!("{output:?} from the model's last layer"))
                .help(format!("give the last Dense layer {num_classes} units")));
        }
        Ok(())
    }
}
