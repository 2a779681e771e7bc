//! Checkpoints of a run: `last`, from which training continues bit for bit, and `best`, a model.
//!
//! `<kind>.json` is a loadable model's JSON and is renamed into place last; it names the weights and the state by files
//! that carry the step in their names, so that an interrupted save leaves the checkpoint before it whole.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors};
use tch::Tensor;

use super::margins::{ImageMargins, Margins};
use super::monitor::Monitor;
use super::optimizer::Optimizer;
use super::train_state::TrainState;
use crate::data::LoadOptions;
use crate::data::image::{Decode, Resize};
use crate::error::{Error, Result};
use crate::files;
use crate::model::saved::{self, Destination, TensorFile};
use crate::model::trained_on::TrainedOn;
use crate::model::{Model, ModelInfo};

/// What the margins are called among the tensors of the state. Those of the optimizer have a '.' in their names.
const MARGINS: &str = "margins";

/// The two checkpoints of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckpointKind {
    /// The latest, with all that is needed to go on.
    Last,
    /// The best epoch's, as a model to use.
    Best,
}

impl CheckpointKind {
    fn name(self) -> &'static str {
        match self {
            CheckpointKind::Last => "last",
            CheckpointKind::Best => "best",
        }
    }
}

/// The folder of a run's checkpoints.
#[derive(Debug, Clone)]
pub struct Checkpoints {
    folder: PathBuf,
    labels: Vec<String>,
    resize: Resize,
    decode: Decode,
    data: Option<TrainedOn>,
    is_read_only: bool,
}

impl Checkpoints {
    /// Checkpoints in `folder`, which has to exist, of models with these `labels`.
    pub fn new(folder: &Path, labels: &[String]) -> Self {
        let (folder, labels) = (folder.to_owned(), labels.to_vec());
        let (resize, decode) = (Resize::default(), Decode::default());
        Checkpoints { folder, labels, resize, decode, data: None, is_read_only: false }
    }

    /// Of models whose images are brought to their size in this way.
    #[must_use]
    pub fn with_preparation(self, load: &LoadOptions) -> Self {
        Checkpoints { resize: load.resize, decode: load.decode, ..self }
    }

    /// Of models that are trained on `data`.
    #[must_use]
    pub fn with_data(self, data: TrainedOn) -> Self {
        Checkpoints { data: Some(data), ..self }
    }

    /// As they are: another process of the training saves them.
    #[must_use]
    pub fn read_only(self) -> Self {
        Checkpoints { is_read_only: true, ..self }
    }

    /// Whether another process saves them.
    pub fn is_read_only(&self) -> bool {
        self.is_read_only
    }

    /// The JSON of a checkpoint.
    pub fn json_path(&self, kind: CheckpointKind) -> PathBuf {
        self.folder.join(format!("{}.json", kind.name()))
    }

    /// Saves `model` as `kind`, the last one with the optimizer's state, the `margins` and the run's `state`. No file is written over: until the
    /// new JSON takes the old one's place, the checkpoint before is whole.
    ///
    /// # Errors
    /// An internal error where the disk does not take it; the checkpoint before is whole then.
    pub fn save(
        &self,
        kind: CheckpointKind,
        model: &Model,
        optimizer: &Optimizer,
        margins: Option<&Margins>,
        state: &TrainState,
        monitor: Monitor,
    ) -> Result<()> {
        let stem = self.free_stem(kind, state.batches_seen);
        let data = |suffix: &str| self.folder.join(format!("{stem}{suffix}"));
        let state_file = match kind {
            CheckpointKind::Last => Some((data(".state.safetensors"), state_file(optimizer, margins, state)?)),
            CheckpointKind::Best => None,
        };
        let best = state.watch.best.map(|best| (format!("best_{monitor}"), best));
        let metrics = best.into_iter().collect();
        let labels = self.labels.clone();
        let (resize, decode, trained_on) = (self.resize, self.decode, self.data.clone());
        let info = ModelInfo { labels, metrics, resize, decode, data: trained_on, ..ModelInfo::default() };
        let has_golden = kind == CheckpointKind::Best; // the last one is to go on from
        let to =
            Destination { json: self.json_path(kind), weights: data(".safetensors"), state: state_file, has_golden };
        saved::save(model, &info, &to)?;
        self.remove_older(kind, &to);
        Ok(())
    }

