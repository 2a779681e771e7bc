//! The models that are served: each is loaded aside and exchanged as a whole, and has a queue of images.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use serde_json::{Value, json};
use tch::Device;
use tokio::sync::oneshot;

use super::failure::Failure;
use super::metrics::ModelMetrics;
use super::queue::Queue;
use crate::data::image::Preprocessing;
use crate::error::{Error, ErrorKind, Result, nearest};
use crate::model::saved;
use crate::predict::{Prediction, Predictor};

/// The most bytes of images that wait for one model.
const MAX_WAITING_BYTES: usize = 256 << 20;
/// The longest name of a model, in letters.
const MAX_NAME: usize = 100;

/// A model to serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelSource {
    /// What requests call it.
    pub name: String,
    /// A stem, one of its files or a run: see [`saved::locate`].
    pub model: String,
}

/// How models are loaded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Loading {
    /// Where they compute.
    pub device: Device,
    /// Whether probabilities are calibrated: see [`Predictor::calibrated`].
    pub calibrated: bool,
    /// See [`Predictor::with_min_precision`].
    pub min_precision: Option<f64>,
}

/// A model as it was loaded once.
pub(super) struct Loaded {
    predictor: Mutex<Predictor>,
    /// The K classes' names.
    pub labels: Vec<String>,
    /// How images are prepared for it.
    pub preparation: Preprocessing,
    /// What is told of it.
    pub description: Value,
    /// Its JSON's file, and that file's state when it was read.
    pub file: (PathBuf, FileState),
}

/// A file's length, time and number: it is another file where one of them is another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct FileState(u64, Option<std::time::SystemTime>, u64);

/// An image that waits for a model.
pub(super) struct Job {
    /// The model that it was prepared for.
    pub model: Arc<Loaded>,
    /// `u8 [H, W, C]`.
    pub pixels: Vec<u8>,
    /// Where the prediction goes.
    pub reply: oneshot::Sender<Result<Prediction, Failure>>,
}

/// A model under its name: the one that was loaded last, and the images that wait for it.
pub(super) struct Served {
    /// What requests call it.
    pub source: ModelSource,
    /// How it is loaded.
    loading: Loading,
    current: RwLock<Arc<Loaded>>,
    /// What waits.
    pub queue: Queue<Job>,
    /// What happened to it.
    pub metrics: ModelMetrics,
}

impl ModelSource {
    /// `NAME=MODEL`, or a model that is called by its file's name, a run's best checkpoint by the run's.
    ///
    /// # Errors
    /// A model error where there is no such model, a configuration error where its name cannot be.
    pub fn parse(text: &str) -> Result<Self> {
        let (name, model) = match text.split_once('=') {
            Some((name, model)) if !Path::new(text).exists() => (name.to_owned(), model),
            _ => (own_name(&saved::locate(text)?), text),
        };
        let is_plain = |letter: char| letter.is_alphanumeric() || "._- ".contains(letter);
        match (1..=MAX_NAME).contains(&name.chars().count()) && name.chars().all(is_plain) {
            true => Ok(ModelSource { name, model: model.to_owned() }),
            false => Err(Error::config("a model cannot be called that")
                .expected("letters, digits, dots, - and _")
                .got(format!("'{name}'"))
                .help("name it: NAME=MODEL")),
        }
    }
}

/// What the model in the file `json_path` is called.
fn own_name(json_path: &Path) -> String {
    let folder = json_path.parent().filter(|folder| folder.ends_with("checkpoints")).and_then(Path::parent);
    let name = folder.and_then(Path::file_name).or(json_path.file_stem());
    name.unwrap_or_default().to_string_lossy().into_owned()
}

impl FileState {
    /// The state of the file at `path`; that of no file where it cannot be read.
    pub fn of(path: &Path) -> Self {
        use std::os::unix::fs::MetadataExt;
        let state = |metadata: fs::Metadata| FileState(metadata.len(), metadata.modified().ok(), metadata.ino());
        fs::metadata(path).map(state).unwrap_or_default()
    }
}

