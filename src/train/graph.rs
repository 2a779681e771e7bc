//! Steps on a GPU by one launch each: a step is recorded once as a CUDA graph and done again for every whole batch.
//!
//! Augmentation, batches that are not whole, the first steps and the margins of single images stay outside. Nothing is trusted: once it is recorded, two
//! steps are computed both ways from the same weights and state, and where they differ, or anything fails, the training goes on with
//! what the plain steps gave, without the graph.

mod check;
mod recorded;

use tch::Device;

use super::Optimizer;
use super::step::{EpochPlan, Step, StepStart, TrainedBatch};
use crate::data::augment::Mixer;
use crate::device::libraries;
use crate::error::Result;
use crate::native::{self, GraphFunctions, Symbol};
use check::{Seen, Snapshot};
use recorded::RecordedStep;

/// Plain steps before one is recorded: libtorch's libraries prepare themselves in the first ones, which cannot be recorded.
const FIRST_STEPS: u64 = 3;
/// Steps that are computed both ways.
const CHECKED_STEPS: u64 = 2;

/// How a training's steps are done.
pub(super) enum Graph {
    /// Plainly.
    Off,
    /// Plainly for so many more whole batches, at least one.
    Waiting(u64, GraphFunctions),
    /// Both ways for so many more whole batches, at least one; by what is recorded, where something is yet.
    Checking(u64, GraphFunctions, Option<Box<RecordedStep>>),
    /// By one launch for each whole batch.
    Trusted(Box<RecordedStep>),
}

/// A step to be taken.
#[derive(Clone, Copy)]
pub(super) struct Next<'a> {
    pub plan: &'a EpochPlan,
    pub start: StepStart,
    pub learning_rate: f64,
}

/// Hears of a batch.
type OnBatch<'a> = &'a mut dyn FnMut(&TrainedBatch) -> Result<()>;

impl Graph {
    /// For the steps of a training that are like `step`: none where it is not wanted or cannot be, with why in a sentence, which
    /// of several processes the main one says. That it belongs to CUDA is the settings' to say.
    pub fn new(step: &Step) -> (Self, Option<String>) {
        if !step.config.cuda_graph || step.model.device() == Device::Cpu {
            return (Graph::Off, None);
        }
        match obstacle(step).map_or_else(functions, |why| Err(why.to_owned())) {
            Ok(functions) => (Graph::Waiting(FIRST_STEPS, functions), None),
            Err(why) => {
                let sentence = || format!("`cuda_graph` has no effect: {why}");
                (Graph::Off, step.train.group().is_main().then(sentence))
            }
        }
    }

    /// As [`Step::run`]; a sentence where steps are plain from now on.
    pub fn run(
        &mut self,
        step: &Step,
        optimizer: &mut Optimizer,
        next: Next,
        on_batch: OnBatch,
    ) -> Result<Option<String>> {
        let is_usual = is_whole(step, next.start.batch) && optimizer.next_step_is_usual();
        match std::mem::replace(self, Graph::Off) {
            kept if !is_usual => {
                *self = kept;
                plainly(step, optimizer, next, on_batch)?;
            }
            Graph::Off => plainly(step, optimizer, next, on_batch)?,
            Graph::Waiting(more, functions) => {
                plainly(step, optimizer, next, on_batch)?;
                *self = match more {
                    0 | 1 => Graph::Checking(CHECKED_STEPS, functions, None),
                    more => Graph::Waiting(more - 1, functions),
                };
            }
            Graph::Checking(more, functions, recorded) => {
                match both_ways(step, optimizer, next, on_batch, &functions, recorded)? {
                    Ok(recorded) if more > 1 => *self = Graph::Checking(more - 1, functions, Some(recorded)),
                    Ok(recorded) => *self = Graph::Trusted(recorded),
                    Err(why) => return Ok(Some(format!("{why}; training goes on without `cuda_graph`"))),
                }
            }
            Graph::Trusted(mut recorded) => {
                let batch = recorded.begin(step, next.plan, next.start)?;
                optimizer.count_step();
                recorded.replay(&batch, &optimizer.recorded_numbers(next.learning_rate))?;
                on_batch(&recorded.trained(batch, next.start))?;
                *self = Graph::Trusted(recorded);
            }
        }
        Ok(None)
    }
}

fn plainly(step: &Step, optimizer: &mut Optimizer, next: Next, on_batch: OnBatch) -> Result<()> {
    step.run(optimizer, next.plan, next.start, next.learning_rate, on_batch)
}

/// Takes a step plainly, and again from where it began by what is `recorded`, which is done first where nothing is yet. What the plain
/// step gave stays. Waits for the GPU.
///
/// Gives the recorded step, or why it cannot be used, a sentence.
fn both_ways(
    step: &Step,
    optimizer: &mut Optimizer,
    next: Next,
    on_batch: OnBatch,
    functions: &GraphFunctions,
    recorded: Option<Box<RecordedStep>>,
) -> Result<Result<Box<RecordedStep>, String>> {
    let before = Snapshot::take(step.model, optimizer);
    let mut seen = None;
    plainly(step, optimizer, next, &mut |batch| {
        seen = Some(Seen::of(batch));
        on_batch(batch)
    })?;
    let seen = seen.expect("a step of one process has a batch");
    let after = Snapshot::take(step.model, optimizer);
    before.put_back();
    let again = native::guarded(|| {
        let mut recorded = match recorded {
            Some(recorded) => recorded,
            None => Box::new(RecordedStep::record(functions, step, optimizer, next.plan, &seen.batch)?),
        };
        step.seed(next.start.batches_seen)?;
        recorded.replay(&seen.batch, &optimizer.recorded_numbers(next.learning_rate))?;
        Ok((after.fault_of_now(&before, &seen, recorded.given(&seen.batch.targets.labels)), recorded))
    });
    optimizer.forget_gradient();
    after.put_back();
    Ok(match again {
        Ok((None, recorded)) => Ok(recorded),
        Ok((Some(fault), _)) => Err(format!("the recorded step is not the plain one: {fault}")),
        Err(error) => Err(format!("the step cannot be recorded: {}", error.reason())),
    })
}

/// Whether `batch` of an epoch is as large as the others.
fn is_whole(step: &Step, batch: u64) -> bool {
    (batch as usize + 1).saturating_mul(step.config.batch_size) <= step.train.num_images()
}

/// What keeps the steps of a training from being recorded, in words.
fn obstacle(step: &Step) -> Option<&'static str> {
    let Step { config, train, profile, .. } = step;
    let obstacles = [
        (!train.group().is_alone(), "it belongs to a run in one process"),
        (config.accumulate > 1, "with `accumulate` a step has several batches"),
        (!Mixer::new(&config.augment).is_none(), "mixup and cutmix mix in other shares in each step"),
        (profile.is_some(), "a profile takes the parts of a step apart"),
        (!is_whole(step, 0), "a batch of `batch_size` has more images than there are"),
    ];
    obstacles.into_iter().find_map(|(is_there, why)| is_there.then_some(why))
}

/// Those of the libtorch that computes, or why there are none.
fn functions() -> Result<GraphFunctions, String> {
    let library = libraries::cuda_half().map_err(|reason| reason.to_string())?;
    // SAFETY: it is the CUDA half of the libtorch that this program runs on, and stays.
    unsafe { GraphFunctions::new(|name| library.symbol::<Symbol>(name)) }
}
