//! CIFAR-10's and CIFAR-100's binary files: records of one or two label bytes and 3×32×32 pixels, one colour after the
//! other (<https://www.cs.toronto.edu/~kriz/cifar.html>).

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::data::{ImageShape, Samples, Split, Splits, idx};
use crate::error::{Error, Result};
use crate::files::bounded::read_up_to;
use crate::files::walk::list;

const SHAPE: ImageShape = ImageShape { height: 32, width: 32, channels: 3 };
/// Bytes of one colour of an image.
const PLANE: usize = 32 * 32;
/// The largest file that is believed, in bytes: ten times CIFAR-100's.
const MAX_FILE_BYTES: u64 = 2 << 30;

/// Which of the two it is.
#[derive(Debug, Clone, Copy)]
struct CifarKind {
    /// Label bytes before an image's pixels. The last one is the class (CIFAR-100 has a coarser one before it).
    label_bytes: usize,
    num_classes: usize,
    names: &'static str,
}

const CIFAR_10: CifarKind = CifarKind { label_bytes: 1, num_classes: 10, names: "batches.meta.txt" };
const CIFAR_100: CifarKind = CifarKind { label_bytes: 2, num_classes: 100, names: "fine_label_names.txt" };

struct CifarFiles {
    kind: CifarKind,
    train: Vec<PathBuf>,
    test: Vec<PathBuf>,
}

/// Whether `folder` holds CIFAR's binary files by their names.
///
/// # Errors
/// A data error where the folder cannot be listed.
pub fn has_files(folder: &Path) -> Result<bool> {
    Ok(find(folder)?.is_some())
}

/// Reads `data_batch_*.bin` and `test_batch.bin`, or `train.bin` and `test.bin`, with the classes' names where their file
/// lies beside them.
///
/// # Errors
/// A data error that names the file that cannot be used.
pub fn read_folder(folder: &Path) -> Result<Splits> {
    let files = find(folder)?.ok_or_else(|| Error::data("there are no CIFAR files").at_path(folder))?;
    let CifarKind { num_classes, names, .. } = files.kind;
    let mut samples = BTreeMap::new();
    for (split, paths) in [(Split::Train, &files.train), (Split::Test, &files.test)] {
        if !paths.is_empty() {
            samples.insert(split, read_files(files.kind, paths)?);
        }
    }
    let classes = class_names(&folder.join(names), num_classes)?;
    Ok(Splits { name: idx::folder_name(folder), classes, samples, notes: Vec::new() })
}

fn find(folder: &Path) -> Result<Option<CifarFiles>> {
    let files = list(folder)?.into_iter().filter(|entry| !entry.is_folder);
    let mut paths: Vec<PathBuf> = files.map(|entry| entry.path).collect();
    paths.sort_by_key(|path| (path.as_os_str().len(), path.clone())); // data_batch_10 behind data_batch_9
    let named = |start: &str| -> Vec<PathBuf> {
        let is_named = |path: &&PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(start) && name.ends_with(".bin") && path.is_file()
        };
        paths.iter().filter(is_named).cloned().collect()
    };
    let kinds = [(CIFAR_10, "data_batch", "test_batch"), (CIFAR_100, "train.", "test.")];
    let files = kinds.map(|(kind, train, test)| CifarFiles { kind, train: named(train), test: named(test) });
    Ok(files.into_iter().find(|files| !files.train.is_empty() || !files.test.is_empty()))
}

fn read_files(kind: CifarKind, paths: &[PathBuf]) -> Result<Samples> {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for path in paths {
        read_file(kind, path, &mut pixels, &mut labels).map_err(|error| error.at_path(path))?;
    }
    Samples::new(SHAPE, pixels, labels, kind.num_classes)
}

fn read_file(kind: CifarKind, path: &Path, pixels: &mut Vec<u8>, labels: &mut Vec<i64>) -> Result<()> {
    let unreadable = |error| Error::data("cannot read the file").because(error);
    let length = path.metadata().map_err(unreadable)?.len();
    let record_bytes = kind.label_bytes + 3 * PLANE;
    if length == 0 || length > MAX_FILE_BYTES || length % record_bytes as u64 != 0 {
        return Err(Error::data("the file's length is none of a CIFAR file")
            .expected(format!("a multiple of {record_bytes} bytes, up to {MAX_FILE_BYTES}"))
            .got(length)
            .help("copy or download it again"));
    }
    let bytes = File::open(path).and_then(|file| read_up_to(file, MAX_FILE_BYTES)).map_err(unreadable)?;
    let bytes = bytes.ok_or_else(|| Error::data("the file grows while it is read"))?;
    pixels.reserve_exact(bytes.len() / record_bytes * 3 * PLANE);
    for (index, record) in bytes.chunks_exact(record_bytes).enumerate() {
        let (label, planes) = record.split_at(kind.label_bytes);
        let label = label[kind.label_bytes - 1];
        if usize::from(label) >= kind.num_classes {
            return Err(Error::data(format!("label of image {index} is out of range"))
                .expected(format!("0 to {}", kind.num_classes - 1))
                .got(label));
        }
        labels.push(i64::from(label));
        pixels.extend((0..PLANE).flat_map(|at| [planes[at], planes[PLANE + at], planes[2 * PLANE + at]]));
    }
    Ok(())
}

/// A name a line; numbers where the file is missing.
fn class_names(path: &Path, num_classes: usize) -> Result<Vec<String>> {
    let text = match fs::read(path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok((0..num_classes).map(|class| class.to_string()).collect());
        }
        Err(error) => return Err(Error::data("cannot read the classes' names").at_path(path).because(error)),
    };
    let names: Vec<String> = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    match names.len() == num_classes {
        true => Ok(names),
        false => Err(Error::data("the classes' names are not as many as the classes")
            .expected(num_classes)
            .got(names.len())
            .at_path(path)),
    }
}

#[cfg(test)]
mod tests;
