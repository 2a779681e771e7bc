//! Where a run stands, and the clock beside it.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::TrainConfig;
use super::limits::SaveEvery;
use super::monitor::{EarlyStoppingState, EpochScores, Plateau};
use crate::metrics::Sums;

/// How often the loop reports, in between the points that the logs keep.
const REPORT_INTERVAL: Duration = Duration::from_millis(250);

/// Where a run stands. Everything else follows from the configuration, the seed and the tensors beside it.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainState {
    /// Whole epochs done.
    pub epochs: u64,
    /// Batches done in the epoch after those.
    pub batches: u64,
    /// Batches done in the whole run.
    #[serde(rename = "steps")]
    pub batches_seen: u64,
    /// Optimizer steps made in the whole run: as many as batches where gradients are not accumulated.
    #[serde(rename = "updates")]
    pub optimizer_steps: u64,
    /// The metrics' sums over the unfinished epoch.
    pub sums: Sums,
    /// The last epoch's finite scores.
    pub latest: EpochScores,
    /// The best epoch, and the patience for a better one.
    pub watch: EarlyStoppingState,
    /// The reductions of the learning rate.
    pub plateau: Plateau,
    /// Wall time of the whole run in seconds, without the time it was not running.
    pub seconds: f64,
    /// Of that, the unfinished epoch's.
    pub epoch_seconds: f64,
}

/// Why training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// The last epoch is done.
    Epochs,
    /// A stage of the run is done, and another goes on from here: [`TrainConfig::stage_end`].
    Stage,
    /// Too many epochs went by without a better one.
    Patience,
    /// The number that was asked for is reached.
    Target,
    /// The time is over.
    Time,
    /// A signal came, and a checkpoint was saved.
    Signal(i32),
}

impl TrainState {
    /// Why a run of `config` that stands here ends here; none where it goes on.
    pub fn ending(&self, config: &TrainConfig) -> Option<StopReason> {
        if config.time.is_some_and(|limit| self.seconds >= limit.seconds) {
            return Some(StopReason::Time);
        }
        self.ending_but_for_time(config)
    }

    /// As [`TrainState::ending`], however much time is over.
    pub(super) fn ending_but_for_time(&self, config: &TrainConfig) -> Option<StopReason> {
        if self.batches > 0 {
            return None;
        }
        let is_reached =
            |target: super::Target| target.monitor.value(self.latest).is_some_and(|value| target.is_reached_by(value));
        if config.until.is_some_and(is_reached) {
            Some(StopReason::Target)
        } else if self.watch.exhausted && config.early_stopping.is_out_of_patience(&self.watch) {
            Some(StopReason::Patience)
        } else if self.epochs >= config.epochs {
            Some(StopReason::Epochs)
        } else {
            config.stage_end.is_some_and(|end| self.epochs >= end).then_some(StopReason::Stage)
        }
    }
}

/// Time since the epoch began (or was resumed), when the user last heard of it, and when it was last saved.
pub(super) struct Stopwatch {
    started: Instant,
    reported: Instant,
    saved: Instant,
    saved_batches: u64,
    images_before: u64,
    seconds_before: f64,
    epoch_seconds_before: f64,
}

impl Stopwatch {
    pub(super) fn start(state: &TrainState) -> Self {
        let now = Instant::now();
        Stopwatch {
            started: now,
            reported: now,
            saved: now,
            saved_batches: state.batches_seen,
            images_before: state.sums.count,
            seconds_before: state.seconds,
            epoch_seconds_before: state.epoch_seconds,
        }
    }

    /// Writes the time that went by into `state`.
    pub(super) fn note(&self, state: &mut TrainState) {
        let elapsed = self.started.elapsed().as_secs_f64();
        state.seconds = self.seconds_before + elapsed;
        state.epoch_seconds = self.epoch_seconds_before + elapsed;
    }

    pub(super) fn report_is_due(&mut self) -> bool {
        let due = self.reported.elapsed() >= REPORT_INTERVAL;
        if due {
            self.reported = Instant::now();
        }
        due
    }

    /// Whether a checkpoint is due by its interval in time.
    pub(super) fn save_is_due_by_time(&mut self, every: Option<SaveEvery>) -> bool {
        let Some(SaveEvery::Time(span)) = every else { return false };
        let due = self.saved.elapsed().as_secs_f64() >= span.seconds;
        if due {
            self.saved = Instant::now();
        }
        due
    }

    /// Whether a checkpoint is due by its interval in batches.
    pub(super) fn save_is_due_by_batches(&mut self, every: Option<SaveEvery>, state: &TrainState) -> bool {
        let Some(SaveEvery::Batches(batches)) = every else { return false };
        let due = state.batches_seen / batches.max(1) > self.saved_batches / batches.max(1);
        if due {
            self.saved_batches = state.batches_seen;
        }
        due
    }

    pub(super) fn images_per_second(&self, images: u64) -> f64 {
        (images - self.images_before) as f64 / self.started.elapsed().as_secs_f64().max(1e-9)
    }
}
