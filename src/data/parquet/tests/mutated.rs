//! Files that were changed at random, as a fuzzer does: an error each, or a file, and never a panic or much memory.

use rand_chacha::ChaCha8Rng;

use super::*;
use crate::rng::{self, Stream};

/// Files of the committed test; `CONVNET_TEST_HOSTILE=300000` tries more, and looks at the memory, for which the test runs alone.
const NUM_FILES: u64 = 3000;
/// What files of a few hundred bytes may make the process grow by, in KiB.
const MAX_GROWTH_KIB: u64 = 256 << 10;
/// Bytes that stand for limits: numbers of Thrift's and Parquet's, small, large and negative, and an end.
const LIMITS: [&[u8]; 8] = [
    &[0],
    &[0xff],
    &[0x80],
    &[0x7f, 0xff, 0xff, 0xff],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    &[0x80, 0x80, 0x80, 0x80, 0x04],
    b"PAR1",
];

fn below(rng: &mut ChaCha8Rng, bound: usize) -> usize {
    rng::below(rng, bound.max(1) as u64) as usize
}

/// `bytes` with one change; `other` is a file to take bytes from.
fn change(rng: &mut ChaCha8Rng, bytes: &mut Vec<u8>, other: &[u8]) {
    // half of them where the metadata are, at the end
    let first = if below(rng, 2) == 0 { bytes.len() / 2 } else { 0 };
    let at = (first + below(rng, bytes.len() - first)).min(bytes.len());
    let end = (at + 1 + below(rng, 16)).min(bytes.len());
    match below(rng, 7) {
        0 if at < bytes.len() => bytes[at] ^= 1 << below(rng, 8),
        1 if at < bytes.len() => bytes[at] = below(rng, 256) as u8,
        2 => {
            let limit = LIMITS[below(rng, LIMITS.len())];
            let end = (at + limit.len()).min(bytes.len());
            bytes[at..end].copy_from_slice(&limit[..end - at]);
        }
        3 => drop(bytes.drain(at..end)),
        4 => {
            let again = bytes[at..end].to_vec();
            bytes.splice(at..at, again);
        }
        5 => {
            let from = below(rng, other.len());
            let part = &other[from..(from + 1 + below(rng, 32)).min(other.len())];
            bytes.splice(at..end, part.iter().copied());
        }
        6 => bytes.truncate(at),
        _ => {}
    }
}

/// The footer's length says where the metadata begin: a change of their length is told there, or nothing else would be read.
fn mend_footer(bytes: &mut [u8], grown: i64) {
    if let Some(place) = bytes.len().checked_sub(8) {
        let length: [u8; 4] = bytes[place..place + 4].try_into().unwrap();
        let length = i64::from(u32::from_le_bytes(length)) + grown;
        bytes[place..place + 4].copy_from_slice(&(length as u32).to_le_bytes());
    }
}

/// The most memory that the process held so far, in KiB.
fn peak_memory_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0");
    line.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn files_changed_at_random_are_errors_or_files() {
    let asked = std::env::var("CONVNET_TEST_HOSTILE").ok().and_then(|count| count.parse().ok());
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/parquet");
    let mut seeds: Vec<_> = fs::read_dir(seeds).unwrap().map(|entry| entry.unwrap().path()).collect();
    seeds.sort();
    let seeds: Vec<Vec<u8>> = seeds.into_iter().map(|path| fs::read(path).unwrap()).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let (before, mut num_read) = (peak_memory_kib(), 0);
    for number in 0..asked.unwrap_or(NUM_FILES) {
        let mut rng = rng::generator(number, Stream::Split);
        let [seed, other] = [(); 2].map(|()| &seeds[below(&mut rng, seeds.len())]);
        let mut bytes = seed.clone();
        (0..1 + below(&mut rng, 4)).for_each(|_| change(&mut rng, &mut bytes, other));
        if below(&mut rng, 4) > 0 {
            let grown = bytes.len() as i64 - seed.len() as i64;
            mend_footer(&mut bytes, grown);
        }
        fs::write(&path, &bytes).unwrap();
        let named = open_names(&path).map(|_| ());
        let read = opened(&path)
            .and_then(|opened| (0..opened.labels.len() as u64).try_for_each(|row| opened.images.image(row).map(drop)));
        for result in [named, read] {
            match result {
                Ok(()) => num_read += 1,
                Err(error) => assert_eq!(error.exit_code(), 3, "file {number}: {error}"),
            }
        }
    }
    assert!(num_read > NUM_FILES / 100, "some are files still: {num_read}");
    let growth = peak_memory_kib() - before;
    assert!(asked.is_none() || growth < MAX_GROWTH_KIB, "{growth} KiB more than before");
}
