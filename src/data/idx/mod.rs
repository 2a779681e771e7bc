//! Folders of IDX files, the format of MNIST and its kin: big-endian sizes, then unsigned bytes, plain or gzip.
//!
//! Images are taken as they lie in the file. EMNIST's lie on their side (it stores columns first); every program that
//! reads the files plainly sees them so, and so do models trained elsewhere.

mod find;
mod read;

use std::path::Path;

use crate::data::{Dataset, Samples, Split, Splits};
use crate::error::{Error, Result};

use find::FilePair;
use read::IdxImages;

/// Reads a folder of IDX files: `train-images-idx3-ubyte`, `train-labels-idx1-ubyte` and, where there are any, test files
/// (`t10k-…` or `test-…`), under any of the usual names, plain or gzip.
///
/// Images are `u8 [N, H, W]` or `u8 [N, H, W, C]` with C 1 or 3. K is the largest label plus one over both splits: at
/// most 256, as labels are bytes. The classes are named "0" to K-1 and the data set after its folder;
/// [`crate::data::registry::load`] knows better names.
///
/// # Errors
/// A data error that names the file, for files that are missing, damaged, cut off, or do not go together.
pub fn read_folder(folder: &Path) -> Result<Dataset> {
    read_splits(folder)?.into_dataset().map_err(|error| error.at_path(folder))
}

/// As [`read_folder`], where there may be test files alone.
///
/// # Errors
/// As [`read_folder`].
pub fn read_splits(folder: &Path) -> Result<Splits> {
    let files = find::find(folder)?;
    let pairs = [(Split::Train, &files.train), (Split::Test, &files.test)];
    let mut found = Vec::new();
    for (split, pair) in pairs.into_iter().filter_map(|(split, pair)| Some((split, pair.as_ref()?))) {
        found.push((split, pair, read_split(pair)?));
    }
    if let [(_, train_files, (train, _)), (_, test_files, (test, _))] = &found[..] {
        check_same_shape(train, train_files, test, test_files)?;
    }
    let labels = found.iter().flat_map(|(_, _, (_, labels))| labels);
    let num_classes = labels.max().map_or(0, |&label| usize::from(label) + 1);
    let samples = found.into_iter().map(|(split, _, read)| Ok((split, to_samples(read, num_classes)?)));
    let samples = samples.collect::<Result<_>>()?;
    let classes = (0..num_classes).map(|class| class.to_string()).collect();
    Ok(Splits { name: folder_name(folder), classes, samples, notes: Vec::new() })
}

/// Whether `folder` is a folder with files that are IDX files by their names.
///
/// # Errors
/// A data error where the folder cannot be listed.
pub fn has_files(folder: &Path) -> Result<bool> {
    find::has_files(folder)
}

fn read_split(files: &FilePair) -> Result<(IdxImages, Vec<u8>)> {
    let labels = read::read_labels(&files.labels)?;
    let images = read::read_images(&files.images)?;
    if images.count != labels.len() {
        return Err(Error::data("as many labels as images are needed")
            .expected(format!("{} labels for {}", images.count, files.images.display()))
            .got(format!("{} labels in {}", labels.len(), files.labels.display())));
    }
    Ok((images, labels))
}

fn check_same_shape(train: &IdxImages, train_files: &FilePair, test: &IdxImages, test_files: &FilePair) -> Result<()> {
    if train.shape == test.shape {
        return Ok(());
    }
    Err(Error::data("training and test images differ in shape")
        .expected(format!("{} as in {}", train.shape, train_files.images.display()))
        .got(format!("{} in {}", test.shape, test_files.images.display())))
}

fn to_samples((images, labels): (IdxImages, Vec<u8>), num_classes: usize) -> Result<Samples> {
    Samples::new(images.shape, images.pixels, labels.into_iter().map(i64::from).collect(), num_classes)
}

/// The folder's own name, not that of what a link leads to. PyTorch keeps a data set's files in a folder `raw`, which
/// names nothing: then its parent's.
pub(super) fn folder_name(folder: &Path) -> String {
    let absolute = if folder.file_name().is_some() { std::path::absolute(folder) } else { folder.canonicalize() };
    let absolute = absolute.unwrap_or_else(|_| folder.to_path_buf());
    let mut names = absolute.iter().rev().map(|name| name.to_string_lossy());
    names.find(|name| *name != "raw").unwrap_or_default().into_owned()
}

#[cfg(test)]
mod tests;
