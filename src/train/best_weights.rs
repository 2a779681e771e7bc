//! What a training keeps: checkpoints, and the weights that the model ends with.

use tch::Tensor;

use super::{
    CheckpointKind, Checkpoints, EarlyStopping, EarlyStoppingState, LastCheckpoint, LoopState, StopReason, Trainer,
};
use crate::error::Result;
use crate::log::{self, Event, Sinks};

impl Trainer<'_> {
    pub(super) fn save_within_epoch(&mut self, loop_state: &mut LoopState) -> Result<()> {
        self.check_numbers(loop_state)?;
        loop_state.last_checkpoint = self.save_last();
        Ok(())
    }

    /// Saves the last checkpoint.
    pub(super) fn save_last(&mut self) -> LastCheckpoint {
        let Trainer { checkpoints, margins, sinks, model, optimizer, state, config, .. } = self;
        let monitor = config.early_stopping.monitor;
        save(checkpoints.as_ref(), sinks, CheckpointKind::Last, |to| {
            to.save(CheckpointKind::Last, model, optimizer, margins.as_ref(), state, monitor)
        })
    }

    /// Keeps the epoch that is the best so far, on the disk and, where training is to end with them, in `best`.
    pub(super) fn keep_best(&mut self, best: &mut Option<Vec<Tensor>>) {
        let Trainer { checkpoints, sinks, model, optimizer, state, config, .. } = self;
        let EarlyStopping { monitor, restore_best, .. } = config.early_stopping;
        let averaged = optimizer.averaged();
        save(checkpoints.as_ref(), sinks, CheckpointKind::Best, |to| {
            to.save(CheckpointKind::Best, model, &averaged, None, state, monitor)
        });
        if restore_best {
            *best = Some(model.weights().iter().map(|weight| weight.tensor.detach().copy()).collect());
        }
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

    /// Gives the model the weights that it is to be used with, or to go on with where only a stage of the run ends.
    pub(super) fn choose_weights(&mut self, ending: StopReason, best: Option<Vec<Tensor>>) {
        if ending == StopReason::Stage {
            return;
        }
        let best = best.filter(|_| !matches!(ending, StopReason::Signal(_)));
        let Some(best) = best else { return self.optimizer.use_average() };
        for (weight, best) in self.model.weights().iter().zip(best) {
            tch::no_grad(|| weight.tensor.shallow_clone().copy_(&best));
        }
    }
}

/// Saves a checkpoint, after all that was told is on the disk; what became of it. A disk that does not take it is worth a
/// warning, not the training.
fn save(
    checkpoints: Option<&Checkpoints>,
    sinks: &mut Sinks,
    kind: CheckpointKind,
    save_to: impl FnOnce(&Checkpoints) -> Result<()>,
) -> LastCheckpoint {
    let Some(checkpoints) = checkpoints.filter(|checkpoints| !checkpoints.is_read_only()) else {
        return LastCheckpoint::None;
    };
    sinks.send(&Event::Saving);
    let saved = save_to(checkpoints);
    if let Err(error) = &saved {
        let kept = if checkpoints.json_path(kind).exists() { ", the checkpoint before is kept" } else { "" };
        sinks.send(&Event::Warning(format!("{}; training goes on{kept}", log::describe(error))));
    }
    if saved.is_ok() { LastCheckpoint::Saved } else { LastCheckpoint::Failed }
}
