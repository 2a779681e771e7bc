//! A data set that was checked once need not be checked again.

use std::fs;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::{Counts, check, class_counts};
use crate::data::Dataset;
use crate::data::statistics::{fingerprint, hex};
use crate::error::Result;
use crate::files::write_atomically;

/// Part of the file's name: what is looked for when this is another number is something else.
const VERSION: u32 = 3;
/// The longest file that is read, in bytes.
const MAX_BYTES: u64 = 4096;

/// What was counted in a data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstLook {
    /// How many of each kind were found.
    pub counts: Counts,
    /// Whether nobody had looked before, as far as the cache tells.
    pub is_first: bool,
}

/// What [`check`] counts in `dataset`, kept in a file in `cache` under the data set's fingerprint; of images that are not in
/// memory, which it takes too long to look at, what [`class_counts`] does. A file that cannot be read or written is as none.
///
/// # Errors
/// As [`check`].
pub fn cached_counts(dataset: &Dataset, cache: Option<&Path>) -> Result<FirstLook> {
    let is_in_memory = dataset.splits().all(|(_, samples)| samples.pixels().is_some());
    let mut sha256 = Sha256::new();
    dataset.splits().for_each(|(split, samples)| sha256.update(format!("{split} {} ", fingerprint(samples))));
    sha256.update(dataset.classes.len().to_le_bytes());
    let name = format!("check-{VERSION}-{}.json", hex(&sha256.finalize()));
    let path = cache.map(|cache| cache.join("checks").join(name));
    if let Some(counts) = path.as_deref().and_then(read) {
        return Ok(FirstLook { counts, is_first: false });
    }
    let counts = if is_in_memory { check(dataset)?.counts() } else { class_counts(dataset) };
    if let Some(path) = path {
        // it is only a cache
        let _ = path.parent().map(fs::create_dir_all);
        let _ = write_atomically(&path, |writer| Ok(serde_json::to_writer(writer, &counts)?));
    }
    Ok(FirstLook { counts, is_first: true })
}

fn read(path: &Path) -> Option<Counts> {
    let is_small = path.metadata().is_ok_and(|metadata| metadata.len() <= MAX_BYTES);
    serde_json::from_slice(&fs::read(path).ok().filter(|_| is_small)?).ok()
}
