//! The files of a run's model: where they go, that they can be written, what they replace.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::config::RunConfig;
use crate::error::{Error, Result};
use crate::model::saved;

/// The stem of the model's files, such as `models/model`.
pub fn stem(config: &RunConfig) -> PathBuf {
    config.outputs.models.join(&config.outputs.name)
}

/// Makes the folders of logs and models where they are missing and tries a file in each, so that a bad place is known before
/// an hour of training.
pub fn check_places(config: &RunConfig) -> Result<()> {
    for (folder, what) in [(&config.outputs.logs, "logs"), (&config.outputs.models, "models")] {
        fs::create_dir_all(folder).and_then(|()| tempfile::tempfile_in(folder).map(drop)).map_err(|error| {
            let unwritable = Error::config(format!("cannot write the {what}")).at_path(folder);
            unwritable.because(error).help(format!("choose another folder with --{what}"))
        })?;
    }
    let stem = stem(config);
    for path in [".json", ".safetensors"].map(|suffix| saved::with_suffix(&stem, suffix)) {
        if path.is_dir() {
            return Err(Error::config("cannot write the model")
                .got("a folder")
                .at_path(&path)
                .help("choose another `name`"));
        }
    }
    Ok(())
}

/// The model that the model of run `run` takes the place of, in words; none where there is none, or it is the run's own.
pub fn replaced(config: &RunConfig, run: &str) -> Option<String> {
    let stem = stem(config);
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
