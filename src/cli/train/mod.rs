//! `convnet train`: wires data, model, optimizer, logs and checkpoints, and lets the trainer run.

mod args;
mod faults;
mod run_folder;

use serde_json::{Value, json};
use signal_hook::consts::{SIGINT, SIGTERM};
use tch::Device;

pub use args::Args;

use super::{Globals, output};
use crate::config::RunConfig;
use crate::data::batches::DeviceSamples;
use crate::data::options::Cache;
use crate::data::split::{Parts, split};
use crate::data::{Samples, registry, statistics};
use crate::device::{self, Selected};
use crate::error::{Error, ErrorKind, Result};
use crate::evaluate::{Evaluation, evaluate};
use crate::libtorch;
use crate::log::Sinks;
use crate::log::console::{ConsoleSink, Progress as ProgressMode};
use crate::log::history::{self, HistorySink};
use crate::log::tensorboard::TensorBoardSink;
use crate::model::saved::{self, Destination};
use crate::model::spec::Activation;
use crate::model::{Model, ModelInfo, Spec, presets, transfer};
use crate::train::{Checkpoints, Optimizer, Outcome, Progress, StopSignal, TrainConfig, Trainer, Which};
use run_folder::RunFolder;

/// The Keras course's scale: pixels 0 to 255 become 0 to 1.
const INPUT_SCALE: f64 = 1.0 / 255.0;

pub fn run(args: Args, globals: Globals) -> anyhow::Result<()> {
    let started = std::time::Instant::now();
    let resumed = args.resume.as_deref().map(|run| RunFolder::open(run, &args.logs_folder())).transpose()?;
    let config = args.resolve(resumed.as_ref())?;
    device::configure(config.threads);
    let selected = device::select(config.device)?;
    output::note(globals, &device_line(&selected));
    let dataset = registry::load_with(&config.data, &config.load_options())?;
    if resumed.is_none() && !args.no_check {
        faults::warn(&dataset, &config.data, globals);
    }
    let parts = split(dataset, &config.validation, config.split_mode, config.limit_train, config.seed)?;
    if config.augment.flip > 0.0 && parts.classes.iter().all(|class| class.chars().count() == 1) {
        output::note(
            globals,
            "note: mirror images of digits and letters are others or none; --augment …,flip=0 leaves them out",
        );
    }
    let fingerprint = statistics::fingerprint(&parts.train);
    let model = build_model(&config, &parts, resumed.as_ref(), &selected, globals)?.with_precision(config.precision);
    let folder = match resumed {
        Some(folder) => folder.check_data(&fingerprint)?,
        None => RunFolder::create(&config, describe_run(&config, &parts, &model, &selected, &fingerprint))?,
    };
    run_folder::check_writable(&config.models, "models")?;

    let Parts { classes: labels, train, validation, test, .. } = parts;
    let placed = |samples| place(samples, config.cache, selected.device);
    let train = placed(train)?;
    let validation = validation.map(placed).transpose()?;
    let test = test.map(placed).transpose()?;

    let checkpoints = Checkpoints::new(&folder.checkpoints(), &labels).with_resize(config.resize);
    let mut optimizer = Optimizer::new(config.optimizer_config(), model.weights());
    let progress = if args.resume.is_some() { checkpoints.restore(&mut optimizer)? } else { Progress::default() };
    check_something_is_left(&config, &progress)?;
    let stop = stop_on_signals()?;
    let mut trainer = Trainer {
        config: TrainConfig {
            run: folder.name.clone(),
            epochs: config.epochs,
            batch_size: config.batch_size,
            schedule: config.schedule(train.num_batches(config.batch_size)),
            seed: config.seed,
            augment: config.augment,
        },
        model: &model,
        optimizer,
        train: &train,
        validation: validation.as_ref(),
        checkpoints: Some(checkpoints),
        sinks: sinks(&folder, &progress, args.progress_mode(globals))?,
        stop: &stop,
        progress,
    };
    let outcome = trainer.fit()?;
    let last = outcome.epochs.last().copied();
    let tested = test.filter(|_| outcome.stopped_by.is_none());
    let tested = tested.map(|test| evaluate(&model, &test, 1)).transpose()?;
    let mut info = ModelInfo { labels, resize: config.resize, ..ModelInfo::default() };
    info.metrics.extend(last.and_then(|epoch| epoch.validation).map(|scores| ("val_accuracy".into(), scores.accuracy)));
    info.metrics.extend(tested.as_ref().map(|tested| ("test_accuracy".into(), tested.sums.scores().accuracy)));
    saved::save(&model, &info, &Destination::pair(&config.models.join(&config.name)))?;
    let report =
        Report { config: &config, folder: &folder, model: &model, selected: &selected, tested: tested.as_ref() };
    match args.json {
        true => output::json(&report.json(started.elapsed().as_secs_f64()))?,
        false => output::result(&report.text())?,
    }
    stopped_by(&outcome)
}

