//! Early stopping, the best epoch and the plateau: Keras's `EarlyStopping`, `ReduceLROnPlateau`
//! and `ModelCheckpoint`; their state is plain numbers that a checkpoint keeps.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, nearest};
use crate::log::Epoch;
use crate::metrics::{Direction, Metric, Scores};

/// What decides which epoch is the best: a metric, of the training or of the validation images. Written as `history.csv` has
/// it: `loss`, `val_accuracy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Monitor {
    /// The metric.
    pub metric: Metric,
    /// Whether it is that of the validation images.
    pub of_validation: bool,
}

/// The scores of an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(from = "StoredScores")]
pub struct EpochScores {
    /// Over the training images.
    pub train: Scores,
    /// Over the validation images, where there are any.
    pub validation: Option<Scores>,
}

/// [`EpochScores`] in a checkpoint.
#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields, expecting = "expected an epoch's scores")]
enum StoredScores {
    ByName {
        train: Scores,
        validation: Option<Scores>,
    },
    /// Before there was a list of metrics: loss and accuracy of the training, then of the validation.
    InOrder([Option<f64>; 4]),
}

impl From<StoredScores> for EpochScores {
    fn from(stored: StoredScores) -> Self {
        let pair = |loss: Option<f64>, accuracy: Option<f64>| {
            let known = [loss.map(|loss| (Metric::Loss, loss)), accuracy.map(|share| (Metric::Accuracy, share))];
            known.into_iter().flatten().collect::<Scores>()
        };
        match stored {
            StoredScores::ByName { train, validation } => EpochScores { train, validation },
            StoredScores::InOrder([loss, accuracy, val_loss, val_accuracy]) => EpochScores {
                train: pair(loss, accuracy),
                validation: Some(pair(val_loss, val_accuracy)).filter(|scores| !scores.is_empty()),
            },
        }
    }
}

impl Default for Monitor {
    /// The validation accuracy.
    fn default() -> Self {
        Monitor::VAL_ACCURACY
    }
}

impl Monitor {
    /// The validation loss.
    pub const VAL_LOSS: Monitor = Monitor { metric: Metric::Loss, of_validation: true };
    /// The validation accuracy.
    pub const VAL_ACCURACY: Monitor = Monitor { metric: Metric::Accuracy, of_validation: true };

    /// All of them: the metrics of the training, then those of the validation.
    pub fn all() -> impl Iterator<Item = Monitor> {
        [false, true]
            .into_iter()
            .flat_map(|of_validation| Metric::all().map(move |metric| Monitor { metric, of_validation }))
    }

    /// Its value among an epoch's scores; none where it is not known: there is no validation, say.
    pub fn value(self, scores: EpochScores) -> Option<f64> {
        let of_images = if self.of_validation { scores.validation } else { Some(scores.train) };
        of_images?.get(self.metric)
    }

    /// Its value in `epoch`.
    pub fn of(self, epoch: &Epoch) -> Option<f64> {
        self.value(EpochScores { train: epoch.train, validation: epoch.validation })
    }

    /// Whether `value` is better than `best` by more than `min_delta`; anything is better than nothing. Compared as f32,
    /// as Keras does: accuracies that are equal there are equal here.
    pub fn is_better(self, value: f64, best: Option<f64>, min_delta: f64) -> bool {
        let Some(best) = best else { return !value.is_nan() };
        let value = f64::from(value as f32);
        match self.metric.definition().better {
            Direction::Lower => ((value + min_delta) as f32) < best as f32,
            Direction::Higher => (value - min_delta) as f32 > best as f32,
        }
    }

    /// Refuses a monitor that tells nothing of a classifier of `num_classes` classes.
    ///
    /// # Errors
    /// A configuration error.
    pub fn check_classes(self, num_classes: usize) -> Result<()> {
        let min_classes = self.metric.definition().min_classes;
        if num_classes >= min_classes {
            return Ok(());
        }
        let useless = Error::config(format!("{self} tells nothing about these images"));
        Err(useless
            .expected(format!("{min_classes} classes or more"))
            .got(num_classes)
            .help("watch another number: accuracy, val_loss"))
    }
}

impl fmt::Display for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.of_validation { "val_" } else { "" }, self.metric)
    }
}

impl FromStr for Monitor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let named = Monitor::all().find(|monitor| monitor.to_string() == text);
        named.ok_or_else(|| {
            let names: Vec<String> = Monitor::all().map(|monitor| monitor.to_string()).collect();
            let known: Vec<&str> = names.iter().map(String::as_str).collect();
            Error::config(format!("there is no '{text}'{}", nearest(text, &known))).expected(known.join(", "))
        })
    }
}

impl TryFrom<String> for Monitor {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Monitor> for String {
    fn from(monitor: Monitor) -> Self {
        monitor.to_string()
    }
}

/// A value at which training may end, written `val_accuracy=0.92`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Target {
    /// Of what.
    pub monitor: Monitor,
    /// An accuracy at least this, a loss at most this.
    pub value: f64,
}

