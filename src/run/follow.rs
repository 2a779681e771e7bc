//! The part in a training of the processes that are not the main one.

use super::execute::{Ready, Run};
use super::processes::{self, Trained};
use super::resume;
use crate::error::Result;
use crate::train::{Checkpoints, Margins, StopReason};

impl Run {
    /// The part of a process that is not the main one: it trains and evaluates with the others, and writes nothing.
    ///
    /// # Errors
    /// As [`Run::execute`], and what another process failed at.
    pub fn follow(mut self) -> Result<StopReason> {
        let Ready { selected, data, state, is_resumed, mut network, images, labels, .. } = self.prepare()?;
        let trained = Trained { data: &data, model: &network.model, state: &state };
        processes::agree(&self.group, &self.config, trained, &mut self.sinks)?;
        let mut margins = Margins::new(images.train.num_images(), selected.device).shared_by(&self.group);
        let resumed = self.resume.take();
        let folder = resumed.map(|resume| resume.folder.checkpoints()).unwrap_or_default();
        let checkpoints = Checkpoints::new(&folder, &labels).read_only();
        if is_resumed {
            resume::restore(&self.config, &checkpoints, &state, &mut network.optimizer, &mut margins)?;
        }
        let group = self.group.clone();
        group.wait_for_all("the start")?;
        let fitted = self.fit(network, state, margins, &images, &checkpoints, None)?;
        if !matches!(fitted.outcome.ending, StopReason::Signal(_)) {
            images.measure(&fitted.model, &mut self.sinks)?;
        }
        processes::shares(&group, fitted.work)?;
        Ok(fitted.outcome.ending)
    }
}
