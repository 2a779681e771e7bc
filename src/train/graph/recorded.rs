//! A step that was recorded, and what it reads and gives.

use tch::Tensor;

use super::super::Optimizer;
use super::super::epoch_meter::batch_sums;
use super::super::loss::Targets;
use super::super::step::{Batch, EpochPlan, Step, StepStart, TrainedBatch};
use super::check::Given;
use crate::error::Result;
use crate::metrics::{BatchSums, Metric};
use crate::model::Outputs;
use crate::native::{self, Graph, GraphFunctions};

/// A step of no run: its seed is another than that of any step which is done again.
const NO_STEP: u64 = u64::MAX;

/// A step on a whole batch, from the images, or their numbers, to the changed weights and the sums of the metrics. What differs from step to
/// step lies in tensors of its own, which it reads each time; what it gives is overwritten by the next time.
pub(in super::super) struct RecordedStep {
    graph: Graph,
    /// Which images it fetches from the device, `i64 [B]`; none where images and labels are copied to it.
    numbers: Option<Tensor>,
    /// `u8 [B, H, W, C]`, or features.
    images: Tensor,
    /// `i64 [B]`.
    labels: Tensor,
    /// The optimizer's, `f32 [N]`.
    optimizer_numbers: Tensor,
    computed: Computed,
}

/// What a step gives, beside what it changes.
struct Computed {
    outputs: Outputs,
    /// A scalar.
    loss: Tensor,
    sums: BatchSums,
}

impl RecordedStep {
    /// Records a step on batches like `batch` of epochs like `plan`'s. While that is done none of what differs from step to step is what a
    /// step has: numbers, or images and labels, are zeros, the optimizer's numbers are none, and the seed is no step's. What would be taken
    /// from them for ever shows.
    ///
    /// # Errors
    /// A device error where a step does what cannot be recorded.
    pub fn record(
        functions: &GraphFunctions,
        step: &Step,
        optimizer: &mut Optimizer,
        plan: &EpochPlan,
        batch: &Batch,
    ) -> Result<Self> {
        let is_fetched = step.fetched(plan, &batch.numbers.narrow(0, 0, 1)).is_some();
        let numbers = is_fetched.then(|| batch.numbers.zeros_like());
        let (images, labels) = (batch.images.zeros_like(), batch.targets.labels.zeros_like());
        let optimizer_numbers = optimizer.room_for_numbers();
        let metrics: Vec<Metric> = Metric::of(step.model.num_classes()).collect();
        step.seed(NO_STEP)?;
        let (graph, (images, labels, computed)) = functions.record(step.model.device(), || {
            let fetched = numbers.as_ref().and_then(|numbers| step.fetched(plan, numbers));
            let (images, labels) = fetched.unwrap_or((images, labels));
            let targets = Targets { labels: labels.shallow_clone(), others: None };
            let (outputs, loss) = step.compute(&images, &targets)?;
            let outputs = Outputs { values: outputs.values.detach(), ..outputs };
            let sums = batch_sums(&metrics, &outputs, &labels, &loss.detach());
            optimizer.add_gradient(&loss, 1.0, true)?;
            optimizer.apply_recorded(&optimizer_numbers);
            step.model.apply_constraints();
            Ok((images, labels, Computed { outputs, loss: loss.detach(), sums }))
        })?;
        Ok(RecordedStep { graph, numbers, images, labels, optimizer_numbers, computed })
    }

    /// The batch of the step at `start` of the epoch of `plan`, which is begun. Images that the step fetches itself are there once it is
    /// taken, until the next.
    ///
    /// # Errors
    /// A data error where an image's file cannot be read, a device error where libtorch fails.
    pub fn begin(&self, step: &Step, plan: &EpochPlan, start: StepStart) -> Result<Batch> {
        let (batch, number) = (start.batch, start.batches_seen);
        if self.numbers.is_none() {
            return step.begin_batch(plan, batch, number);
        }
        let (numbers, labels) = step.begin_unfetched(plan, batch, number)?;
        Ok(Batch { numbers, images: self.images.shallow_clone(), targets: Targets { labels, others: None } })
    }

    /// Takes the step on `batch` with the optimizer's `numbers` and the draws of libtorch's generator as it stands. Does not wait for the
    /// GPU.
    ///
    /// # Errors
    /// A device error where the GPU fails.
    pub fn replay(&mut self, batch: &Batch, numbers: &[f32]) -> Result<()> {
        match &mut self.numbers {
            Some(kept) => kept.copy_(&batch.numbers),
            None => {
                self.images.copy_(&batch.images);
                self.labels.copy_(&batch.targets.labels);
            }
        }
        native::set_numbers(&mut self.optimizer_numbers, numbers)?;
        self.graph.replay()
    }

    /// What the step gave last time, on images with these `labels`.
    pub(super) fn given(&self, labels: &Tensor) -> Given {
        let Computed { outputs, loss, sums } = &self.computed;
        let expected = batch_sums(sums.metrics(), outputs, labels, loss);
        Given {
            outputs: outputs.values.shallow_clone(),
            loss: loss.shallow_clone(),
            sums: [sums, &expected].map(|sums| sums.sums().shallow_clone()),
        }
    }

    /// `batch`, which the step at `start` was taken on. The outputs are those until the step behind it.
    pub fn trained(&self, batch: Batch, start: StepStart) -> TrainedBatch {
        let Batch { numbers, images, targets } = batch;
        let Computed { outputs: Outputs { values, kind, form }, loss, sums } = &self.computed;
        let mut own_loss = loss.empty_like();
        own_loss.copy_(loss); // it is looked at some steps later
        TrainedBatch {
            batch: start.batch,
            step: start.batches_seen,
            share: 1.0,
            numbers,
            images,
            targets,
            outputs: Outputs { values: values.shallow_clone(), kind: *kind, form: *form },
            is_counted: true,
            loss: own_loss,
            sums: Some(sums.shallow_clone()),
        }
    }
}
