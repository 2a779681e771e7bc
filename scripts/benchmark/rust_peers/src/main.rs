//! The default network (`keras-cnn`) in burn and in candle, for `scripts/bench.py`:
//!
//! `rust_peers burn|candle train DATA IMAGES BATCH EPOCHS`, `… warm DATA BATCH`, `… init WEIGHTS`, `… cold WEIGHTS PNG`.
//!
//! Each prints one JSON document. Both libraries take the same batches of the same loop.

mod burn_peer;
mod candle_peer;
mod data;

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use data::Images;

const LEARNING_RATE: f64 = 0.002;
const CLASSES: usize = 10;

/// The default network in one of the libraries. Images are `f32 [B, 1, 28, 28]` of 0 to 1, one behind the other.
trait Network {
    /// One step of Adam; the loss.
    fn step(&mut self, images: Vec<f32>, labels: &[u8]) -> Result<f32>;
    /// The likeliest class of each image.
    fn classes(&self, images: Vec<f32>, count: usize) -> Result<Vec<u8>>;
    fn save(&self, file: &Path) -> Result<()>;
    fn load(&mut self, file: &Path) -> Result<()>;
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [library, rest @ ..] = &arguments[..] else { bail!("which library?") };
    let mut network: Box<dyn Network> = match *library {
        "burn" => Box::new(burn_peer::Burn::new()),
        "candle" => Box::new(candle_peer::Candle::new()?),
        other => bail!("{other} is neither burn nor candle"),
    };
    let report = match rest {
        ["train", data, count, batch, epochs] => {
            train(&mut *network, Path::new(data), count.parse()?, batch.parse()?, epochs.parse()?)?
        }
        ["warm", data, batch] => warm(&*network, Path::new(data), batch.parse()?)?,
        ["init", weights] => {
            network.save(Path::new(weights))?;
            json!({})
        }
        ["cold", weights, picture] => {
            network.load(Path::new(weights))?;
            let classes = network.classes(data::picture(Path::new(picture))?, 1)?;
            json!({ "class": classes[0] })
        }
        _ => bail!("what to do?"),
    };
    println!("{report}");
    Ok(())
}

fn train(network: &mut dyn Network, data: &Path, count: usize, batch: usize, epochs: usize) -> Result<Value> {
    let images = Images::read(data, "train", count)?;
    let mut seconds = Vec::new();
    for epoch in 0..epochs {
        let started = Instant::now();
        let order = images.shuffled(epoch as u64);
        for chosen in order.chunks(batch) {
            let (pixels, labels) = images.batch(chosen);
            let loss = network.step(pixels, &labels)?;
            anyhow::ensure!(loss.is_finite(), "the loss is {loss}");
        }
        seconds.push(started.elapsed().as_secs_f64());
    }
    let (memory, tested) = (peak_mib()?, Instant::now());
    let accuracy = accuracy(network, &Images::read(data, "t10k", 10_000)?, 250)?;
    Ok(
        json!({ "epochs": seconds, "accuracy": accuracy, "memory": memory, "uncounted": tested.elapsed().as_secs_f64() }),
    )
}

fn warm(network: &dyn Network, data: &Path, batch: usize) -> Result<Value> {
    let first = Images::read(data, "t10k", 10_000)?;
    accuracy(network, &first, batch)?;
    let images = Images::read(data, "train", 50_000)?;
    let started = Instant::now();
    accuracy(network, &images, batch)?;
    Ok(json!({ "seconds": started.elapsed().as_secs_f64(), "images": images.len() }))
}

fn accuracy(network: &dyn Network, images: &Images, batch: usize) -> Result<f64> {
    let numbers: Vec<usize> = (0..images.len()).collect();
    let mut right = 0;
    for chosen in numbers.chunks(batch) {
        let (pixels, labels) = images.batch(chosen);
        let classes = network.classes(pixels, labels.len())?;
        right += classes.iter().zip(&labels).filter(|(class, label)| class == label).count();
    }
    Ok(right as f64 / images.len() as f64)
}

/// The most memory that this process has held.
fn peak_mib() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse::<f64>()? / 1024.0)
}
