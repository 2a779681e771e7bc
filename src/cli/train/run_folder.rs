//! A run's folder in `logs/`: made exclusively, described by `run.json`, locked by the process that trains.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::config::{RunConfig, paths};
use crate::error::{Error, Result};
use crate::files;
use crate::model::saved;

/// The keys of the images' fingerprints in `run.json`'s `data`, and what images they are of.
const FINGERPRINTS: [(&str, &str); 3] =
    [("fingerprint", "training"), ("validation_fingerprint", "validation"), ("test_fingerprint", "test")];

/// A run's folder.
pub struct RunFolder {
    /// The run's name.
    pub name: String,
    /// `logs/<run>`.
    pub path: PathBuf,
    description: Value,
    /// Held as long as this lives: the system gives it back when the process ends, however it ends.
    _lock: Option<File>,
}

impl RunFolder {
    /// Makes a new run's folder with its `run.json`, which appears whole. Two starts in one second are two runs.
    pub fn create(config: &RunConfig, description: Value) -> Result<Self> {
        let unwritable = |error: io::Error| {
            Error::config("cannot write the logs")
                .at_path(&config.logs)
                .because(error)
                .help("choose another folder with --logs")
        };
        fs::create_dir_all(&config.logs).map_err(unwritable)?;
        let aside = new_folder_in(&config.logs).map_err(unwritable)?;
        fs::create_dir(aside.path().join("checkpoints")).map_err(unwritable)?;
        write_description(aside.path(), &description).map_err(unwritable)?;
        let lock = lock(aside.path())?;
        let wanted = config.run.clone().unwrap_or_else(name_of_now);
        let mut name = wanted.clone();
        let mut attempt = 1;
        let path = loop {
            let path = config.logs.join(&name);
            files::crash_point();
            // a folder does not take the place of one that has something in it, and a run's folder has
            match fs::rename(aside.path(), &path) {
                Ok(()) => break path,
                Err(_) if path.symlink_metadata().is_ok() && config.run.is_some() => {
                    return Err(Error::config(format!("there is a run '{name}' already"))
                        .at_path(&path)
                        .help("choose another --run, or continue it with --resume"));
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
        files::sync_folder(&config.logs).map_err(unwritable)?;
        Ok(RunFolder { name, path, description, _lock: lock })
    }

    /// A run that is there, to read it: `run` is its name in `logs`, or its folder.
    pub fn open(run: &str, logs: &Path) -> Result<Self> {
        let path = saved::run_places(run, logs).into_iter().find(|path| path.join("run.json").is_file());
        let path = path.ok_or_else(|| {
            Error::config(format!("there is no run '{run}'"))
                .expected(format!("a folder in {} with a run.json, or such a folder's path", logs.display()))
        })?;
        let description = saved::read_json(&path.join("run.json")).map_err(|error| {
            let unusable = Error::config("the run's description cannot be used").because(error);
            unusable.help("the run cannot go on; its checkpoints are models that can")
        })?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(RunFolder { name, path, description, _lock: None })
    }

    /// As [`RunFolder::open`], to go on with it: no other process can. What an interrupted save left is removed.
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

    /// What the run was started with, and what was changed since.
    ///
    /// Its paths lead there from the present folder: [`paths::from_here`].
    pub fn config(&self) -> Result<RunConfig> {
        let config = serde_path_to_error::deserialize(&self.description["config"]).map_err(|error| {
            Error::config(error.inner().to_string())
                .at(format!("config.{}", error.path()))
                .at_path(&self.path.join("run.json"))
        })?;
        Ok(paths::from_here(config, &self.path, &self.description["paths"]))
    }

    /// `run.json`.
    pub fn description(&self) -> &Value {
        &self.description
    }

    /// The number of threads that computed.
    pub fn threads(&self) -> Option<usize> {
        self.description["threads"].as_u64().and_then(|threads| threads.try_into().ok())
    }

    /// Writes down that the run goes on at `step` with `changed` settings.
    pub fn note_resume(&mut self, config: &RunConfig, step: u64, changed: Map<String, Value>) -> Result<()> {
        if changed.is_empty() {
            return Ok(());
        }
        let paths = paths::absolute(config);
        for (key, value) in &changed {
            // what was given from another folder has to lead there from everywhere
            self.description["config"][key] = paths.get(key).unwrap_or(value).clone();
        }
        self.description["paths"] = Value::Object(paths);
        let resumes = self.description.as_object_mut().map(|run| run.entry("resumes").or_insert_with(|| json!([])));
        if let Some(Value::Array(resumes)) = resumes {
            resumes.push(json!({ "step": step, "changed": changed }));
        }
        write_description(&self.path, &self.description).map_err(|error| cannot_describe(&self.path, error))
    }

    /// Writes down what came of the run.
    pub fn note_result(&mut self, result: Value) -> Result<()> {
        self.description["result"] = result;
        write_description(&self.path, &self.description).map_err(|error| cannot_describe(&self.path, error))
    }

    /// Refuses other images than those in the run's own description: `data` is another one's `data`.
    pub fn check_data(&self, data: &Value) -> Result<()> {
        let before = &self.description["data"];
        for (key, which) in FINGERPRINTS {
            let relative = format!("relative_{key}");
            // files that lie elsewhere by now, as they were
            let is_moved = before[&relative].is_string() && before[&relative] == data[&relative];
            if !is_moved && before.get(key).is_some_and(|before| *before != data[key]) {
                return Err(Error::data(format!("the {which} images are not those that the run was started with"))
                    .expected(format!("fingerprint {}", before[key]))
                    .got(&data[key])
                    .at_path(&self.path)
                    .help("--data names them where they lie now"));
            }
        }
        Ok(())
    }

    /// Refuses to begin from another model than the run was started from.
    pub fn check_init_from(&self) -> Result<()> {
        let (Some(before), Some(source)) =
            (self.description.pointer("/init_from/weights_sha256"), self.config()?.init_from)
        else {
            return Ok(());
        };
        let now = weights_sha256(&source)?;
        match *before == now {
            true => Ok(()),
            false => Err(Error::config("the model that the run was started from has changed since")
                .expected(format!("weights with SHA-256 {before}"))
                .got(now)
                .at(source)),
        }
    }

    /// The history, a row for each epoch.
    pub fn history(&self) -> PathBuf {
        self.path.join("history.csv")
    }

    /// The folder of the checkpoints.
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }
}

/// Removes a new run's folder when it is dropped, as an error does, unless a checkpoint is there: nothing to go on from, and
/// its name is free again.
pub struct Unbegun {
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

/// The SHA-256 of a saved model's weights, as its JSON has it.
pub fn weights_sha256(model: &str) -> Result<Value> {
    let document = saved::read_json(&saved::locate(model)?)?;
    Ok(document.pointer("/convnet/weights/sha256").cloned().unwrap_or_default())
}

fn write_description(folder: &Path, description: &Value) -> io::Result<()> {
    let text = format!("{description:#}\n");
    files::write_atomically(&folder.join("run.json"), |writer| writer.write_all(text.as_bytes()))
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
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(Error::config("another process is training this run")
            .at_path(folder)
            .help("wait until it ends, or stop it")),
        Err(TryLockError::Error(_)) => Ok(None),
    }
}

/// Makes the folders of logs and models where they are missing and tries a file in each, so that a bad place is known before
/// an hour of training.
pub fn check_places(config: &RunConfig) -> Result<()> {
    for (folder, what) in [(&config.logs, "logs"), (&config.models, "models")] {
        fs::create_dir_all(folder).and_then(|()| tempfile::tempfile_in(folder).map(drop)).map_err(|error| {
            let unwritable = Error::config(format!("cannot write the {what}")).at_path(folder);
            unwritable.because(error).help(format!("choose another folder with --{what}"))
        })?;
    }
    let stem = config.models.join(&config.name);
    for path in [".json", ".safetensors"].map(|suffix| saved::with_suffix(&stem, suffix)) {
        if path.is_dir() {
            return Err(Error::config("cannot write the model")
                .got("a folder")
                .at_path(&path)
                .help("choose another --name"));
        }
    }
    Ok(())
}

/// The model that the model of run `run` takes the place of, in words; none where there is none, or it is the run's own.
pub fn replaced(config: &RunConfig, run: &str) -> Option<String> {
    let stem = config.models.join(&config.name);
    let path = saved::with_suffix(&stem, ".json");
    if !path.is_file() {
        return None;
    }
    let document = saved::read_json(&path).unwrap_or_default();
    match document.pointer("/convnet/run").and_then(Value::as_str) {
        Some(own) if own == run => None,
        Some(other) => Some(format!("{} (of run {other})", stem.display())),
        None => Some(stem.display().to_string()),
    }
}

/// The name of a run that is given none: the local time.
pub fn name_of_now() -> String {
    jiff::Zoned::now().strftime("%Y%m%d-%H%M%S").to_string()
}
