//! The batch at hand, for layers that look at more than the images before them: random draws, which are those of the whole batch
//! whichever process computes an image, and batch statistics.
//!
//! As libtorch's generator it belongs to the thread: a step holds a [`BatchScope`], and layers ask these functions.

use std::cell::RefCell;

use tch::{Kind, Tensor};

use super::group::Group;
use super::rows::Rows;
use crate::error::Result;
use crate::native::Reduction;

thread_local! {
    static CURRENT: RefCell<Option<Current>> = const { RefCell::new(None) };
}

struct Current {
    rows: Rows,
    group: Group,
    sums_statistics: bool,
    /// The moving statistics that layers have moved by those of this process's images.
    moved: Vec<Tensor>,
}

/// For as long as it lives, the rows that this thread computes are some of a larger batch.
#[derive(Debug)]
pub struct BatchScope(());

impl BatchScope {
    /// The `rows` of a batch that `group` shares; batch statistics are those of the whole batch where it `sums_statistics`.
    pub fn enter(group: &Group, rows: Rows, sums_statistics: bool) -> Option<Self> {
        if group.is_alone() {
            return None;
        }
        let current = Current { rows, group: group.clone(), sums_statistics, moved: Vec::new() };
        CURRENT.with(|cell| *cell.borrow_mut() = Some(current));
        Some(BatchScope(()))
    }

    /// Makes the moving statistics that layers have moved since the scope began those of the whole batch: means over the processes, by
    /// their images. Nothing where the statistics were summed.
    ///
    /// # Errors
    /// As [`Group::all_reduce`].
    pub fn share_moved(self) -> Result<()> {
        let taken = CURRENT.with(|cell| cell.borrow_mut().take());
        let Some(Current { rows, group, moved, .. }) = taken.filter(|current| !current.moved.is_empty()) else {
            return Ok(());
        };
        tch::no_grad(|| {
            let flat: Vec<Tensor> = moved.iter().map(|tensor| tensor.reshape([-1])).collect();
            let mut all = Tensor::cat(&flat, 0).to_kind(Kind::Double) * rows.share();
            group.all_reduce(&mut all, Reduction::Sum)?;
            let mut start = 0;
            for tensor in moved {
                let count = tensor.numel() as i64;
                tensor.shallow_clone().copy_(&all.narrow(0, start, count).reshape(tensor.size()));
                start += count;
            }
            Ok(())
        })
    }
}

impl Drop for BatchScope {
    fn drop(&mut self) {
        CURRENT.with(|cell| *cell.borrow_mut() = None);
    }
}

/// Where the `batch` images that are computed lie in the batch that random numbers are drawn for: first row, and all rows.
pub fn noise_rows(batch: i64) -> (i64, i64) {
    CURRENT.with(|cell| match &*cell.borrow() {
        Some(current) => (current.rows.computed().start as i64, current.rows.total as i64),
        None => (0, batch),
    })
}

/// Whether other processes compute rows of the batch at hand.
pub fn shares_batch() -> bool {
    CURRENT.with(|cell| cell.borrow().is_some())
}

/// Whether batch statistics are to be those of the whole batch, which other processes compute, too.
pub fn sums_statistics() -> bool {
    CURRENT.with(|cell| cell.borrow().as_ref().is_some_and(|current| current.sums_statistics))
}

/// The sum over the batch's images of `sums`, which are this process's, and through which gradients go: an image that does not count
/// adds nothing.
///
/// # Errors
/// As [`Group::all_reduce`].
pub fn batch_sum(sums: &Tensor) -> Result<Tensor> {
    let current =
        CURRENT.with(|cell| cell.borrow().as_ref().map(|current| (current.group.clone(), current.rows.count)));
    let Some((group, count)) = current else { return Ok(sums.shallow_clone()) };
    match count {
        0 => group.differentiable_sum(&(sums * 0.0)),
        _ => group.differentiable_sum(sums),
    }
}

/// Says that a layer has moved `statistics` by those of the images that this process computes.
pub fn note_moved(statistics: &[Tensor]) {
    CURRENT.with(|cell| {
        let Some(current) = &mut *cell.borrow_mut() else { return };
        for tensor in statistics {
            // a layer that is called twice moves them twice
            if !current.moved.iter().any(|moved| moved.data_ptr() == tensor.data_ptr()) {
                current.moved.push(tensor.shallow_clone());
            }
        }
    });
}
