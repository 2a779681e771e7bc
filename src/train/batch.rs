//! A batch as the network is trained on it.

use tch::Tensor;

use super::TrainConfig;
use super::loss::Targets;
use crate::data::augment::{Mixer, augment};
use crate::data::batches::{DataLoader, Order};
use crate::error::Result;

/// Where a batch stands in a run; all of it from 0.
#[derive(Debug, Clone, Copy)]
pub(super) struct BatchIndex {
    pub epoch: u64,
    /// In the epoch.
    pub batch: u64,
    /// In the run.
    pub step: u64,
}

/// The batch at `place`, of the images in `order`, augmented: images `u8 [B, H, W, C]` and what they are to be
/// recognised as.
///
/// # Errors
/// A data error where an image's file cannot be read, a device error where it cannot be copied.
pub(super) fn prepare(
    config: &TrainConfig,
    samples: &DataLoader,
    order: &Order,
    place: BatchIndex,
) -> Result<(Tensor, Targets)> {
    let TrainConfig { batch_size, seed, augment: changes, .. } = config;
    let (images, labels) = samples.batch_of(order, place.batch, *batch_size)?;
    let numbers = samples.numbers_of(order, place.batch, *batch_size);
    let images = augment(changes, &images, &numbers, *seed, place.epoch);
    let mixed = Mixer::new(changes).mix(images, &labels, *seed, place.step);
    Ok((mixed.images, Targets { labels, others: mixed.others }))
}
