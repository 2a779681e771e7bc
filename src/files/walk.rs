//! Folders and what lies in them: the one walker, and the one rule of what it passes over.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The deepest folder below the one that is walked.
const MAX_DEPTH: usize = 32;

/// Folders and files that systems and programs put beside the user's own, in small letters: macOS, Windows, ext4, NAS systems
/// (Synology's `@eaDir` holds thumbnails that are images), Python.
const SYSTEM_NAMES: [&str; 21] = [
    "__macosx",
    "network trash folder",
    "temporary items",
    "icon\r",
    "$recycle.bin",
    "recycler",
    "recycled",
    "system volume information",
    "thumbs.db",
    "ehthumbs.db",
    "desktop.ini",
    "found.000",
    "config.msi",
    "lost+found",
    "@eadir",
    "@tmp",
    "@recycle",
    "@recently-snapshot",
    "#recycle",
    "#snapshot",
    "__pycache__",
];

/// Whether a file or folder of this name, on a disk or in an archive, is passed over: it is hidden, or a system's.
pub fn is_hidden(name: &str) -> bool {
    name.starts_with('.') || SYSTEM_NAMES.contains(&name.to_lowercase().as_str())
}

/// A file or a folder. Links are followed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Its folder's path and its name.
    pub path: PathBuf,
    /// Whether it is a folder.
    pub is_folder: bool,
}

impl Entry {
    /// Its name in its folder.
    pub fn name(&self) -> &OsStr {
        self.path.file_name().unwrap_or_default()
    }
}

/// What lies in `folder`, sorted by path, without what [`is_hidden`].
///
/// # Errors
/// A data error where it cannot be listed.
pub fn list(folder: &Path) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(cannot_list(folder))? {
        let entry = entry.map_err(cannot_list(folder))?;
        if is_hidden(&entry.file_name().to_string_lossy()) {
            continue;
        }
        let (kind, path) = (entry.file_type().map_err(cannot_list(folder))?, entry.path());
        let is_folder = if kind.is_symlink() { path.is_dir() } else { kind.is_dir() };
        entries.push(Entry { path, is_folder });
    }
    entries.sort();
    Ok(entries)
}

/// Calls `visit` with everything below `folder`, as [`list`] lists it, a folder before what lies in it. A folder that several
/// links lead to is walked once, always through the same one.
///
/// # Errors
/// A data error where a folder cannot be listed or folders are nested more than 32 deep, and what `visit` returns.
pub fn walk(folder: &Path, visit: &mut dyn FnMut(&Entry) -> Result<()>) -> Result<()> {
    walk_below(folder, 0, &mut HashSet::new(), visit)
}

fn walk_below(
    folder: &Path,
    depth: usize,
    seen: &mut HashSet<PathBuf>,
    visit: &mut dyn FnMut(&Entry) -> Result<()>,
) -> Result<()> {
    if depth > MAX_DEPTH {
        return Err(Error::data(format!("folders are nested more than {MAX_DEPTH} deep")).at_path(folder));
    }
    if !seen.insert(fs::canonicalize(folder).map_err(cannot_list(folder))?) {
        return Ok(());
    }
    for entry in list(folder)? {
        visit(&entry)?;
        if entry.is_folder {
            walk_below(&entry.path, depth + 1, seen, visit)?;
        }
    }
    Ok(())
}

fn cannot_list(folder: &Path) -> impl Fn(io::Error) -> Error + '_ {
    move |error| Error::data("cannot list the folder").at_path(folder).because(error)
}

#[cfg(test)]
mod tests;
