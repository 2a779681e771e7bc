//! One training run: prepared, trained, tested, saved.

use std::sync::Arc;
use std::time::Instant;

use image::RgbImage;
use serde_json::{Map, Value};
use tch::Device;

use super::finished::FinishedRun;
use super::folder::{RunFolder, Unbegun};
use super::measure::{self, RunPredictions};
use super::prepare::{self, PreparedNetwork};
use super::processes::{self, Trained, Work};
use super::record::{DataRecord, RunRecord};
use super::stop_after::{StopAfter, StopCallback};
use super::{details, features, model_files, resume};
use crate::config::RunConfig;
use crate::config::effects::{without_effect, without_effect_in_one_process};
use crate::config::origin::Origins;
use crate::config::resolved::Resolved;
use crate::data::batches::DataLoader;
use crate::data::{Dataset, Samples};
use crate::device::Selected;
use crate::distributed::Group;
use crate::error::{ErrorKind, Result};
use crate::evaluate::Evaluation;
use crate::log::history::{HistoryRow, HistorySink};
use crate::log::tensorboard::{self, Details, TensorBoardSink};
use crate::log::{self, Ending, Event, Sinks, TensorBoardLevel};
use crate::metrics::Metric;
use crate::model::Model;
use crate::model::trained_on::TrainedOn;
use crate::train::{
    Checkpoints, LastCheckpoint, Margins, Outcome, Profile, StopReason, StopSignal, TrainState, Trainer, checkpoint,
};

/// A training run: its configuration, the sinks that its events go to, and when to stop.
///
/// ```no_run
/// use convnet::config::RunConfig;
/// use convnet::log::console::{ConsoleSink, ProgressMode};
/// use convnet::run::Run;
///
/// # fn main() -> convnet::error::Result<()> {
/// let mut run = Run::new(RunConfig::from_toml("data = 'digits'\nepochs = 3")?);
/// run.sinks.add(ConsoleSink::new(ProgressMode::Lines));
/// let finished = run.execute()?;
/// println!("{}: {} epochs", finished.folder.path.display(), finished.state.epochs);
/// # Ok(())
/// # }
/// ```
pub struct Run {
    /// The settings.
    pub config: RunConfig,
    /// The run that it continues, if any.
    pub resume: Option<Resume>,
    /// The listeners, beside the run's own history and TensorBoard files.
    pub sinks: Sinks,
    /// Asks the training to stop after the step at hand and a checkpoint.
    pub stop: Arc<StopSignal>,
    /// Where it stops by itself, as if by a signal.
    pub stop_after: Option<StopAfter>,
    /// Whether it tells what may be wrong with the images of a new run.
    pub checks_data: bool,
    /// The command that was typed, where one was: TensorBoard shows it.
    pub command: Option<String>,
    /// The origin of each setting, to tell those that were given and have no effect.
    pub origins: Option<Origins>,
    /// Whether it notes where the time of training goes: see [`Profile`].
    pub is_profiled: bool,
    /// The processes that train it together: those that are not the main one [`Run::follow`].
    pub group: Group,
    /// What the launcher is known again by, where one starts processes again that have failed.
    pub launch: Option<String>,
}

/// A run to continue, and the settings that are changed in it.
pub struct Resume {
    /// The run, locked: see [`RunFolder::resume`].
    pub folder: RunFolder,
    /// The new values by their keys; the run's configuration has them already.
    pub changed: Map<String, Value>,
}

/// A training that ended, through all stages.
pub(super) struct Fitted {
    pub model: Model,
    pub state: TrainState,
    pub outcome: Outcome,
    /// What this process did.
    pub work: Work,
}

/// The images, where the cache setting has them.
pub(super) struct Loaders {
    pub train: DataLoader,
    validation: Option<DataLoader>,
    test: Option<DataLoader>,
}

/// What a run trains with, before it has a folder.
pub(super) struct Ready {
    pub selected: Selected,
    pub data: DataRecord,
    /// Where it stands, and whether it goes on from a checkpoint.
    pub state: TrainState,
    pub is_resumed: bool,
    pub network: PreparedNetwork,
    pub images: Loaders,
    /// Some of the training images, drawn.
    samples: Option<RgbImage>,
    pub labels: Vec<String>,
    trained_on: TrainedOn,
}

