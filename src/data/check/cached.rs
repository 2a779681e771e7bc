//! A data set that was checked once need not be checked again.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::{Counts, check, class_counts};
use crate::data::Dataset;
use crate::error::Result;
use crate::files::cache::{self, CacheKind};
use crate::files::hex;

/// Part of the file's name: what is looked for when this is another number is something else.
const VERSION: u32 = 3;

/// What was counted in a data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstLook {
    /// How many of each kind were found.
    pub counts: Counts,
    /// Whether nobody had looked before, as far as the cache tells.
    pub is_first: bool,
}

/// What [`check`] counts in `dataset`, kept in a file in `folder` under the data set's fingerprint; of images that are not in
/// memory, which it takes too long to look at, what [`class_counts`] does. A file that cannot be read or written is as none.
///
/// # Errors
/// As [`check`].
pub fn cached_counts(dataset: &Dataset, folder: Option<&Path>) -> Result<FirstLook> {
    let is_in_memory = dataset.splits().all(|(_, samples)| samples.pixels().is_some());
    let mut sha256 = Sha256::new();
    dataset.splits().for_each(|(split, samples)| sha256.update(format!("{split} {} ", samples.fingerprint())));
    sha256.update(dataset.classes.len().to_le_bytes());
    let name = format!("check-{VERSION}-{}.json", hex(&sha256.finalize()));
    let path = folder.map(|folder| CacheKind::Checks.within(folder).join(name));
    if let Some(counts) = path.as_deref().and_then(cache::read_json) {
        return Ok(FirstLook { counts, is_first: false });
    }
    let counts = if is_in_memory { check(dataset)?.counts() } else { class_counts(dataset) };
    if let Some(path) = path {
        cache::keep_json(&path, &counts);
    }
    Ok(FirstLook { counts, is_first: true })
}
