//! What a training keeps: checkpoints, and the weights that the model ends with.

use tch::Tensor;

use super::{CheckpointKind, EarlyStopping, EarlyStoppingState, LastCheckpoint, LoopState, StopReason, Trainer};
use crate::error::Result;
use crate::log::{self, Event};

impl Trainer<'_> {
    pub(super) fn save_within_epoch(&mut self, session: &mut LoopState) -> Result<()> {
        self.check_numbers(session)?;
        session.last_checkpoint = self.save(CheckpointKind::Last);
        Ok(())
    }

    /// Saves a checkpoint, after all that was told is on the disk; what became of it. A disk that does not take it is
    /// worth a warning, not the training.
    pub(super) fn save(&mut self, which: CheckpointKind) -> LastCheckpoint {
        let Some(checkpoints) = &self.checkpoints else { return LastCheckpoint::None };
        self.sinks.send(&Event::Saving);
        let monitor = self.config.early_stopping.monitor;
        let saved = checkpoints.save(which, self.model, &self.optimizer, &self.state, monitor);
        if let Err(error) = &saved {
            let kept = if checkpoints.json_path(which).exists() { ", the checkpoint before is kept" } else { "" };
            self.sinks.send(&Event::Warning(format!("{}; training goes on{kept}", log::describe(error))));
        }
        if saved.is_ok() { LastCheckpoint::Saved } else { LastCheckpoint::Failed }
    }

    /// The best epoch's weights of a run that is resumed. Where the best checkpoint is newer than the last one (the run was
    /// killed between the two), training comes to that epoch again.
    pub(super) fn recall_best(&mut self) -> Option<Vec<Tensor>> {
        let EarlyStopping { restore_best, monitor, .. } = self.config.early_stopping;
        let (true, Some(best), Some(checkpoints)) = (restore_best, self.state.watch.best, &self.checkpoints) else {
            return None;
        };
        let why = match checkpoints.best_weights(self.model, monitor) {
            Ok((weights, Some(value))) if value == best => return Some(weights),
            Ok((_, Some(value))) if monitor.is_better(value, Some(best), 0.0) => return None,
            Ok((_, value)) => format!("the best checkpoint is of another {monitor} ({value:?}, not {best})"),
            Err(error) => log::describe(&error),
        };
        self.sinks.send(&Event::Warning(format!("{why}; the best epoch is looked for again from here")));
        self.state.watch = EarlyStoppingState::default();
        None
    }

    /// Gives the model the weights that it is to be used with.
    pub(super) fn choose_weights(&mut self, ending: StopReason, best: Option<Vec<Tensor>>) {
        let best = best.filter(|_| !matches!(ending, StopReason::Signal(_)));
        let Some(best) = best else { return self.optimizer.swap_average() };
        for (weight, best) in self.model.weights().iter().zip(best) {
            tch::no_grad(|| weight.tensor.shallow_clone().copy_(&best));
        }
    }
}
