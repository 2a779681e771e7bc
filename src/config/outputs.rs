//! The output settings of a run: folders and names.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::log::TensorBoardLevel;
use crate::model::saved;
use crate::settings::{Absent, wrong};

/// What a file's or folder's name may have, in bytes: NAME_MAX of Linux's file systems.
const MAX_NAME_BYTES: usize = 255;
/// What is put behind a model's name.
const LONGEST_SUFFIX: &str = ".safetensors";
/// What is put behind a run's name where it is one of many repeats or folds.
const LONGEST_RUN_SUFFIX: &str = "-repeat100";

/// The output settings of a run: the folders of logs and models, and the names in them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OutputConfig {
    /// The folder of the runs' logs.
    pub logs: PathBuf,
    /// The folder of the saved models.
    pub models: PathBuf,
    /// The saved model's name.
    pub name: String,
    /// The run's name; the time where absent.
    pub run: Option<String>,
    /// How much is written for TensorBoard.
    pub tensorboard: TensorBoardLevel,
}

impl Default for OutputConfig {
    fn default() -> Self {
        OutputConfig {
            logs: saved::LOGS.into(),
            models: "models".into(),
            name: "model".into(),
            run: None,
            tensorboard: TensorBoardLevel::default(),
        }
    }
}

impl OutputConfig {
    /// What absent settings stand for.
    pub const ABSENT: &[Absent] = &[("run", "the time, as YYYYmmdd-HHMMSS")];

    /// Checks the values.
    ///
    /// # Errors
    /// A configuration error for a value that cannot be used.
    pub fn check(&self) -> Result<()> {
        check_name("name", &self.name, LONGEST_SUFFIX)?;
        self.run.as_ref().map_or(Ok(()), |run| check_name("run", run, LONGEST_RUN_SUFFIX))
    }
}

/// Files and folders are called `name`, with at most `suffix` behind it.
fn check_name(key: &str, name: &str, suffix: &str) -> Result<()> {
    // {:?} shows what cannot be seen
    if Path::new(name).file_name() != Some(name.as_ref()) || name.contains(char::is_control) {
        return wrong(key, "a plain name, without '/' and control characters", format!("{name:?}"));
    }
    if name.starts_with('-') {
        return wrong(key, "a name that does not begin with '-', as flags do", format!("{name:?}"));
    }
    let max_bytes = MAX_NAME_BYTES - suffix.len();
    match name.len() > max_bytes {
        true => wrong(key, format!("a name of at most {max_bytes} bytes"), format!("one of {}", name.len())),
        false => Ok(()),
    }
}