impl Loaded {
    fn load(source: &ModelSource, loading: Loading) -> Result<Self> {
        let path = saved::locate(&source.model)?;
        // before it is read: what changes meanwhile is seen
        let file = (path.clone(), FileState::of(&path));
        let mut predictor = Predictor::load(&path.display().to_string(), loading.device)?;
        predictor.preparation().check()?;
        if loading.calibrated {
            predictor = predictor.calibrated()?;
        }
        if let Some(min_precision) = loading.min_precision {
            predictor = predictor.with_min_precision(min_precision)?;
        }
        let black = vec![0; predictor.shape().num_bytes().unwrap_or(0)];
        match predictor.predict_u8(&black, 1) {
            Err(error) if error.kind() != ErrorKind::Numeric => return Err(error),
            Ok(_) | Err(_) => {}
        }
        let (labels, preparation) = (predictor.labels().to_vec(), predictor.preparation());
        let description = describe(source, &path, &predictor, loading);
        Ok(Loaded { predictor: Mutex::new(predictor), labels, preparation, description, file })
    }

    /// Predicts images of its shape, `u8 [count, H, W, C]`.
    pub fn predict(&self, pixels: &[u8], count: usize) -> Result<Vec<Prediction>> {
        // a panic elsewhere leaves a model as it was: predicting does not change it
        self.predictor.lock().unwrap_or_else(PoisonError::into_inner).predict_u8(pixels, count)
    }
}

fn describe(source: &ModelSource, path: &Path, predictor: &Predictor, loading: Loading) -> Value {
    let (info, shape) = (predictor.info(), predictor.shape());
    let device = match loading.device {
        Device::Cuda(number) => format!("cuda:{number}"),
        _ => "cpu".to_owned(),
    };
    json!({
        "name": source.name,
        "file": path.file_name().unwrap_or_default().to_string_lossy(),
        "labels": info.labels,
        "input": info.input(shape, predictor.input_scale()),
        "parameters": predictor.model().plan().num_parameters(),
        "run": info.run,
        "metrics": info.metrics,
        "calibrated": loading.calibrated,
        "min_precision": loading.min_precision,
        "knows_training_images": info.images.is_some(),
        "device": device,
        "version": env!("CARGO_PKG_VERSION"),
    })
}

impl Served {
    /// Loads the model; at most `max_waiting` of its images may wait.
    ///
    /// # Errors
    /// As [`Predictor::load`], [`Predictor::calibrated`] and [`Predictor::with_min_precision`].
    pub fn load(source: ModelSource, loading: Loading, max_waiting: usize) -> Result<Self> {
        let metrics = ModelMetrics::default();
        let loaded = timed(&metrics, || Loaded::load(&source, loading))?;
        let image_bytes = loaded.preparation.shape.num_bytes().unwrap_or(usize::MAX).max(1);
        let queue = Queue::new(max_waiting.min(MAX_WAITING_BYTES / image_bytes).max(1));
        Ok(Served { source, loading, current: RwLock::new(Arc::new(loaded)), queue, metrics })
    }

    /// The model for requests that come now.
    pub fn current(&self) -> Arc<Loaded> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether its file is another than the one that was loaded.
    pub fn has_changed(&self) -> bool {
        let loaded = self.current();
        let path = saved::locate(&self.source.model);
        path.is_ok_and(|path| path != loaded.file.0 || FileState::of(&path) != loaded.file.1)
    }

    /// Loads it again, aside; where that fails, the one that is there stays.
    ///
    /// # Errors
    /// As [`Served::load`].
    pub fn reload(&self) -> Result<()> {
        let loaded = timed(&self.metrics, || Loaded::load(&self.source, self.loading));
        self.metrics.reloads[usize::from(loaded.is_err())].fetch_add(1, Relaxed);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(loaded?);
        Ok(())
    }
}

/// What `load` gives, and the time that it took noted where it gives something.
fn timed<T>(metrics: &ModelMetrics, load: impl FnOnce() -> Result<T>) -> Result<T> {
    let start = Instant::now();
    let loaded = load()?;
    metrics.load_micros.store(start.elapsed().as_micros() as u64, Relaxed);
    Ok(loaded)
}

/// The model called `name`, or the only one.
///
/// # Errors
/// 404 where there is none of that name, 400 where none is named and there are several.
pub(super) fn find<'a>(models: &'a [Arc<Served>], name: Option<&str>) -> Result<&'a Arc<Served>, Failure> {
    let names: Vec<&str> = models.iter().map(|served| &*served.source.name).collect();
    match (name, models) {
        (None, [only]) => Ok(only),
        (None, _) => {
            Err(Failure::malformed(format!("the request names no model: ?model=NAME, one of {}", names.join(", "))))
        }
        (Some(name), _) => models
            .iter()
            .find(|served| served.source.name == name)
            .ok_or_else(|| Failure::not_found(format!("there is no model '{name}'{}", nearest(name, &names)))),
    }
}
