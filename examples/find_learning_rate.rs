//! The learning rate range test: `cargo run --release --example find_learning_rate`.

use convnet::data::batches::DataLoader;
use convnet::data::registry;
use convnet::device::{self, DeviceChoice};
use convnet::error::Result;
use convnet::model::{Model, presets};
use convnet::train::range_test::{RangeTest, suggest};
use convnet::train::{Optimizer, OptimizerConfig, TrainConfig};

fn main() -> Result<()> {
    let device = device::select(DeviceChoice::Auto)?.device;
    let train = DataLoader::new(&registry::load("digits:5000")?.train, device)?;
    let model = Model::new(presets::preset("keras-cnn").expect("it is built in"), 1.0 / 255.0, device, 0)?;
    let adam = OptimizerConfig::Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-7 };
    let test = RangeTest { start: 1e-5, end: 1.0, steps: 100, config: TrainConfig::default() };
    let points = test.run(&model, &mut Optimizer::new(adam, model.weights()), &train)?;
    for point in points.iter().step_by(10) {
        println!("{:.1e}  {:.4}", point.learning_rate, point.loss);
    }
    match suggest(&points) {
        Some(rate) => println!("suggested {rate:.1e}"),
        None => println!("the loss falls nowhere"),
    }
    Ok(())
}
