//! A run's folder in `logs/`: made exclusively, described by `run.json`, locked by the process that trains.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use serde_json::{Map, Value};

use super::record::{ChangedSettings, DataRecord, Processes, RunRecord, RunResult, SourceModel};
use crate::config::resolved::Resolved;
use crate::config::{RunConfig, paths};
use crate::data::Split;
use crate::error::{Error, Result};
use crate::files;
use crate::log::history::{self, HistoryRow};
use crate::model::saved;
use crate::train::{CheckpointKind, Checkpoints};

/// How often, and after which pause, a lock is tried again before it is held by a training.
const LOCK_ATTEMPTS: u32 = 10;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// A run's folder, and what its `run.json` says.
pub struct RunFolder {
    /// The run's name.
    pub name: String,
    /// `logs/<run>`.
    pub path: PathBuf,
    record: RunRecord,
    /// Held as long as this lives: the system gives it back when the process ends, however it ends.
    _lock: Option<File>,
}

impl RunFolder {
    /// Makes the folder of a new run with its `run.json`, which appears whole. Two starts in one second are two runs.
    ///
    /// # Errors
    /// A configuration error where the folder cannot be made, or the configuration names a run that is there.
    pub fn create(record: RunRecord) -> Result<Self> {
        let config = &record.config;
        let unwritable = |error: io::Error| {
            Error::config("cannot write the logs")
                .at_path(&config.outputs.logs)
                .because(error)
                .help("choose another folder with `logs`")
        };
        fs::create_dir_all(&config.outputs.logs).map_err(unwritable)?;
        let aside = new_folder_in(&config.outputs.logs).map_err(unwritable)?;
        fs::create_dir(aside.path().join("checkpoints")).map_err(unwritable)?;
        record.write(aside.path()).map_err(unwritable)?;
        let lock = lock(aside.path())?;
        let wanted = config.outputs.run.clone().unwrap_or_else(name_of_now);
        let mut name = wanted.clone();
        let mut attempt = 1;
        let path = loop {
            let path = config.outputs.logs.join(&name);
            files::crash_point();
            // a folder does not take the place of one that has something in it, and a run's folder has
            match fs::rename(aside.path(), &path) {
                Ok(()) => break path,
                Err(_) if path.symlink_metadata().is_ok() && config.outputs.run.is_some() => {
                    return Err(Error::config(format!("there is a run '{name}' already"))
                        .at_path(&path)
                        .help("choose another `run`, or continue it with `resume`"));
                }
                Err(_) if path.symlink_metadata().is_ok() && attempt < 1000 => {
                    attempt += 1;
                    name = format!("{wanted}-{attempt}");
                }
                Err(error) => return Err(unwritable(error)),
            }
        };
        let _ = aside.keep(); // it has another name now: nothing to remove
        files::crash_point();
        files::sync_folder(&config.outputs.logs).map_err(unwritable)?;
        Ok(RunFolder { name, path, record, _lock: lock })
    }

    /// A run that is there, to read it: `run` is its name in `logs`, or its folder.
    ///
    /// # Errors
    /// A configuration error where there is none, or its `run.json` cannot be used.
    pub fn open(run: &str, logs: &Path) -> Result<Self> {
        let path = saved::run_places(run, logs).into_iter().find(|path| path.join("run.json").is_file());
        let path = path.ok_or_else(|| {
            Error::config(format!("there is no run '{run}'"))
                .expected(format!("a folder in {} with a run.json, or such a folder's path", logs.display()))
        })?;
        let record = RunRecord::read(&path.join("run.json"))?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(RunFolder { name, path, record, _lock: None })
    }

