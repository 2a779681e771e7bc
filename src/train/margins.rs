//! How far the label of each training image was ahead of the other classes while it was trained on: the area under the margin
//! (Pleiss et al. 2020, "Identifying Mislabeled Data using the Area Under the Margin Ranking", NeurIPS).
//!
//! The margin of an image in an epoch is the logit of its label minus the largest of the others, as the network was just before
//! the step that learns from it; the area under it is the mean over the epochs. Images whose label is wrong have small ones: what
//! the other images teach contradicts it.

use tch::{Device, Kind, Tensor};

use super::step::TrainedBatch;
use crate::error::{Error, Result};
use crate::model::Outputs;

/// How many logits wait on the device until they are counted together, at most: 16 MiB. So a step costs no operator.
const MAX_WAITING: usize = 4 << 20;
/// The rows of the stored form.
const ROWS: usize = 4;

/// Sums over the epochs so far, on the device, for each of the N training images in the loader's order.
#[derive(Debug)]
pub struct Margins {
    /// Of the margins, `f32 [N]`.
    sums: Tensor,
    /// How many margins they are, `f32 [N]`: exact up to 2^24.
    counts: Tensor,
    /// The class that was the strongest of the others most often, see [`ImageMargins::rivals`], `f32 [N]`.
    rivals: Tensor,
    /// By how many epochs it leads, `f32 [N]`.
    leads: Tensor,
    waiting: Vec<Waiting>,
    num_waiting: usize,
}

/// A batch that is not counted yet.
#[derive(Debug)]
struct Waiting {
    /// Which images, `i64 [B]`.
    numbers: Tensor,
    /// `i64 [B]`.
    labels: Tensor,
    outputs: Outputs,
}

/// What [`Margins`] says of each image, on the host.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ImageMargins {
    /// The mean margin in logits; not a number where no epoch counted.
    pub means: Vec<f32>,
    /// How many epochs counted.
    pub counts: Vec<u32>,
    /// The class that was the strongest of the others in most epochs; where none was in more than half of them, one of the frequent
    /// ones (the majority vote of Boyer and Moore 1981, which needs no memory for each class).
    pub rivals: Vec<usize>,
}

impl Margins {
    /// Of `num_images` images, none of which was counted.
    pub fn new(num_images: usize, device: Device) -> Self {
        let zeros = || Tensor::zeros([num_images as i64], (Kind::Float, device));
        let (sums, counts, rivals, leads) = (zeros(), zeros(), zeros(), zeros());
        Margins { sums, counts, rivals, leads, waiting: Vec::new(), num_waiting: 0 }
    }

    /// Adds a batch that was trained on. Images that were mixed with others (mixup, cutmix) do not count: they have two labels.
    /// Nothing here waits for the device.
    pub(super) fn add(&mut self, batch: &TrainedBatch) {
        if batch.targets.others.is_some() {
            return;
        }
        let Outputs { values, kind, form } = &batch.outputs;
        self.num_waiting += values.numel();
        let outputs = Outputs { values: values.detach(), kind: *kind, form: *form };
        let [numbers, labels] = [&batch.numbers, &batch.targets.labels].map(Tensor::shallow_clone);
        self.waiting.push(Waiting { numbers, labels, outputs });
        if self.num_waiting > MAX_WAITING {
            self.count();
        }
    }

    /// Counts the batches that wait. No image may be among them twice: it is called at each epoch's end.
    pub(super) fn count(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        self.num_waiting = 0;
        let Some(Waiting { outputs: Outputs { kind, form, .. }, .. }) = waiting.first() else { return };
        let joined = |part: fn(&Waiting) -> &Tensor| Tensor::cat(&waiting.iter().map(part).collect::<Vec<_>>(), 0);
        let (numbers, labels) = (joined(|batch| &batch.numbers), joined(|batch| &batch.labels)); // i64 [M]
        let outputs = Outputs { values: joined(|batch| &batch.outputs.values), kind: *kind, form: *form };
        tch::no_grad(|| {
            let (margins, rivals) = outputs.margins(&labels);
            let _ = self.sums.index_add_(0, &numbers, &margins);
            let _ = self.counts.index_add_(0, &numbers, &margins.ones_like());
            self.vote(&numbers, &rivals.to_kind(Kind::Float));
        });
    }

    /// The vote of an epoch, for `rivals` (`f32 [M]`) of the images `numbers` (`i64 [M]`).
    fn vote(&mut self, numbers: &Tensor, rivals: &Tensor) {
        let [before, leads] = [&self.rivals, &self.leads].map(|all| all.index_select(0, numbers)); // f32 [M]
        let is_free = leads.eq(0.0);
        let gains = before.eq_tensor(rivals).logical_or(&is_free);
        let leads = (&leads + 1.0).where_self(&gains, &(&leads - 1.0));
        let _ = self.rivals.index_copy_(0, numbers, &rivals.where_self(&is_free, &before));
        let _ = self.leads.index_copy_(0, numbers, &leads);
    }

    /// All of it as one tensor for a checkpoint, `f32 [4, N]`, once nothing waits.
    pub(super) fn to_tensor(&self) -> Tensor {
        Tensor::stack(&[&self.sums, &self.counts, &self.rivals, &self.leads], 0)
    }

    /// Goes on from a checkpoint's tensor.
    ///
    /// # Errors
    /// A model error where it is of another number of images.
    pub(super) fn restore(&mut self, stored: &Tensor) -> Result<()> {
        let expected = [ROWS as i64, self.sums.size()[0]];
        if stored.size() != expected {
            return Err(Error::model("the checkpoint's margins are of other images")
                .expected(format!("{expected:?} numbers"))
                .got(format!("{:?}", stored.size()))
                .help("start a new run"));
        }
        for (row, kept) in (0..).zip([&mut self.sums, &mut self.counts, &mut self.rivals, &mut self.leads]) {
            kept.copy_(&stored.select(0, row));
        }
        Ok(())
    }
}

impl ImageMargins {
    /// Of a checkpoint's tensor, of `num_classes` classes.
    ///
    /// # Errors
    /// A model error where it cannot be such a tensor.
    pub(super) fn of_tensor(stored: &Tensor, num_classes: usize) -> Result<Self> {
        let rows: Vec<Vec<f32>> = match stored.size()[..] {
            [rows, _] if rows == ROWS as i64 => {
                let row = |row| Vec::try_from(stored.select(0, row).contiguous()).expect("a flat f32 tensor");
                (0..rows).map(row).collect()
            }
            _ => return Err(damaged().got(format!("a tensor of shape {:?}", stored.size()))),
        };
        let is_whole = |value: &f32| *value >= 0.0 && value.fract() == 0.0;
        let are_classes = rows[2].iter().all(|rival| is_whole(rival) && (*rival as usize) < num_classes);
        if !are_classes || !rows[1].iter().all(is_whole) || !rows[0].iter().all(|sum| sum.is_finite()) {
            return Err(damaged());
        }
        Ok(ImageMargins {
            means: rows[0].iter().zip(&rows[1]).map(|(sum, count)| sum / count).collect(),
            counts: rows[1].iter().map(|&count| count as u32).collect(),
            rivals: rows[2].iter().map(|&rival| rival as usize).collect(),
        })
    }
}

fn damaged() -> Error {
    Error::model("the checkpoint's margins are damaged").help("copy the run's folder again, or train again")
}

#[cfg(test)]
mod tests;
