//! Evaluates a model on labelled images: metrics, confusion matrix, scores of each class, calibration.

mod calibration;
mod curves;
pub mod paired;
mod per_class;
mod predictions;
pub mod stored;

use tch::{Kind, Tensor};

use crate::data::batches::DataLoader;
use crate::distributed::Rows;
use crate::error::{Error, Result};
use crate::metrics::{BatchResult, Metric, RunningSums, Sums, in_top_k, wilson_interval};
use crate::model::Model;
use crate::native::{self, Reduction};

pub use calibration::{CalibrationReport, calibrate, fit_temperature};
pub use curves::{average_precision, precision_recall, roc_auc};
pub use per_class::{ClassReport, ClassScores, MeanScores};
pub use predictions::Predictions;

use predictions::Collector;

/// The result of an evaluation.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Each metric's sum over the images.
    pub sums: Sums,
    /// How many of the most probable classes count for [`Evaluation::top_k_accuracy`].
    pub top_k: usize,
    /// Images whose label is among the `top_k` most probable classes.
    pub top_k_hits: u64,
    /// `[K][K]`: images by true class (row) and predicted class (column).
    pub confusion: Vec<Vec<u64>>,
}

/// Evaluates `model` on all `samples`, as Keras's `evaluate` does. The loss includes what the weights' regularisers add, as in Keras. `top_k` is cut to the
/// number of classes.
///
/// # Errors
/// A model error where the network is not a classifier; a data error where an image's file cannot be read; a numeric one
/// where the loss is not finite; a device error where libtorch fails.
pub fn evaluate(model: &Model, samples: &DataLoader, top_k: usize) -> Result<Evaluation> {
    evaluate_smoothed(model, samples, top_k, 0.0, |_| {})
}

/// As [`evaluate`], the loss with labels smoothed as in training: what Keras's validation computes. After each batch,
/// `on_batch` gets the number of images that are done.
///
/// # Errors
/// As [`evaluate`].
pub fn evaluate_smoothed(
    model: &Model,
    samples: &DataLoader,
    top_k: usize,
    smoothing: f64,
    on_batch: impl FnMut(u64),
) -> Result<Evaluation> {
    native::guarded(|| run_over(model, samples, top_k, smoothing, None, on_batch))
}

/// As [`evaluate_smoothed`], and what the model says about each image.
///
/// # Errors
/// As [`evaluate`].
pub fn evaluate_images(
    model: &Model,
    samples: &DataLoader,
    top_k: usize,
    smoothing: f64,
    on_batch: impl FnMut(u64),
) -> Result<(Evaluation, Predictions)> {
    let first = own_batches(model, samples).first * model.inference_batch_size();
    let mut collector = Collector::new(samples.num_images(), first);
    let evaluation = native::guarded(|| run_over(model, samples, top_k, smoothing, Some(&mut collector), on_batch))?;
    Ok((evaluation, collector.finish(model.num_classes())))
}

/// Which batches of `samples` are this process's: neighbours, so that images are decoded ahead.
fn own_batches(model: &Model, samples: &DataLoader) -> Rows {
    samples.group().rows(samples.num_batches(model.inference_batch_size()) as usize)
}

fn run_over(
    model: &Model,
    samples: &DataLoader,
    top_k: usize,
    smoothing: f64,
    mut collector: Option<&mut Collector>,
    mut on_batch: impl FnMut(u64),
) -> Result<Evaluation> {
    let num_classes = model.num_classes();
    let top_k = top_k.clamp(1, num_classes);
    let device = samples.device();
    let mut sums = RunningSums::new(Sums::default(), num_classes, device);
    let mut confusion = Tensor::zeros([(num_classes * num_classes) as i64], (Kind::Int64, device));
    let mut top_k_hits = Tensor::zeros([], (Kind::Int64, device));
    let (group, batches) = (samples.group(), own_batches(model, samples));
    tch::no_grad(|| -> Result<()> {
        // any number gives the same sums up to rounding
        let batch_size = model.inference_batch_size();
        for index in batches.computed() {
            let (images, labels) = samples.batch(index as u64, batch_size)?;
            let outputs = model.forward_batch(samples, &images, false)?;
            if batches.count == 0 {
                collector.iter_mut().for_each(|collector| collector.make_room(&outputs));
                break; // other processes have all images
            }
            let loss = model.with_penalties(outputs.loss(&labels, smoothing));
            let classes = outputs.classes(); // i64 [B]
            let ranking = || outputs.ranking(); // f32 [B, K]
            sums.add(&BatchResult { loss: &loss, classes: &classes, ranking: &ranking, labels: &labels });
            let cells = &labels * num_classes as i64 + classes; // i64 [B]
            let _ = confusion.index_add_(0, &cells, &cells.ones_like());
            top_k_hits += in_top_k(&ranking(), &labels, top_k as i64).sum(Kind::Int64);
            if let Some(collector) = &mut collector {
                collector.add(&outputs, &labels, &outputs.losses(&labels, smoothing));
            }
            on_batch((sums.count() * group.size() as u64).min(samples.num_images() as u64));
        }
        group.all_reduce(&mut confusion, Reduction::Sum)?;
        group.all_reduce(&mut top_k_hits, Reduction::Sum)?;
        collector.map_or(Ok(()), |collector| collector.share(group))
    })?;
    // the reads below wait for the device
    let cells = Vec::<i64>::try_from(confusion).expect("a flat i64 tensor");
    let rows = cells.chunks(num_classes).map(|row| row.iter().map(|&count| count as u64).collect());
    let top_k_hits = top_k_hits.int64_value(&[]) as u64;
    let sums = sums.read_all(group)?;
    if !sums.totals.loss().is_finite() {
        return Err(Error::numeric("the loss over the images to evaluate is not finite")
            .expected("a number")
            .got(sums.scores().loss())
            .help("an output of the network is not finite: look at its weights and at `input_scale`"));
    }
    Ok(Evaluation { sums, top_k, top_k_hits, confusion: rows.collect() })
}

impl Evaluation {
    /// The share of images whose label is among the `top_k` most probable classes.
    pub fn top_k_accuracy(&self) -> f64 {
        self.top_k_hits as f64 / self.sums.count as f64
    }

    /// Wilson's 95 % interval of the accuracy.
    pub fn accuracy_interval(&self) -> [f64; 2] {
        wilson_interval(self.sums.correct(), self.sums.count)
    }

    /// What each metric is called, and its value as people read it: the accuracy with its interval.
    pub fn scores_text(&self) -> impl Iterator<Item = (&'static str, String)> {
        let [low, high] = self.accuracy_interval();
        self.sums.scores().iter().map(move |(metric, value)| {
            let interval = match metric == Metric::Accuracy {
                true => format!(" (95 % interval {low:.4} to {high:.4})"),
                false => String::new(),
            };
            (metric.definition().label, format!("{value:.4}{interval}"))
        })
    }
}

#[cfg(test)]
mod tests;
