//! Which folder holds arrays, where the user names one above it: torchvision's roots have `<set>/raw`.

use std::path::{Path, PathBuf};

use crate::data::names::quoted;
use crate::data::sources::formats;
use crate::error::{Error, Result};
use crate::files::walk::list;

/// Folders of Python pickles, which no other language reads.
const PICKLES: [&str; 2] = ["cifar-10-batches-py", "cifar-100-python"];

/// Whether `folder` itself holds arrays: IDX files, or CIFAR's `.bin` files.
///
/// # Errors
/// A data error where it cannot be listed.
pub(super) fn has_arrays(folder: &Path) -> Result<bool> {
    Ok(formats::arrays_in(folder)?.is_some())
}

/// `folder`, or the one folder in it (or `raw` in one) that holds IDX files or CIFAR's `.bin` files; `None` where there is none.
///
/// # Errors
/// A data error where there are several, where only pickles are there, and where a folder cannot be listed.
pub(super) fn find(folder: &Path) -> Result<Option<PathBuf>> {
    if has_arrays(folder)? {
        return Ok(Some(folder.to_owned()));
    }
    let folders = list(folder)?.into_iter().filter(|entry| entry.is_folder);
    let below: Vec<PathBuf> = folders.map(|entry| entry.path).collect();
    let mut found = Vec::new();
    for candidate in below.iter().flat_map(|below| [below.clone(), below.join("raw")]) {
        if has_arrays(&candidate)? {
            found.push(candidate);
        }
    }
    let is_pickles = |path: &&PathBuf| path.file_name().is_some_and(|name| PICKLES.iter().any(|known| name == *known));
    let pickles = [folder.to_owned()].iter().chain(&below).find(is_pickles).cloned();
    match (&found[..], pickles) {
        ([], Some(pickles)) => Err(Error::data("Python pickles are not read")
            .expected("CIFAR's binary version (data_batch_1.bin)")
            .at_path(&pickles)
            .help("`data` cifar10 or cifar100 downloads it, or save the arrays with np.savez as x_train, y_train, x_test, y_test")),
        ([], None) => Ok(None),
        ([only], _) => Ok(Some(only.clone())),
        (several, _) => {
            let names: Vec<String> = several.iter().map(|path| path.display().to_string()).collect();
            let error = Error::data("there are several data sets in the folder").expected("one").got(quoted(&names));
            Err(error.at_path(folder).help("name one of them with `data`"))
        }
    }
}

#[cfg(test)]
mod tests;
