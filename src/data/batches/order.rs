//! In which order a data set's images are given out.

use std::ops::Range;
use std::sync::Arc;

use tch::{Device, Tensor};

use crate::distributed::Group;

/// In which order images are given out: every image once; of several processes, the images that this one takes of each batch.
#[derive(Debug)]
pub struct Order {
    /// For the threads that decode.
    pub(super) numbers: Arc<Vec<i64>>,
    /// The same, `i64 [N]`.
    pub(super) on_device: Tensor,
    /// Where the images of each batch end, where a process takes some of it; else batches follow from their size.
    ends: Option<Arc<[usize]>>,
}

impl Order {
    pub(super) fn new(numbers: Vec<i64>, device: Device) -> Self {
        let on_device = Tensor::from_slice(&numbers).to_device(device);
        Order { numbers: Arc::new(numbers), on_device, ends: None }
    }

    /// What this process of `group` takes of each batch of `batch_size`: its rows and, where images are mixed `with_partners`, behind
    /// them those that they are mixed with, the batch read backwards. The same order where it is the only one.
    #[must_use]
    pub fn shared(self, group: &Group, batch_size: usize, with_partners: bool) -> Self {
        if group.is_alone() {
            return self;
        }
        let (mut taken, mut ends) = (Vec::new(), Vec::new());
        for batch in self.numbers.chunks(batch_size) {
            let rows = group.rows(batch.len()).computed();
            taken.extend_from_slice(&batch[rows.clone()]);
            if with_partners {
                taken.extend(rows.map(|row| batch[batch.len() - 1 - row]));
            }
            ends.push(taken.len());
        }
        Order { ends: Some(ends.into()), ..Order::new(taken, self.on_device.device()) }
    }

    /// The images' numbers.
    pub fn numbers(&self) -> &[i64] {
        &self.numbers
    }

    /// Which of the numbers are batch `index`'s.
    pub(super) fn range(&self, index: u64, batch_size: usize) -> Range<usize> {
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
