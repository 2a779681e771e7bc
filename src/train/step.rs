//! One optimizer step, for the training loop and the range test alike.

use std::ops::Range;

use tch::Tensor;

use super::loss::{Loss, Targets};
use super::profile::{Phase, Profile, timed};
use super::{Optimizer, TrainConfig};
use crate::data::augment::{EpochChanges, Mixer};
use crate::data::batches::{DataLoader, Order};
use crate::distributed::{BatchScope, Rows};
use crate::error::Result;
use crate::metrics::BatchSums;
use crate::model::{Model, Outputs};
use crate::native;
use crate::rng::{Stream, derive};

/// What every step of a training uses.
#[derive(Clone, Copy)]
pub(super) struct Step<'a> {
    pub config: &'a TrainConfig,
    pub model: &'a Model,
    pub train: &'a DataLoader,
    pub loss: &'a Loss,
    pub profile: Option<&'a Profile>,
}

/// Where a step begins; all of it from 0.
#[derive(Debug, Clone, Copy)]
pub(super) struct StepStart {
    pub epoch: u64,
    /// Its first batch in the epoch.
    pub batch: u64,
    /// The batches that the run has seen before.
    pub batches_seen: u64,
}

/// A batch that the network was trained on, before the update.
pub(super) struct TrainedBatch {
    /// In the epoch, from 0.
    pub batch: u64,
    /// In the run, from 0.
    pub step: u64,
    /// The whole batch's share of the step's images, 0 to 1.
    pub share: f64,
    /// Which images of the loader, `i64 [B]`.
    pub numbers: Tensor,
    /// What the network saw, `u8 [B, H, W, C]`.
    pub images: Tensor,
    /// What it was to recognise.
    pub targets: Targets,
    /// What it computed.
    pub outputs: Outputs,
    /// Whether it counts: not where other processes have all images of the batch.
    pub is_counted: bool,
    /// The mean loss with penalties, a scalar.
    pub loss: Tensor,
    /// The sums of its metrics, where they are computed with the step.
    pub sums: Option<BatchSums>,
}

/// A batch that the network is to be trained on: see [`TrainedBatch`].
pub(super) struct Batch {
    pub numbers: Tensor,
    pub images: Tensor,
    pub targets: Targets,
}

/// What an epoch's steps have in common.
pub(super) struct EpochPlan {
    /// The order of the images; of several processes, the images that this one takes.
    order: Order,
    /// How each of them is changed; none where none is.
    changes: Option<EpochChanges>,
}

