//! One training from its configuration to its saved model: wires data, model, optimizer, logs and checkpoints.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::{Map, Value, json};
use signal_hook::consts::SIGINT;
use tch::Device;

use super::data_check;
use super::network::{self, build_model, class_weights};
use super::run_folder::{self, RunFolder, Unbegun};
use crate::cli::{Globals, output};
use crate::config::effects::without_effect;
use crate::config::origin::Origins;
use crate::config::{RunConfig, paths};
use crate::data::batches::DataLoader;
use crate::data::options::Cache;
use crate::data::split::{Splits, split};
use crate::data::{Samples, moved, registry, statistics};
use crate::device::{self, Selected};
use crate::error::{Error, ErrorKind, Result};
use crate::evaluate::{Evaluation, evaluate_smoothed};
use crate::libtorch;
use crate::log::console::{ConsoleSink, ProgressMode, Task};
use crate::log::history::{self, HistoryRow, HistorySink};
use crate::log::tensorboard::{self, TensorBoardSink};
use crate::log::{self, Event, Sink, Sinks};
use crate::model::saved::{self, Destination};
use crate::model::trained_on::TrainedOn;
use crate::model::{Model, ModelInfo};
use crate::native;
use crate::train::{
    CheckpointKind, Checkpoints, LastCheckpoint, Optimizer, Outcome, StopReason, StopSignal, TrainConfig, TrainState,
    Trainer,
};

/// A training that was asked for.
pub struct Session {
    /// What it does.
    pub config: RunConfig,
    /// The run that it continues, if any, and what is changed in it.
    pub resumed: Option<(RunFolder, Map<String, Value>)>,
    /// How progress is shown.
    pub progress: ProgressMode,
    /// Flags of every subcommand.
    pub globals: Globals,
    /// Asks it to stop.
    pub stop: Arc<StopSignal>,
    /// Where it is to stop as if by a signal.
    pub stop_after: Option<StopAfter>,
    /// Whether it says what may be wrong with the data of a new run.
    pub checks_data: bool,
    /// Where its settings come from, to say which of those that were given do nothing.
    pub origins: Option<Origins>,
}

/// Where a training is to stop as if by a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopAfter {
    /// After so many batches, where the logs keep each.
    Batches(u64),
    /// In the epoch after so many.
    Epochs(u64),
}

/// A training that is over.
pub struct Finished {
    /// What it did.
    pub config: RunConfig,
    /// Its run's folder.
    pub folder: RunFolder,
    /// Its model, with the weights that were saved.
    pub model: Model,
    /// What computed.
    pub selected: Selected,
    /// What it was trained on.
    pub trained_on: TrainedOn,
    /// What came of the test images.
    pub tested: Option<Evaluation>,
    /// Where it stands.
    pub progress: TrainState,
    /// Its epochs, those before a resume too.
    pub rows: Vec<HistoryRow>,
    /// Why it ended.
    pub ending: StopReason,
    /// Whether its last checkpoint is saved.
    pub is_saved: bool,
    /// The model of another run that its model took the place of.
    pub replaced: Option<String>,
}

/// Images where they are to be kept: see [`Cache`].
struct Placed {
    train: DataLoader,
    validation: Option<DataLoader>,
    test: Option<DataLoader>,
}

