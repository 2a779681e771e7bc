//! The closed set of layers.

use serde::{Deserialize, Serialize};

use super::Spec;
use super::layers::{
    ActivationLayer, ActivityRegularization, AlphaDropout, AveragePooling2D, BatchNormalization, CenterCrop, Conv2D,
    Conv2DTranspose, Cropping2D, Dense, DepthwiseConv2D, Dropout, ELU, Flatten, GaussianDropout, GaussianNoise,
    GlobalAveragePooling2D, GlobalMaxPooling2D, GroupNormalization, Identity, LayerNormalization, LeakyReLU,
    MaxPooling2D, Normalization, PReLU, Permute, RandomBrightness, RandomContrast, RandomFlip, RandomRotation,
    RandomTranslation, RandomZoom, ReLU, Rescaling, Reshape, Resizing, SeparableConv2D, Softmax, SpatialDropout2D,
    UnitNormalization, UpSampling2D, ZeroPadding2D,
};
use super::options::{Activation, FunctionLayer, Regularizer};

/// What a layer computes, with its settings. In JSON: its class name and Keras's `config`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// A network in the network. It has its own form of JSON.
    #[serde(skip)]
    Sequential(Spec),
}

impl LayerSpec {
    /// Every class name but `Sequential`.
    pub(super) const CLASS_NAMES: [&str; 42] = [
        "Conv2D",
        "DepthwiseConv2D",
        "SeparableConv2D",
        "Conv2DTranspose",
        "MaxPooling2D",
        "AveragePooling2D",
        "GlobalAveragePooling2D",
        "GlobalMaxPooling2D",
        "BatchNormalization",
        "LayerNormalization",
        "GroupNormalization",
        "UnitNormalization",
        "Dropout",
        "SpatialDropout2D",
        "AlphaDropout",
        "GaussianDropout",
        "GaussianNoise",
        "ActivityRegularization",
        "Identity",
        "Flatten",
        "Reshape",
        "Permute",
        "Dense",
        "Activation",
        "ReLU",
        "LeakyReLU",
        "PReLU",
        "ELU",
        "Softmax",
        "ZeroPadding2D",
        "Cropping2D",
        "UpSampling2D",
        "Rescaling",
        "Normalization",
        "CenterCrop",
        "Resizing",
        "RandomFlip",
        "RandomRotation",
        "RandomZoom",
        "RandomTranslation",
        "RandomContrast",
        "RandomBrightness",
    ];

    /// Keras's name of the layer's class.
    pub fn class_name(&self) -> &'static str {
        match self {
            LayerSpec::Conv2D(_) => "Conv2D",
            LayerSpec::DepthwiseConv2D(_) => "DepthwiseConv2D",
            LayerSpec::SeparableConv2D(_) => "SeparableConv2D",
            LayerSpec::Conv2DTranspose(_) => "Conv2DTranspose",
            LayerSpec::MaxPooling2D(_) => "MaxPooling2D",
            LayerSpec::AveragePooling2D(_) => "AveragePooling2D",
            LayerSpec::GlobalAveragePooling2D(_) => "GlobalAveragePooling2D",
            LayerSpec::GlobalMaxPooling2D(_) => "GlobalMaxPooling2D",
            LayerSpec::BatchNormalization(_) => "BatchNormalization",
            LayerSpec::LayerNormalization(_) => "LayerNormalization",
            LayerSpec::GroupNormalization(_) => "GroupNormalization",
            LayerSpec::UnitNormalization(_) => "UnitNormalization",
            LayerSpec::Dropout(_) => "Dropout",
            LayerSpec::SpatialDropout2D(_) => "SpatialDropout2D",
            LayerSpec::AlphaDropout(_) => "AlphaDropout",
            LayerSpec::GaussianDropout(_) => "GaussianDropout",
            LayerSpec::GaussianNoise(_) => "GaussianNoise",
            LayerSpec::ActivityRegularization(_) => "ActivityRegularization",
            LayerSpec::Identity(_) => "Identity",
            LayerSpec::Flatten(_) => "Flatten",
            LayerSpec::Reshape(_) => "Reshape",
            LayerSpec::Permute(_) => "Permute",
            LayerSpec::Dense(_) => "Dense",
            LayerSpec::Activation(_) => "Activation",
            LayerSpec::ReLU(_) => "ReLU",
            LayerSpec::LeakyReLU(_) => "LeakyReLU",
            LayerSpec::PReLU(_) => "PReLU",
            LayerSpec::ELU(_) => "ELU",
            LayerSpec::Softmax(_) => "Softmax",
            LayerSpec::ZeroPadding2D(_) => "ZeroPadding2D",
            LayerSpec::Cropping2D(_) => "Cropping2D",
            LayerSpec::UpSampling2D(_) => "UpSampling2D",
            LayerSpec::Rescaling(_) => "Rescaling",
            LayerSpec::Normalization(_) => "Normalization",
            LayerSpec::CenterCrop(_) => "CenterCrop",
            LayerSpec::Resizing(_) => "Resizing",
            LayerSpec::RandomFlip(_) => "RandomFlip",
            LayerSpec::RandomRotation(_) => "RandomRotation",
            LayerSpec::RandomZoom(_) => "RandomZoom",
            LayerSpec::RandomTranslation(_) => "RandomTranslation",
            LayerSpec::RandomContrast(_) => "RandomContrast",
            LayerSpec::RandomBrightness(_) => "RandomBrightness",
            LayerSpec::Sequential(_) => "Sequential",
        }
    }

    /// The activation that the layer ends in: the identity where it has none, and for a nested network, whose layers have
    /// theirs.
    pub fn activation(&self) -> Activation {
        match self {
            LayerSpec::Conv2D(layer) => layer.activation.clone(),
            LayerSpec::DepthwiseConv2D(layer) => layer.activation.clone(),
            LayerSpec::SeparableConv2D(layer) => layer.activation.clone(),
            LayerSpec::Conv2DTranspose(layer) => layer.activation.clone(),
            LayerSpec::Dense(layer) => layer.activation.clone(),
            LayerSpec::Activation(layer) => layer.activation.clone(),
            LayerSpec::ReLU(layer) => Activation::Layer(FunctionLayer::ReLU(layer.clone())),
            LayerSpec::LeakyReLU(layer) => Activation::Layer(FunctionLayer::LeakyReLU(layer.clone())),
            LayerSpec::ELU(layer) => Activation::Layer(FunctionLayer::ELU(layer.clone())),
            LayerSpec::Softmax(layer) => Activation::Layer(FunctionLayer::Softmax(layer.clone())),
            _ => Activation::Linear,
        }
    }

    /// The loss on the layer's output.
    pub(super) fn activity_regularizer(&self) -> Option<Regularizer> {
        match self {
            LayerSpec::Conv2D(layer) => layer.activity_regularizer,
            LayerSpec::DepthwiseConv2D(layer) => layer.activity_regularizer,
            LayerSpec::SeparableConv2D(layer) => layer.activity_regularizer,
            LayerSpec::Conv2DTranspose(layer) => layer.activity_regularizer,
            LayerSpec::Dense(layer) => layer.activity_regularizer,
            LayerSpec::ActivityRegularization(ActivityRegularization { l1, l2 }) if *l1 != 0.0 || *l2 != 0.0 => {
                Some(Regularizer::L1L2 { l1: *l1, l2: *l2 })
            }
            _ => None,
        }
    }
}