/// Images where they are to be kept: see [`Cache`].
fn place(samples: Samples, cache: Cache, device: Device) -> Result<DeviceSamples> {
    let num_threads = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    match cache {
        Cache::Auto | Cache::Device => DeviceSamples::new(&samples, device),
        Cache::Ram | Cache::None => Ok(DeviceSamples::streaming(samples, device, num_threads)),
    }
}

/// One line on stderr: what computes, and why not CUDA.
fn device_line(selected: &Selected) -> String {
    let threads = tch::get_num_threads();
    match &selected.why_not_cuda {
        Some(reason) => format!("device: {}, {threads} threads (CUDA not used: {reason})", selected.name),
        None => format!("device: {}, {threads} threads", selected.name),
    }
}

fn build_model(
    config: &RunConfig,
    parts: &Parts,
    resumed: Option<&RunFolder>,
    selected: &Selected,
    globals: Globals,
) -> Result<Model> {
    let (shape, num_classes) = (parts.train.shape(), parts.classes.len());
    let model = match resumed {
        Some(folder) => {
            saved::load(&Checkpoints::new(&folder.checkpoints(), &[]).json_path(Which::Last), selected.device)?.0
        }
        None => new_model(config, parts, selected, globals)?,
    };
    model.spec().check_fits(shape, num_classes)?;
    if model.spec().output_activation() != Activation::Softmax {
        return Err(Error::model("the network cannot be trained as a classifier")
            .expected("softmax as its last activation")
            .got(model.spec().output_activation()));
    }
    Ok(model)
}

/// A network with first weights, or with those of the model to start from.
fn new_model(config: &RunConfig, parts: &Parts, selected: &Selected, globals: Globals) -> Result<Model> {
    let Some(source) = &config.init_from else {
        let mut spec = load_spec(config, parts)?;
        transfer::freeze(&mut spec, &config.freeze)?;
        return Model::new(spec, INPUT_SCALE, selected.device, config.seed);
    };
    let (source, _) = saved::load(&saved::locate(source)?, selected.device)?;
    let mut spec = source.spec().clone();
    spec.adapt(parts.train.shape(), parts.classes.len());
    transfer::freeze(&mut spec, &config.freeze)?;
    let model = Model::new(spec, source.input_scale(), selected.device, config.seed)?;
    if let Some(head) = transfer::copy_weights(&source, &model)? {
        output::note(globals, &format!("note: layer {head} starts anew, with {} classes", parts.classes.len()));
    }
    Ok(model)
}

/// A preset takes its input shape and classes from the data; a file has to fit.
fn load_spec(config: &RunConfig, parts: &Parts) -> Result<Spec> {
    let shape = parts.train.shape();
    if let Some(mut spec) = presets::preset(&config.model) {
        spec.adapt(shape, parts.classes.len());
        return Ok(spec);
    }
    let path = std::path::Path::new(&config.model);
    if !path.is_file() {
        let names: Vec<&str> = presets::PRESETS.iter().map(|(name, _)| *name).collect();
        let known = crate::error::nearest(&config.model, &names);
        return Err(Error::model(format!("there is no network '{}'{known}", config.model))
            .expected("a preset's name or the path of a Keras JSON"));
    }
    let mut spec = Spec::from_json(&saved::read_json(path)?).map_err(|error| error.at_path(path))?;
    spec.input_shape.get_or_insert_with(|| vec![shape.height, shape.width, shape.channels]);
    Ok(spec)
}

/// What `run.json` says beside the configuration.
fn describe_run(config: &RunConfig, parts: &Parts, model: &Model, selected: &Selected, fingerprint: &str) -> Value {
    let count = |samples: &Option<crate::data::Samples>| samples.as_ref().map(crate::data::Samples::len);
    json!({
        "config": config,
        "versions": { "convnet": env!("CARGO_PKG_VERSION"), "tch": "0.24.0", "libtorch": libtorch::EXPECTED_VERSION },
        "device": selected.name,
        "threads": tch::get_num_threads(),
        "parameters": model.plan().iter().map(|layer| layer.num_parameters()).sum::<usize>(),
        "architecture": model.spec().to_json(),
        "data": {
            "name": parts.name,
            "classes": parts.classes,
            "train": parts.train.len(),
            "validation": count(&parts.validation),
            "test": count(&parts.test),
            "fingerprint": fingerprint,
        },
    })
}

