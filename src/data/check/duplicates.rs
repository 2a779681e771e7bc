//! Pairs of images that are the same, or as good as.
//!
//! Two images are near when the sum of their pixels' differences is at most the number of their values: a mean difference of
//! 1 of 255. All pairs are decided, though few are compared: images are sorted by their sum, and only those whose sums are
//! near enough are looked at; of these, only those whose quarters' and then 8×8 cells' sums are near enough are compared pixel
//! by pixel.

use std::collections::HashMap;

use rayon::prelude::*;

use super::inspect::{Inspection, PixelSums};
use crate::data::{Samples, Split};
use crate::device::threads;
use crate::error::Result;

/// The most pairs whose signatures are compared. Above, each image meets its neighbours in brightness only. A few
/// nanoseconds a pair: minutes.
const MAX_COMPARISONS: u64 = 100_000_000_000;
/// How many images are compared with those behind them at a stretch: which near pairs are kept, of too many, depends on it,
/// and so it does not depend on the number of threads.
const BLOCK: usize = 64;
/// How many stretches each thread does before what they found is put together: neighbours in brightness have about as many
/// others to meet, so that no thread waits long.
const BLOCKS_PER_THREAD: usize = 4;
/// The training images' place in the list of splits.
const TRAIN: usize = 0;

/// Which split (its place in the list), and which image of it.
pub(super) type ImageIndex = (usize, usize);

/// Two images that are near; the first one comes before the second.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct DuplicatePair {
    pub first: ImageIndex,
    pub second: ImageIndex,
    /// The mean difference of their values, 0 to 255.
    pub difference: f64,
}

/// What came of the search.
pub(super) struct Search {
    /// In the order of the images.
    pub pairs: Vec<DuplicatePair>,
    /// How many pairs there are.
    pub num_pairs: u64,
    /// Whether all were decided.
    pub is_exhaustive: bool,
    /// Whether near pairs were left out, as there are too many.
    pub is_cut: bool,
}

/// Finds the near pairs within and across `splits`, the training images first. Of images with the same pixels, each is paired with the first one alone;
/// and with the nearest training image, where that one is in another split.
///
/// Of near pairs that are not the same, at most `max_near` are kept, and each image's nearest one of a training and another
/// image.
///
/// # Errors
/// A data error where an image cannot be read any more.
pub(super) fn find(splits: &[(Split, &Samples)], inspections: &[Vec<Inspection>], max_near: usize) -> Result<Search> {
    let mut firsts: HashMap<[u8; 16], ImageIndex> = HashMap::new();
    let mut distinct: Vec<(&PixelSums, ImageIndex)> = Vec::new();
    let mut pairs = Vec::new();
    let mut count = 0;
    for (part, inspections) in inspections.iter().enumerate() {
        for (index, inspection) in inspections.iter().enumerate() {
            let Some(signature) = &inspection.signature else { continue };
            count += 1;
            let place = (part, index);
            let first = *firsts.entry(signature.digest).or_insert(place);
            match first == place {
                true => distinct.push((signature, place)),
                false => pairs.push(DuplicatePair { first, second: place, difference: 0.0 }),
            }
        }
    }
    distinct.sort_by_key(|(signature, place)| (signature.sum, *place));
    let num_values = splits.first().and_then(|(_, samples)| samples.shape().num_bytes()).unwrap_or(0) as u64;
    let ends = windows(&distinct, num_values);
    let num_comparisons: u64 = ends.iter().enumerate().map(|(start, end)| (end - start - 1) as u64).sum();
    let is_exhaustive = num_comparisons <= MAX_COMPARISONS;
    let longest = if is_exhaustive { usize::MAX } else { (MAX_COMPARISONS / distinct.len() as u64) as usize };
    let sorted = Sorted { splits, images: &distinct, ends: &ends, longest, num_values, max_near };
    let near = sorted.near_pairs()?;
    let copies = leaks_of_copies(&pairs, &near);
    let is_cut = near.is_cut;
    pairs.extend(near.pairs.into_iter().chain(near.nearest.into_values()).chain(copies));
    pairs.sort_by_key(|pair| (pair.first, pair.second));
    pairs.dedup_by_key(|pair| (pair.first, pair.second));
    Ok(Search { pairs, num_pairs: count * u64::saturating_sub(count, 1) / 2, is_exhaustive, is_cut })
}

/// Where an image that is near a training image is the first of several that are the same: a pair for each of the others.
fn leaks_of_copies(same: &[DuplicatePair], near: &Near) -> Vec<DuplicatePair> {
    let copies = same.iter().filter(|copy| copy.first.0 != TRAIN);
    copies
        .filter_map(|copy| Some(DuplicatePair { second: copy.second, ..near.nearest.get(&copy.first)?.clone() }))
        .collect()
}