    /// `last.500`, or `last.500-2` where such a file is there.
    fn free_stem(&self, kind: CheckpointKind, step: u64) -> String {
        let stem = format!("{}.{step}", kind.name());
        let is_free = |stem: &String| !self.folder.join(format!("{stem}.safetensors")).exists();
        let numbered = (2..).map(|number| format!("{stem}-{number}"));
        std::iter::once(stem.clone()).chain(numbered).find(is_free).expect("there are numbers enough")
    }

    /// The weights of the best checkpoint, in the order of `model`'s, and the value that made it the best by `monitor`.
    ///
    /// # Errors
    /// A model error where it cannot be loaded.
    pub fn best_weights(&self, model: &Model, monitor: Monitor) -> Result<(Vec<Tensor>, Option<f64>)> {
        let (best, info) = saved::load(&self.json_path(CheckpointKind::Best), model.device())?;
        let weights = best.weights().iter().map(|weight| weight.tensor.detach().copy()).collect();
        Ok((weights, info.metrics.get(&format!("best_{monitor}")).copied()))
    }

    /// Removes the files of earlier saves of `kind`. One that cannot be removed is only clutter.
    fn remove_older(&self, kind: CheckpointKind, kept: &Destination) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        let prefix = format!("{}.", kind.name());
        for path in entries.flatten().map(|entry| entry.path()) {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let is_kept =
                [&kept.json, &kept.weights].contains(&&path) || kept.state.as_ref().is_some_and(|(k, _)| *k == path);
            if name.starts_with(&prefix) && name.ends_with(".safetensors") && !is_kept {
                let _ = files::remove(&path);
            }
        }
    }

    /// Restores `optimizer` from the last checkpoint, whose weights `model` already has.
    ///
    /// # Errors
    /// A model error where the state is missing, damaged or of another optimizer.
    pub fn restore(&self, optimizer: &mut Optimizer) -> Result<TrainState> {
        let json_path = self.json_path(CheckpointKind::Last);
        read_state(&state_bytes(&json_path)?, optimizer).map_err(|error| error.at_path(&json_path))
    }

    /// Restores `margins` from the last checkpoint; they begin here where it has none.
    ///
    /// # Errors
    /// A model error where the state is missing, damaged or of other images.
    pub fn restore_margins(&self, margins: &mut Margins) -> Result<()> {
        let json_path = self.json_path(CheckpointKind::Last);
        let bytes = state_bytes(&json_path)?;
        let restored = SavedState::read(&bytes).and_then(|saved| match saved.margins()? {
            Some(stored) => margins.restore(&stored),
            None => Ok(()),
        });
        restored.map_err(|error| error.at_path(&json_path))
    }
}

/// What the training images' labels were ahead by in the run whose last checkpoint has its JSON at `json_path`; none where it was not
/// collected.
///
/// # Errors
/// A model error where the state is missing or damaged.
pub fn margins(json_path: &Path, num_classes: usize) -> Result<Option<ImageMargins>> {
    let bytes = state_bytes(json_path)?;
    let margins = SavedState::read(&bytes).and_then(|saved| {
        let stored = saved.margins()?;
        stored.map(|stored| ImageMargins::of_tensor(&stored, num_classes)).transpose()
    });
    margins.map_err(|error| error.at_path(json_path))
}

/// Where the run stands whose last checkpoint has its JSON at `json_path`.
///
/// # Errors
/// A model error where the state is missing or damaged.
pub fn state(json_path: &Path) -> Result<TrainState> {
    let state = SavedState::read(&state_bytes(json_path)?).and_then(|saved| saved.progress());
    state.map_err(|error| error.at_path(json_path))
}