fn check_something_is_left(config: &RunConfig, progress: &Progress) -> Result<()> {
    if progress.epochs < config.epochs {
        return Ok(());
    }
    Err(Error::config("the run is finished")
        .expected(format!("more than {} epochs", progress.epochs))
        .got(config.epochs)
        .help(format!("to train on: --epochs {}", progress.epochs + 10)))
}

/// The first SIGINT or SIGTERM asks the loop to stop, a second one ends the process at once.
fn stop_on_signals() -> Result<std::sync::Arc<StopSignal>> {
    let stop = std::sync::Arc::new(StopSignal::new(0));
    for signal in [SIGINT, SIGTERM] {
        let stop = stop.clone();
        let action = move || {
            use std::sync::atomic::Ordering::SeqCst;
            if stop.compare_exchange(0, signal, SeqCst, SeqCst).is_err() {
                signal_hook::low_level::exit(128 + signal);
            }
        };
        // SAFETY: the action is one atomic exchange and, the second time, _exit: both are async-signal-safe.
        unsafe { signal_hook::low_level::register(signal, action) }
            .map_err(|error| Error::internal("cannot listen for signals").because(error))?;
    }
    Ok(stop)
}

fn sinks(folder: &RunFolder, progress: &Progress, mode: ProgressMode) -> Result<Sinks> {
    let csv = folder.path.join("history.csv");
    let mut sinks = Sinks::default();
    sinks.add(ConsoleSink::new(mode));
    sinks.add(match progress.steps {
        0 => HistorySink::create(&csv)?,
        _ => HistorySink::append(&csv, progress.epochs + 1)?,
    });
    sinks.add(TensorBoardSink::create(&folder.path)?);
    Ok(sinks)
}

fn stopped_by(outcome: &Outcome) -> anyhow::Result<()> {
    match outcome.stopped_by {
        None => Ok(()),
        Some(signal) => {
            let stopped = Error::new(ErrorKind::Stopped { signal }, "stopped by a signal; everything is saved");
            Err(stopped.help("continue with --resume and the run's name").into())
        }
    }
}

/// What the user gets at the end.
struct Report<'a> {
    config: &'a RunConfig,
    folder: &'a RunFolder,
    model: &'a Model,
    selected: &'a Selected,
    tested: Option<&'a Evaluation>,
}

impl Report<'_> {
    fn stem(&self) -> String {
        self.config.models.join(&self.config.name).display().to_string()
    }

    fn text(&self) -> String {
        let mut text = String::new();
        if let Some(tested) = self.tested {
            let (scores, [low, high]) = (tested.sums.scores(), tested.accuracy_interval());
            text += &format!(
                "test      loss {:.4}  accuracy {:.4} (95 % interval {low:.4} to {high:.4}) on {} images\n",
                scores.loss, scores.accuracy, tested.sums.count
            );
        }
        let stem = self.stem();
        text += &format!("model     {stem}.json, {stem}.safetensors\n");
        text += &format!(
            "logs      {}  (tensorboard --logdir {})\n",
            self.folder.path.display(),
            self.config.logs.display()
        );
        text
    }

    fn json(&self, total_seconds: f64) -> Value {
        let rows = history::read(&self.folder.path.join("history.csv")).unwrap_or_default();
        let epochs: Vec<Value> = rows
            .iter()
            .map(|row| {
                let mut row = json!(row);
                if let Some(row) = row.as_object_mut() {
                    row.retain(|_, value| !value.is_null());
                }
                row
            })
            .collect();
        let mut report = json!({
            "run": self.folder.name,
            "model": self.stem(),
            "epochs": epochs,
            "parameters": self.model.plan().iter().map(|layer| layer.num_parameters()).sum::<usize>(),
            "device": self.selected.name,
            "threads": tch::get_num_threads(),
            "precision": self.config.precision,
            "seed": self.config.seed,
            "total_seconds": total_seconds,
        });
        if let Some(tested) = self.tested {
            let scores = tested.sums.scores();
            report["test"] = json!({ "loss": scores.loss, "accuracy": scores.accuracy });
        }
        report
    }
}
