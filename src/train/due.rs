//! What is due after a step. Signals and clocks are each process's own: where there are several they agree, so that all do the same.

use std::sync::atomic::Ordering;

use super::profile::{Phase, timed};
use super::train_state::Stopwatch;
use super::{StopReason, Trainer};
use crate::error::Result;
use crate::native::ReductionUnderWay;

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
    /// Begins to agree with the other processes on what their signals and the main one's clock ask for, before a step, which hides the
    /// time that it takes; none where this process is alone.
    ///
    /// # Errors
    /// What another process failed at, or which one is gone.
    pub(super) fn begin_agreement(&self, clock: &mut Stopwatch) -> Result<Option<ReductionUnderWay>> {
        match self.train.group() {
            group if group.is_alone() => Ok(None),
            group => group.begin_largest(&self.asked(clock)),
        }
    }

    /// What is due after the step at hand: a signal that any process got counts, and the main process's clock. One that is alone asks
    /// here, several have asked before the step.
    ///
    /// # Errors
    /// What another process failed at, or which one is gone.
    pub(super) fn due(&self, agreement: Option<ReductionUnderWay>, clock: &mut Stopwatch) -> Result<Due> {
        let [signal, is_over, save, report] = match agreement {
            None => self.asked(clock),
            Some(agreement) => timed(self.profile, Phase::Communication, || {
                let all = self.train.group().waiting(|| agreement.finish())?;
                let all = Vec::<i64>::try_from(all).expect("a flat i64 tensor");
                Ok(all.try_into().expect("as many as were asked"))
            })?,
        };
        let save = clock.save_is_due_by_batches(self.config.save_every, &self.state) || save > 0;
        let ending = match signal {
            0 => (is_over > 0).then_some(StopReason::Time),
            signal => Some(StopReason::Signal(signal as i32)),
        };
        Ok(Due { ending, save, report: report > 0 })
    }

    /// What this process's signal and the main one's clock ask for: the signal, whether time is over, whether a checkpoint is due by it,
    /// and progress.
    fn asked(&self, clock: &mut Stopwatch) -> [i64; 4] {
        let is_main = self.train.group().is_main();
        let signal = i64::from(self.stop.load(Ordering::Relaxed));
        let is_over = is_main && self.is_out_of_time();
        let save = is_main && clock.save_is_due_by_time(self.config.save_every);
        let report = is_main && clock.report_is_due();
        [signal, i64::from(is_over), i64::from(save), i64::from(report)]
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
