//! Metrics added up over batches, divided once at the end.

use serde::{Deserialize, Serialize};
use tch::{Device, Tensor};

use crate::distributed::Group;
use crate::error::Result;
use crate::native::Reduction;

use super::metric::{BatchResult, Metric};
use super::scores::Scores;

/// Each metric's sum over the images so far.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(from = "StoredSums")]
pub struct Sums {
    /// The sums: the images' losses, how many are recognised, and so on.
    pub totals: Scores,
    /// Images.
    pub count: u64,
}

/// [`Sums`] in a checkpoint.
#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields, expecting = "expected sums of metrics, or of loss and hits")]
enum StoredSums {
    ByName {
        totals: Scores,
        count: u64,
    },
    /// Before there was a list of metrics.
    LossAndHits {
        loss: f64,
        hits: u64,
        count: u64,
    },
}

impl From<StoredSums> for Sums {
    fn from(stored: StoredSums) -> Self {
        match stored {
            StoredSums::ByName { totals, count } => Sums { totals, count },
            StoredSums::LossAndHits { loss, hits, count } => Sums { totals: Scores::new(loss, hits as f64), count },
        }
    }
}

impl Sums {
    /// The means. NaN where there are no images.
    pub fn scores(self) -> Scores {
        self.totals.map(|total| total / self.count as f64)
    }

    /// Images whose most probable class is the label.
    pub fn correct(self) -> u64 {
        self.totals.get(Metric::Accuracy).unwrap_or(0.0) as u64
    }
}

/// The sums of one batch, on the device.
#[derive(Debug)]
pub struct BatchSums {
    metrics: Vec<Metric>,
    /// In the order of `metrics`, `f64 [M]`.
    sums: Tensor,
    count: u64,
}

impl BatchSums {
    /// Of `metrics`.
    pub fn of(metrics: &[Metric], batch: &BatchResult) -> Self {
        let sums = tch::no_grad(|| {
            let sums: Vec<Tensor> = metrics.iter().map(|metric| (metric.definition().sum)(batch)).collect();
            Tensor::stack(&sums, 0)
        });
        BatchSums { metrics: metrics.to_vec(), sums, count: batch.num_images() as u64 }
    }

    /// What was added up.
    pub fn metrics(&self) -> &[Metric] {
        &self.metrics
    }

    /// `f64 [M]`, in the order of the metrics.
    pub fn sums(&self) -> &Tensor {
        &self.sums
    }

    /// The same, in the same memory.
    #[must_use]
    pub fn shallow_clone(&self) -> Self {
        BatchSums { metrics: self.metrics.clone(), sums: self.sums.shallow_clone(), count: self.count }
    }
}

/// [`Sums`] of the batches so far, kept on the device and read rarely.
#[derive(Debug)]
pub struct RunningSums {
    metrics: Vec<Metric>,
    /// In the order of `metrics`, `f64 [M]`: whole numbers are exact up to 2^53.
    totals: Tensor,
    count: u64,
}

impl RunningSums {
    /// Continues from `sums` on `device`, for a classifier of `num_classes` classes. A metric that `sums` of some images lack
    /// stays unknown: a sum of some of the images would be wrong.
    pub fn new(sums: Sums, num_classes: usize, device: Device) -> Self {
        let is_known = |metric: &Metric| sums.count == 0 || sums.totals.get(*metric).is_some();
        let metrics: Vec<Metric> = Metric::of(num_classes).filter(is_known).collect();
        let totals: Vec<f64> = metrics.iter().map(|metric| sums.totals.get(*metric).unwrap_or(0.0)).collect();
        RunningSums { metrics, totals: Tensor::from_slice(&totals).to_device(device), count: sums.count }
    }

    /// Adds a batch. Does not wait for the device.
    pub fn add(&mut self, batch: &BatchResult) {
        self.add_sums(&BatchSums::of(&self.metrics, batch));
    }

    /// Adds the sums of a batch, where they are of the metrics that are added up here: tells whether they are. Does not wait for the
    /// device.
    pub fn add_sums(&mut self, batch: &BatchSums) -> bool {
        let are_same = self.metrics == batch.metrics;
        if are_same {
            tch::no_grad(|| self.totals += &batch.sums);
            self.count += batch.count;
        }
        are_same
    }

    /// What is added up.
    pub fn metrics(&self) -> &[Metric] {
        &self.metrics
    }

    /// The same metrics without any images so far.
    #[must_use]
    pub fn emptied(mut self) -> Self {
        (self.totals, self.count) = (self.totals.zeros_like(), 0);
        self
    }

    /// Images so far.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The sums so far. Waits for the device, once.
    pub fn read(&self) -> Sums {
        self.sums_of(&self.totals, self.count)
    }

    /// The sums so far of all processes of `group`. Waits for the device and for the others.
    ///
    /// # Errors
    /// As [`Group::all_reduce`].
    pub fn read_all(&self, group: &Group) -> Result<Sums> {
        if group.is_alone() {
            return Ok(self.read());
        }
        let count = Tensor::from_slice(&[self.count as f64]).to_device(self.totals.device()); // exact up to 2^53
        let mut all = Tensor::cat(&[&self.totals, &count], 0);
        group.all_reduce(&mut all, Reduction::Sum)?;
        let metrics = self.metrics.len() as i64;
        let sums = self.sums_of(&all.narrow(0, 0, metrics), all.double_value(&[metrics]) as u64);
        group.check_intact()?;
        Ok(sums)
    }

    fn sums_of(&self, totals: &Tensor, count: u64) -> Sums {
        let totals = Vec::<f64>::try_from(totals).expect("a flat f64 tensor");
        Sums { totals: self.metrics.iter().copied().zip(totals).collect(), count }
    }
}

#[cfg(test)]
mod tests;