impl Target {
    /// Whether an epoch's `value` is there.
    pub fn is_reached_by(&self, value: f64) -> bool {
        match self.monitor.metric.definition().better {
            Direction::Lower => value <= self.value,
            Direction::Higher => value >= self.value,
        }
    }
}

impl FromStr for Target {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong =
            || Error::config("no target").expected("a number by its name, val_accuracy=0.92").got(format!("'{text}'"));
        let (name, value) = text.split_once('=').ok_or_else(wrong)?;
        let monitor = name.parse()?;
        let value = value.parse().ok().filter(|value: &f64| value.is_finite()).ok_or_else(wrong)?;
        Ok(Target { monitor, value })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.monitor, self.value)
    }
}

impl TryFrom<String> for Target {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Target> for String {
    fn from(target: Target) -> Self {
        target.to_string()
    }
}

/// Which epoch is the best one, and how long training goes on without a better one: Keras's `EarlyStopping`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct EarlyStopping {
    /// What decides.
    pub monitor: Monitor,
    /// By how much an epoch has to be better than the best.
    pub min_delta: f64,
    /// After how many epochs in a row without a better one training ends; never where absent.
    pub patience: Option<u64>,
    /// Better epochs that do not beat this do not end the waiting.
    pub baseline: Option<f64>,
    /// Epochs (from 0) before this one do not count.
    pub start_from_epoch: u64,
    /// Whether training ends with the best epoch's weights.
    pub restore_best: bool,
}

/// Where [`EarlyStopping`] stands.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EarlyStoppingState {
    /// The best value so far.
    pub best: Option<f64>,
    /// Its epoch, from 1.
    pub best_epoch: u64,
    /// Epochs since one was good enough.
    pub wait: u64,
    /// Whether the last epoch was the one too many.
    pub exhausted: bool,
}

impl EarlyStopping {
    /// Updates `state` after `epoch`; true where it is the best so far.
    pub fn update(&self, state: &mut EarlyStoppingState, epoch: &Epoch) -> bool {
        state.exhausted = false;
        let Some(value) = self.monitor.of(epoch).filter(|_| epoch.epoch > self.start_from_epoch) else { return false };
        state.wait += 1;
        if self.monitor.is_better(value, state.best, self.min_delta) {
            (state.best, state.best_epoch) = (Some(value), epoch.epoch);
            if self.baseline.is_none_or(|baseline| self.monitor.is_better(value, Some(baseline), self.min_delta)) {
                state.wait = 0;
            }
            return true;
        }
        state.exhausted = epoch.epoch > 1 && self.is_out_of_patience(state);
        false
    }

    /// Whether it has waited long enough.
    pub fn is_out_of_patience(&self, state: &EarlyStoppingState) -> bool {
        self.patience.is_some_and(|patience| state.wait >= patience)
    }
}

/// Lowers the learning rate when nothing improves any more: Keras's `ReduceLROnPlateau`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReduceOnPlateau {
    /// What has to improve.
    pub monitor: Monitor,
    /// What the rate is multiplied by, below 1.
    pub factor: f64,
    /// After how many epochs without improvement.
    pub patience: u64,
    /// By how much an epoch has to be better than the best.
    pub min_delta: f64,
    /// Epochs after a reduction that do not count.
    pub cooldown: u64,
    /// The rate does not go below this.
    pub min_rate: f64,
}

impl Default for ReduceOnPlateau {
    /// Keras's defaults.
    fn default() -> Self {
        ReduceOnPlateau {
            monitor: Monitor::VAL_LOSS,
            factor: 0.1,
            patience: 10,
            min_delta: 1e-4,
            cooldown: 0,
            min_rate: 0.0,
        }
    }
}

/// Where [`ReduceOnPlateau`] stands.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plateau {
    /// The best value so far.
    pub best: Option<f64>,
    /// Epochs since then.
    pub wait: u64,
    /// Epochs that still do not count.
    pub cooldown: u64,
    /// What the schedule's rate is multiplied by.
    pub scale: f64,
}

impl Default for Plateau {
    fn default() -> Self {
        Plateau { best: None, wait: 0, cooldown: 0, scale: 1.0 }
    }
}

impl ReduceOnPlateau {
    /// Updates `state` after `epoch`: reduces the rate where it is time.
    pub fn update(&self, state: &mut Plateau, epoch: &Epoch) {
        let Some(value) = self.monitor.of(epoch) else { return };
        if state.cooldown > 0 {
            state.cooldown -= 1;
            state.wait = 0;
        }
        if self.monitor.is_better(value, state.best, self.min_delta) {
            (state.best, state.wait) = (Some(value), 0);
        } else if state.cooldown == 0 {
            state.wait += 1;
            if state.wait >= self.patience && epoch.learning_rate as f32 > self.min_rate as f32 {
                let rate = (epoch.learning_rate * self.factor).max(self.min_rate);
                state.scale *= rate / epoch.learning_rate;
                (state.cooldown, state.wait) = (self.cooldown, 0);
            }
        }
    }
}

#[cfg(test)]
mod tests;
