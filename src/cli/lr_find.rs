//! `convnet lr-find`: a learning rate range test, drawn.

use std::path::{Path, PathBuf};
use std::{fs, io};

use image::RgbImage;
use serde_json::{Map, json};

use super::chart::Chart;
use super::train::{Flags, build_model, class_weights};
use super::{Globals, inline, output};
use crate::config::effects::{NOT_IN_RANGE_TEST, without_effect_in_range_test};
use crate::config::file::ConfigFile;
use crate::config::{self, RunConfig};
use crate::data::batches::DataLoader;
use crate::data::grid::write_png;
use crate::data::registry;
use crate::data::split::split;
use crate::device;
use crate::error::{Error, Result};
use crate::log::event_file::EventFile;
use crate::model::saved;
use crate::native;
use crate::train::Optimizer;
use crate::train::range_test::{RangePoint, RangeTest, suggest};

/// Find a learning rate.
#[derive(Debug, clap::Args)]
#[command(allow_negative_numbers = true)] // they are refused by name
pub struct Args {
    #[command(flatten)]
    flags: Flags,
    /// Read settings from a TOML or JSON file; flags win
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The first rate
    #[arg(long, value_name = "RATE", default_value_t = 1e-6)]
    start_lr: f64,
    /// The last rate, unless the loss explodes before
    #[arg(long, value_name = "RATE", default_value_t = 1.0)]
    end_lr: f64,
    /// How many optimizer steps are made
    #[arg(long, value_name = "N", default_value_t = 200)]
    steps: u64,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

/// Leaves out of the help what a range test takes, because a training does, and does not use.
pub fn hide_idle(arg: clap::Arg) -> clap::Arg {
    let is_idle = NOT_IN_RANGE_TEST.contains(&arg.get_id().as_str());
    arg.hide(is_idle)
}

pub fn run(args: Args, globals: Globals) -> anyhow::Result<()> {
    let file = args.config.as_deref().map(ConfigFile::read).transpose()?;
    let flags = args.flags.given();
    let config = config::file::resolve(&RunConfig::default(), &Map::new(), file.as_ref(), &flags)?;
    for sentence in without_effect_in_range_test(&flags) {
        output::note(globals, &format!("warning: {sentence}"));
    }
    let mut test = range_test(&args, &config)?;
    device::configure(config.threads)?;
    native::allow_tf32(config.tf32)?;
    native::set_deterministic(config.deterministic)?;
    let selected = device::select(config.device)?;
    let dataset = registry::load_with(&config.data, &config.load_options())?;
    output::notes(globals, &dataset.notes);
    let parts = split(dataset, &config.validation, config.split_mode, config.limit_train, config.seed)?;
    let model = build_model(&config, &parts, None, selected.device, globals)?.with_precision(config.precision);
    test.config.class_weights = class_weights(&config, &parts)?;
    let train = DataLoader::placed(parts.train, config.cache, selected.device)?;
    let folder = new_folder(&config)?;
    let mut optimizer = Optimizer::with_options(config.optimizer_config(), config.step_options(), model.weights());
    let mut task = output::task(globals, "lr-find", "steps", args.steps);
    let points = test.run_with(&model, &mut optimizer, &train, |step, RangePoint { learning_rate, loss }| {
        task.show(step, &format!("loss {loss:.4}  lr {learning_rate:.1e}"));
    });
    drop(task);
    let points = points.inspect_err(|_| {
        // only where nothing is in it: its name is free again
        let _ = fs::remove_dir(&folder);
    })?;
    let suggestion = suggest(&points);
    let picture = folder.join("lr_find.png");
    let chart = draw(&points, suggestion);
    write_png(&picture, &chart)?;
    log_points(&points, &folder.join("lr_find"))?;
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
        None => "the loss falls nowhere: nothing to suggest\n".to_owned(),
    };
    output::result(&format!("{line}picture   {}\n", picture.display()))?;
    Ok(())
}

fn range_test(args: &Args, config: &RunConfig) -> Result<RangeTest> {
    let (start, end) = (args.start_lr, args.end_lr);
    if !(start > 0.0 && end > start && end.is_finite()) {
        let expected = "0 < --start-lr < --end-lr";
        return Err(Error::config("the range of rates cannot be used")
            .expected(expected)
            .got(format!("{start}, {end}")));
    }
    if args.steps < 20 {
        return Err(Error::config("steps cannot be used").expected("at least 20").got(args.steps));
    }
    Ok(RangeTest { start, end, steps: args.steps, config: config.train_config(0) })
}

/// `logs/<run>`, made new. Without `--run` the time, after `lr-find-`, and a number behind it where another began in the same
/// second.
fn new_folder(config: &RunConfig) -> Result<PathBuf> {
    let unwritable = |error: io::Error, folder: &Path| {
        Error::config("cannot write the logs").at_path(folder).because(error).help("choose another --logs or --run")
    };
    fs::create_dir_all(&config.logs).map_err(|error| unwritable(error, &config.logs))?;
    let now = || jiff::Zoned::now().strftime("lr-find-%Y%m%d-%H%M%S").to_string();
    let first = config.logs.join(config.run.clone().unwrap_or_else(now));
    let mut folder = first.clone();
    for attempt in 2..1000 {
        match fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && config.run.is_none() => {
                folder = saved::with_suffix(&first, &format!("-{attempt}"));
            }
            Err(error) => return Err(unwritable(error, &folder)),
        }
    }
    Err(Error::config("cannot write the logs").at_path(&folder).help("choose another --logs or --run"))
}

fn draw(points: &[RangePoint], suggestion: Option<f64>) -> RgbImage {
    let points: Vec<(f64, f64)> = points.iter().map(|point| (point.learning_rate, point.loss)).collect();
    let title = match suggestion {
        Some(rate) => format!("smoothed training loss; suggested: {rate:.1e}"),
        None => "smoothed training loss".to_owned(),
    };
    Chart { title: &title, x_label: "learning rate", points: &points, mark: suggestion }.draw()
}

/// For TensorBoard: loss and rate by step.
fn log_points(points: &[RangePoint], folder: &Path) -> Result<()> {
    let mut file = EventFile::create(folder)?;
    for (step, point) in (0..).zip(points) {
        file.scalar("lr_find_loss", step, point.loss)?;
        file.scalar("lr_find_learning_rate", step, point.learning_rate)?;
    }
    file.sync()
}
