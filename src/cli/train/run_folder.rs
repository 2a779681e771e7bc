//! A run's folder in `logs/`: made exclusively, described by `run.json`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::config::RunConfig;
use crate::error::{Error, Result};
use crate::files;

/// A run's folder.
pub struct RunFolder {
    /// The run's name.
    pub name: String,
    /// `logs/<run>`.
    pub path: PathBuf,
    description: Value,
}

impl RunFolder {
    /// Makes a new run's folder and writes `run.json`. Two starts in one second are two runs.
    pub fn create(config: &RunConfig, description: Value) -> Result<Self> {
        let unwritable = |path: &Path, error: io::Error| {
            Error::config("cannot write the logs")
                .at_path(path)
                .because(error)
                .help("choose another folder with --logs")
        };
        fs::create_dir_all(&config.logs).map_err(|error| unwritable(&config.logs, error))?;
        let wanted = config.run.clone().unwrap_or_else(|| jiff::Zoned::now().strftime("%Y%m%d-%H%M%S").to_string());
        let mut name = wanted.clone();
        let mut attempt = 1;
        let path = loop {
            let path = config.logs.join(&name);
            match fs::create_dir(&path) {
                Ok(()) => break path,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && config.run.is_some() => {
                    return Err(Error::config(format!("there is a run '{name}' already"))
                        .at_path(&path)
                        .help("choose another --run, or continue it with --resume"));
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && attempt < 1000 => {
                    attempt += 1;
                    name = format!("{wanted}-{attempt}");
                }
                Err(error) => return Err(unwritable(&path, error)),
            }
        };
        let folder = RunFolder { name, path, description };
        let checkpoints = folder.checkpoints();
        fs::create_dir(&checkpoints).map_err(|error| unwritable(&checkpoints, error))?;
        let text = format!("{:#}\n", folder.description);
        let file = folder.path.join("run.json");
        files::write_atomically(&file, |writer| writer.write_all(text.as_bytes()))
            .map_err(|error| unwritable(&file, error))?;
        Ok(folder)
    }

    /// A run that is there: `run` is its name in `logs`, or its folder.
    pub fn open(run: &str, logs: &Path) -> Result<Self> {
        let candidates = [logs.join(run), PathBuf::from(run)];
        let path = candidates.into_iter().find(|path| path.join("run.json").is_file()).ok_or_else(|| {
            Error::config(format!("there is no run '{run}'"))
                .expected(format!("a folder in {} with a run.json", logs.display()))
        })?;
        let description = crate::model::saved::read_json(&path.join("run.json"))?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(RunFolder { name, path, description })
    }

    /// What the run was started with.
    pub fn config(&self) -> Result<RunConfig> {
        serde_path_to_error::deserialize(&self.description["config"]).map_err(|error| {
            Error::config(error.inner().to_string())
                .at(format!("config.{}", error.path()))
                .at_path(&self.path.join("run.json"))
        })
    }

    /// Refuses other data than the run was started with.
    pub fn check_data(self, fingerprint: &str) -> Result<Self> {
        match self.description.pointer("/data/fingerprint").and_then(Value::as_str) {
            Some(before) if before == fingerprint => Ok(self),
            before => Err(Error::data("the training images are not those that the run was started with")
                .expected(format!("fingerprint {}", before.unwrap_or("(none)")))
                .got(fingerprint)
                .at_path(&self.path)),
        }
    }

    /// The folder of the checkpoints.
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }
}

/// Makes `folder` where it is missing and tries a file in it, so that a bad place is known before an hour of training.
pub fn check_writable(folder: &Path, what: &str) -> Result<()> {
    fs::create_dir_all(folder).and_then(|()| tempfile::tempfile_in(folder).map(drop)).map_err(|error| {
        Error::config(format!("cannot write the {what}"))
            .at_path(folder)
            .because(error)
            .help(format!("choose another folder with --{what}"))
    })
}
