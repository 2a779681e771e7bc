//! How far the label of each training image was ahead of the other classes while it was trained on: the area under the margin
//! (Pleiss et al. 2020, "Identifying Mislabeled Data using the Area Under the Margin Ranking", NeurIPS).
//!
//! The margin of an image in an epoch is the logit of its label minus the largest of the others, as the network was just before
//! the step that learns from it; the area under it is the mean over the epochs. Images whose label is wrong have small ones: what
//! the other images teach contradicts it.

use tch::{Device, Kind, Tensor};

use super::step::TrainedBatch;
use crate::distributed::Group;
use crate::error::{Error, Result};
use crate::model::Outputs;
use crate::native::Reduction;

/// How many logits wait on the device until they are counted together, at most: 2 MiB. So a step costs three copies.
const MAX_WAITING: usize = 1 << 19;
/// The rows of the stored form.
const ROWS: usize = 4;

/// Sums over the epochs so far, on the device, for each of the N training images in the loader's order.
#[derive(Debug)]
pub struct Margins {
    /// The four below in this order, `f32 [4, N]`: they are its rows.
    all: Tensor,
    /// Of the margins, `f32 [N]`.
    sums: Tensor,
    /// How many margins they are, `f32 [N]`: exact up to 2^24.
    counts: Tensor,
    /// The class that was the strongest of the others most often, see [`ImageMargins::rivals`], `f32 [N]`.
    rivals: Tensor,
    /// By how many epochs it leads, `f32 [N]`.
    leads: Tensor,
    /// Of several processes: 1 for each image that this one has counted since they last put their margins together, `f32 [N]`.
    counted_here: Option<Tensor>,
    /// Made with the first batch.
    waiting: Option<Waiting>,
}

/// The batches that are not counted yet, in tensors with room for M images. What is kept of each batch for itself would lie
/// between the activations of the batches and have the heap grow: 160 MB in an epoch of the default network.
#[derive(Debug)]
struct Waiting {
    /// How many images there are.
    filled: i64,
    /// Which images, `i64 [M]`.
    numbers: Tensor,
    /// `i64 [M]`.
    labels: Tensor,
    /// `f32 [M, outputs]`.
    outputs: Outputs,
}

impl Waiting {
    /// Room for batches such as `batch`, at most `num_images` images.
    fn new(batch: &TrainedBatch, num_images: i64) -> Self {
        let Outputs { values, kind, form } = &batch.outputs;
        let (batch_size, num_outputs) = values.size2().expect("outputs are [B, outputs]");
        let room = (MAX_WAITING as i64 / num_outputs.max(1)).min(num_images).max(batch_size);
        let device = values.device();
        let [numbers, labels] = [(); 2].map(|()| Tensor::zeros([room], (Kind::Int64, device)));
        let values = Tensor::zeros([room, num_outputs], (Kind::Float, device));
        Waiting { filled: 0, numbers, labels, outputs: Outputs { values, kind: *kind, form: *form } }
    }

    /// Whether `count` images more do not fit.
    fn is_full_for(&self, count: i64) -> bool {
        self.filled + count > self.labels.size()[0]
    }

    fn add(&mut self, batch: &TrainedBatch) {
        let count = batch.targets.labels.size()[0];
        let values = batch.outputs.values.detach();
        let pairs =
            [(&self.numbers, &batch.numbers), (&self.labels, &batch.targets.labels), (&self.outputs.values, &values)];
        for (all, of_batch) in pairs {
            all.narrow(0, self.filled, count).copy_(of_batch);
        }
        self.filled += count;
    }
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
        let all = Tensor::zeros([ROWS as i64, num_images as i64], (Kind::Float, device));
        let [sums, counts, rivals, leads] = [0, 1, 2, 3].map(|row| all.select(0, row));
        Margins { all, sums, counts, rivals, leads, counted_here: None, waiting: None }
    }

    /// As they are counted by the processes of `group` together.
    #[must_use]
    pub fn shared_by(self, group: &Group) -> Self {
        let counted_here = (!group.is_alone()).then(|| self.sums.zeros_like());
        Margins { counted_here, ..self }
    }

    /// Adds a batch that was trained on. Images that were mixed with others (mixup, cutmix) do not count: they have two labels.
    /// Nothing here waits for the device.
    pub(super) fn add(&mut self, batch: &TrainedBatch) {
        if batch.targets.others.is_some() {
            return;
        }
        let count = batch.targets.labels.size()[0];
        if self.waiting.as_ref().is_some_and(|waiting| waiting.is_full_for(count)) {
            self.count();
        }
        let num_images = self.sums.size()[0];
        tch::no_grad(|| self.waiting.get_or_insert_with(|| Waiting::new(batch, num_images)).add(batch));
    }

    /// Counts the batches that wait. No image may be among them twice: it is called at each epoch's end.
    pub(super) fn count(&mut self) {
        let Some(waiting) = self.waiting.as_mut().filter(|waiting| waiting.filled > 0) else { return };
        let first = |all: &Tensor| all.narrow(0, 0, waiting.filled);
        let (numbers, labels) = (first(&waiting.numbers), first(&waiting.labels)); // i64 [M]
        let Outputs { values, kind, form } = &waiting.outputs;
        let outputs = Outputs { values: first(values), kind: *kind, form: *form };
        waiting.filled = 0;
        tch::no_grad(|| {
            let (margins, rivals) = outputs.margins(&labels);
            let _ = self.sums.index_add_(0, &numbers, &margins);
            let _ = self.counts.index_add_(0, &numbers, &margins.ones_like());
            self.vote(&numbers, &rivals.to_kind(Kind::Float));
            if let Some(counted_here) = &mut self.counted_here {
                let _ = counted_here.index_fill_(0, &numbers, 1.0);
            }
        });
    }

    /// Takes over what the other processes of `group` have counted, once nothing waits: each image was at most one's since the last
    /// time.
    pub(super) fn put_together(&mut self, group: &Group) -> Result<()> {
        let Some(counted_here) = &mut self.counted_here else { return Ok(()) };
        tch::no_grad(|| {
            let mut counted = counted_here.copy();
            group.all_reduce(&mut counted, Reduction::Sum)?;
            let is_counted = counted.gt(0.0);
            for kept in [&mut self.sums, &mut self.counts, &mut self.rivals, &mut self.leads] {
                let mut all = &*kept * &*counted_here;
                group.all_reduce(&mut all, Reduction::Sum)?;
                kept.copy_(&all.where_self(&is_counted, kept));
            }
            let _ = counted_here.zero_();
            Ok(())
        })
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

    /// All of it as one tensor for a checkpoint, `f32 [4, N]`, once nothing waits. It goes on changing with them.
    pub(super) fn to_tensor(&self) -> Tensor {
        self.all.shallow_clone()
    }

    /// Goes on from a checkpoint's tensor.
    ///
    /// # Errors
    /// A model error where it is of another number of images.
    pub(super) fn restore(&mut self, stored: &Tensor) -> Result<()> {
        let expected = self.all.size();
        if stored.size() != expected {
            return Err(Error::model("the checkpoint's margins are of other images")
                .expected(format!("{expected:?} numbers"))
                .got(format!("{:?}", stored.size()))
                .help("start a new run"));
        }
        self.all.copy_(stored);
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
