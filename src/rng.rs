//! Every random number of a run comes from here: one seed, one named stream per use.
//!
//! A stream is a pure function of `(seed, Stream)`, so there is no generator state to save: a resumed run draws what the
//! uninterrupted one would have drawn. Streams are ChaCha8 (`rand_chacha`, whose output is fixed across versions and
//! machines), seeded through SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014).

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// What random numbers are drawn for. Two streams of one seed never share numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// The initial weights.
    Init,
    /// Which training images become validation images.
    Split,
    /// The order of the training images in an epoch (from 0).
    Epoch(u64),
    /// Dropout masks and other draws of one training step (from 0).
    Step(u64),
    /// One image of a generated data set.
    Sample(u64),
    /// Which images a sample grid shows.
    Show,
    /// How training images are changed in an epoch (from 0).
    Augment(u64),
    /// How the images of one training step (from 0) are mixed.
    Mix(u64),
    /// One sample of a bootstrap (from 0).
    Resample(u64),
    /// An image (from 0) that a saved model's outputs are remembered of.
    Golden(u64),
}

impl Stream {
    fn words(self) -> (u64, u64) {
        match self {
            Stream::Init => (1, 0),
            Stream::Split => (2, 0),
            Stream::Epoch(epoch) => (3, epoch),
            Stream::Step(step) => (4, step),
            Stream::Sample(index) => (5, index),
            Stream::Show => (6, 0),
            Stream::Augment(epoch) => (7, epoch),
            Stream::Mix(step) => (8, step),
            Stream::Resample(number) => (9, number),
            Stream::Golden(number) => (10, number),
        }
    }
}

/// A 64-bit seed for `stream` of the run seeded with `seed`.
pub fn derive(seed: u64, stream: Stream) -> u64 {
    let (tag, number) = stream.words();
    split_mix(split_mix(split_mix(seed) ^ tag) ^ number)
}

/// A random generator for `stream` of the run seeded with `seed`: the same numbers on every machine.
pub fn generator(seed: u64, stream: Stream) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(derive(seed, stream))
}

/// A whole number in `0..bound`, without bias (Lemire, ACM TOMACS 2019). `bound` must not be 0.
pub fn below(rng: &mut ChaCha8Rng, bound: u64) -> u64 {
    let threshold = bound.wrapping_neg() % bound;
    loop {
        let product = u128::from(rng.next_u64()) * u128::from(bound);
        if product as u64 >= threshold {
            return (product >> 64) as u64;
        }
    }
}

/// A number in `[low, high)` with 24 random bits: every step of it is exact, so machines agree to the bit.
pub fn uniform(rng: &mut ChaCha8Rng, low: f32, high: f32) -> f32 {
    let unit = (rng.next_u32() >> 8) as f32 / (1u32 << 24) as f32;
    low + (high - low) * unit
}

/// Shuffles in place (Fisher and Yates): every order is equally likely.
pub fn shuffle<T>(rng: &mut ChaCha8Rng, items: &mut [T]) {
    for last in (1..items.len()).rev() {
        let other = below(rng, last as u64 + 1) as usize;
        items.swap(last, other);
    }
}

fn split_mix(x: u64) -> u64 {
    let mut z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests;
