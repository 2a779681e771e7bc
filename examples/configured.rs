//! A run from a configuration file's text, as `convnet train --config` reads it, with the usual recipes:
//! `cargo run --release --example configured`.

use convnet::config::RunConfig;
use convnet::data::batches::DataLoader;
use convnet::data::registry;
use convnet::data::split::split;
use convnet::device;
use convnet::log::console::{ConsoleSink, ProgressMode};
use convnet::model::{Model, presets};
use convnet::train::{Optimizer, Trainer};

const SETTINGS: &str = r#"
data = "digits:2000"
validation = 0.2
epochs = 6
batch_size = 64
accumulate = 2                # as batches of 128
optimizer = "adamw"
weight_decay = 0.01
schedule = "cosine"
warmup_epochs = 1
global_clip_norm = 1.0
label_smoothing = 0.05
ema = 0.9
augment = "light,flip=0"
patience = 3
restore_best = true
"#;

fn main() -> anyhow::Result<()> {
    let config = RunConfig::resolve(toml::from_str(SETTINGS)?, serde_json::Map::new())?;
    let dataset = registry::load_with(&config.data, &config.load_options())?;
    let parts = split(dataset, &config.validation, config.split_mode, config.limit_train, config.seed)?;
    let device = device::select(config.device)?.device;
    let train = DataLoader::new(&parts.train, device)?;
    let validation = parts.validation.map(|samples| DataLoader::new(&samples, device)).transpose()?;

    let mut spec = presets::preset(&config.model).expect("the default is a preset");
    spec.adapt(parts.train.shape(), parts.classes.len());
    let model = Model::new(spec, 1.0 / 255.0, device, config.seed)?;
    let optimizer = Optimizer::with_options(config.optimizer_config(), config.step_options(), model.weights());
    let told = config.train_config(train.num_images());
    let mut trainer = Trainer { validation: validation.as_ref(), ..Trainer::new(told, &model, optimizer, &train) };
    trainer.sinks.add(ConsoleSink::new(ProgressMode::Auto));
    let outcome = trainer.fit()?;
    let best = outcome.epochs.iter().filter_map(|epoch| epoch.validation).map(|scores| scores.accuracy);
    println!("best validation accuracy {:.4}, ended: {:?}", best.fold(0.0, f64::max), outcome.ending);
    Ok(())
}
