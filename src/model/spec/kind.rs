//! A network, its layers, and the closed set of what a layer computes.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use strum::{IntoStaticStr, VariantNames};

use super::checks::typed;
use super::graph::{Call, Graph, Source};
use super::layers::{
    ActivationLayer, ActivityRegularization, Add, AlphaDropout, Average, AveragePooling2D, BatchNormalization,
    CenterCrop, Concatenate, Conv2D, Conv2DTranspose, Cropping2D, CustomScaleLayer, Dense, DepthwiseConv2D, Dropout,
    ELU, Flatten, GaussianDropout, GaussianNoise, GlobalAveragePooling2D, GlobalMaxPooling2D, GroupNormalization,
    Identity, LayerNormalization, LayerRules, LayerScale, LeakyReLU, MaxPooling2D, Maximum, Minimum, Multiply,
    Normalization, PReLU, Permute, RandomBrightness, RandomContrast, RandomFlip, RandomRotation, RandomTranslation,
    RandomZoom, ReLU, Rescaling, Reshape, Resizing, SeparableConv2D, Softmax, SpatialDropout2D, StochasticDepth,
    Subtract, UnitNormalization, UpSampling2D, ZeroPadding2D,
};
use super::loss::CompiledLoss;
use super::options::{Activation, Regularizer};
use crate::error::Result;

/// A network: Keras's Sequential, each layer taking what the one before gives, or Functional, where a graph says it.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// The network's name.
    pub name: String,
    /// `[H, W, C]`, `[H, W]` for grey images or `[H·W·C]`, without the batch axis; `None` until the data says it.
    pub input_shape: Option<Vec<usize>>,
    /// Keras's name of the kind of number that the input is: `float32`, `uint8` …
    pub input_dtype: &'static str,
    /// The layers in order, at least one; the input is not a layer. Those of a Functional network are in Keras's order,
    /// which its weights' files follow.
    pub layers: Vec<Layer>,
    /// Which layer takes what; `None` in a Sequential network.
    pub graph: Option<Graph>,
    /// What it was compiled with in Keras, where its file says it and softmax does not say what the outputs are. See
    /// [`Spec::output_kind`].
    pub loss: Option<CompiledLoss>,
}

/// A layer with its name, unique in its network.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Names the layer's weights in files: `<name>.weight`.
    pub name: String,
    /// Whether training changes its weights. A nested network's own says nothing: its layers' do.
    pub trainable: bool,
    /// Whether this run keeps its weights all the same. No file says it.
    pub frozen: bool,
    /// What it computes.
    pub spec: LayerSpec,
}

