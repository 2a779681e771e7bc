//! Files that appear whole or not at all: written aside, synced, renamed.

pub mod bounded;
pub mod cache;
pub mod walk;

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use tempfile::NamedTempFile;

/// As [`write_atomically`], for a file that the user named: the folders that it is to lie in are made where they are missing.
///
/// # Errors
/// Whatever the disk says.
pub fn write_output(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    fs::create_dir_all(folder_of(path))?;
    write_atomically(path, write)
}

/// Writes a file through `write`: beside `path` first, then synced to the disk and renamed over it.
///
/// # Errors
/// Whatever the disk says. Then `path` is as it was before.
pub fn write_atomically(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let aside = write_aside(path, write)?;
    rename_into_place(aside, path)
}

/// The first half of [`write_atomically`]: a synced temporary file in `path`'s folder.
///
/// # Errors
/// Whatever the disk says. Then the temporary file is gone again.
pub fn write_aside(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".unfinished-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // what any new file gets; the umask takes away from it
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    crash_point();
    let mut file = builder.tempfile_in(folder_of(path)).map_err(without_path)?;
    crash_point();
    let mut writer = BufWriter::new(file.as_file_mut());
    write(&mut writer)?;
    crash_point();
    writer.flush()?;
    drop(writer);
    file.as_file().sync_all()?;
    Ok(file)
}

/// The system's own error, without the temporary file's name, which nobody asked for.
fn without_path(error: io::Error) -> io::Error {
    // tempfile's form, which keeps the system's error to itself
    match error.to_string().split_once(" at path ") {
        Some((reason, _)) => io::Error::new(error.kind(), reason.to_owned()),
        None => error,
    }
}

/// The second half of [`write_atomically`]: `aside` becomes `path`, and the folder is synced.
///
/// # Errors
/// Whatever the disk says.
pub fn rename_into_place(aside: NamedTempFile, path: &Path) -> io::Result<()> {
    crash_point();
    aside.persist(path).map_err(|error| without_path(error.error))?;
    crash_point();
    sync_folder(folder_of(path))
}

/// Appends `bytes` to a log that is read line by line, or record by record: a torn end is told from a whole one there.
///
/// # Errors
/// Whatever the disk says.
pub fn append(mut file: &File, bytes: &[u8]) -> io::Result<()> {
    crash_point();
    #[cfg(any(debug_assertions, feature = "crash-points"))]
    if crash_at() > 0 {
        let (first, second) = bytes.split_at(bytes.len() / 2);
        file.write_all(first)?;
        crash_point();
        return file.write_all(second);
    }
    file.write_all(bytes)
}

/// Removes a file.
///
/// # Errors
/// Whatever the disk says.
pub fn remove(path: &Path) -> io::Result<()> {
    crash_point();
    fs::remove_file(path)
}

/// For the tests of crash safety: where the environment variable `CONVNET_CRASH_AT` is N, the process is killed at the N-th
/// call. Calls stand around every operation on files that a crash must not hurt. Nothing in a release build, unless it has
/// the feature `crash-points`.
pub fn crash_point() {
    #[cfg(any(debug_assertions, feature = "crash-points"))]
    {
        use std::sync::atomic::{AtomicU64, Ordering};
        static CALLS: AtomicU64 = AtomicU64::new(0);
        if crash_at() > 0 && CALLS.fetch_add(1, Ordering::Relaxed) + 1 == crash_at() {
            #[cfg(unix)]
            // SAFETY: the process ends itself, with the signal that cannot be caught.
            unsafe {
                libc::kill(libc::getpid(), libc::SIGKILL);
            }
            std::process::abort();
        }
    }
}

/// The call at which the process dies; 0, never, unless a test says otherwise.
#[cfg(any(debug_assertions, feature = "crash-points"))]
fn crash_at() -> u64 {
    static AT: std::sync::OnceLock<u64> = std::sync::OnceLock::new();
    *AT.get_or_init(|| std::env::var("CONVNET_CRASH_AT").ok().and_then(|at| at.parse().ok()).unwrap_or(0))
}

/// Makes a folder's entries (renames in it) last through a power loss.
///
/// # Errors
/// Whatever the disk says.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// The folder that `path` lies in.
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// Bytes in lower-case hexadecimal, as checksums are written.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