impl Step<'_> {
    /// The batches of the step that begins with `first`: as many as are accumulated, and fewer at the epoch's end.
    pub fn batches(&self, first: u64) -> Range<u64> {
        let end = first + self.config.accumulate.max(1) as u64;
        first..end.min(self.train.num_batches(self.config.batch_size))
    }

    /// The batches of an epoch.
    pub fn num_batches(&self) -> u64 {
        self.train.num_batches(self.config.batch_size)
    }

    /// What is decided once for `epoch` (from 0).
    pub fn plan(&self, epoch: u64) -> EpochPlan {
        let TrainConfig { shuffle, seed, batch_size, augment, .. } = self.config;
        let order = self.train.order(*shuffle, *seed, epoch);
        let order = order.shared(self.train.group(), *batch_size, !Mixer::new(augment).is_none());
        let size = self.train.image_shape().map(|shape| [shape.height, shape.width].map(|size| size as i64));
        let changes = size.and_then(|size| EpochChanges::new(augment, size, *seed, epoch));
        EpochPlan { order, changes }
    }

    /// One optimizer step: forward and backward for each of its batches, then the update. `on_batch` hears of each batch
    /// between its forward and its backward pass. Nothing here waits for a GPU; of several processes, each waits for the others.
    ///
    /// # Errors
    /// A data error where an image's file cannot be read, a device error where libtorch fails, and what `on_batch` returns.
    pub fn run(
        &self,
        optimizer: &mut Optimizer,
        plan: &EpochPlan,
        start: StepStart,
        learning_rate: f64,
        mut on_batch: impl FnMut(&TrainedBatch) -> Result<()>,
    ) -> Result<()> {
        let batches = self.batches(start.batch);
        let images_until = |batch: u64| self.train.num_images().min(batch as usize * self.config.batch_size);
        let num_images = images_until(batches.end) - images_until(batches.start);
        let group = self.train.group();
        for batch in batches.clone() {
            let batch_size = images_until(batch + 1) - images_until(batch);
            let rows = group.rows(batch_size);
            let scope = BatchScope::enter(group, rows, self.config.sync_batchnorm);
            let share = batch_size as f64 / num_images as f64;
            let trained = self.forward(plan, StepStart { batch, ..start }, batch - start.batch, share, rows)?;
            if trained.is_counted {
                timed(self.profile, Phase::Metrics, || on_batch(&trained))?;
            }
            let (share, is_last) = (share * rows.share(), batch + 1 == batches.end);
            timed(self.profile, Phase::Backward, || optimizer.add_gradient(&trained.loss, share, is_last))?;
            if let Some(scope) = scope {
                timed(self.profile, Phase::Communication, || {
                    optimizer.finish_gradient()?;
                    scope.share_moved()
                })?;
            }
        }
        timed(self.profile, Phase::Optimizer, || {
            optimizer.apply(learning_rate);
            self.model.apply_constraints();
        });
        Ok(())
    }

    /// The forward pass of the `rows` of batch `at.batch`, the step's batch `number` from 0.
    fn forward(&self, plan: &EpochPlan, at: StepStart, number: u64, share: f64, rows: Rows) -> Result<TrainedBatch> {
        let step = at.batches_seen + number;
        let Batch { numbers, images, targets } = self.begin_batch(plan, at.batch, step)?;
        let (outputs, loss) = timed(self.profile, Phase::Forward, || self.compute(&images, &targets))?;
        let is_counted = rows.count > 0;
        let batch = at.batch;
        Ok(TrainedBatch { batch, step, share, numbers, images, targets, outputs, is_counted, loss, sums: None })
    }

    /// The epoch's batch `batch`, for step `step`: draws from now on are those of the step.
    pub fn begin_batch(&self, plan: &EpochPlan, batch: u64, step: u64) -> Result<Batch> {
        self.seed(step)?; // dropout masks
        let (images, targets) = self.batch(plan, batch, step)?;
        let numbers = self.train.numbers_of(&plan.order, batch, self.config.batch_size);
        let numbers = numbers.narrow(0, 0, targets.labels.size()[0]);
        Ok(Batch { numbers, images, targets })
    }

    /// Which images the epoch's batch `batch` has and their labels, `i64 [B]` each on the device, for step `step`: draws from now on are
    /// those of the step. Of one process, whose images are not mixed.
    pub fn begin_unfetched(&self, plan: &EpochPlan, batch: u64, step: u64) -> Result<(Tensor, Tensor)> {
        self.seed(step)?;
        Ok(plan.order.batch(batch, self.config.batch_size))
    }

    /// The images numbered `numbers` and their labels, by two operators on the device: none where they are not there, or are changed
    /// before they are trained on.
    pub fn fetched(&self, plan: &EpochPlan, numbers: &Tensor) -> Option<(Tensor, Tensor)> {
        if plan.changes.is_some() { None } else { self.train.chosen(numbers) }
    }

    /// Has libtorch draw what step `step` draws.
    pub fn seed(&self, step: u64) -> Result<()> {
        native::manual_seed(derive(self.config.seed, Stream::Step(step)), self.model.device())
    }

    /// What the network makes of `images`, and the loss with penalties.
    pub fn compute(&self, images: &Tensor, targets: &Targets) -> Result<(Outputs, Tensor)> {
        let outputs = self.model.forward_batch(self.train, images, true)?;
        let loss = self.model.with_penalties(self.loss.loss(&outputs, targets));
        Ok((outputs, loss))
    }

    /// The images of the epoch's batch `batch`, augmented, `u8 [B, H, W, C]`, and what they are to be recognised as in step `step`.
    fn batch(&self, plan: &EpochPlan, batch: u64, step: u64) -> Result<(Tensor, Targets)> {
        let TrainConfig { batch_size, seed, augment, .. } = self.config;
        let EpochPlan { order, changes } = plan;
        let fetching = if self.train.is_streamed() { Phase::Waiting } else { Phase::Data };
        let (images, labels) = timed(self.profile, fetching, || self.train.batch_of(order, batch, *batch_size))?;
        let (mixed, labels) = timed(self.profile, Phase::Data, || {
            let images = match changes {
                Some(changes) => changes.apply(&images, order, order.range(batch, *batch_size)),
                None => images,
            };
            let mixer = Mixer::new(augment);
            if self.train.group().is_alone() || mixer.is_none() {
                return (mixer.mix(images, &labels, None, *seed, step), labels);
            }
            // this process's rows, and behind them those that they are mixed with
            let half = |all: &Tensor, number: i64| all.narrow(0, number * (all.size()[0] / 2), all.size()[0] / 2);
            let (own, partners) = (half(&labels, 0), (half(&images, 1), half(&labels, 1)));
            (mixer.mix(half(&images, 0), &own, Some(partners), *seed, step), own)
        });
        Ok((mixed.images, Targets { labels, others: mixed.others }))
    }
}
