//! A sink of one's own: hears what happens in a run, and ends it: `cargo run --release --example listen`.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use convnet::data::batches::DataLoader;
use convnet::data::registry;
use convnet::device::{self, DeviceChoice};
use convnet::error::Result;
use convnet::log::{Event, Sink};
use convnet::model::{Model, presets};
use convnet::train::{Optimizer, OptimizerConfig, StopSignal, TrainConfig, Trainer};

/// Asks the run to stop once its training accuracy is high enough.
struct StopAt {
    accuracy: f64,
    stop: Arc<StopSignal>,
}

impl Sink for StopAt {
    fn on(&mut self, event: &Event) -> Result<()> {
        match event {
            Event::Start(start) => println!("{} images, {} batches an epoch", start.num_images, start.steps_per_epoch),
            Event::Batch(batch) if batch.scores.accuracy() >= self.accuracy => {
                println!("enough after {} batches: accuracy {:.4}", batch.step, batch.scores.accuracy());
                self.stop.store(1, Ordering::Relaxed);
            }
            Event::Epoch(epoch) => println!("epoch {}: loss {:.4}", epoch.epoch, epoch.train.loss()),
            Event::Warning(warning) => eprintln!("warning: {warning}"),
            _ => {}
        }
        Ok(())
    }
}

fn main() -> Result<()> {
    let dataset = registry::load("digits:2000")?;
    let device = device::select(DeviceChoice::Auto)?.device;
    let train = DataLoader::new(&dataset.train, device)?;
    let model = Model::new(presets::preset("mlp").expect("it is built in"), 1.0 / 255.0, device, 0)?;
    let optimizer = Optimizer::new(OptimizerConfig::Sgd { momentum: 0.9, nesterov: true }, model.weights());
    let stop = Arc::new(StopSignal::new(0));
    let mut config = TrainConfig { epochs: 50, log_every: Some(1), ..TrainConfig::default() };
    config.schedule.base = 0.1;
    let mut trainer = Trainer { stop: &stop, ..Trainer::new(config, &model, optimizer, &train) };
    trainer.sinks.add(StopAt { accuracy: 0.9, stop: Arc::clone(&stop) });
    let outcome = trainer.fit()?;
    println!("ended: {:?}", outcome.ending);
    Ok(())
}
