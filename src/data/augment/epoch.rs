//! How an epoch's images are changed, drawn for some batches at a time.

use std::cell::RefCell;
use std::ops::Range;

use tch::Tensor;

use super::{AugmentConfig, Changes, changes_of};
use crate::data::batches::Order;

/// Batches that are drawn for at once: few enough that memory does not grow with the data set, and so many that a GPU has little to
/// launch.
const BATCHES: usize = 32;

/// How the images of an epoch are changed.
#[derive(Debug)]
pub struct EpochChanges {
    config: AugmentConfig,
    size: [i64; 2],
    seed: u64,
    epoch: u64,
    /// What is drawn, and for which places of the epoch's order.
    block: RefCell<Option<(Range<usize>, Changes)>>,
}

impl EpochChanges {
    /// As [`changes_of`] says for images of `[height, width]` pixels; none where `config` changes nothing.
    pub fn new(config: &AugmentConfig, size: [i64; 2], seed: u64, epoch: u64) -> Option<Self> {
        config.changes_images().then(|| EpochChanges { config: *config, size, seed, epoch, block: RefCell::new(None) })
    }

    /// Changes `images` (`u8 [B, H, W, C]`), those at `places` of `order`: see [`Changes::apply`]. Batches are best asked for in the order
    /// that they have there.
    pub fn apply(&self, images: &Tensor, order: &Order, places: Range<usize>) -> Tensor {
        let mut block = self.block.borrow_mut();
        let is_drawn = |(drawn, _): &(Range<usize>, Changes)| drawn.start <= places.start && places.end <= drawn.end;
        if !block.as_ref().is_some_and(is_drawn) {
            *block = None; // its memory is for the next
            let end = order.numbers().len().min(places.start + BATCHES * places.len());
            let numbers = order.numbers_of(places.start..end);
            let changes = changes_of(&self.config, &numbers, self.size, self.seed, self.epoch);
            *block = changes.map(|changes| (places.start..end, changes));
        }
        match &*block {
            Some((drawn, changes)) => changes.apply(images, (places.start - drawn.start) as i64),
            None => images.shallow_clone(),
        }
    }
}
