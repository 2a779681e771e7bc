//! Trains the default network on the built-in digits, saves it, loads it again and predicts, without the command line:
//! `cargo run --release --example train_in_rust`.

use std::path::Path;

use convnet::data::batches::DataLoader;
use convnet::data::registry;
use convnet::data::split::{SplitMode, Validation, split};
use convnet::device::{self, DeviceChoice};
use convnet::error::Result;
use convnet::evaluate::evaluate;
use convnet::log::console::{ConsoleSink, ProgressMode};
use convnet::model::saved::{self, Destination};
use convnet::model::{Model, ModelInfo, presets};
use convnet::predict::Predictor;
use convnet::train::{Optimizer, OptimizerConfig, Schedule, ScheduleKind, TrainConfig, Trainer};

const SEED: u64 = 0;
const BATCH_SIZE: usize = 128;
const EPOCHS: u64 = 3;

fn main() -> Result<()> {
    let device = device::select(DeviceChoice::Auto)?.device;
    let parts = split(registry::load("digits")?, &Validation::Count(1000), SplitMode::Stratified, None, SEED)?;

    let mut spec = presets::preset("keras-cnn").expect("it comes with the library");
    spec.adapt(parts.train.shape(), parts.classes.len());
    let model = Model::new(spec, 1.0 / 255.0, device, SEED)?; // pixels 0 to 255 become 0 to 1

    let train = DataLoader::new(&parts.train, device)?;
    let validation = parts.validation.as_ref().map(|samples| DataLoader::new(samples, device)).transpose()?;
    let steps_per_epoch = train.num_batches(BATCH_SIZE);
    let schedule = Schedule {
        kind: ScheduleKind::Cosine,
        base: 0.002,
        warmup_steps: steps_per_epoch / 2,
        total_steps: EPOCHS * steps_per_epoch,
        ..Schedule::default()
    };
    let adam = OptimizerConfig::Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-7 };
    let config = TrainConfig {
        epochs: EPOCHS,
        batch_size: BATCH_SIZE,
        schedule,
        seed: SEED,
        augment: "light,flip=0".parse()?,
        ..TrainConfig::default()
    };
    let adam = Optimizer::new(adam, model.weights());
    let mut trainer = Trainer { validation: validation.as_ref(), ..Trainer::new(config, &model, adam, &train) };
    trainer.sinks.add(ConsoleSink::new(ProgressMode::Auto));
    let outcome = trainer.fit()?;
    println!("trained {} epochs", outcome.epochs.len());

    let test = parts.test.expect("digits come with test images");
    let tested = evaluate(&model, &DataLoader::new(&test, device)?, 1)?;
    println!("test accuracy {:.4}", tested.sums.scores().accuracy());

    let folder = tempfile::tempdir().expect("a temporary folder");
    let stem = folder.path().join("digits");
    saved::save(&model, &ModelInfo { labels: parts.classes, ..ModelInfo::default() }, &Destination::pair(&stem))?;
    predict_one(&stem, &test.image(0)?, test.labels()[0], device)
}

/// Loads a saved model, as another program would, and looks at one image: `u8 [H, W, C]`.
fn predict_one(stem: &Path, pixels: &[u8], truth: i64, device: tch::Device) -> Result<()> {
    let predictor = Predictor::load(&stem.display().to_string(), device)?;
    let predictions = predictor.predict_u8(pixels, 1)?;
    let prediction = &predictions[0];
    println!("image 0 is a {} (probability {:.4}); its label is {truth}", prediction.label, prediction.probability);
    Ok(())
}
