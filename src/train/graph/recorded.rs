//! A step that was recorded, and what it reads and gives.

use tch::Tensor;

use super::super::Optimizer;
use super::super::loss::Targets;
use super::super::step::{Batch, Step, StepStart, TrainedBatch};
use crate::error::Result;
use crate::model::Outputs;
use crate::native::{self, Graph, GraphFunctions};

/// A step of no run: its seed is another than that of any step which is done again.
const NO_STEP: u64 = u64::MAX;

/// A step on a whole batch, from the images to the changed weights. What differs from step to step lies in tensors of its own, which it
/// reads each time; what it gives is overwritten by the next time.
pub(in super::super) struct RecordedStep {
    graph: Graph,
    /// `u8 [B, H, W, C]`, or features.
    images: Tensor,
    /// `i64 [B]`.
    labels: Tensor,
    /// The optimizer's, `f32 [N]`.
    numbers: Tensor,
    outputs: Outputs,
    /// A scalar.
    loss: Tensor,
}

impl RecordedStep {
    /// Records a step on batches like `batch`. While that is done none of what differs from step to step is what a step has: images and
    /// labels are zeros, the optimizer's numbers are none, and the seed is no step's. What would be taken from them for ever shows.
    ///
    /// # Errors
    /// A device error where a step does what cannot be recorded.
    pub fn record(functions: &GraphFunctions, step: &Step, optimizer: &mut Optimizer, batch: &Batch) -> Result<Self> {
        let (images, labels) = (batch.images.zeros_like(), batch.targets.labels.zeros_like());
        let numbers = optimizer.room_for_numbers();
        step.seed(NO_STEP)?;
        let (graph, (outputs, loss)) = functions.record(step.model.device(), || {
            let targets = Targets { labels: labels.shallow_clone(), others: None };
            let (outputs, loss) = step.compute(&images, &targets)?;
            optimizer.add_gradient(&loss, 1.0, true)?;
            optimizer.apply_recorded(&numbers);
            step.model.apply_constraints();
            Ok((Outputs { values: outputs.values.detach(), ..outputs }, loss.detach()))
        })?;
        Ok(RecordedStep { graph, images, labels, numbers, outputs, loss })
    }

    /// Takes the step on `batch` with the optimizer's `numbers` and the draws of libtorch's generator as it stands. Does not wait for the
    /// GPU.
    ///
    /// # Errors
    /// A device error where the GPU fails.
    pub fn replay(&mut self, batch: &Batch, numbers: &[f32]) -> Result<()> {
        self.images.copy_(&batch.images);
        self.labels.copy_(&batch.targets.labels);
        native::set_numbers(&mut self.numbers, numbers)?;
        self.graph.replay()
    }

    /// What the network and the loss gave last time.
    pub fn outputs(&self) -> [&Tensor; 2] {
        [&self.outputs.values, &self.loss]
    }

    /// `batch`, which the step at `start` was taken on. The outputs are those until the next step.
    pub fn trained(&self, batch: Batch, start: StepStart) -> TrainedBatch {
        let Batch { numbers, images, targets } = batch;
        let Outputs { values, kind, form } = &self.outputs;
        TrainedBatch {
            batch: start.batch,
            step: start.batches_seen,
            share: 1.0,
            numbers,
            images,
            targets,
            outputs: Outputs { values: values.shallow_clone(), kind: *kind, form: *form },
            is_counted: true,
            loss: self.loss.copy(), // it is looked at some steps later
        }
    }
}
