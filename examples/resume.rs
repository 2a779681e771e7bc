//! Saves checkpoints, then goes on from the last one as another process would: the weights come out as those of a run that
//! was never interrupted. `cargo run --release --example resume`.

use std::path::Path;

use convnet::data::batches::DataLoader;
use convnet::data::registry;
use convnet::device::{self, DeviceChoice};
use convnet::model::{Model, presets, saved};
use convnet::native;
use convnet::train::{CheckpointKind, Checkpoints, Optimizer, OptimizerConfig, TrainConfig, Trainer};
use tch::Device;

const ADAM: OptimizerConfig = OptimizerConfig::Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-7 };

fn main() -> anyhow::Result<()> {
    let dataset = registry::load("digits:1000")?;
    let device = device::select(DeviceChoice::Auto)?.device;
    native::set_deterministic(true)?; // on a GPU, cuDNN would take other algorithms each time
    let train = DataLoader::new(&dataset.train, device)?;
    let folder = tempfile::tempdir()?;
    let checkpoints = Checkpoints::new(folder.path(), &dataset.classes);

    let uninterrupted = train_to(4, new_model(device)?, &train, None)?;
    train_to(2, new_model(device)?, &train, Some(&checkpoints))?; // ... and the process ends here
    let resumed =
        train_to(4, load_model(&checkpoints.json_path(CheckpointKind::Last), device)?, &train, Some(&checkpoints))?;

    let pairs = uninterrupted.weights().iter().zip(resumed.weights());
    let same = pairs.into_iter().all(|(one, other)| one.tensor.equal(&other.tensor));
    println!("the weights are {}", if same { "the same, bit for bit" } else { "different" });
    Ok(())
}

fn new_model(device: Device) -> anyhow::Result<Model> {
    Ok(Model::new(presets::preset("keras-cnn").expect("it is built in"), 1.0 / 255.0, device, 0)?)
}

fn load_model(checkpoint: &Path, device: Device) -> anyhow::Result<Model> {
    Ok(saved::load(checkpoint, device)?.0)
}

/// Trains to the end of epoch `epochs`, from the last checkpoint where there is one.
fn train_to(epochs: u64, model: Model, train: &DataLoader, checkpoints: Option<&Checkpoints>) -> anyhow::Result<Model> {
    let config = TrainConfig { epochs, ..TrainConfig::default() };
    let mut trainer = Trainer::new(config, &model, Optimizer::new(ADAM, model.weights()), train);
    if let Some(checkpoints) = checkpoints {
        if checkpoints.json_path(CheckpointKind::Last).exists() {
            trainer.state = checkpoints.restore(&mut trainer.optimizer)?;
            println!("goes on after epoch {}", trainer.state.epochs);
        }
        trainer.checkpoints = Some(checkpoints.clone());
    }
    trainer.fit()?;
    drop(trainer);
    Ok(model)
}
