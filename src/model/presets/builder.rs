//! Puts a branching network together as Keras's JSON, layer by layer.

use serde_json::{Value, json};

use crate::model::spec::Spec;

/// A network that is put together here, and what PyTorch calls its layers.
pub type BuiltNetwork = (Spec, Vec<(String, TorchNames)>);

/// The classes of ImageNet, which published weights tell apart.
pub(super) const IMAGENET_CLASSES: usize = 1000;

/// What PyTorch calls the layers of a network, in one of the libraries that have it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TorchNames(pub Vec<String>);

/// Whose conventions a network follows where they differ.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, strum::Display, strum::EnumMessage, strum::EnumString, strum::VariantArray,
)]
pub enum Dialect {
    /// TensorFlow's (timm's tf_… networks, EfficientNet-PyTorch): less padding at the start of an even image
    #[strum(serialize = "tf")]
    Keras,
    /// As much padding on both sides
    #[strum(serialize = "torchvision")]
    Torch,
    /// As torchvision's, with PyTorch's batch normalisation
    #[strum(serialize = "timm")]
    Timm,
}

/// A network in the making. Layers are named when they are added, and what they give goes by that name.
pub(super) struct Builder {
    name: String,
    layers: Vec<Value>,
    /// How batches are normalised: momentum and epsilon in Keras's sense.
    norm: (f64, f64),
    dialect: Dialect,
    torch_names: Vec<(String, TorchNames)>,
}

/// A convolution's numbers.
#[derive(Clone, Copy)]
pub(super) struct Conv {
    pub filters: usize,
    pub size: usize,
    pub strides: usize,
    pub bias: bool,
}

impl Conv {
    pub fn new(filters: usize, size: usize, strides: usize) -> Self {
        Conv { filters, size, strides, bias: false }
    }
}

const INPUT: &str = "input_layer";

impl Builder {
    /// Of images of height, width and channels `shape`.
    pub fn new(name: &str, shape: [usize; 3], dialect: Dialect, norm: (f64, f64)) -> Self {
        let [height, width, channels] = shape;
        let config = json!({ "batch_shape": [null, height, width, channels], "name": INPUT });
        let input = json!({ "class_name": "InputLayer", "name": INPUT, "config": config, "inbound_nodes": [] });
        Builder { name: name.to_owned(), layers: vec![input], norm, dialect, torch_names: Vec::new() }
    }

    /// The network's input.
    pub fn input(&self) -> String {
        INPUT.to_owned()
    }

    /// A layer that takes `inputs`; its name.
    pub fn layer(&mut self, class_name: &str, name: &str, mut config: Value, inputs: &[&str]) -> String {
        config["name"] = json!(name);
        let tensor =
            |input: &&str| json!({ "class_name": "__keras_tensor__", "config": { "keras_history": [input, 0, 0] } });
        let tensors: Vec<Value> = inputs.iter().map(tensor).collect();
        let args = if tensors.len() > 1 { json!([tensors]) } else { json!(tensors) };
        self.layers.push(json!({
            "class_name": class_name, "name": name, "config": config,
            "inbound_nodes": [{ "args": args, "kwargs": {} }],
        }));
        name.to_owned()
    }

    /// What PyTorch's libraries call the layer `name`.
    pub fn called(&mut self, name: &str, torch_names: &[String]) {
        self.torch_names.push((name.to_owned(), TorchNames(torch_names.to_vec())));
    }

    /// A convolution that pads by the dialect.
    pub fn conv(&mut self, name: &str, conv: Conv, input: &str) -> String {
        let config = json!({
            "filters": conv.filters, "kernel_size": conv.size, "strides": conv.strides, "use_bias": conv.bias,
        });
        self.padded("Conv2D", name, conv.size, conv.strides, config, input)
    }

    /// As [`Builder::conv`], of each channel by itself.
    pub fn depthwise(&mut self, name: &str, size: usize, strides: usize, input: &str) -> String {
        let config = json!({ "kernel_size": size, "strides": strides, "use_bias": false });
        self.padded("DepthwiseConv2D", name, size, strides, config, input)
    }

    fn padded(
        &mut self,
        class_name: &str,
        name: &str,
        size: usize,
        strides: usize,
        mut config: Value,
        input: &str,
    ) -> String {
        let is_symmetric = strides == 1 || size == 1 || self.dialect == Dialect::Keras;
        config["padding"] = json!(if is_symmetric { "same" } else { "valid" });
        let padded = match is_symmetric {
            true => input.to_owned(),
            false => self.layer("ZeroPadding2D", &format!("{name}_pad"), json!({ "padding": size / 2 }), &[input]),
        };
        self.layer(class_name, name, config, &[&padded])
    }

    pub fn batch_norm(&mut self, name: &str, input: &str) -> String {
        let (momentum, epsilon) = self.norm;
        self.layer("BatchNormalization", name, json!({ "momentum": momentum, "epsilon": epsilon }), &[input])
    }

    pub fn activation(&mut self, name: &str, activation: &str, input: &str) -> String {
        self.layer("Activation", name, json!({ "activation": activation }), &[input])
    }

    pub fn add(&mut self, name: &str, inputs: [&str; 2]) -> String {
        self.layer("Add", name, json!({}), &inputs)
    }

    /// Global average pooling, dropout where there is any, and as many classes with softmax.
    pub fn classifier(&mut self, names: [&str; 3], dropout: f64, classes: usize, input: &str) -> String {
        let [pool, drop, dense] = names;
        let mut value = self.layer("GlobalAveragePooling2D", pool, json!({}), &[input]);
        if dropout > 0.0 {
            value = self.layer("Dropout", drop, json!({ "rate": dropout }), &[&value]);
        }
        self.layer("Dense", dense, json!({ "units": classes, "activation": "softmax" }), &[&value])
    }

    /// The network that ends with `output`, and what PyTorch calls its layers.
    pub fn finish(self, output: &str) -> BuiltNetwork {
        let config = json!({
            "name": self.name, "layers": self.layers,
            "input_layers": [INPUT, 0, 0], "output_layers": [output, 0, 0],
        });
        let document = json!({ "class_name": "Functional", "config": config });
        (Spec::from_json(&document).expect("every preset is checked by a test"), self.torch_names)
    }
}
