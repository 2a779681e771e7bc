//! A network's architecture as types: Keras's Sequential and Functional networks. Pure: nothing here touches libtorch.
//!
//! A layer is one variant of [`LayerSpec`] (`kind.rs`), its settings and its rules (output shape, weights, what it makes of
//! values) in `layers/`, and one arm in `model/layers/` (what libtorch computes). Which layer takes what is in `graph.rs`;
//! `planner.rs` makes the [`Plan`] from both. `compat/` brings what older Keras wrote into Keras 3's form, which `json.rs`
//! and `functional/` read and write.

mod checks;
mod compat;
mod functional;
mod graph;
mod info;
mod input;
mod json;
mod kind;
pub mod layers;
mod loss;
mod naming;
mod options;
mod output;
mod parts;
mod plan;
mod planner;
mod reader;
mod short;
mod window;

pub use checks::mixed_policy;
pub use graph::{Call, Graph, Source};
pub use info::{WeightInfo, WeightOrder};
pub use kind::{Layer, LayerSpec, Spec};
pub use loss::CompiledLoss;
pub(crate) use naming::snake_case;
pub use options::{
    Activation, Axes, Bounds, Constraint, Distribution, Fan, FunctionLayer, Initializer, Numbers, OrthogonalMode,
    Padding, Pair, Regularizer, Sides,
};
pub(crate) use output::Output;
pub use output::{Crossentropy, Form, Head, OutputKind};
pub use plan::{Connection, LayerCall, LayerPlan, Plan, flat_layers, in_path};
pub use short::ShortForm;
pub use window::{same_padding, transposed_crop};

use crate::data::ImageShape;
use crate::error::{Error, Result};

impl Layer {
    /// Keeps its weights as they are in this run; a nested network's in each of its layers.
    pub fn freeze(&mut self) {
        match &mut self.spec {
            LayerSpec::Network(inner) => inner.layers.iter_mut().for_each(Layer::freeze),
            _ => self.frozen = true,
        }
    }

    /// Takes back [`Layer::freeze`].
    pub fn unfreeze(&mut self) {
        self.frozen = false;
        if let LayerSpec::Network(inner) = &mut self.spec {
            inner.layers.iter_mut().for_each(Layer::unfreeze);
        }
    }

    /// Lets training change its weights, whatever was said before; a nested network's in each of its layers.
    pub fn thaw(&mut self) {
        (self.trainable, self.frozen) = (true, false);
        if let LayerSpec::Network(inner) = &mut self.spec {
            inner.layers.iter_mut().for_each(Layer::thaw);
        }
    }

    /// Whether gradients change its weights.
    pub fn is_trained(&self) -> bool {
        self.trainable && !self.frozen
    }
}

impl Spec {
    /// A network without layers, whose input nobody has said yet.
    fn empty(name: &str) -> Self {
        Spec {
            name: name.to_owned(),
            input_shape: None,
            input_dtype: input::DTYPES[0],
            layers: Vec::new(),
            graph: None,
            loss: None,
        }
    }

    /// Shapes and weights of every layer, and what goes into it.
    ///
    /// # Errors
    /// A model error that names the layer, where its input does not fit it or a size is out of bounds, or where the
    /// input shape is not known.
    pub fn plan(&self) -> Result<Plan> {
        planner::plan(self)
    }

    /// Fits a preset to a data set: its input shape becomes that of images of `shape`, its last Dense layer gets
    /// `num_classes` units. One sigmoid stays one: it has two classes.
    pub fn adapt(&mut self, shape: ImageShape, num_classes: usize) {
        self.input_shape = Some(input::shape_of(shape, self.input_shape.as_deref().map_or(3, <[usize]>::len)));
        if self.output_kind().is_ok_and(|kind| kind.head == Head::Binary) {
            return;
        }
        if let Some(dense) = last_dense(&mut self.layers) {
            dense.units = num_classes;
        }
    }

    /// Checks that the network can learn a data set of images of `shape` in `num_classes` classes.
    ///
    /// # Errors
    /// A model error that names both sides of a mismatch.
    pub fn check_fits(&self, shape: ImageShape, num_classes: usize) -> Result<()> {
        self.check_takes(shape)?;
        let kind = self.output_kind()?;
        let num_outputs = self.plan()?.output_shape()[0];
        if kind.num_classes(num_outputs) != num_classes {
            let wrong = Error::model("the model and the data do not go together");
            return Err(match kind.head {
                Head::Binary => wrong
                    .expected("2 classes in the data, which the model's one output tells apart")
                    .got(num_classes)
                    .help(format!("give the last Dense layer {num_classes} units and the activation softmax")),
                Head::Softmax | Head::Sigmoids(_) => wrong
                    .expected(format!("outputs of shape [{num_classes}], one per class of the data"))
                    .got(format!("[{num_outputs}] from the model's last layer"))
                    .help(format!("give the last Dense layer {num_classes} units")),
            });
        }
        self.check_trainable()
    }

    /// Checks that the network is a classifier of images: `[N, H, W, C]`, `[N, H, W]` or `[N, H·W·C]` in, outputs of an
    /// [`OutputKind`] out.
    ///
    /// # Errors
    /// A model error that names the shape or the layer that is another.
    pub fn check_classifies(&self) -> Result<()> {
        self.check_input()?;
        self.output_kind().map(drop)
    }

    /// Checks that every layer can do in training what Keras does there.
    ///
    /// # Errors
    /// A model error that names the first layer that cannot.
    pub fn check_trainable(&self) -> Result<()> {
        let plan = self.plan()?;
        for (path, leaf) in plan.flat_layers() {
            if let Some(reason) = why_not_trainable(leaf) {
                return Err(Error::model(format!("the network can predict but not be trained: {reason}"))
                    .at(format!("layer {path} ({})", leaf.class_name())));
            }
        }
        Ok(())
    }
}

/// The last Dense layer, also inside of nested networks.
fn last_dense(layers: &mut [Layer]) -> Option<&mut layers::Dense> {
    layers.iter_mut().rev().find_map(|layer| match &mut layer.spec {
        LayerSpec::Dense(dense) => Some(dense),
        LayerSpec::Network(inner) => last_dense(&mut inner.layers),
        _ => None,
    })
}

fn why_not_trainable(leaf: &LayerPlan) -> Option<&'static str> {
    use layers::FillMode::Wrap;
    let is_orthogonal = |weight: &WeightInfo| matches!(weight.regularizer, Some(Regularizer::Orthogonal { .. }));
    let fill_mode = match &leaf.layer.spec {
        LayerSpec::RandomRotation(layer) => Some(layer.fill_mode),
        LayerSpec::RandomZoom(layer) => Some(layer.fill_mode),
        LayerSpec::RandomTranslation(layer) => Some(layer.fill_mode),
        _ => None,
    };
    if leaf.layer.spec.activity_regularizer().is_some() {
        Some("a loss on a layer's output is not supported")
    } else if fill_mode == Some(Wrap) {
        Some("fill_mode \"wrap\" is not supported")
    } else if leaf.weights.iter().any(|weight| is_orthogonal(weight) && weight.keras_shape.len() != 2) {
        Some("an OrthogonalRegularizer needs a matrix")
    } else {
        None
    }
}
