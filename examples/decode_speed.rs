//! How fast the images of a folder are decoded, resized and batched, streamed as for a data set that does not fit in memory:
//! `cargo run --release --example decode_speed -- FOLDER SIZE [THREADS [exact|fast]]`. `scripts/bench_decode.py` compares with PyTorch.

use std::time::Instant;

use convnet::data::batches::DataLoader;
use convnet::data::image::Decode;
use convnet::data::options::{Cache, LoadOptions};
use convnet::data::registry;
use convnet::device::{self, DeviceChoice};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, size, more @ ..] = &arguments[..] else {
        anyhow::bail!("usage: decode_speed FOLDER SIZE [THREADS [exact|fast]]")
    };
    let decode = more.get(1).map_or(Ok(Decode::Exact), |decode| decode.parse())?;
    let options = LoadOptions { image_size: Some(size.parse()?), decode, cache: Cache::None, ..LoadOptions::default() };
    device::threads::configure(Some(more.first().map_or(Ok(2), |threads| threads.parse())?))?;
    let device = device::select(DeviceChoice::Cpu)?.device;
    let samples = DataLoader::new(&registry::load_with(folder, &options)?.train, device)?;
    let order = samples.shuffled(0, 0);
    let started = Instant::now();
    for batch in 0..samples.num_batches(64) {
        let (images, _) = samples.batch_of(&order, batch, 64)?;
        anyhow::ensure!(images.size()[0] > 0, "a batch has images");
    }
    println!("{:.1}", samples.num_images() as f64 / started.elapsed().as_secs_f64());
    Ok(())
}