/// What a layer computes, with its settings. In JSON: its class name and Keras's `config`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, IntoStaticStr, VariantNames)]
#[serde(tag = "class_name", content = "config")]
pub enum LayerSpec {
    /// See [`Conv2D`].
    Conv2D(Conv2D),
    /// See [`DepthwiseConv2D`].
    DepthwiseConv2D(DepthwiseConv2D),
    /// See [`SeparableConv2D`].
    SeparableConv2D(SeparableConv2D),
    /// See [`Conv2DTranspose`].
    Conv2DTranspose(Conv2DTranspose),
    /// See [`MaxPooling2D`].
    MaxPooling2D(MaxPooling2D),
    /// See [`AveragePooling2D`].
    AveragePooling2D(AveragePooling2D),
    /// See [`GlobalAveragePooling2D`].
    GlobalAveragePooling2D(GlobalAveragePooling2D),
    /// See [`GlobalMaxPooling2D`].
    GlobalMaxPooling2D(GlobalMaxPooling2D),
    /// See [`BatchNormalization`].
    BatchNormalization(BatchNormalization),
    /// See [`LayerNormalization`].
    LayerNormalization(LayerNormalization),
    /// See [`GroupNormalization`].
    GroupNormalization(GroupNormalization),
    /// See [`UnitNormalization`].
    UnitNormalization(UnitNormalization),
    /// See [`Dropout`].
    Dropout(Dropout),
    /// See [`SpatialDropout2D`].
    SpatialDropout2D(SpatialDropout2D),
    /// See [`AlphaDropout`].
    AlphaDropout(AlphaDropout),
    /// See [`GaussianDropout`].
    GaussianDropout(GaussianDropout),
    /// See [`GaussianNoise`].
    GaussianNoise(GaussianNoise),
    /// See [`ActivityRegularization`].
    ActivityRegularization(ActivityRegularization),
    /// See [`Identity`].
    Identity(Identity),
    /// See [`Flatten`].
    Flatten(Flatten),
    /// See [`Reshape`].
    Reshape(Reshape),
    /// See [`Permute`].
    Permute(Permute),
    /// See [`Dense`].
    Dense(Dense),
    /// See [`ActivationLayer`].
    Activation(ActivationLayer),
    /// See [`ReLU`].
    ReLU(ReLU),
    /// See [`LeakyReLU`].
    LeakyReLU(LeakyReLU),
    /// See [`PReLU`].
    PReLU(PReLU),
    /// See [`ELU`].
    ELU(ELU),
    /// See [`Softmax`].
    Softmax(Softmax),
    /// See [`ZeroPadding2D`].
    ZeroPadding2D(ZeroPadding2D),
    /// See [`Cropping2D`].
    Cropping2D(Cropping2D),
    /// See [`UpSampling2D`].
    UpSampling2D(UpSampling2D),
    /// See [`Rescaling`].
    Rescaling(Rescaling),
    /// See [`Normalization`].
    Normalization(Normalization),
    /// See [`CenterCrop`].
    CenterCrop(CenterCrop),
    /// See [`Resizing`].
    Resizing(Resizing),
    /// See [`RandomFlip`].
    RandomFlip(RandomFlip),
    /// See [`RandomRotation`].
    RandomRotation(RandomRotation),
    /// See [`RandomZoom`].
    RandomZoom(RandomZoom),
    /// See [`RandomTranslation`].
    RandomTranslation(RandomTranslation),
    /// See [`RandomContrast`].
    RandomContrast(RandomContrast),
    /// See [`RandomBrightness`].
    RandomBrightness(RandomBrightness),
    /// See [`Add`].
    Add(Add),
    /// See [`Subtract`].
    Subtract(Subtract),
    /// See [`Multiply`].
    Multiply(Multiply),
    /// See [`Average`].
    Average(Average),
    /// See [`Maximum`].
    Maximum(Maximum),
    /// See [`Minimum`].
    Minimum(Minimum),
    /// See [`Concatenate`].
    Concatenate(Concatenate),
    /// See [`CustomScaleLayer`].
    CustomScaleLayer(CustomScaleLayer),
    /// See [`LayerScale`].
    LayerScale(LayerScale),
    /// See [`StochasticDepth`].
    StochasticDepth(StochasticDepth),
    /// A network in the network. It has its own form of JSON.
    #[serde(skip)]
    Network(Spec),
}

impl Spec {
    /// Every call in order: in a Sequential network each layer's, of what the one before gives.
    pub fn calls(&self) -> Cow<'_, [Call]> {
        let chained = |layer: usize| {
            let input = layer.checked_sub(1).map_or(Source::Input, Source::Call);
            Call { layer, inputs: vec![input], in_inference: false }
        };
        match &self.graph {
            Some(graph) => Cow::Borrowed(&graph.calls),
            None => Cow::Owned((0..self.layers.len()).map(chained).collect()),
        }
    }

    /// Keras's name of the network's class.
    pub fn class_name(&self) -> &'static str {
        if self.graph.is_some() { "Functional" } else { "Sequential" }
    }
}

impl LayerSpec {
    /// Whether it is a convolution of any kind.
    pub fn is_convolution(&self) -> bool {
        matches!(
            self,
            LayerSpec::Conv2D(_)
                | LayerSpec::DepthwiseConv2D(_)
                | LayerSpec::SeparableConv2D(_)
                | LayerSpec::Conv2DTranspose(_)
        )
    }

