//! The records of a folder's TensorBoard event files, read as far as they are whole.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use protobuf::Message;
use tensorboard_proto::event::Event;
use tensorboard_rs::masked_crc32c::masked_crc32c;

use super::event_fields;
use crate::error::{Error, Result};
use crate::files;

/// What the name of an event file begins with; the second of its creation follows.
pub(super) const PREFIX: &str = "events.out.tfevents.";

/// Longer records are skipped when older files are read. The longest that are written, pictures, have less than a tenth of it.
const MAX_RECORD_BYTES: u64 = 64 << 20;

/// Records above this are no scalars (60 bytes here, 100 as TensorFlow writes them): they are not parsed, because protobuf 2
/// descends into nested groups without a limit (RUSTSEC-2024-0437).
const MAX_SCALAR_BYTES: usize = 1024;

/// Takes out of the event files in `folder`, where there is one, the records whose tag and step `is_kept` refuses: those of
/// a run that goes on otherwise from an earlier step. A file is replaced whole or not at all.
///
/// # Errors
/// An internal error where a file cannot be read or written.
pub(super) fn retain(folder: &Path, is_kept: impl Fn(&str, u64) -> bool) -> Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    let failed = |path: &Path, error| Error::internal("cannot change a TensorBoard log").at_path(path).because(error);
    for path in event_files(folder).map_err(|error| failed(folder, error))? {
        let bytes = fs::read(&path).map_err(|error| failed(&path, error))?;
        let kept = kept_records(&bytes, &is_kept).map_err(|error| failed(&path, error))?;
        if kept != bytes {
            let replaced = files::write_atomically(&path, |writer| writer.write_all(&kept));
            replaced.map_err(|error| failed(&path, error))?;
        }
    }
    Ok(())
}

/// The whole records of a file's bytes without those that `is_kept` refuses.
fn kept_records(bytes: &[u8], is_kept: impl Fn(&str, u64) -> bool) -> io::Result<Vec<u8>> {
    let (mut kept, mut rest) = (Vec::with_capacity(bytes.len()), bytes);
    loop {
        let from_here = rest;
        let Some(record) = next_record(&mut rest)? else { return Ok(kept) };
        let event = event_fields::read(&record).unwrap_or_default();
        if event.tags.iter().all(|tag| is_kept(tag, event.step)) {
            kept.extend_from_slice(&from_here[..from_here.len() - rest.len()]);
        }
    }
}

/// The event files of `folder`, oldest first.
pub(super) fn event_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let paths: io::Result<Vec<PathBuf>> = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut paths = paths?;
    paths.retain(|path| second_of(path).is_some() && path.is_file());
    paths.sort();
    Ok(paths)
}

/// The second in the name of an event file; `None` for every other name.
pub(super) fn second_of(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.strip_prefix(PREFIX)?.split('.').next()?.parse().ok()
}

/// Raises the `last_steps` of the tags in the event file at `path`, up to its end or its first torn or damaged record:
/// TensorBoard reads no further either.
pub(super) fn collect_last_steps(path: &Path, last_steps: &mut HashMap<String, u64>) -> io::Result<()> {
    let mut reader = BufReader::new(File::open(path)?);
    while let Some(record) = next_record(&mut reader)? {
        let Some(event) = event_fields::read(&record) else { return Ok(()) };
        for tag in event.tags {
            let last = last_steps.entry(tag).or_insert(event.step);
            *last = event.step.max(*last);
        }
    }
    Ok(())
}

/// The values of the scalar `tag` in the event files of `folder`, with their steps, as far as records are whole.
///
/// # Errors
/// What the disk says.
pub(super) fn scalars(folder: &Path, tag: &str) -> io::Result<Vec<(u64, f64)>> {
    let mut values = Vec::new();
    for path in event_files(folder)? {
        let mut reader = BufReader::new(File::open(path)?);
        while let Some(record) = next_record(&mut reader)? {
            if record.len() > MAX_SCALAR_BYTES {
                continue;
            }
            let Ok(event) = Event::parse_from_bytes(&record) else { break };
            let of_tag = event.get_summary().get_value().iter().filter(|value| value.get_tag() == tag);
            let step = u64::try_from(event.get_step()).unwrap_or(0);
            values.extend(of_tag.map(|value| (step, f64::from(value.get_simple_value()))));
        }
    }
    Ok(values)
}

/// The next record's bytes (none of them where it is above [`MAX_RECORD_BYTES`]); `None` where no whole one follows.
fn next_record(reader: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let (Some(length), Some(length_crc)) = (next_bytes::<8>(reader)?, next_bytes::<4>(reader)?) else {
        return Ok(None);
    };
    if u32::from_le_bytes(length_crc) != masked_crc32c(&length) {
        return Ok(None);
    }
    let length = u64::from_le_bytes(length);
    if length > MAX_RECORD_BYTES {
        let skipped = io::copy(&mut reader.take(length), &mut io::sink())?;
        let crc = next_bytes::<4>(reader)?;
        return Ok((skipped == length && crc.is_some()).then(Vec::new));
    }
    let mut record = Vec::new();
    reader.take(length).read_to_end(&mut record)?;
    let whole = next_bytes::<4>(reader)?.is_some_and(|crc| u32::from_le_bytes(crc) == masked_crc32c(&record));
    Ok(whole.then_some(record))
}

/// The next `N` bytes; `None` where the file ends before.
fn next_bytes<const N: usize>(reader: &mut impl Read) -> io::Result<Option<[u8; N]>> {
    let mut bytes = [0; N];
    match reader.read_exact(&mut bytes) {
        Ok(()) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}
