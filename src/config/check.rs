//! Which values a run can use.

use std::fmt::Display;
use std::path::Path;

use super::RunConfig;
use crate::data::split::Validation;
use crate::error::{Error, Result};
use crate::train::ScheduleKind;

/// Threads of an operator wait for each other: many more than there are cores take minutes to start and to end.
const MAX_THREADS: usize = 256;

impl RunConfig {
    /// Checks that every value, and all together, can be used.
    ///
    /// # Errors
    /// A configuration error that names the setting, what it takes and what it has.
    pub fn check(&self) -> Result<()> {
        self.check_numbers()?;
        self.check_names()?;
        self.check_combinations()
    }

    fn check_numbers(&self) -> Result<()> {
        at_least_1("epochs", Some(self.epochs))?;
        if self.threads.is_some_and(|threads| !(1..=MAX_THREADS).contains(&threads)) {
            return wrong("threads", format!("1 to {MAX_THREADS}"), self.threads.unwrap_or_default());
        }
        at_least_1("limit-train", self.limit_train.map(|limit| limit as u64))?;
        at_least_1("accumulate", Some(self.accumulate as u64))?;
        at_least_1("log-every", self.log_every)?;
        if self.batch_size == 0 || self.batch_size > 1 << 20 {
            return wrong("batch-size", "1 to 1048576", self.batch_size);
        }
        for (key, value) in [
            ("lr", Some(self.lr)),
            ("epsilon", Some(self.epsilon)),
            ("power", Some(self.power)),
            ("decay-rate", Some(self.decay_rate)),
            ("decay-epochs", self.decay_epochs),
            ("clip-value", self.clip_value),
            ("clip-norm", self.clip_norm),
            ("global-clip-norm", self.global_clip_norm),
        ] {
            within(key, value, "a number above 0", |value| value > 0.0)?;
        }
        for (key, value) in [
            ("beta1", Some(self.beta1)),
            ("beta2", self.beta2),
            ("momentum", Some(self.momentum)),
            ("rho", Some(self.rho)),
            ("ema", self.ema),
            ("label-smoothing", Some(self.label_smoothing)),
            ("plateau-factor", Some(self.plateau_factor)),
        ] {
            within(key, value, "0 to below 1", |value| (0.0..1.0).contains(&value))?;
        }
        for (key, value) in [
            ("warmup-epochs", Some(self.warmup_epochs)),
            ("weight-decay", self.weight_decay),
            ("min-lr", Some(self.min_lr)),
            ("min-delta", Some(self.min_delta)),
            ("plateau-min-delta", Some(self.plateau_min_delta)),
        ] {
            within(key, value, "0 or more", |value| value >= 0.0)?;
        }
        Ok(())
    }

    fn check_names(&self) -> Result<()> {
        check_name("name", &self.name, LONGEST_SUFFIX)?;
        self.run.as_ref().map_or(Ok(()), |run| check_name("run", run, LONGEST_RUN_SUFFIX))
    }

    fn check_combinations(&self) -> Result<()> {
        let clips = [self.clip_value, self.clip_norm, self.global_clip_norm];
        if clips.iter().flatten().count() > 1 {
            return wrong("clip-value, clip-norm and global-clip-norm", "one of them, as in Keras", "more");
        }
        if self.min_lr > self.lr {
            return wrong("min-lr", format!("at most the learning rate, {}", self.lr), self.min_lr);
        }
        if self.schedule == ScheduleKind::OneCycle && self.warmup_epochs > 0.0 {
            return wrong("warmup-epochs", "none: one-cycle has a warm-up of its own", self.warmup_epochs);
        }
        let has_no_validation = self.validation == Validation::None;
        let watched = [("monitor", self.monitor), ("until", self.until.map(|target| target.monitor))];
        for (key, monitor) in watched {
            if let Some(monitor) = monitor.filter(|monitor| has_no_validation && monitor.needs_validation()) {
                return wrong(key, "loss or accuracy, because there are no validation images", monitor);
            }
        }
        let watches = self.patience.is_some() || self.restore_best || self.schedule == ScheduleKind::Plateau;
        if has_no_validation && watches && self.monitor.is_none() {
            let expected = "--monitor loss or accuracy, because there are no validation images";
            return wrong("patience, restore-best or schedule plateau", expected, "the default, a number of theirs");
        }
        Ok(())
    }
}

/// What a file's or folder's name may have, in bytes: NAME_MAX of Linux's file systems.
const MAX_NAME_BYTES: usize = 255;
/// What is put behind a model's name.
const LONGEST_SUFFIX: &str = ".safetensors";
/// What is put behind a run's name where it is one of many folds.
const LONGEST_RUN_SUFFIX: &str = "-fold100";

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

fn wrong(key: &str, expected: impl Display, got: impl Display) -> Result<()> {
    Err(Error::config(format!("{key} cannot be used")).expected(expected).got(got))
}

fn at_least_1(key: &str, value: Option<u64>) -> Result<()> {
    if value == Some(0) { wrong(key, "at least 1", 0) } else { Ok(()) }
}

fn within(key: &str, value: Option<f64>, expected: &str, holds: impl Fn(f64) -> bool) -> Result<()> {
    match value {
        Some(value) if !(holds(value) && value.is_finite()) => wrong(key, expected, value),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Map, json};

    #[test]
    fn what_cannot_be_used_is_refused() {
        for (keys, word) in [
            (json!({ "epoch": 3 }), "did you mean 'epochs'"),
            (json!({ "batch_size": 0 }), "batch-size"),
            (json!({ "lr": -1.0 }), "lr"),
            (json!({ "lr": null }), "lr"),
            (json!({ "beta2": 1.0 }), "beta2"),
            (json!({ "device": "gpu" }), "device"),
            (json!({ "name": "a/b" }), "name"),
            (json!({ "name": ".." }), "name"),
            (json!({ "name": "." }), "name"),
            (json!({ "name": "" }), "name"),
            (json!({ "name": "-x" }), "as flags do"),
            (json!({ "name": "a\u{0}b" }), "\"a\\0b\""),
            (json!({ "run": "a\nb" }), "control characters"),
            (json!({ "name": "é".repeat(122) }), "at most 243 bytes, got one of 244"),
            (json!({ "run": "r".repeat(248) }), "at most 247 bytes"),
            (json!({ "threads": 0 }), "threads"),
            (json!({ "clip_norm": 1.0, "clip_value": 1.0 }), "one of them"),
            (json!({ "clip_norm": 0.0 }), "clip-norm"),
            (json!({ "ema": 1.0 }), "ema"),
            (json!({ "label_smoothing": -0.1 }), "label-smoothing"),
            (json!({ "min_lr": 0.1 }), "min-lr"),
            (json!({ "schedule": "one-cycle", "warmup_epochs": 1 }), "warm-up of its own"),
            (json!({ "schedule": "cosin" }), "schedule"),
            (json!({ "validation": "none", "patience": 3 }), "validation images"),
            (json!({ "validation": "none", "monitor": "val_loss" }), "validation images"),
            (json!({ "until": "val_accuracy" }), "val_accuracy=0.92"),
            (json!({ "time": "10" }), "10m"),
            (json!({ "save_every": 0 }), "at least 1"),
            (json!({ "accumulate": 0 }), "accumulate"),
        ] {
            let error = RunConfig::resolve(keys.as_object().unwrap().clone(), Map::new()).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(word), "{keys}: {error}");
        }
        let usable = json!({ "validation": "none", "patience": 3, "monitor": "loss" });
        assert!(RunConfig::resolve(usable.as_object().unwrap().clone(), Map::new()).is_ok());
    }
}
