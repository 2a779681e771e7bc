//! The network in burn, on its own backend for the CPU.

use std::path::Path;

use anyhow::{Context, Result};
use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{Dropout, DropoutConfig, Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Int, Tensor, TensorData, activation};

use crate::{CLASSES, LEARNING_RATE, Network};

#[derive(Module, Debug)]
struct Layers {
    first: Conv2d,
    second: Conv2d,
    pool: MaxPool2d,
    dropout: Dropout,
    dense: Linear,
}

impl Layers {
    fn new(device: &Device) -> Self {
        Layers {
            first: Conv2dConfig::new([1, 32], [3, 3]).init(device),
            second: Conv2dConfig::new([32, 64], [3, 3]).init(device),
            pool: MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
            dropout: DropoutConfig::new(0.2).init(),
            dense: LinearConfig::new(1600, CLASSES).init(device),
        }
    }

    fn logits(&self, images: Tensor<4>) -> Tensor<2> {
        let x = self.pool.forward(activation::relu(self.first.forward(images))); // [B, 32, 13, 13]
        let x = self.pool.forward(activation::relu(self.second.forward(x))); // [B, 64, 5, 5]
        self.dense.forward(self.dropout.forward(x).flatten(1, 3))
    }
}

pub struct Burn {
    /// None while a step has it.
    layers: Option<Layers>,
    optimizer: ModuleOptimizer,
    training: Device,
    plain: Device,
}

impl Burn {
    pub fn new() -> Self {
        let training = Device::flex().autodiff();
        let layers = Some(Layers::new(&training));
        let optimizer = AdamConfig::new().with_epsilon(1e-7).init();
        Burn { layers, optimizer, training, plain: Device::flex() }
    }

    fn layers(&self) -> &Layers {
        self.layers.as_ref().expect("no step is under way")
    }
}

impl Network for Burn {
    fn step(&mut self, images: Vec<f32>, labels: &[u8]) -> Result<f32> {
        let layers = self.layers.take().context("a step failed before")?;
        let images = Tensor::<4>::from_data(TensorData::new(images, [labels.len(), 1, 28, 28]), &self.training);
        let numbers: Vec<i64> = labels.iter().map(|&label| i64::from(label)).collect();
        let labels = Tensor::<1, Int>::from_data(TensorData::new(numbers, [labels.len()]), &self.training);
        let loss = CrossEntropyLossConfig::new().init(&self.training).forward(layers.logits(images), labels);
        let gradients = GradientsParams::from_grads(loss.backward(), &layers);
        self.layers = Some(self.optimizer.step(LEARNING_RATE, layers, gradients));
        Ok(loss.into_scalar())
    }

    fn classes(&self, images: Vec<f32>, count: usize) -> Result<Vec<u8>> {
        let layers = self.layers().valid();
        let images = Tensor::<4>::from_data(TensorData::new(images, [count, 1, 28, 28]), &self.plain);
        let classes = layers.logits(images).argmax(1).into_data();
        Ok(classes.iter::<u8>().collect())
    }

    fn save(&self, file: &Path) -> Result<()> {
        self.layers().clone().save_file(file).context("burn cannot save")
    }

    fn load(&mut self, file: &Path) -> Result<()> {
        self.layers = self.layers.take().map(|layers| layers.load_file(file));
        Ok(())
    }
}
