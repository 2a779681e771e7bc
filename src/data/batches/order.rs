//! In which order a data set's images are given out.

use std::ops::Range;
use std::sync::Arc;

use tch::{Device, Tensor};

use crate::data::Numbers;
use crate::distributed::Group;

/// In which order images are given out: every image once; of several processes, the images that this one takes of each batch.
#[derive(Debug)]
pub struct Order {
    /// For the threads that decode.
    pub(super) numbers: Numbers,
    /// The labels of all images in the data set's own order, `i64 [N]`, on the loader's device.
    labels: Tensor,
    /// The numbers and the labels in this order, `i64 [N]` each, on a GPU: so that a step copies nothing to it.
    on_gpu: Option<(Tensor, Tensor)>,
    /// Where the images of each batch end, where a process takes some of it; else batches follow from their size.
    ends: Option<Arc<[usize]>>,
}

impl Order {
    /// Of the images `numbers` of those with `labels` (`i64`), on whose device they lie.
    pub(super) fn new(numbers: Numbers, labels: &Tensor) -> Self {
        let mut order = Order { numbers, labels: labels.shallow_clone(), on_gpu: None, ends: None };
        if labels.device() != Device::Cpu {
            order.on_gpu = Some(order.looked_up(0..order.numbers.len()));
        }
        order
    }

    /// What this process of `group` takes of each batch of `batch_size`: its rows and, where images are mixed `with_partners`, behind
    /// them those that they are mixed with, the batch read backwards. The same order where it is the only one.
    #[must_use]
    pub fn shared(self, group: &Group, batch_size: usize, with_partners: bool) -> Self {
        if group.is_alone() {
            return self;
        }
        let (mut places, mut ends) = (Vec::new(), Vec::new());
        for first in (0..self.numbers.len()).step_by(batch_size) {
            let count = batch_size.min(self.numbers.len() - first);
            let rows = group.rows(count).computed();
            places.extend(rows.clone().map(|row| first + row));
            if with_partners {
                places.extend(rows.map(|row| first + count - 1 - row));
            }
            ends.push(places.len());
        }
        Order { ends: Some(ends.into()), ..Order::new(self.numbers.at(&places), &self.labels) }
    }

    /// The images' numbers.
    pub fn numbers(&self) -> &Numbers {
        &self.numbers
    }

    /// The numbers at `places`, `i64 [B]` on the loader's device.
    pub fn numbers_of(&self, places: Range<usize>) -> Tensor {
        match &self.on_gpu {
            Some((numbers, _)) => numbers.narrow(0, places.start as i64, places.len() as i64),
            None => self.looked_up(places).0,
        }
    }

    /// The numbers and labels of batch `index`, `i64 [B]` each, on the loader's device.
    pub fn batch(&self, index: u64, batch_size: usize) -> (Tensor, Tensor) {
        let range = self.range(index, batch_size);
        let part = |all: &Tensor| all.narrow(0, range.start as i64, range.len() as i64);
        match &self.on_gpu {
            Some((numbers, labels)) => (part(numbers), part(labels)),
            None => self.looked_up(range),
        }
    }

    /// The numbers and labels at `places`, copied to the loader's device.
    fn looked_up(&self, places: Range<usize>) -> (Tensor, Tensor) {
        let numbers: Vec<i64> = self.numbers.range(places).map(|number| number as i64).collect();
        let numbers = Tensor::from_slice(&numbers).to_device(self.labels.device());
        let labels = self.labels.index_select(0, &numbers);
        (numbers, labels)
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