impl Session {
    /// Trains and saves.
    pub fn run(self) -> Result<Finished> {
        let Session { config, resumed, globals, .. } = &self;
        let globals = *globals;
        device::configure(config.threads)?;
        native::allow_tf32(config.tf32)?;
        native::set_deterministic(config.deterministic)?;
        let selected = device::select(config.device)?;
        output::note(globals, &device_line(&selected));
        if let Some(origins) = &self.origins {
            for sentence in without_effect(config, origins, selected.device.is_cuda()) {
                output::note(globals, &format!("warning: {sentence}"));
            }
        }
        let parts = self.load()?;
        let data = describe_data(&parts);
        let last = self.last_checkpoint(&data)?;
        let model = build_model(config, &parts, last.as_deref(), selected.device, globals)?;
        let model = model.with_precision(config.precision);
        let class_weights = class_weights(config, &parts)?;
        output::note(globals, &images_line(&parts));
        let description = describe_run(config, data, &model, &selected)?;
        output::detail(globals, &format!("network: {} parameters", description["parameters"]));
        let labels = parts.classes.clone();
        let trained_on = config.trained_on(&parts.name, parts.validation.as_ref());
        let data = Placed::new(parts, config.cache, selected.device)?;
        run_folder::check_places(config)?;

        let (config, is_new) = (config.clone(), resumed.is_none());
        let (mut folder, changed) = match self.resumed {
            Some(resumed) => resumed,
            None => (RunFolder::create(&config, description)?, Map::new()),
        };
        let unbegun = is_new.then(|| Unbegun::new(&folder));
        let checkpoints = Checkpoints::new(&folder.checkpoints(), &labels).with_resize(config.resize);
        let checkpoints = checkpoints.with_data(trained_on.clone());
        let mut optimizer = Optimizer::with_options(config.optimizer_config(), config.step_options(), model.weights());
        let progress = if last.is_some() { checkpoints.restore(&mut optimizer)? } else { TrainState::default() };
        if last.is_none() {
            network::take_over_state(&config, &labels, &mut optimizer, globals)?;
        }
        let mut train_config = config.train_config(data.train.num_images());
        train_config.run.clone_from(&folder.name);
        train_config.class_weights = class_weights;
        check_something_is_left(&train_config, &progress, &folder, &changed)?;
        if last.is_some() {
            output::note(globals, &resume_line(&folder, &progress, &train_config));
        }
        if let Some(other) = run_folder::replaced(&config, &folder.name) {
            output::note(globals, &format!("note: replaces {other} when it is done; another --name keeps both"));
        }
        let mut rows = rows_before(&folder, &progress, globals);
        let mut sinks = sinks(&folder, &progress, is_new, !changed.is_empty(), self.progress)?;
        folder.note_resume(&config, progress.batches_seen, changed)?;
        if let Some(after) = self.stop_after {
            sinks.add(StopCallback { after, stop: Arc::clone(&self.stop) });
        }
        let mut trainer = Trainer {
            validation: data.validation.as_ref(),
            checkpoints: Some(checkpoints),
            sinks,
            stop: &self.stop,
            state: progress,
            ..Trainer::new(train_config, &model, optimizer, &data.train)
        };
        let fitted = trainer.fit();
        // what a device or a file failed at shows nothing; a loss that is not finite is worth a look
        if !matches!(&fitted, Err(error) if matches!(error.kind(), ErrorKind::Device | ErrorKind::Data)) {
            unbegun.into_iter().for_each(Unbegun::keep);
        }
        let Outcome { epochs, ending, last_checkpoint } = fitted?;
        let is_saved = last_checkpoint != LastCheckpoint::Failed;
        let progress = trainer.state;
        drop(trainer);
        rows.extend(epochs.iter().map(HistoryRow::from));
        let test = data.test.filter(|_| !matches!(ending, StopReason::Signal(_)));
        let tested = test.map(|test| evaluate_test(&model, &test, self.progress)).transpose()?;
        let replaced = None;
        let mut finished = Finished {
            config,
            folder,
            model,
            selected,
            trained_on,
            tested,
            progress,
            rows,
            ending,
            is_saved,
            replaced,
        };
        finished.save(labels, globals)?;
        Ok(finished)
    }
}

impl Session {
    fn load(&self) -> Result<Splits> {
        let Session { config, globals, .. } = self;
        let dataset = registry::load_with(&config.data, &config.load_options())?;
        output::notes(*globals, &dataset.notes);
        if self.resumed.is_none() && self.checks_data {
            data_check::warn(&dataset, &config.data, *globals);
        }
        let parts = split(dataset, &config.validation, config.split_mode, config.limit_train, config.seed)?;
        note_mirrors(config, &parts, *globals);
        Ok(parts)
    }

    /// The JSON of a resumed run's last checkpoint, for the data that it was started with. None where it was killed before
    /// it had one: it begins again.
    fn last_checkpoint(&self, data: &Value) -> Result<Option<PathBuf>> {
        let Some((folder, _)) = &self.resumed else { return Ok(None) };
        folder.check_data(data)?;
        let last = Checkpoints::new(&folder.checkpoints(), &[]).json_path(CheckpointKind::Last);
        if last.is_file() {
            return Ok(Some(last));
        }
        // the first epoch's row is written before the first checkpoint
        let rows = history::read(&folder.history()).unwrap_or_default();
        if folder.description().get("result").is_some() || rows.len() > 1 {
            return Err(Error::model("the run's last checkpoint is not there, though the run had one")
                .at_path(&last)
                .help("bring its files back, or start a new run"));
        }
        folder.check_init_from()?;
        output::note(self.globals, "note: the run was stopped before its first checkpoint: it begins again");
        Ok(None)
    }
}

impl Placed {
    fn new(parts: Splits, cache: Cache, device: Device) -> Result<Self> {
        let place = |samples: Samples| DataLoader::placed(samples, cache, device);
        Ok(Placed {
            train: place(parts.train)?,
            validation: parts.validation.map(place).transpose()?,
            test: parts.test.map(place).transpose()?,
        })
    }
}

