//! The configuration that a run gets from everything that was said: the defaults or a resumed run's settings, those of a
//! trained model, a file's, and flags.

use serde_json::{Map, Value};

use super::file::{ConfigFile, resolve};
use super::origin::{Origin, Origins};
use super::{RunConfig, compiled};
use crate::error::{Error, Result};
use crate::model::saved;

/// What may change when a run is resumed, and what that does; everything else is as it was.
pub const MUTABLE_ON_RESUME: [(&str, &str); 16] = [
    ("epochs", "trains longer; schedules that depend on the run's length follow the new one"),
    ("patience", "waits longer or shorter for a better epoch"),
    ("until", "ends at another number"),
    ("time", "ends after another time, counted from the run's first start"),
    ("save_every", "changes when checkpoints are saved, not what is computed"),
    ("device", "other devices round differently: the same run, not the same bits"),
    ("cuda_graph", "launches steps in another way; sums on a GPU may round differently"),
    ("threads", "other numbers of threads may round differently"),
    ("models", "saves the model elsewhere"),
    ("name", "saves the model under another name"),
    ("restore_best", "saves the best epoch's weights, or the last one's"),
    ("tensorboard", "writes more or less for TensorBoard from then on"),
    ("histograms", "writes them of more or fewer epochs from then on"),
    ("logs", "says where the run is looked for"),
    ("data", "says where the same images lie now"),
    ("exclude", "says where the same list of images to leave out lies now"),
];

/// A run's configuration, and how it came about.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// The settings.
    pub config: RunConfig,
    /// The origin of each.
    pub origins: Origins,
    /// What a resumed run changes, by the settings' keys.
    pub changed: Map<String, Value>,
    /// What the trained model was compiled with and cannot be taken over, in words.
    pub left: Vec<String>,
}

impl Resolved {
    /// Of a new run: the defaults, then what the model of `init_from` was compiled with in Keras, then `file`, then `flags`.
    ///
    /// # Errors
    /// A configuration error for an unknown key or a value that cannot be used, a model error where `init_from` names none.
    pub fn new(file: Option<&ConfigFile>, flags: &Map<String, Value>) -> Result<Self> {
        let keys = file.map(|file| file.keys.clone()).unwrap_or_default();
        let source = flags.get("init_from").or(keys.get("init_from")).and_then(Value::as_str);
        let (compiled, left) = source.map(compiled_keys).transpose()?.unwrap_or_default();
        let config = resolve(&RunConfig::default(), &compiled, file, flags)?;
        let layers = [(Origin::TrainedModel, &compiled), (Origin::File, &keys), (Origin::Flag, flags)];
        let origins = Origins::new(&config, &layers)?;
        Ok(Resolved { config, origins, changed: Map::new(), left })
    }

    /// Of a run that goes on: its own settings, `before`, then `flags`.
    ///
    /// # Errors
    /// A configuration error for a setting that cannot change on the way: see [`MUTABLE_ON_RESUME`].
    pub fn resumed(before: &RunConfig, flags: &Map<String, Value>) -> Result<Self> {
        let mut config = before.overlaid(flags.clone())?;
        config.outputs.logs.clone_from(&before.outputs.logs);
        let [old, new] = [before.keys()?, config.keys()?];
        let changed: Map<String, Value> =
            new.iter().filter(|(key, value)| old.get(*key) != Some(value)).map(own).collect();
        if let Some(key) = changed.keys().find(|key| MUTABLE_ON_RESUME.iter().all(|(free, _)| free != key)) {
            let free: Vec<String> = MUTABLE_ON_RESUME.iter().map(|(free, _)| format!("`{free}`")).collect();
            return Err(Error::config(format!("`{key}` cannot change when a run is resumed"))
                .expected(&old[key])
                .got(&new[key])
                .help(format!("what may change: {}", free.join(", "))));
        }
        let origins = Origins::new(&config, &[(Origin::ResumedRun, &old), (Origin::Flag, flags)])?;
        Ok(Resolved { config, origins, changed, left: Vec::new() })
    }
}

/// The keys of a trained model's compile settings, and what of them is left out.
fn compiled_keys(source: &str) -> Result<(Map<String, Value>, Vec<String>)> {
    let compile = saved::compile_info(&saved::locate(source)?)?;
    Ok(compile.map(|(compile, output)| compiled::keys(&compile, output)).unwrap_or_default())
}

fn own((key, value): (&String, &Value)) -> (String, Value) {
    (key.clone(), value.clone())
}