    /// Every class name but those of networks.
    pub(super) fn class_names() -> Vec<&'static str> {
        <Self as VariantNames>::VARIANTS.iter().copied().filter(|name| *name != "Network").collect()
    }

    /// Keras's name of the layer's class: the variant's own, or the nested network's.
    pub fn class_name(&self) -> &'static str {
        match self {
            LayerSpec::Network(inner) => inner.class_name(),
            leaf => leaf.into(),
        }
    }

    /// The rules of its class; `None` for a nested network, whose layers have theirs.
    pub(super) fn rules(&self) -> Option<&dyn LayerRules> {
        Some(match self {
            LayerSpec::Conv2D(layer) => layer,
            LayerSpec::DepthwiseConv2D(layer) => layer,
            LayerSpec::SeparableConv2D(layer) => layer,
            LayerSpec::Conv2DTranspose(layer) => layer,
            LayerSpec::MaxPooling2D(layer) => layer,
            LayerSpec::AveragePooling2D(layer) => layer,
            LayerSpec::GlobalAveragePooling2D(layer) => layer,
            LayerSpec::GlobalMaxPooling2D(layer) => layer,
            LayerSpec::BatchNormalization(layer) => layer,
            LayerSpec::LayerNormalization(layer) => layer,
            LayerSpec::GroupNormalization(layer) => layer,
            LayerSpec::UnitNormalization(layer) => layer,
            LayerSpec::Dropout(layer) => layer,
            LayerSpec::SpatialDropout2D(layer) => layer,
            LayerSpec::AlphaDropout(layer) => layer,
            LayerSpec::GaussianDropout(layer) => layer,
            LayerSpec::GaussianNoise(layer) => layer,
            LayerSpec::ActivityRegularization(layer) => layer,
            LayerSpec::Identity(layer) => layer,
            LayerSpec::Flatten(layer) => layer,
            LayerSpec::Reshape(layer) => layer,
            LayerSpec::Permute(layer) => layer,
            LayerSpec::Dense(layer) => layer,
            LayerSpec::Activation(layer) => layer,
            LayerSpec::ReLU(layer) => layer,
            LayerSpec::LeakyReLU(layer) => layer,
            LayerSpec::PReLU(layer) => layer,
            LayerSpec::ELU(layer) => layer,
            LayerSpec::Softmax(layer) => layer,
            LayerSpec::ZeroPadding2D(layer) => layer,
            LayerSpec::Cropping2D(layer) => layer,
            LayerSpec::UpSampling2D(layer) => layer,
            LayerSpec::Rescaling(layer) => layer,
            LayerSpec::Normalization(layer) => layer,
            LayerSpec::CenterCrop(layer) => layer,
            LayerSpec::Resizing(layer) => layer,
            LayerSpec::RandomFlip(layer) => layer,
            LayerSpec::RandomRotation(layer) => layer,
            LayerSpec::RandomZoom(layer) => layer,
            LayerSpec::RandomTranslation(layer) => layer,
            LayerSpec::RandomContrast(layer) => layer,
            LayerSpec::RandomBrightness(layer) => layer,
            LayerSpec::Add(layer) => layer,
            LayerSpec::Subtract(layer) => layer,
            LayerSpec::Multiply(layer) => layer,
            LayerSpec::Average(layer) => layer,
            LayerSpec::Maximum(layer) => layer,
            LayerSpec::Minimum(layer) => layer,
            LayerSpec::Concatenate(layer) => layer,
            LayerSpec::CustomScaleLayer(layer) => layer,
            LayerSpec::LayerScale(layer) => layer,
            LayerSpec::StochasticDepth(layer) => layer,
            LayerSpec::Network(_) => return None,
        })
    }

    /// The activation that the layer ends in: the identity where it has none, and for a nested network, whose layers have
    /// theirs.
    pub fn activation(&self) -> Activation {
        self.rules().map_or(Activation::Linear, LayerRules::activation)
    }

    /// The loss on the layer's output.
    pub(super) fn activity_regularizer(&self) -> Option<Regularizer> {
        self.rules().and_then(LayerRules::activity_regularizer)
    }
}

impl LayerSpec {
    /// A layer's settings with their types. `config` is in Keras 3's form.
    pub(crate) fn from_config(class_name: &str, config: Map<String, Value>) -> Result<Self> {
        let mut spec: LayerSpec = typed(json!({ "class_name": class_name, "config": config }))?;
        match &mut spec {
            LayerSpec::MaxPooling2D(pool) => pool.strides = pool.strides.or(Some(pool.pool_size)),
            LayerSpec::AveragePooling2D(pool) => pool.strides = pool.strides.or(Some(pool.pool_size)),
            _ => {}
        }
        Ok(spec)
    }

    pub(super) fn to_config(&self) -> Map<String, Value> {
        let object = serde_json::to_value(self).expect("settings are plain numbers, strings and lists");
        match object {
            Value::Object(mut object) => match object.remove("config") {
                Some(Value::Object(config)) => config,
                _ => Map::new(),
            },
            other => unreachable!("a layer's settings are an object, not {other}"),
        }
    }
}
