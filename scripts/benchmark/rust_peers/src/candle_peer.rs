//! The network in candle, on the CPU.

use std::path::Path;

use anyhow::Result;
use candle_core::{D, DType, Device, Tensor};
use candle_nn::{
    AdamW, Conv2d, Dropout, Linear, Module, Optimizer, ParamsAdamW, VarBuilder, VarMap, conv2d, linear, loss,
};

use crate::{CLASSES, LEARNING_RATE, Network};

pub struct Candle {
    weights: VarMap,
    first: Conv2d,
    second: Conv2d,
    dropout: Dropout,
    dense: Linear,
    adam: AdamW,
}

impl Candle {
    pub fn new() -> Result<Self> {
        let weights = VarMap::new();
        let names = VarBuilder::from_varmap(&weights, DType::F32, &Device::Cpu);
        let first = conv2d(1, 32, 3, Default::default(), names.pp("first"))?;
        let second = conv2d(32, 64, 3, Default::default(), names.pp("second"))?;
        let dense = linear(1600, CLASSES, names.pp("dense"))?;
        // without weight decay it is Adam
        let adam = ParamsAdamW { lr: LEARNING_RATE, eps: 1e-7, weight_decay: 0.0, ..ParamsAdamW::default() };
        let adam = AdamW::new(weights.all_vars(), adam)?;
        Ok(Candle { weights, first, second, dropout: Dropout::new(0.2), dense, adam })
    }

    fn logits(&self, images: Vec<f32>, count: usize, trains: bool) -> Result<Tensor> {
        let x = Tensor::from_vec(images, (count, 1, 28, 28), &Device::Cpu)?;
        let x = self.first.forward(&x)?.relu()?.max_pool2d(2)?; // [B, 32, 13, 13]
        let x = self.second.forward(&x)?.relu()?.max_pool2d(2)?; // [B, 64, 5, 5]
        Ok(self.dense.forward(&self.dropout.forward(&x, trains)?.flatten_from(1)?)?)
    }
}

impl Network for Candle {
    fn step(&mut self, images: Vec<f32>, labels: &[u8]) -> Result<f32> {
        let logits = self.logits(images, labels.len(), true)?;
        let loss = loss::cross_entropy(&logits, &Tensor::from_slice(labels, labels.len(), &Device::Cpu)?)?;
        self.adam.backward_step(&loss)?;
        Ok(loss.to_scalar()?)
    }

    fn classes(&self, images: Vec<f32>, count: usize) -> Result<Vec<u8>> {
        let classes: Vec<u32> = self.logits(images, count, false)?.argmax(D::Minus1)?.to_vec1()?;
        Ok(classes.into_iter().map(|class| u8::try_from(class).expect("there are ten")).collect())
    }

    fn save(&self, file: &Path) -> Result<()> {
        Ok(self.weights.save(file)?)
    }

    fn load(&mut self, file: &Path) -> Result<()> {
        Ok(self.weights.load(file)?)
    }
}