impl Run {
    /// A new run of `config`, without listeners.
    pub fn new(config: RunConfig) -> Self {
        Run {
            config,
            resume: None,
            sinks: Sinks::default(),
            stop: Arc::new(StopSignal::new(0)),
            stop_after: None,
            checks_data: false,
            command: None,
            origins: None,
            is_profiled: false,
            group: Group::alone(),
            launch: None,
        }
    }

    /// `folder`'s run, to go on with it with `changes` in its settings, by their keys. Without listeners.
    ///
    /// # Errors
    /// A configuration error for a setting that cannot change on the way.
    pub fn resume(folder: RunFolder, changes: &Map<String, Value>) -> Result<Self> {
        let Resolved { config, changed, origins, .. } = folder.resolve(changes)?;
        Ok(Run { resume: Some(Resume { folder, changed }), origins: Some(origins), ..Run::new(config) })
    }

    /// Trains, tests, and saves the model.
    ///
    /// # Errors
    /// A configuration, data, model, device or numeric error, whichever is to blame, and an internal one where the disk does not
    /// take the model. A new run whose training did not begin leaves no folder.
    pub fn execute(mut self) -> Result<FinishedRun> {
        let finished = self.run_through();
        let (ending, test) = match &finished {
            Ok(run) if run.is_interrupted() => (Ending::Interrupted, None),
            Ok(run) => (Ending::Success, run.tested.as_ref().map(|tested| tested.sums.scores())),
            Err(_) => (Ending::Failure, None),
        };
        self.sinks.send(&Event::Over { ending, test });
        finished
    }

    fn run_through(&mut self) -> Result<FinishedRun> {
        let Ready { selected, data, state, is_resumed, mut network, images, samples, labels, trained_on } =
            self.prepare()?;
        let trained = Trained { data: &data, model: &network.model, state: &state };
        let processes = processes::agree(&self.group, &self.config, trained, &mut self.sinks)?;
        let record = || RunRecord::new(&self.config, data, &network.model, &selected, self.launch.clone());
        let (mut folder, changed, unbegun) = open_folder(self.resume.take(), record)?;
        let checkpoints = Checkpoints::new(&folder.checkpoints(), &labels).with_preparation(&self.config.load);
        let checkpoints = checkpoints.with_data(trained_on.clone());
        let mut margins = Margins::new(images.train.num_images(), selected.device).shared_by(&self.group);
        network.train_config.run.clone_from(&folder.name);
        resume::check_something_is_left(&network.train_config, &state, &folder, &changed)?;
        if is_resumed {
            resume::restore(&self.config, &checkpoints, &state, &mut network.optimizer, &mut margins)?;
            self.sinks.note(resume::resume_line(&folder, &state, &network.train_config));
        }
        if let Some(other) = model_files::replaced(&self.config, &folder.name) {
            self.sinks.note(format!("note: replaces {other} when it is done; another `name` keeps both"));
        }
        let mut history = resume::history_before(&folder, &state, &mut self.sinks);
        let metrics: Vec<Metric> = Metric::of(network.model.num_classes()).collect();
        let details = self.details(&folder, &network.model, &selected, &images, samples)?;
        self.open_logs(&folder, &state, &metrics, details, !changed.is_empty())?;
        folder.record_resume(&self.config, state.batches_seen, changed, processes)?;
        self.group.wait_for_all("the start")?;
        let profile = self.is_profiled.then(|| Profile::new(selected.device));
        let fitted = self.fit(network, state, margins, &images, &checkpoints, profile.as_ref());
        let fitted = fitted.inspect_err(|error| folder.record_failure(log::describe(error)));
        // what a device or a file failed at shows nothing; a loss that is not finite is worth a look
        if !matches!(&fitted, Err(error) if matches!(error.kind(), ErrorKind::Device | ErrorKind::Data)) {
            unbegun.into_iter().for_each(Unbegun::keep);
        }
        let Fitted { model, state, outcome: Outcome { epochs, ending, last_checkpoint, .. }, work } = fitted?;
        let sinks = &mut self.sinks;
        history.extend(epochs.iter().map(HistoryRow::from));
        let (look, (tested, predictions)) = match ending {
            StopReason::Signal(_) => (None, (None, RunPredictions::default())),
            _ => (measure::look(&model, &images.train, sinks), images.measure(&model, sinks)?),
        };
        let is_saved = last_checkpoint != LastCheckpoint::Failed;
        let (config, replaced) = (std::mem::take(&mut self.config), None);
        let mut finished = FinishedRun {
            config,
            folder,
            model,
            selected,
            trained_on,
            tested,
            predictions,
            state,
            history,
            ending,
            is_saved,
            replaced,
            processes: processes::shares(&self.group, work)?,
            profile: None,
        };
        if let Some(profile) = &profile {
            finished.keep_profile(profile, &images.train, sinks);
        }
        finished.save(labels, look, sinks)?;
        Ok(finished)
    }

