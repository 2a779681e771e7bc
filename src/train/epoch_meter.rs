//! The sums of an epoch under way, and the losses that were not looked at yet.

use tch::{Device, Kind, Tensor};

use super::nan_check::{self, PendingLoss};
use super::step::TrainedBatch;
use crate::distributed::Group;
use crate::error::Result;
use crate::metrics::{BatchResult, BatchSums, Metric, RunningSums, Sums};
use crate::model::{Model, Outputs};

/// The sums of `metrics` of a batch: of its `outputs`, `labels` (`i64 [B]`) and mean `loss` (a scalar).
pub(super) fn batch_sums(metrics: &[Metric], outputs: &Outputs, labels: &Tensor, loss: &Tensor) -> BatchSums {
    let (classes, ranking) = (&outputs.classes(), &|| outputs.ranking());
    BatchSums::of(metrics, &BatchResult { loss, classes, ranking, labels })
}

/// Adds up an epoch's metrics on the device, and finds the batch at which the loss stopped being finite.
pub(super) struct EpochMeter {
    sums: RunningSums,
    pending: Vec<PendingLoss>,
    group: Group,
}

impl EpochMeter {
    /// Continues from the `sums` of an epoch that was interrupted. Of the processes of `group`, the main one has them.
    pub fn new(sums: Sums, model: &Model, group: &Group) -> Self {
        let sums = RunningSums::new(sums, model.num_classes(), model.device());
        let sums = if group.is_main() { sums } else { sums.emptied() };
        EpochMeter { sums, pending: Vec::new(), group: group.clone() }
    }

    /// Adds a batch of epoch `epoch` (from 1). Its loss is checked when the device is waited for. On the CPU, where nothing
    /// waits, it is checked at once, before its gradient spoils the weights.
    ///
    /// # Errors
    /// A numeric error where the loss is not finite.
    pub fn add(&mut self, model: &Model, epoch: u64, batch: &TrainedBatch, learning_rate: f64) -> Result<()> {
        let is_added = batch.sums.as_ref().is_some_and(|sums| self.sums.add_sums(sums));
        if !is_added {
            let of_batch = batch_sums(self.sums.metrics(), &batch.outputs, batch.targets.dominant(), &batch.loss);
            self.sums.add_sums(&of_batch);
        }
        let is_on_cpu = model.device() == Device::Cpu;
        self.pending.push(PendingLoss {
            batch: batch.batch + 1,
            step: batch.step + 1,
            learning_rate,
            loss: batch.loss.detach(),
            // elsewhere the weights will have changed when it is looked at; and features are no images
            images: (is_on_cpu && batch.images.kind() == Kind::Uint8).then(|| batch.images.shallow_clone()),
        });
        if is_on_cpu { self.read_own(model, epoch).map(drop) } else { Ok(()) }
    }

    /// The sums so far, of all processes. Waits for the device and for the others.
    ///
    /// # Errors
    /// A numeric error where the loss is not finite, and what another process failed at.
    pub fn read(&mut self, model: &Model, epoch: u64) -> Result<Sums> {
        let own = self.read_own(model, epoch)?; // the one time that the device is waited for, where there is one process
        if self.group.is_alone() { Ok(own) } else { self.sums.read_all(&self.group) }
    }

    /// This process's sums so far.
    fn read_own(&mut self, model: &Model, epoch: u64) -> Result<Sums> {
        let sums = self.sums.read();
        if !sums.totals.loss().is_finite() {
            return Err(nan_check::loss_error(model, &self.pending, epoch, sums));
        }
        self.pending.clear();
        Ok(sums)
    }
}