impl Finished {
    /// The epoch whose weights are saved.
    pub fn saved_epoch(&self) -> u64 {
        let is_best = self.config.restore_best && !self.is_interrupted();
        if is_best { self.progress.watch.best_epoch } else { self.progress.epochs }
    }

    /// The row of the epoch whose weights are saved.
    pub fn saved_row(&self) -> Option<&HistoryRow> {
        self.rows.iter().find(|row| row.epoch == self.saved_epoch())
    }

    /// Whether a signal ended it: then there are checkpoints, but no model, and one that was there before stays.
    pub fn is_interrupted(&self) -> bool {
        matches!(self.ending, StopReason::Signal(_))
    }

    /// Saves the model, then notes in `run.json` that nothing is left to do.
    fn save(&mut self, labels: Vec<String>, globals: Globals) -> Result<()> {
        if self.is_interrupted() {
            return Ok(());
        }
        let row = self.saved_row();
        let (data, run) = (Some(self.trained_on.clone()), Some(self.folder.name.clone()));
        let mut info = ModelInfo { labels, resize: self.config.resize, data, run, ..ModelInfo::default() };
        info.metrics.extend(row.and_then(|row| row.val_accuracy).map(|accuracy| ("val_accuracy".into(), accuracy)));
        info.metrics.extend(self.tested.as_ref().map(|tested| ("test_accuracy".into(), tested.sums.scores().accuracy)));
        let to = Destination::pair(&self.config.models.join(&self.config.name));
        self.replaced = run_folder::replaced(&self.config, &self.folder.name);
        saved::save(&self.model, &info, &to)?;
        let sha256 = saved::read_json(&to.json)?.pointer("/convnet/weights/sha256").cloned().unwrap_or_default();
        let result = self.result(&sha256);
        if let Err(error) = self.folder.note_result(result) {
            output::note(globals, &format!("warning: {}; the model is saved", log::describe(&error)));
        }
        Ok(())
    }
}

/// What the model does on the test images; how far that is, is shown as `mode` says.
fn evaluate_test(model: &Model, test: &DataLoader, mode: ProgressMode) -> Result<Evaluation> {
    let mut task = Task::new(mode, "testing", "images", test.num_images() as u64);
    evaluate_smoothed(model, test, 1, 0.0, |done| task.show(done, ""))
}

/// One line on stderr: what computes, and why not CUDA.
fn device_line(selected: &Selected) -> String {
    let threads = tch::get_num_threads();
    let Selected { name, gpu, why_not_cuda, .. } = selected;
    match (gpu, why_not_cuda) {
        (_, Some(reason)) => format!("device: {name}, {threads} threads (CUDA not used: {reason})"),
        (Some(gpu), None) => format!("device: {name} ({gpu}), {threads} threads"),
        (None, None) => format!("device: {name}, {threads} threads"),
    }
}

/// How many images there are to train on, to validate with and to test on.
fn images_line(parts: &Splits) -> String {
    let count = |samples: &Option<Samples>| samples.as_ref().map_or("no".to_owned(), |images| images.len().to_string());
    let (validation, test) = (count(&parts.validation), count(&parts.test));
    format!("data: {}, {} training, {validation} validation and {test} test images", parts.name, parts.train.len())
}

/// Where a resumed run goes on.
fn resume_line(folder: &RunFolder, progress: &TrainState, config: &TrainConfig) -> String {
    let place = match progress.batches {
        0 => format!("after epoch {} of {}", progress.epochs, config.epochs),
        batches => format!("in epoch {} of {}, after batch {batches}", progress.epochs + 1, config.epochs),
    };
    format!("resume: run {} goes on {place} (step {})", folder.name, progress.batches_seen)
}

fn note_mirrors(config: &RunConfig, parts: &Splits, globals: Globals) {
    if config.augment.flip > 0.0 && parts.classes.iter().all(|class| class.chars().count() == 1) {
        output::note(
            globals,
            "note: mirror images of digits and letters are others or none; --augment …,flip=0 leaves them out",
        );
    }
}

/// What `run.json` says beside the configuration.
fn describe_run(config: &RunConfig, data: Value, model: &Model, selected: &Selected) -> Result<Value> {
    let mut description = json!({
        "config": config,
        "versions": { "convnet": env!("CARGO_PKG_VERSION"), "tch": "0.24.0", "libtorch": libtorch::EXPECTED_VERSION },
        "device": selected.name,
        "threads": tch::get_num_threads(),
        "parameters": model.plan().iter().map(|layer| layer.num_parameters()).sum::<usize>(),
        "architecture": model.spec().to_json(),
        "data": data,
        "paths": paths::absolute(config),
    });
    if let Some(gpu) = &selected.gpu {
        description["gpu"] = json!(gpu);
    }
    if let Some(source) = &config.init_from {
        description["init_from"] = json!({ "weights_sha256": run_folder::weights_sha256(source)? });
    }
    Ok(description)
}