    /// Trains `network` stage by stage.
    pub(super) fn fit(
        &mut self,
        mut network: PreparedNetwork,
        mut state: TrainState,
        margins: Margins,
        images: &Loaders,
        checkpoints: &Checkpoints,
        profile: Option<&Profile>,
    ) -> Result<Fitted> {
        let (mut epochs, mut num_images, started) = (Vec::new(), 0, Instant::now());
        let mut margins = Some(margins);
        loop {
            if self.config.begins_stage(&state) {
                state.watch.wait = 0; // patience is for what this stage trains
            }
            let PreparedNetwork { model, optimizer, train_config } = network;
            let kept =
                features::kept(&self.config, &model, &images.train, images.validation.as_ref(), &mut self.sinks)?;
            let (train, validation) = match &kept {
                Some((train, validation)) => (train, validation.as_ref()),
                None => (&images.train, images.validation.as_ref()),
            };
            let mut trainer = Trainer {
                validation,
                tells_predictions: self.tells_predictions(validation, model.num_classes()),
                checkpoints: Some(checkpoints.clone()),
                margins: margins.take(),
                sinks: std::mem::take(&mut self.sinks),
                stop: &self.stop,
                state,
                profile,
                ..Trainer::new(train_config.clone(), &model, optimizer, train)
            };
            let fitted = trainer.fit();
            (self.sinks, state) = (std::mem::take(&mut trainer.sinks), trainer.state);
            margins = trainer.margins.take();
            drop(trainer);
            let outcome = fitted?;
            epochs.extend(outcome.epochs);
            num_images += outcome.images;
            if outcome.ending != StopReason::Stage {
                let work = Work { images: num_images, waited: self.group.waited(), time: started.elapsed() };
                return Ok(Fitted { model, state, outcome: Outcome { epochs, ..outcome }, work });
            }
            network = prepare::next_stage(&self.config, &model, &train_config, &mut self.sinks)?;
        }
    }

    /// Everything that training takes; no file is written.
    pub(super) fn prepare(&mut self) -> Result<Ready> {
        let Run { config, sinks, group, .. } = self;
        config.check()?;
        let selected = prepare::device(config, group, sinks)?;
        if let Some(given) = &self.origins {
            let idle = without_effect(config, given, selected.device.is_cuda());
            let of_several = if group.is_alone() { without_effect_in_one_process(given) } else { Vec::new() };
            idle.iter().chain(&of_several).for_each(|sentence| sinks.note(format!("warning: {sentence}")));
        }
        let splits = prepare::splits(config, self.resume.is_none() && self.checks_data, sinks)?;
        let data = DataRecord::new(&splits);
        let last = match &self.resume {
            Some(Resume { folder, .. }) => resume::last_checkpoint(folder, &data, sinks)?,
            None => None,
        };
        let state = last.as_deref().map(checkpoint::state).transpose()?.unwrap_or_default();
        let stage = config.stage(state.epochs);
        let network = prepare::network(config, &splits, last.as_deref(), stage, &selected, sinks)?;
        let labels = splits.classes.clone();
        let trained_on = TrainedOn {
            fingerprint: data.fingerprint.clone().flatten(),
            relative_fingerprint: data.relative_fingerprint.clone(),
            ..config.trained_on(&splits.name, splits.validation.as_ref())
        };
        let samples = if last.is_none() { details::samples(config, &splits)? } else { None };
        let images = Loaders::new(splits, selected.device, group)?;
        model_files::check_places(config)?;
        Ok(Ready { selected, data, state, is_resumed: last.is_some(), network, images, samples, labels, trained_on })
    }