/// The bytes of a last checkpoint's optimizer state.
fn state_bytes(json_path: &Path) -> Result<Vec<u8>> {
    saved::load_state(json_path, u64::MAX >> 1)?.ok_or_else(|| {
        Error::model("the checkpoint has no optimizer state")
            .help("only a run's last checkpoint can be continued")
            .at_path(json_path)
    })
}

fn state_file(optimizer: &Optimizer, margins: Option<&Margins>, state: &TrainState) -> Result<TensorFile> {
    let state = serde_json::to_string(state).expect("plain numbers");
    let metadata = [("progress".to_owned(), state), ("steps".to_owned(), optimizer.steps().to_string())];
    let margins = margins.map(|margins| (MARGINS.to_owned(), margins.to_tensor()));
    TensorFile::new(optimizer.state().into_iter().chain(margins), metadata.into())
}

/// Gives `optimizer` the state that the imported model at `json_path` was trained with: the number of steps taken, or none
/// where the model has no state. Averages, which Keras rarely keeps, begin here where the state has none.
///
/// # Errors
/// A model error where the state is damaged, or of another optimizer or other weights; then nothing has changed.
pub fn take_over_state(json_path: &Path, optimizer: &mut Optimizer) -> Result<Option<u64>> {
    let Some(bytes) = saved::load_state(json_path, u64::MAX >> 1)? else { return Ok(None) };
    take_over(&bytes, optimizer).map_err(|error| error.at_path(json_path))?;
    Ok(Some(optimizer.steps()))
}

fn damaged() -> Error {
    Error::model("the optimizer's state is damaged").help("start a new run")
}

fn take_over(bytes: &[u8], optimizer: &mut Optimizer) -> Result<()> {
    let saved = SavedState::read(bytes)?;
    match saved.has_average() {
        true => optimizer.restore(saved.steps, |name| saved.find(name)),
        false => optimizer.restore_without_average(saved.steps, |name| saved.find(name)),
    }
}

fn read_state(bytes: &[u8], optimizer: &mut Optimizer) -> Result<TrainState> {
    let saved = SavedState::read(bytes)?;
    optimizer.restore(saved.steps, |name| saved.find(name))?;
    saved.progress()
}

/// An optimizer's state in a safetensors file.
struct SavedState<'a> {
    tensors: SafeTensors<'a>,
    metadata: HashMap<String, String>,
    steps: u64,
}

impl<'a> SavedState<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self> {
        let tensors = SafeTensors::deserialize(bytes).map_err(|error| damaged().because(error))?;
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| damaged().because(error))?;
        let metadata = header.metadata().clone().ok_or_else(damaged)?;
        let steps = metadata.get("steps").and_then(|steps| steps.parse().ok()).ok_or_else(damaged)?;
        Ok(SavedState { tensors, metadata, steps })
    }

    fn progress(&self) -> Result<TrainState> {
        let state = self.metadata.get("progress").ok_or_else(damaged)?;
        serde_json::from_str(state).map_err(|error| damaged().because(error))
    }

    /// `f32 [4, N]`; none in checkpoints of versions that did not collect any.
    fn margins(&self) -> Result<Option<Tensor>> {
        match self.tensors.tensor(MARGINS) {
            Ok(stored) if stored.dtype() == Dtype::F32 => Ok(Some(saved::tensor_of(&stored))),
            Ok(_) => Err(damaged()),
            Err(_) => Ok(None),
        }
    }

    fn has_average(&self) -> bool {
        self.tensors.names().iter().any(|name| name.ends_with(".average"))
    }

    fn find(&self, name: &str) -> Result<Tensor> {
        let missing = |error| {
            Error::model(format!("the optimizer's state has no {name}"))
                .because(error)
                .help("was it another optimizer?")
        };
        Ok(saved::tensor_of(&self.tensors.tensor(name).map_err(missing)?))
    }
}