/// What `run.json` says of the data.
fn describe_data(parts: &Splits) -> Value {
    let count = |samples: &Option<Samples>| samples.as_ref().map(Samples::len);
    let fingerprint = |samples: &Option<Samples>| samples.as_ref().map(statistics::fingerprint);
    let mut description = json!({
        "name": parts.name,
        "classes": parts.classes,
        "train": parts.train.len(),
        "validation": count(&parts.validation),
        "test": count(&parts.test),
        "fingerprint": statistics::fingerprint(&parts.train),
        "validation_fingerprint": fingerprint(&parts.validation),
        "test_fingerprint": fingerprint(&parts.test),
    });
    let parts = [("", Some(&parts.train)), ("validation_", parts.validation.as_ref()), ("test_", parts.test.as_ref())];
    for (prefix, samples) in parts {
        if let Some(fingerprint) = samples.and_then(moved::relative_fingerprint) {
            description[format!("relative_{prefix}fingerprint")] = json!(fingerprint);
        }
    }
    description
}

/// The epochs before a resume.
fn rows_before(folder: &RunFolder, progress: &TrainState, globals: Globals) -> Vec<HistoryRow> {
    let mut rows = history::read(&folder.history()).unwrap_or_default();
    rows.retain(|row| row.epoch <= progress.epochs);
    if (rows.len() as u64) < progress.epochs {
        let missing = progress.epochs - rows.len() as u64;
        let path = folder.history();
        output::note(globals, &format!("warning: {} lacks {missing} of the epochs before", path.display()));
    }
    rows
}

/// A run that ended is finished once its model is saved, too: else that is what is left to do, and saving it otherwise.
fn check_something_is_left(
    config: &TrainConfig,
    progress: &TrainState,
    folder: &RunFolder,
    changed: &Map<String, Value>,
) -> Result<()> {
    let begun = progress.epochs + u64::from(progress.batches > 0);
    if config.epochs < begun {
        return Err(Error::config("the run is past that epoch")
            .expected(format!("--epochs {begun} or more"))
            .got(config.epochs));
    }
    let Some(ending) = progress.ending(config) else { return Ok(()) };
    let is_done = folder.description().pointer("/result/steps").and_then(Value::as_u64) == Some(progress.batches_seen);
    if !is_done || ["models", "name", "restore_best"].iter().any(|key| changed.contains_key(*key)) {
        return Ok(());
    }
    let finished = Error::config("the run is finished");
    Err(match ending {
        StopReason::Patience => finished.help("to train on: a larger --patience"),
        StopReason::Target => finished.help("to train on: another --until"),
        StopReason::Time => finished.help("to train on: more --time, counted from the run's start"),
        StopReason::Epochs | StopReason::Signal(_) => finished
            .expected(format!("more than {} epochs", progress.epochs))
            .got(config.epochs)
            .help(format!("to train on: --epochs {}", progress.epochs + 10)),
    })
}

/// `is_changed`: whether a resumed run goes on with other settings than before.
fn sinks(
    folder: &RunFolder,
    progress: &TrainState,
    is_new: bool,
    is_changed: bool,
    mode: ProgressMode,
) -> Result<Sinks> {
    let csv = folder.history();
    let mut sinks = Sinks::default();
    sinks.add(ConsoleSink::new(mode));
    sinks.add(if is_new { HistorySink::create(&csv)? } else { HistorySink::append(&csv, progress.epochs + 1)? });
    if is_changed {
        tensorboard::rewind(&folder.path, progress.epochs, progress.batches_seen)?;
    }
    sinks.add(TensorBoardSink::create(&folder.path)?);
    Ok(sinks)
}

/// Asks the training to stop at a certain place.
struct StopCallback {
    after: StopAfter,
    stop: Arc<StopSignal>,
}

impl Sink for StopCallback {
    fn on(&mut self, event: &Event) -> Result<()> {
        let is_there = match (self.after, event) {
            (StopAfter::Batches(batches), Event::Batch(batch)) => batch.step >= batches,
            (StopAfter::Epochs(epochs), Event::Epoch(epoch)) => epoch.epoch >= epochs,
            _ => false,
        };
        if is_there {
            self.stop.store(SIGINT, Ordering::Relaxed);
        }
        Ok(())
    }
}
