//! The paths of a run, which mean the same from whatever folder it is looked at.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::RunConfig;
use crate::data::registry;
use crate::model::{presets, saved};

/// The settings that name a file or a folder, or may.
pub const KEYS: [&str; 6] = ["data", "model", "init_from", "exclude", "logs", "models"];

/// Where the files and folders lie that `config` names from the present folder: absolute, by the settings' keys. Names that
/// stand for no file (a built-in data set, a preset, a data set that is still to be downloaded) are absent.
pub fn absolute(config: &RunConfig) -> Map<String, Value> {
    let (name, upright) = split_upright(&config.data.source);
    let data = registry::location(name).map(|mut path| {
        path.as_mut_os_string().push(upright);
        path
    });
    let places = [
        ("data", data),
        (
            "model",
            Some(PathBuf::from(&config.network.model)).filter(|_| presets::preset(&config.network.model).is_none()),
        ),
        ("init_from", config.network.init_from.as_ref().and_then(|model| saved::locate(model).ok())),
        ("exclude", config.load.exclude.clone()),
        ("logs", Some(config.outputs.logs.clone())),
        ("models", Some(config.outputs.models.clone())),
    ];
    let absolute = |path: PathBuf| std::path::absolute(path).ok()?.to_str().map(str::to_owned);
    places.into_iter().filter_map(|(key, path)| Some((key.to_owned(), json!(absolute(path?)?)))).collect()
}

/// The configuration of the run in `folder`, its paths as they lead there from the present folder. A relative path is
/// looked for from where the run's logs lie, which may have been moved together with the rest; then where it was when the run
/// was started, which `paths` ([`absolute`]) says; then from the present folder.
pub fn from_here(config: RunConfig, folder: &Path, paths: &Value) -> RunConfig {
    let Some(base) = working_folder(&config.outputs.logs, folder) else { return config };
    if is_same(&base, Path::new(".")) {
        return config;
    }
    let stored = |key: &str| paths.get(key).and_then(Value::as_str).map(PathBuf::from);
    let find = |key: &str, typed: &Path, is_there: &dyn Fn(&Path) -> bool| {
        let candidates = [Some(base.join(typed)), stored(key), Some(typed.to_owned())];
        candidates.into_iter().flatten().find(|path| is_there(path)).unwrap_or_else(|| typed.to_owned())
    };
    let text = |path: PathBuf| path.to_string_lossy().into_owned();
    let is_model = |path: &Path| path.to_str().is_some_and(|path| saved::locate(path).is_ok());
    let data = match registry::is_built_in(&config.data.source) {
        true => config.data.source.clone(),
        false => text(find("data", Path::new(&config.data.source), &|path| {
            path.to_str().is_some_and(|path| Path::new(split_upright(path).0).exists())
        })),
    };
    let model = match presets::preset(&config.network.model) {
        Some(_) => config.network.model.clone(),
        None => text(find("model", Path::new(&config.network.model), &Path::is_file)),
    };
    let mut here = config.clone();
    here.data.source = data;
    here.network.model = model;
    here.network.init_from =
        config.network.init_from.map(|model| text(find("init_from", Path::new(&model), &is_model)));
    here.load.exclude = config.load.exclude.map(|list| find("exclude", &list, &Path::is_file));
    here.outputs.logs = folder.parent().unwrap_or(Path::new("")).to_owned();
    here.outputs.models = find("models", &config.outputs.models, &Path::is_dir);
    here
}

/// What `--data` names, and what stands behind it for images that are to be turned.
fn split_upright(data: &str) -> (&str, &str) {
    data.split_at(registry::split_upright(data).0.len())
}

/// The folder in which the run was started, as far as its own place tells: `folder` without `logs` and the run's name. Where
/// it lies elsewhere by now, the folder that holds it.
fn working_folder(logs: &Path, folder: &Path) -> Option<PathBuf> {
    let folder = std::path::absolute(folder).ok()?;
    let holds = folder.parent()?;
    let own: PathBuf = logs.components().filter(|part| !matches!(part, std::path::Component::CurDir)).collect();
    let base = holds.ends_with(&own) && logs.is_relative();
    let depth = if base { own.components().count() } else { 0 };
    holds.ancestors().nth(depth).map(Path::to_owned)
}

fn is_same(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

#[cfg(test)]
mod tests;