    /// What TensorBoard is told of the run; none where only curves are wanted.
    fn details(
        &self,
        folder: &RunFolder,
        model: &Model,
        selected: &Selected,
        images: &Loaders,
        samples: Option<RgbImage>,
    ) -> Result<Option<Details>> {
        if self.config.outputs.tensorboard != TensorBoardLevel::Full {
            return Ok(None);
        }
        let details = details::of_run(folder.record(), &self.config, self.command.as_deref(), model, selected)?;
        let validation = images.validation.as_ref().and_then(DataLoader::single_images);
        let validation = validation.filter(|images| [1, 3].contains(&images.shape().channels));
        Ok(Some(Details { samples, validation, ..details }))
    }

    /// Whether TensorBoard is to show the predictions on the validation images.
    fn tells_predictions(&self, validation: Option<&DataLoader>, num_classes: usize) -> bool {
        self.config.outputs.tensorboard == TensorBoardLevel::Full
            && validation.is_some_and(|images| Details::want_predictions(images.num_images(), num_classes))
    }

    /// Adds the listeners that write into the run's folder, and the one that stops the run. `is_changed`: whether a run goes
    /// on with other settings than before.
    fn open_logs(
        &mut self,
        folder: &RunFolder,
        state: &TrainState,
        metrics: &[Metric],
        details: Option<Details>,
        is_changed: bool,
    ) -> Result<()> {
        let csv = folder.history_path();
        self.sinks.add(HistorySink::append(&csv, metrics, state.epochs + 1)?);
        if is_changed {
            tensorboard::rewind(&folder.path, state.epochs, state.batches_seen)?;
        }
        match (self.config.outputs.tensorboard, details) {
            (TensorBoardLevel::None, _) => {}
            (TensorBoardLevel::Scalars, _) | (TensorBoardLevel::Full, None) => {
                self.sinks.add(TensorBoardSink::create(&folder.path)?);
            }
            (TensorBoardLevel::Full, Some(details)) => {
                let details = Details { first_epoch: state.epochs, ..details };
                self.sinks.add(TensorBoardSink::with_details(&folder.path, details)?);
            }
        }
        if let Some(after) = self.stop_after {
            self.sinks.add(StopCallback { after, stop: Arc::clone(&self.stop) });
        }
        Ok(())
    }
}

impl Loaders {
    fn new(splits: Dataset, device: Device, group: &Group) -> Result<Self> {
        // copied to the device, they need not stay here
        let load = |samples: Samples| Ok(DataLoader::new(&samples, device)?.shared_by(group));
        Ok(Loaders {
            train: load(splits.train)?,
            validation: splits.validation.map(load).transpose()?,
            test: splits.test.map(load).transpose()?,
        })
    }

    /// What `model` is worth: the one evaluation of the test images, and what it says about each image of both splits.
    pub(super) fn measure(&self, model: &Model, sinks: &mut Sinks) -> Result<(Option<Evaluation>, RunPredictions)> {
        let tested = self.test.as_ref().map(|images| measure::test(model, images, sinks)).transpose()?;
        let (tested, test) = tested.unzip();
        let validation = self.validation.as_ref().and_then(|images| measure::validate(model, images, sinks));
        Ok((tested, RunPredictions { test: test.flatten(), validation }))
    }
}

/// The folder of a run that goes on, with the settings that are changed; or a new one, with what removes it again where nothing
/// comes of it.
fn open_folder(
    resume: Option<Resume>,
    record: impl FnOnce() -> Result<RunRecord>,
) -> Result<(RunFolder, Map<String, Value>, Option<Unbegun>)> {
    let Some(Resume { folder, changed }) = resume else {
        let folder = RunFolder::create(record()?)?;
        let unbegun = Unbegun::new(&folder);
        return Ok((folder, Map::new(), Some(unbegun)));
    };
    Ok((folder, changed, None))
}