    /// As [`RunFolder::open`], to go on with it: no other process can. What an interrupted save left is removed.
    ///
    /// # Errors
    /// As [`RunFolder::open`], and a configuration error where another process trains the run.
    pub fn resume(run: &str, logs: &Path) -> Result<Self> {
        let found = Self::open(run, logs)?;
        let lock = lock(&found.path)?;
        // what was read before the lock may be another process's past
        let folder = RunFolder { _lock: lock, ..Self::open(&found.path.to_string_lossy(), logs)? };
        for place in [folder.path.clone(), folder.checkpoints()] {
            for entry in fs::read_dir(place).into_iter().flatten().flatten() {
                if entry.file_name().to_string_lossy().starts_with(".unfinished-") {
                    let _ = files::remove(&entry.path());
                }
            }
        }
        fs::create_dir_all(folder.checkpoints()).map_err(|error| cannot_describe(&folder.path, error))?;
        Ok(folder)
    }

    /// What the run was asked for, with what was changed since. Its paths lead there from the present folder:
    /// [`paths::from_here`].
    pub fn config(&self) -> RunConfig {
        let stored = Value::Object(self.record.paths.clone());
        paths::from_here(self.record.config.clone(), &self.path, &stored)
    }

    /// The run's settings with `changes`, for going on with it: with as many threads as before, as another number may round
    /// differently.
    ///
    /// # Errors
    /// A configuration error for a setting that cannot change on the way.
    pub fn resolve(&self, changes: &Map<String, Value>) -> Result<Resolved> {
        self.resolve_for(changes, 1)
    }

    /// As [`RunFolder::resolve`], for going on in `num_processes` processes: each has its share of the threads where that is another
    /// number than before.
    ///
    /// # Errors
    /// As [`RunFolder::resolve`].
    pub fn resolve_for(&self, changes: &Map<String, Value>, num_processes: usize) -> Result<Resolved> {
        let mut before = self.config();
        if self.record.processes.as_ref().map_or(1, |processes| processes.count) == num_processes {
            before.device.threads = before.device.threads.or(self.record.threads);
        }
        Resolved::resumed(&before, changes)
    }

    /// What `run.json` says.
    pub fn record(&self) -> &RunRecord {
        &self.record
    }

    /// What came of the run; none until its model is saved.
    pub fn result(&self) -> Option<&RunResult> {
        self.record.result.as_ref()
    }

    /// Writes down that the run goes on after `batches_seen` batches with `changed` settings; `config` has them. `processes` train it
    /// from now on; none where it is one.
    ///
    /// # Errors
    /// An internal error where the disk does not take it.
    pub fn record_resume(
        &mut self,
        config: &RunConfig,
        batches_seen: u64,
        changed: Map<String, Value>,
        processes: Option<Processes>,
    ) -> Result<()> {
        let had_failed = self.record.failure.take().is_some();
        let are_others = self.record.processes != processes;
        self.record.processes = processes;
        if changed.is_empty() {
            return if had_failed || are_others { self.write() } else { Ok(()) };
        }
        let paths = paths::absolute(config);
        // what was given from another folder has to lead there from everywhere
        let lasting =
            changed.iter().map(|(key, value)| (key.clone(), paths.get(key).unwrap_or(value).clone())).collect();
        self.record.config = self.record.config.overlaid(lasting)?;
        self.record.paths = paths;
        self.record.resumes.push(ChangedSettings { step: batches_seen, changed });
        self.write()
    }

    /// Writes down what the training failed at. A disk that does not take it is no second error.
    pub fn record_failure(&mut self, failure: String) {
        self.record.failure = Some(failure);
        let _ = self.write();
    }

    /// Writes down what came of the run.
    ///
    /// # Errors
    /// An internal error where the disk does not take it.
    pub fn record_result(&mut self, result: RunResult) -> Result<()> {
        self.record.result = Some(result);
        self.write()
    }

    fn write(&self) -> Result<()> {
        self.record.write(&self.path).map_err(|error| cannot_describe(&self.path, error))
    }

    /// Refuses other images than those that the run was started with.
    ///
    /// # Errors
    /// A data error that says which images are others.
    pub fn check_data(&self, data: &DataRecord) -> Result<()> {
        let checked = self.record.data.check_same(data);
        checked.map_err(|error| error.at_path(&self.path).help("`data` names them where they lie now"))
    }

