//! A run that stops by itself: as if by a signal, at a certain place.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::error::Result;
use crate::log::{Event, Sink};
use crate::train::StopSignal;

/// Where a run stops by itself, as if by a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopAfter {
    /// After so many batches of the whole run, where the logs keep each.
    Batches(u64),
    /// In the epoch after so many.
    Epochs(u64),
}

/// Asks the training to stop at a certain place.
pub(super) struct StopCallback {
    pub after: StopAfter,
    pub stop: Arc<StopSignal>,
}

impl Sink for StopCallback {
    fn on(&mut self, event: &Event) -> Result<()> {
        let is_there = match (self.after, event) {
            (StopAfter::Batches(batches), Event::Batch(batch)) => batch.step >= batches,
            (StopAfter::Epochs(epochs), Event::Epoch(epoch)) => epoch.epoch >= epochs,
            _ => false,
        };
        if is_there {
            self.stop.store(libc::SIGINT, Ordering::Relaxed);
        }
        Ok(())
    }
}
