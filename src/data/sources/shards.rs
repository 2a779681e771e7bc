//! Files of one kind that together are a data set: where they lie, and which splits they are.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::data::Split;
use crate::data::names::quoted;
use crate::error::{Error, Result};
use crate::files::walk::list;

/// A file, and the split of the folder that it lies in.
pub(super) type Shard = (PathBuf, Option<Split>);

/// The files that `is_shard` in `folder` and in the splits' folders in it, each with that folder's split.
///
/// # Errors
/// A data error where a folder cannot be listed.
pub(super) fn find(folder: &Path, is_shard: impl Fn(&Path) -> bool) -> Result<Vec<Shard>> {
    let mut found = Vec::new();
    let mut add = |path: PathBuf, split| {
        // a pipe would wait for ever
        if is_shard(&path) && path.is_file() {
            found.push((path, split));
        }
    };
    for entry in list(folder)? {
        let split = entry.name().to_str().and_then(Split::from_name);
        match entry.is_folder {
            false => add(entry.path, None),
            true if split.is_some() => list(&entry.path)?.into_iter().for_each(|below| add(below.path, split)),
            true => {}
        }
    }
    Ok(found)
}

/// Whether the name of `path` ends with one of `endings`, in small letters.
pub(super) fn has_ending(path: &Path, endings: &[&str]) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    endings.iter().any(|ending| name.ends_with(ending))
}

/// The files with their splits: that of the folder, else that of the name; `train` where no file's says one.
///
/// # Errors
/// A data error where a name says several, or none although others do.
pub(super) fn with_splits(files: Vec<Shard>) -> Result<Vec<(PathBuf, Split)>> {
    let files = files.into_iter().map(|(path, split)| match split {
        Some(split) => Ok((path, Some(split))),
        None => split_of(&path).map(|split| (path, split)),
    });
    let files = files.collect::<Result<Vec<_>>>()?;
    let has_splits = files.iter().any(|(_, split)| split.is_some());
    let files = files.into_iter().map(|(path, split)| match split {
        None if has_splits => Err(Error::data("a shard's name says no split, as others' do")
            .expected(Split::NAMES.join(", "))
            .got(path.display())
            .help("rename it, or move it elsewhere")),
        split => Ok((path, split.unwrap_or(Split::Train))),
    });
    files.collect()
}

/// The split that a word of a shard's name says.
fn split_of(path: &Path) -> Result<Option<Split>> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let splits: BTreeSet<Split> =
        stem.split(|letter: char| !letter.is_alphabetic()).filter_map(Split::from_name).collect();
    match splits.len() {
        0 | 1 => Ok(splits.first().copied()),
        _ => Err(Error::data("a shard's name says several splits").got(path.display()).help("rename it")),
    }
}

/// Refuses a set of which a file is not there: names as `train-00001-of-00003` say how many there are.
///
/// # Errors
/// A data error that names the first one that is missing.
pub(super) fn check_all_there(files: &[(PathBuf, Split)]) -> Result<()> {
    let mut sets: BTreeMap<(PathBuf, u64), BTreeSet<u64>> = BTreeMap::new();
    for (path, _) in files {
        if let Some((before, number, total)) = number_of(path) {
            sets.entry((path.with_file_name(before), total)).or_default().insert(number);
        }
    }
    for ((before, total), numbers) in sets {
        if let Some(missing) = (0..total).find(|number| !numbers.contains(number)) {
            return Err(Error::data("a file of a data set is missing")
                .expected(format!("{total} files, as their names say"))
                .got(format!("{}, without number {missing}", numbers.len()))
                .at(format!("{}-…-of-{total:05}", before.display()))
                .help("copy it there, or name one of the files to read that one alone"));
        }
    }
    Ok(())
}

/// What stands before `-NUMBER-of-TOTAL` in a file's name, and both.
pub(super) fn number_of(path: &Path) -> Option<(String, u64, u64)> {
    let stem = path.file_stem()?.to_str()?;
    let (rest, total) = stem.rsplit_once("-of-")?;
    let (before, number) = rest.rsplit_once('-')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let parse = |text: &str| text.parse().ok().filter(|_| is_number(text));
    Some((before.to_owned(), parse(number)?, parse(total)?))
}

/// Takes `classes`, the order of the labels that a file says or leaves open, where it is the first file, into `order`.
///
/// # Errors
/// A data error where a file before said otherwise.
pub(super) fn same_classes(order: &mut Option<Option<Vec<String>>>, classes: Option<Vec<String>>) -> Result<()> {
    let first = order.get_or_insert_with(|| classes.clone());
    match *first == classes {
        true => Ok(()),
        false => Err(Error::data("two files of the data set name other classes")
            .expected(quoted(first.as_deref().unwrap_or_default()))
            .got(quoted(&classes.unwrap_or_default()))
            .help("write the files anew with the same names, in the same order")),
    }
}
