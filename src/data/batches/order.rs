//! In which order a data set's images are given out.

use std::ops::Range;
use std::sync::Arc;

use tch::Tensor;

use crate::distributed::Group;

/// In which order images are given out: every image once; of several processes, the images that this one takes of each batch.
#[derive(Debug)]
pub struct Order {
    /// For the threads that decode.
    pub(super) numbers: Arc<Vec<i64>>,
    /// The same, `i64 [N]`.
    on_device: Tensor,
    /// The images' labels in this order, `i64 [N]`.
    labels: Tensor,
    /// Where the images of each batch end, where a process takes some of it; else batches follow from their size.
    ends: Option<Arc<[usize]>>,
}

impl Order {
    /// Of the images `numbers` of those with `labels` (`i64`), on whose device they lie.
    pub(super) fn new(numbers: Vec<i64>, labels: &Tensor) -> Self {
        let on_device = Tensor::from_slice(&numbers).to_device(labels.device());
        let labels = labels.index_select(0, &on_device);
        Order { numbers: Arc::new(numbers), on_device, labels, ends: None }
    }

    /// What this process of `group` takes of each batch of `batch_size`: its rows and, where images are mixed `with_partners`, behind
    /// them those that they are mixed with, the batch read backwards. The same order where it is the only one.
    #[must_use]
    pub fn shared(self, group: &Group, batch_size: usize, with_partners: bool) -> Self {
        if group.is_alone() {
            return self;
        }
        let (mut places, mut ends) = (Vec::new(), Vec::new());
        let all: Vec<i64> = (0..self.numbers.len() as i64).collect();
        for batch in all.chunks(batch_size) {
            let rows = group.rows(batch.len()).computed();
            places.extend_from_slice(&batch[rows.clone()]);
            if with_partners {
                places.extend(rows.map(|row| batch[batch.len() - 1 - row]));
            }
            ends.push(places.len());
        }
        let numbers = places.iter().map(|&place| self.numbers[place as usize]).collect();
        let places = Tensor::from_slice(&places).to_device(self.labels.device());
        let [on_device, labels] = [&self.on_device, &self.labels].map(|all| all.index_select(0, &places));
        Order { numbers: Arc::new(numbers), on_device, labels, ends: Some(ends.into()) }
    }

    /// The images' numbers.
    pub fn numbers(&self) -> &[i64] {
        &self.numbers
    }

    /// The same, `i64 [N]`, on the loader's device.
    pub fn on_device(&self) -> &Tensor {
        &self.on_device
    }

    /// The numbers and labels of batch `index`, `i64 [B]` each, on the loader's device: views.
    pub(super) fn batch(&self, index: u64, batch_size: usize) -> (Tensor, Tensor) {
        let range = self.range(index, batch_size);
        let part = |all: &Tensor| all.narrow(0, range.start as i64, range.len() as i64);
        (part(&self.on_device), part(&self.labels))
    }

    /// Which of the numbers are batch `index`'s.
    pub fn range(&self, index: u64, batch_size: usize) -> Range<usize> {
        let index = index as usize;
        match &self.ends {
            Some(ends) => index.checked_sub(1).map_or(0, |before| ends[before])..ends[index],
            None => index * batch_size..((index + 1) * batch_size).min(self.numbers.len()),
        }
    }

    /// [`Order::range`] of every batch.
    pub(super) fn ranges(&self, batch_size: usize) -> Vec<Range<usize>> {
        let num_batches = self.ends.as_ref().map_or_else(|| self.numbers.len().div_ceil(batch_size), |ends| ends.len());
        (0..num_batches as u64).map(|index| self.range(index, batch_size)).collect()
    }
}
