//! What is due after a step. Signals and clocks are each process's own: where there are several they agree, so that all do the same.

use std::sync::atomic::Ordering;

use super::profile::{Phase, timed};
use super::train_state::Stopwatch;
use super::{StopReason, Trainer};
use crate::error::Result;

/// What is due after a step.
pub(super) struct Due {
    /// Why training ends here.
    pub ending: Option<StopReason>,
    /// Whether a checkpoint is saved.
    pub save: bool,
    /// Whether progress is told after the next step.
    pub report: bool,
}

impl Trainer<'_> {
    /// What is due after the step at hand: a signal that any process got counts, and the main process's clock.
    ///
    /// # Errors
    /// What another process failed at, or which one is gone.
    pub(super) fn due(&self, clock: &mut Stopwatch) -> Result<Due> {
        let is_main = self.train.group().is_main();
        let signal = i64::from(self.stop.load(Ordering::Relaxed));
        let is_over = is_main && self.is_out_of_time();
        let save = clock.save_is_due(self.config.save_every, &self.state) && is_main;
        let report = clock.report_is_due() && is_main;
        let own = [signal, i64::from(is_over), i64::from(save), i64::from(report)];
        let [signal, is_over, save, report] = match self.train.group() {
            group if group.is_alone() => own,
            group => timed(self.profile, Phase::Communication, || group.largest(own))?,
        };
        let ending = match signal {
            0 => (is_over > 0).then_some(StopReason::Time),
            signal => Some(StopReason::Signal(signal as i32)),
        };
        Ok(Due { ending, save: save > 0, report: report > 0 })
    }

    /// Why the run ends where it stands; none where it goes on.
    ///
    /// # Errors
    /// As [`Trainer::due`].
    pub(super) fn ending(&self) -> Result<Option<StopReason>> {
        let group = self.train.group();
        let is_over = group.is_main() && self.is_out_of_time();
        let [is_over] = group.largest([i64::from(is_over)])?;
        Ok(if is_over > 0 { Some(StopReason::Time) } else { self.state.ending_but_for_time(&self.config) })
    }

    fn is_out_of_time(&self) -> bool {
        self.config.time.is_some_and(|limit| self.state.seconds >= limit.seconds)
    }
}
