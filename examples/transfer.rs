//! Starts from a trained network: its convolutions are frozen, a new last layer learns other classes.
//! `cargo run --release --example transfer`.

use convnet::data::batches::DataLoader;
use convnet::data::{ImageShape, registry};
use convnet::device::{self, DeviceChoice};
use convnet::error::Result;
use convnet::evaluate::evaluate;
use convnet::model::transfer::{self, HeadTransfer, Stage};
use convnet::model::{Model, presets};
use convnet::train::{Optimizer, OptimizerConfig, TrainConfig, Trainer};

const SHAPE: ImageShape = ImageShape { height: 28, width: 28, channels: 1 };

fn main() -> Result<()> {
    let digits = registry::load("digits:2000")?;
    let device = device::select(DeviceChoice::Auto)?.device;
    let train = DataLoader::new(&digits.train, device)?;
    let all_digits = Model::new(presets::preset("keras-cnn").expect("it is built in"), 1.0 / 255.0, device, 0)?;
    fit(&all_digits, &train, 5)?;

    // the first five digits alone
    let few = |label: &i64| *label < 5;
    let numbers: Vec<usize> = (0..digits.train.len()).filter(|&n| few(&digits.train.labels()[n])).collect();
    let train = DataLoader::new(&digits.train.select(&numbers)?, device)?;

    let mut spec = all_digits.spec().clone();
    spec.adapt(SHAPE, 5);
    transfer::freeze(&mut spec, &["conv2d*".to_owned()], Stage::Whole)?;
    let five_digits = Model::new(spec, all_digits.input_scale(), device, 0)?;
    let head = transfer::copy_weights(&all_digits, &five_digits, &HeadTransfer::New)?;
    println!("layer {} starts anew", head.unwrap_or_default());
    fit(&five_digits, &train, 5)?;
    println!("training accuracy {:.4}", evaluate(&five_digits, &train, 1)?.sums.scores().accuracy());
    Ok(())
}

fn fit(model: &Model, train: &DataLoader, epochs: u64) -> Result<()> {
    let adam = OptimizerConfig::Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-7 };
    let config = TrainConfig { epochs, ..TrainConfig::default() };
    Trainer::new(config, model, Optimizer::new(adam, model.weights()), train).fit()?;
    Ok(())
}