/// Near pairs that are not the same.
#[derive(Default)]
struct Near {
    pairs: Vec<DuplicatePair>,
    /// For each image of a leak, the nearest such pair.
    nearest: HashMap<ImageIndex, DuplicatePair>,
    is_cut: bool,
}

impl Near {
    fn add(&mut self, pair: DuplicatePair, max_near: usize) {
        self.remember(&pair);
        match self.pairs.len() < max_near {
            true => self.pairs.push(pair),
            false => self.is_cut = true,
        }
    }

    /// Keeps `pair` where it is a leak and the nearest of one of its images.
    fn remember(&mut self, pair: &DuplicatePair) {
        if !is_leak(pair.first, pair.second) {
            return;
        }
        for place in [pair.first, pair.second] {
            let nearest = self.nearest.entry(place).or_insert_with(|| pair.clone());
            if pair.is_nearer_than(nearest) {
                *nearest = pair.clone();
            }
        }
    }

    fn merge(mut self, other: Near, max_near: usize) -> Near {
        self.is_cut |= other.is_cut;
        other.pairs.into_iter().for_each(|pair| self.add(pair, max_near));
        other.nearest.values().for_each(|pair| self.remember(pair));
        self
    }
}

impl DuplicatePair {
    /// Of two that are as near, the one whose images come first.
    fn is_nearer_than(&self, other: &DuplicatePair) -> bool {
        let key = |pair: &DuplicatePair| (pair.difference, pair.first, pair.second);
        key(self) < key(other)
    }
}

/// Whether one of the two is a training image, and the other is not.
fn is_leak(a: ImageIndex, b: ImageIndex) -> bool {
    (a.0 == TRAIN) != (b.0 == TRAIN)
}

/// For each image, where those begin whose sums are too large for it.
fn windows(images: &[(&PixelSums, ImageIndex)], num_values: u64) -> Vec<usize> {
    let mut end = 0;
    let end_of = |start: usize| {
        end = end.max(start + 1);
        while end < images.len() && images[end].0.sum - images[start].0.sum <= num_values {
            end += 1;
        }
        end
    };
    (0..images.len()).map(end_of).collect()
}

/// Images by their sums.
struct Sorted<'a> {
    splits: &'a [(Split, &'a Samples)],
    images: &'a [(&'a PixelSums, ImageIndex)],
    ends: &'a [usize],
    longest: usize,
    num_values: u64,
    max_near: usize,
}

impl Sorted<'_> {
    fn near_pairs(&self) -> Result<Near> {
        let starts: Vec<usize> = (0..self.images.len()).collect();
        let work = |starts: &[usize]| -> Result<Near> {
            let mut near = Near::default();
            starts.iter().try_for_each(|&start| self.compare(start, &mut near)).map(|()| near)
        };
        let mut all = Near::default();
        // a few blocks at a time, so that no more pairs are in memory than those can find
        for blocks in starts.chunks(BLOCK * threads::install(rayon::current_num_threads)? * BLOCKS_PER_THREAD) {
            let found: Vec<Result<Near>> = threads::install(|| blocks.par_chunks(BLOCK).map(work).collect())?;
            for near in found {
                all = all.merge(near?, self.max_near);
            }
        }
        Ok(all)
    }

    /// The image at `start` of the order with those behind it.
    fn compare(&self, start: usize, near: &mut Near) -> Result<()> {
        let (signature, place) = self.images[start];
        let end = self.ends[start].min(start.saturating_add(1).saturating_add(self.longest));
        for (other, other_place) in &self.images[start + 1..end] {
            if !signature.may_be_within(self.num_values, other) {
                continue;
            }
            // there are enough of these, while every leak counts
            if near.pairs.len() >= self.max_near && !is_leak(place, *other_place) {
                near.is_cut = true;
                continue;
            }
            if let Some(difference) = self.difference(place, *other_place)? {
                let (first, second) = (place.min(*other_place), place.max(*other_place));
                near.add(
                    DuplicatePair { first, second, difference: difference as f64 / self.num_values as f64 },
                    self.max_near,
                );
            }
        }
        Ok(())
    }

    /// The sum of the two images' values' differences, where it is small.
    fn difference(&self, a: ImageIndex, b: ImageIndex) -> Result<Option<u64>> {
        let image = |(part, index): ImageIndex| self.splits[part].1.image(index);
        let (a, b) = (image(a)?, image(b)?);
        let mut sum = 0;
        for (a, b) in a.chunks(256).zip(b.chunks(256)) {
            sum += a.iter().zip(b).map(|(a, b)| u64::from(a.abs_diff(*b))).sum::<u64>();
            if sum > self.num_values {
                return Ok(None);
            }
        }
        Ok(Some(sum))
    }
}
