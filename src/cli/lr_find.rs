//! `convnet lr-find`: a learning rate range test, drawn.

use std::path::PathBuf;

use image::RgbImage;
use serde_json::{Map, json};

use super::chart::Chart;
use super::train::Flags;
use super::{Globals, help, inline, output};
use convnet::config::effects::{NOT_IN_RANGE_TEST, without_effect_in_range_test};
use convnet::config::file::ConfigFile;
use convnet::config::{self, RunConfig};
use convnet::data::grid::write_png;
use convnet::run::learning_rate::{FoundRate, RateRange, find_learning_rate};
use convnet::train::range_test::RangePoint;

/// Find a learning rate.
#[derive(Debug, clap::Args)]
#[command(allow_negative_numbers = true)] // they are refused by name
pub struct Args {
    #[command(flatten)]
    flags: Flags,
    /// Read settings from a TOML or JSON file; flags win
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The rate of the first step
    #[arg(long, value_name = "RATE", default_value_t = 1e-6)]
    start_lr: f64,
    /// The rate of the last step, unless the loss explodes before
    #[arg(long, value_name = "RATE", default_value_t = 1.0)]
    end_lr: f64,
    /// Optimizer steps
    #[arg(long, value_name = "N", default_value_t = 200)]
    steps: u64,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

/// The help of a flag of `train` in `lr-find`: its default, and nothing of what a range test does not use.
pub fn in_range_test(arg: clap::Arg) -> clap::Arg {
    let is_idle = NOT_IN_RANGE_TEST.contains(&arg.get_id().as_str());
    help::with_default(arg).hide(is_idle)
}

pub fn run(args: Args, globals: Globals) -> anyhow::Result<()> {
    let file = args.config.as_deref().map(ConfigFile::read).transpose()?;
    let flags = args.flags.given()?;
    let config = config::file::resolve(&RunConfig::default(), &Map::new(), file.as_ref(), &flags)?;
    for sentence in without_effect_in_range_test(&flags) {
        output::note(globals, &format!("warning: {sentence}"));
    }
    let range = RateRange { start: args.start_lr, end: args.end_lr, steps: args.steps };
    let mut task = output::task(globals, "lr-find", "steps", args.steps);
    let found =
        find_learning_rate(&config, range, &mut output::sinks(globals), |step, RangePoint { learning_rate, loss }| {
            task.show(step, &format!("loss {loss:.4}  lr {learning_rate:.1e}"));
        })?;
    drop(task);
    let FoundRate { suggestion, points, folder } = found;
    let picture = folder.join("lr_find.png");
    let chart = draw(&points, suggestion);
    write_png(&picture, &chart)?;
    if args.json {
        let picture = picture.display().to_string();
        output::json(&json!({ "suggestion": suggestion, "points": points, "picture": picture }))?;
        return Ok(());
    }
    if !globals.quiet {
        inline::show(&chart)?;
    }
    let line = match suggestion {
        Some(rate) => format!("suggested --lr {rate:.1e}: half of the loss's fall is done there\n"),
        None => "the loss does not fall: nothing to suggest\n".to_owned(),
    };
    output::result(&format!("{line}picture   {}\n", picture.display()))?;
    Ok(())
}

fn draw(points: &[RangePoint], suggestion: Option<f64>) -> RgbImage {
    let points: Vec<(f64, f64)> = points.iter().map(|point| (point.learning_rate, point.loss)).collect();
    let title = match suggestion {
        Some(rate) => format!("smoothed training loss; suggested: {rate:.1e}"),
        None => "smoothed training loss".to_owned(),
    };
    Chart { title: &title, x_label: "learning rate", points: &points, mark: suggestion }.draw()
}
