//! Where a model's files lie, by what the user calls it: a stem, one of the files, or a run.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The folder of the runs' logs, where nobody says otherwise.
pub const LOGS: &str = "logs";

/// Where the folder of a run may lie, the first choice first: `run` is its name in `logs`, or its path.
pub fn run_places(run: &str, logs: &Path) -> [PathBuf; 2] {
    [logs.join(run), PathBuf::from(run)]
}

/// Where a model's JSON lies. `model` is a stem (`models/model`), one of its two files, or a run: its name in `logs`, or its
/// folder (the best checkpoint, else the last). A model's files win over a run of the same name.
///
/// # Errors
/// A model error that says what was looked for.
pub fn locate(model: &str) -> Result<PathBuf> {
    let stem = model.strip_suffix(".json").or_else(|| model.strip_suffix(".safetensors")).unwrap_or(model);
    let mut candidates = vec![with_suffix(Path::new(stem), ".json")];
    for run in run_places(model, Path::new(LOGS)).into_iter().filter(|run| run.is_dir()) {
        candidates.extend(["best.json", "last.json"].map(|file| run.join("checkpoints").join(file)));
    }
    candidates.iter().find(|candidate| candidate.is_file()).cloned().ok_or_else(|| {
        let looked_for: Vec<String> = candidates.iter().map(|path| path.display().to_string()).collect();
        Error::model(format!("there is no model '{model}'"))
            .expected(looked_for.join(" or "))
            .help("train one first: convnet train; or name a stem such as models/model, or a run: its name or folder in logs/")
    })
}

/// `models/v1.5` and `.json` as `models/v1.5.json`: the suffix is added, nothing is taken away.
pub fn with_suffix(stem: &Path, suffix: &str) -> PathBuf {
    let mut path = stem.as_os_str().to_owned();
    path.push(suffix);
    PathBuf::from(path)
}
