//! The thread that computes: takes images from a model's queue, as many as wait, and answers them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::failure::Failure;
use super::models::{Job, Loaded, Served};
use crate::device;
use crate::error::{Error, Result};
use crate::predict::Prediction;

/// A thread that waits for its model, and then computes until the model's queue is closed and empty.
pub(super) struct Engine {
    model: mpsc::Sender<Arc<Served>>,
    thread: JoinHandle<()>,
}

/// How images are taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Batching {
    /// The most at once.
    pub max: usize,
    /// How long they wait for others that are coming.
    pub delay: Duration,
}

impl Engine {
    /// Starts the thread, with libtorch's settings as [`device::configure`] makes them.
    ///
    /// # Errors
    /// As [`device::configure`]; an internal error where the system gives no thread.
    pub fn start(num_threads: Option<usize>, batching: Batching) -> Result<Self> {
        let (model, models) = mpsc::channel::<Arc<Served>>();
        let (ready, is_ready) = mpsc::channel();
        let work = move || {
            let configured = device::configure(num_threads);
            if ready.send(configured).is_ok()
                && let Ok(served) = models.recv()
            {
                compute(&served, batching);
            }
        };
        let failed = |error: std::io::Error| Error::internal("cannot start the thread that computes").because(error);
        let thread = thread::Builder::new().name("predict".to_owned()).spawn(work).map_err(failed)?;
        is_ready.recv().map_err(|_| Error::internal("the thread that computes has ended"))??;
        Ok(Engine { model, thread })
    }

    /// Lets it compute for `served`.
    pub fn serve(&self, served: Arc<Served>) {
        // where the thread is gone, requests are answered that the model does not answer
        let _ = self.model.send(served);
    }

    /// Waits until it has answered all and ended; `served`'s queue has to be closed.
    pub fn end(self) {
        drop(self.model);
        let _ = self.thread.join();
    }
}

fn compute(served: &Served, batching: Batching) {
    let same_model = |a: &Job, b: &Job| Arc::ptr_eq(&a.model, &b.model);
    while let Some(mut jobs) = served.queue.take(batching.max, batching.delay, same_model) {
        // nobody waits for those
        jobs.retain(|job| !job.reply.is_closed());
        let Some(first) = jobs.first() else { continue };
        let model = Arc::clone(&first.model);
        let start = Instant::now();
        served.metrics.batch_images.note(jobs.len() as f64);
        served.metrics.images.fetch_add(jobs.len() as u64, Relaxed);
        answer(&model, jobs);
        served.metrics.batch_seconds.note(start.elapsed().as_secs_f64());
    }
}

/// Answers all of `jobs`, whose model is `model`. Where they fail together, each is tried by itself: one image's fault is not
/// the others'.
fn answer(model: &Loaded, jobs: Vec<Job>) {
    let together: Vec<u8> = jobs.iter().flat_map(|job| job.pixels.iter().copied()).collect();
    match (predicted(model, &together, jobs.len()), &*jobs) {
        (Ok(predictions), _) => {
            // a receiver that is gone wants nothing
            jobs.into_iter().zip(predictions).for_each(|(job, prediction)| drop(job.reply.send(Ok(prediction))));
        }
        (Err(error), [_]) => {
            let failure = Failure::from(error);
            jobs.into_iter().for_each(|job| drop(job.reply.send(Err(failure.clone()))));
        }
        (Err(_), _) => jobs.into_iter().for_each(|job| answer(model, vec![job])),
    }
}

/// What the model says of `count` images; an error, too, where it panics.
fn predicted(model: &Loaded, pixels: &[u8], count: usize) -> Result<Vec<Prediction>> {
    let outcome = catch_unwind(AssertUnwindSafe(|| model.predict(pixels, count)));
    outcome.unwrap_or_else(|_| Err(Error::internal("the model could not be computed")))
}
