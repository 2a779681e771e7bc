//! A configuration file: TOML, JSON, or the `run.json` of a run, with the lines on which its keys stand.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{RunConfig, merged, paths};
use crate::error::{Error, Result};

/// The longest file that is read, in bytes: a `run.json` holds a network.
const MAX_BYTES: u64 = 64 << 20;

/// What a file says of a run.
#[derive(Debug, Clone, Default)]
pub struct ConfigFile {
    /// Its settings.
    pub keys: Map<String, Value>,
    path: PathBuf,
    /// On which line of the file each setting stands, from 1.
    lines: HashMap<String, usize>,
}

impl ConfigFile {
    /// Reads JSON where the name ends in `.json`, else TOML. Of a `run.json`, its `config` is taken, without the run's name
    /// and with its paths as they lead there from here.
    ///
    /// # Errors
    /// A configuration error, with the file's line, where it cannot be read.
    pub fn read(path: &Path) -> Result<Self> {
        let unusable = |error: Box<dyn StdError + Send + Sync>| {
            Error::config("cannot use the configuration file").at_path(path).because(error)
        };
        let length = path.metadata().map_err(|error| unusable(error.into()))?.len();
        if length > MAX_BYTES {
            return Err(Error::config("the configuration file is too long")
                .expected(format!("at most {MAX_BYTES} bytes"))
                .got(length)
                .at_path(path));
        }
        let text = std::fs::read_to_string(path).map_err(|error| unusable(error.into()))?;
        match path.extension().is_some_and(|extension| extension == "json") {
            true => Self::from_json(&text, path).map_err(|error| unusable(error.into())),
            false => Self::from_toml(&text, path),
        }
    }

    fn from_toml(text: &str, path: &Path) -> Result<Self> {
        let entries: HashMap<String, toml::Spanned<toml::Value>> = toml::from_str(text).map_err(|error| {
            let place = error.span().map(|span| format!("line {}", line_of(text, span.start)));
            let error = Error::config("cannot use the configuration file").got(error.message().replace('\n', " "));
            place.into_iter().fold(error, Error::at).at_path(path)
        })?;
        let lines = entries.iter().map(|(key, value)| (key.clone(), line_of(text, value.span().start)));
        let lines = lines.collect();
        let keys: Map<String, Value> = toml::from_str(text).unwrap_or_default();
        Ok(ConfigFile { keys, path: path.to_owned(), lines })
    }

    fn from_json(text: &str, path: &Path) -> serde_json::Result<Self> {
        let document: HashMap<String, &RawValue> = serde_json::from_str(text)?;
        let own = document.get("config").filter(|_| document.contains_key("versions"));
        let entries: HashMap<String, &RawValue> =
            own.map_or(Ok(document.clone()), |own| serde_json::from_str(own.get()))?;
        let offset = |value: &RawValue| value.get().as_ptr() as usize - text.as_ptr() as usize;
        let lines = entries.iter().map(|(key, value)| (key.clone(), line_of(text, offset(value)))).collect();
        let keys: Map<String, Value> = serde_json::from_str(own.map_or(text, |own| own.get()))?;
        let keys = match own {
            Some(_) => settings_of_run(keys, document.get("paths").copied(), path),
            None => keys,
        };
        Ok(ConfigFile { keys, path: path.to_owned(), lines })
    }

    /// `error`, which `keys` over `base` came to, at the lines of this file that it is about: those without which it would be
    /// another.
    pub(super) fn locate(
        &self,
        error: Error,
        base: &RunConfig,
        keys: &Map<String, Value>,
        above: &Map<String, Value>,
    ) -> Error {
        let text = error.to_string();
        let is_to_blame = |key: &&String| {
            let mut without = keys.clone();
            without.shift_remove(*key);
            !above.contains_key(*key) && base.overlaid(without).map_or_else(|other| other.to_string() != text, |_| true)
        };
        let mut lines: Vec<usize> =
            self.keys.keys().filter(is_to_blame).filter_map(|key| self.lines.get(key)).copied().collect();
        lines.sort_unstable();
        match &lines[..] {
            [] => error,
            [line] => error.at(format!("line {line}")).at_path(&self.path),
            lines => {
                let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
                error.at(format!("lines {}", lines.join(" and "))).at_path(&self.path)
            }
        }
    }
}

/// A run from its layers, each above the one before: `base`, what a trained model was compiled with, a file, flags.
///
/// # Errors
/// As [`RunConfig::overlaid`], at the file's line where it is to blame.
pub fn resolve(
    base: &RunConfig,
    compiled: &Map<String, Value>,
    file: Option<&ConfigFile>,
    flags: &Map<String, Value>,
) -> Result<RunConfig> {
    let of_file = file.map(|file| file.keys.clone()).unwrap_or_default();
    let keys = merged([compiled.clone(), of_file, flags.clone()]);
    base.overlaid(keys.clone()).map_err(|error| match file {
        Some(file) => file.locate(error, base, &keys, flags),
        None => error,
    })
}

/// The settings that a `run.json` at `path` keeps: those of another run, under a name of its own.
fn settings_of_run(mut keys: Map<String, Value>, stored: Option<&RawValue>, path: &Path) -> Map<String, Value> {
    keys.shift_remove("run");
    // what was not said there
    keys.retain(|_, value| !value.is_null());
    let stored: Value = stored.and_then(|stored| serde_json::from_str(stored.get()).ok()).unwrap_or_default();
    let Ok(config) = RunConfig::deserialize(Value::Object(keys.clone())) else { return keys };
    let folder = path.parent().unwrap_or(Path::new(""));
    let Ok(Value::Object(here)) = serde_json::to_value(paths::from_here(config, folder, &stored)) else { return keys };
    for key in paths::KEYS.into_iter().filter(|key| *key != "logs") {
        if let (Some(old), Some(new)) = (keys.get_mut(key), here.get(key)) {
            *old = new.clone();
        }
    }
    // where a new run is written is for the present folder to say
    keys.shift_remove("logs");
    keys
}

/// The line, from 1, that holds byte `offset` of `text`.
fn line_of(text: &str, offset: usize) -> usize {
    1 + text.as_bytes()[..offset.min(text.len())].iter().filter(|&&byte| byte == b'\n').count()
}

#[cfg(test)]
mod tests;
