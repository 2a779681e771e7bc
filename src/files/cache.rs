//! The user's cache folder: what can be fetched or computed again. All of it may be deleted at any time.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::bounded::read_up_to;
use super::{folder_of, write_atomically};
use crate::error::Error;

/// The longest JSON file that is read, in bytes: what is kept as JSON is short.
const MAX_JSON_BYTES: u64 = 4096;

/// What is kept. Each kind has a folder of its own in the cache folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheKind {
    /// Published data sets.
    Downloads,
    /// Decoded images.
    Pixels,
    /// What was found in data sets that were checked.
    Checks,
    /// The common shape of the images of folders and archives.
    Shapes,
}

impl CacheKind {
    fn name(self) -> &'static str {
        match self {
            CacheKind::Downloads => "data",
            CacheKind::Pixels => "decoded",
            CacheKind::Checks => "checks",
            CacheKind::Shapes => "shapes",
        }
    }

    /// Its folder in the cache folder `cache`.
    pub fn within(self, cache: &Path) -> PathBuf {
        cache.join(self.name())
    }

    /// Its folder in the user's [`cache_folder`].
    pub fn folder(self) -> Option<PathBuf> {
        Some(self.within(&cache_folder()?))
    }
}

/// The user's cache folder: `$XDG_CACHE_HOME` or `~/.cache`, then `convnet`. `None` where neither variable says one.
pub fn cache_folder() -> Option<PathBuf> {
    // the XDG base directory specification ignores relative paths
    let xdg = variable("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = xdg.or_else(|| variable("HOME").map(|home| Path::new(&home).join(".cache")));
    cache.map(|cache| cache.join("convnet"))
}

/// That there is no cache folder, where one is needed.
pub fn no_folder(what: &str) -> Error {
    Error::config(what).expected("the environment variable HOME or XDG_CACHE_HOME")
}

/// An environment variable, where it is set and not empty.
fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

/// What is kept as JSON in the file `path`; `None` where there is nothing that can be read, as an older version may have left it.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Option<T> {
    let bytes = read_up_to(File::open(path).ok()?, MAX_JSON_BYTES).ok()??;
    serde_json::from_slice(&bytes).ok()
}

/// Keeps `value` as JSON in the file `path`. Where that fails, it is computed again the next time.
pub fn keep_json(path: &Path, value: &impl Serialize) {
    let _ = write(path, |writer| Ok(serde_json::to_writer(writer, value)?));
}

/// Writes a file of the cache through `write`, whole or not at all, and makes its folder.
///
/// # Errors
/// Whatever the disk says.
pub fn write(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    fs::create_dir_all(folder_of(path))?;
    write_atomically(path, write)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_again_and_what_is_broken_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = CacheKind::Checks.within(folder.path()).join("a.json");
        assert_eq!(read_json::<Vec<u8>>(&path), None);
        keep_json(&path, &[1, 2]);
        assert_eq!(read_json(&path), Some(vec![1, 2]));
        assert_eq!(read_json::<String>(&path), None, "another version's");
        fs::write(&path, vec![b' '; MAX_JSON_BYTES as usize + 1]).unwrap();
        assert_eq!(read_json::<Vec<u8>>(&path), None);
        keep_json(&path.join("b.json"), &[1]);
    }
}
