//! The library names a setting by its key, between backticks and with its value where it advises one: `batch_size`,
//! `precision = 'bf16'`. Here they become what users of the program type: `--batch-size`, `--precision bf16`.

use std::error::Error as StdError;
use std::sync::LazyLock;

use convnet::config::RunConfig;
use convnet::error::Result;
use convnet::log::{Event, Sink};
use serde_json::{Map, Value};

/// What is no setting of a run, and has a flag in some command.
const OPTIONS: [&str; 21] = [
    "connections",
    "drain",
    "end_lr",
    "folds",
    "format",
    "host",
    "input",
    "labels",
    "max_batch",
    "max_body",
    "max_delay",
    "max_images",
    "max_pixels",
    "out",
    "queue",
    "repeats",
    "resume",
    "start_lr",
    "timeout",
    "token",
    "top_k",
];

/// The settings of a run, by their keys.
static SETTINGS: LazyLock<Map<String, Value>> =
    LazyLock::new(|| RunConfig::default().keys().expect("the defaults are plain values"));

/// `text` with every setting between backticks as its flag; all else stays as it is.
pub fn with_flags(text: &str) -> String {
    let mut spelled = String::new();
    let mut rest = text;
    while let Some((before, (quoted, after))) =
        rest.split_once('`').and_then(|(before, rest)| Some((before, rest.split_once('`')?)))
    {
        spelled += before;
        spelled += &flag(quoted).unwrap_or_else(|| format!("`{quoted}`"));
        rest = after;
    }
    spelled + rest
}

/// `--batch-size` of `batch_size`, `--device cpu` of `device = 'cpu'`.
fn flag(setting: &str) -> Option<String> {
    let (key, value) = setting.split_once(" = ").map_or((setting, None), |(key, value)| (key, Some(value)));
    let is_known = OPTIONS.contains(&key) || SETTINGS.contains_key(key);
    let name = is_known.then(|| key.replace('_', "-"))?;
    Some(value.map_or(format!("--{name}"), |value| format!("--{name} {}", value.trim_matches('\''))))
}

/// An error with those underneath, as [`convnet::error::describe`] says it, with flags.
pub fn describe(error: &(dyn StdError + 'static)) -> String {
    with_flags(&convnet::error::describe(error))
}

/// Passes on what a run says, with flags.
pub struct FlagSpelling<S>(pub S);

impl<S: Sink> Sink for FlagSpelling<S> {
    fn on(&mut self, event: &Event) -> Result<()> {
        match event {
            Event::Note(text) => self.0.on(&Event::Note(with_flags(text))),
            Event::Detail(text) => self.0.on(&Event::Detail(with_flags(text))),
            Event::Warning(text) => self.0.on(&Event::Warning(with_flags(text))),
            Event::Start(_)
            | Event::Batch(_)
            | Event::Validating
            | Event::Validated(_)
            | Event::Distributions(_)
            | Event::Epoch(_)
            | Event::Saving
            | Event::Testing { .. }
            | Event::End
            | Event::Over { .. } => self.0.on(event),
        }
    }
}

#[cfg(test)]
mod tests;
