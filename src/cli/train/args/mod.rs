//! What the user typed for `convnet train`, and the run that it means.

mod flags;

use std::path::PathBuf;

use serde_json::{Map, Value};

use super::run_folder::RunFolder;
use crate::cli::Globals;
use crate::config::file::ConfigFile;
use crate::config::origin::{Origin, Origins};
use crate::config::{self, RunConfig, compiled};
use crate::error::{Error, Result};
use crate::log::console::ProgressMode;
use crate::model::saved;

pub use flags::Flags;

/// What may change when a run is resumed, and what that does; everything else is as it was.
pub const MUTABLE_ON_RESUME: [(&str, &str); 13] = [
    ("epochs", "trains longer; schedules that depend on the run's length follow the new one"),
    ("patience", "waits longer or shorter for a better epoch"),
    ("until", "ends at another number"),
    ("time", "ends after another time, counted from the run's first start"),
    ("save_every", "changes when checkpoints are saved, not what is computed"),
    ("device", "other devices round differently: the same run, not the same bits"),
    ("threads", "other numbers of threads may round differently"),
    ("models", "saves the model elsewhere"),
    ("name", "saves the model under another name"),
    ("restore_best", "saves the best epoch's weights, or the last one's"),
    ("logs", "says where the run is looked for"),
    ("data", "says where the same images lie now"),
    ("exclude", "says where the same list of images to leave out lies now"),
];

/// Train a network.
#[derive(Debug, clap::Args)]
#[command(allow_negative_numbers = true)] // they are refused by name
pub struct Args {
    #[command(flatten)]
    flags: Flags,
    /// Continue a run: its name in --logs, or its folder (--help: what may change then)
    #[arg(long, value_name = "RUN", conflicts_with_all = ["config", "run"], long_help = resume_help())]
    pub resume: Option<String>,
    /// Read settings from a TOML or JSON file; flags win
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Do not look for faults in the data set
    #[arg(long)]
    pub no_check: bool,
    /// Cross-validate: so many runs, each with another part of the training images for validation
    #[arg(long, value_name = "K", conflicts_with_all = ["resume", "validation", "verify_resume", "print_config"])]
    pub folds: Option<usize>,
    /// Print every setting and where it comes from, and do nothing else
    #[arg(long)]
    pub print_config: bool,
    /// Check on this machine, with a short run, that a stopped and resumed run is the uninterrupted one, bit for bit
    #[arg(long, conflicts_with_all = ["resume", "print_config"])]
    pub verify_resume: bool,
    /// Print one JSON document on stdout
    #[arg(long)]
    pub json: bool,
    /// How to show progress
    #[arg(long, value_enum, default_value_t = ProgressMode::Auto)]
    progress: ProgressMode,
}

fn resume_help() -> String {
    let width = MUTABLE_ON_RESUME.iter().map(|(key, _)| key.len()).max().unwrap_or(0);
    let rows =
        MUTABLE_ON_RESUME.iter().map(|(key, effect)| format!("  --{:<width$}  {effect}\n", key.replace('_', "-")));
    let rows: String = rows.collect();
    format!("Continue a run: its name in --logs, or its folder. May change then, everything else may not:\n{rows}")
}

/// A run that was asked for.
pub struct Resolved {
    /// What it does.
    pub config: RunConfig,
    /// Where each setting comes from.
    pub origins: Origins,
    /// What a resumed run changes.
    pub changed: Map<String, Value>,
    /// What the trained model was compiled with and cannot be taken over, in words.
    pub left: Vec<String>,
}

impl Args {
    /// The run as it will be: a resumed run's own settings, or defaults and the file's; then the flags.
    pub fn resolve(&self, resumed: Option<&RunFolder>) -> Result<Resolved> {
        let flags = self.flags.given();
        let Some(folder) = resumed else {
            let file = self.config.as_deref().map(ConfigFile::read).transpose()?;
            let keys = file.as_ref().map(|file| file.keys.clone()).unwrap_or_default();
            let source = flags.get("init_from").or(keys.get("init_from")).and_then(Value::as_str);
            let (compiled, left) = source.map(compiled_keys).transpose()?.unwrap_or_default();
            let config = config::file::resolve(&RunConfig::default(), &compiled, file.as_ref(), &flags)?;
            let layers = [(Origin::TrainedModel, &compiled), (Origin::File, &keys), (Origin::Flag, &flags)];
            let shown = if self.print_config { config.with_defaults(num_threads()) } else { config.clone() };
            let origins = Origins::new(&shown, &layers)?;
            return Ok(Resolved { config, origins, changed: Map::new(), left });
        };
        let before = folder.config()?;
        // as many threads as before: another number may round differently
        let before = RunConfig { threads: before.threads.or(folder.threads()), ..before };
        let after = RunConfig { logs: before.logs.clone(), ..before.overlaid(flags.clone())? };
        let [old, new] = [&before, &after].map(object);
        let changed: Map<String, Value> =
            new.iter().filter(|(key, value)| old.get(*key) != Some(value)).map(own).collect();
        if let Some(key) = changed.keys().find(|key| MUTABLE_ON_RESUME.iter().all(|(free, _)| free != key)) {
            let free: Vec<String> = MUTABLE_ON_RESUME.iter().map(|(free, _)| free.replace('_', "-")).collect();
            return Err(Error::config(format!("{} cannot change when a run is resumed", key.replace('_', "-")))
                .expected(&old[key])
                .got(&new[key])
                .help(format!("what may change: {}", free.join(", "))));
        }
        let shown = if self.print_config { after.with_defaults(num_threads()) } else { after.clone() };
        let origins = Origins::new(&shown, &[(Origin::ResumedRun, &old), (Origin::Flag, &flags)])?;
        Ok(Resolved { config: after, origins, changed, left: Vec::new() })
    }

    /// Where runs are looked for by name.
    pub fn logs_folder(&self) -> PathBuf {
        self.flags.logs().map_or_else(|| RunConfig::default().logs, PathBuf::from)
    }

    /// How progress is shown.
    pub fn progress_mode(&self, globals: Globals) -> ProgressMode {
        if globals.quiet { ProgressMode::None } else { self.progress }
    }
}

/// libtorch's own choice.
fn num_threads() -> usize {
    usize::try_from(tch::get_num_threads()).unwrap_or(1)
}

/// The keys of a trained model's compile settings, and what of them is left out.
fn compiled_keys(source: &str) -> Result<(Map<String, Value>, Vec<String>)> {
    let compile = saved::compile_info(&saved::locate(source)?)?;
    Ok(compile.map(|(compile, output)| compiled::keys(&compile, output)).unwrap_or_default())
}

fn object(config: &RunConfig) -> Map<String, Value> {
    match serde_json::to_value(config) {
        Ok(Value::Object(values)) => values,
        _ => Map::new(),
    }
}

fn own((key, value): (&String, &Value)) -> (String, Value) {
    (key.clone(), value.clone())
}