    /// Refuses to begin from another model than the run was started from.
    ///
    /// # Errors
    /// A configuration error where its weights are others now, a model error where it is not there.
    pub fn check_init_from(&self) -> Result<()> {
        let (Some(before), Some(source)) = (&self.record.init_from, self.config().network.init_from) else {
            return Ok(());
        };
        let now = SourceModel::read(&source)?;
        let shown = |model: &SourceModel| Value::from(model.weights_sha256.clone());
        match before.weights_sha256.is_none() || *before == now {
            true => Ok(()),
            false => Err(Error::config("the model that the run was started from has changed since")
                .expected(format!("weights with SHA-256 {}", shown(before)))
                .got(shown(&now))
                .at(source)),
        }
    }

    /// The path of `history.csv`.
    pub fn history_path(&self) -> PathBuf {
        self.path.join("history.csv")
    }

    /// The run's epochs, as `history.csv` has them.
    ///
    /// # Errors
    /// As [`history::read`].
    pub fn history(&self) -> Result<Vec<HistoryRow>> {
        history::read(&self.history_path())
    }

    /// The JSON of one of the run's checkpoints, which may be there.
    pub fn checkpoint(&self, kind: CheckpointKind) -> PathBuf {
        Checkpoints::new(&self.checkpoints(), &[]).json_path(kind)
    }

    /// What the saved model says about the images of a split, which may be there: see [`crate::evaluate::stored`].
    pub fn predictions(&self, split: Split) -> PathBuf {
        self.path.join("predictions").join(format!("{split}.safetensors"))
    }

    /// Where the time of training went, as a trace; there if that was asked for.
    pub fn trace_path(&self) -> PathBuf {
        self.path.join("trace.json")
    }

    /// The folder of the checkpoints.
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }
}

/// Removes a new run's folder when it is dropped, as an error does, unless a checkpoint is there: nothing to go on from, and
/// its name is free again.
pub(super) struct Unbegun {
    folder: PathBuf,
    is_kept: bool,
}

impl Unbegun {
    /// For a new run's folder.
    pub fn new(folder: &RunFolder) -> Self {
        Unbegun { folder: folder.path.clone(), is_kept: false }
    }

    /// Leaves the folder as it is.
    pub fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for Unbegun {
    fn drop(&mut self) {
        if !self.is_kept && !self.folder.join("checkpoints").join("last.json").exists() {
            // one that cannot be removed is only clutter
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

fn cannot_describe(folder: &Path, error: io::Error) -> Error {
    Error::internal("cannot write the run's description").at_path(folder).because(error)
}

/// A new folder with a name of its own, which goes away again unless it is kept.
fn new_folder_in(logs: &Path) -> io::Result<tempfile::TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".unfinished-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // what any new folder gets; the umask takes away from it
        builder.permissions(fs::Permissions::from_mode(0o777));
    }
    builder.tempdir_in(logs)
}

/// Takes the lock of a run's folder. None where the file system has no locks: then nobody is refused.
fn lock(folder: &Path) -> Result<Option<File>> {
    let path = folder.join("lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|error| Error::config("cannot lock the run").at_path(&path).because(error))?;
    for attempt in 0.. {
        match file.try_lock() {
            Ok(()) => break,
            // someone may be asking whether it is locked
            Err(TryLockError::WouldBlock) if attempt < LOCK_ATTEMPTS => thread::sleep(LOCK_PAUSE),
            Err(TryLockError::WouldBlock) => {
                return Err(Error::config("another process is training this run")
                    .at_path(folder)
                    .help("wait until it ends, or stop it"));
            }
            Err(TryLockError::Error(_)) => return Ok(None),
        }
    }
    Ok(Some(file))
}

/// Whether a process trains the run in `folder` now. It holds the lock for a moment to find out.
pub fn is_training(folder: &Path) -> bool {
    let file = File::open(folder.join("lock"));
    file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// The name of a run that is given none: the local time.
pub fn name_of_now() -> String {
    jiff::Zoned::now().strftime("%Y%m%d-%H%M%S").to_string()
}
