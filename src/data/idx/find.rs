//! Which files of a folder hold a data set, under every usual name.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::files::walk::{Entry, list};

/// How many of a folder's entries an error lists.
const MAX_LISTED: usize = 8;

/// The files of one split.
#[derive(Debug, PartialEq)]
pub(super) struct FilePair {
    pub images: PathBuf,
    pub labels: PathBuf,
}

/// The files of a data set: of training, of testing or of both.
#[derive(Debug, PartialEq)]
pub(super) struct IdxFiles {
    pub train: Option<FilePair>,
    pub test: Option<FilePair>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum IdxSplit {
    Train,
    Test,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    IdxImages,
    Labels,
}

/// A file that is an IDX file by its name. `stem` is the name in one spelling: `train-images.idx3-ubyte.gz` and
/// `train-images-idx3-ubyte` have the same.
struct IdxCandidate {
    split: IdxSplit,
    content: Content,
    stem: String,
    path: PathBuf,
}

/// The IDX files of `folder`.
///
/// # Errors
/// A data error where the folder cannot be read, holds no IDX files, images without labels or labels without images,
/// or two different files for one part.
pub(super) fn find(folder: &Path) -> Result<IdxFiles> {
    let candidates = candidates(folder)?;
    if candidates.is_empty() {
        return Err(nothing_found(folder)?);
    }
    let train = find_pair(&candidates, IdxSplit::Train).map_err(|error| error.at_path(folder))?;
    let test = find_pair(&candidates, IdxSplit::Test).map_err(|error| error.at_path(folder))?;
    Ok(IdxFiles { train, test })
}

/// Whether `folder` is a folder with at least one file that is an IDX file by its name.
///
/// # Errors
/// A data error where the folder cannot be read.
pub(super) fn has_files(folder: &Path) -> Result<bool> {
    Ok(folder.is_dir() && !candidates(folder)?.is_empty())
}

/// In the order of their names, so that a choice between two never depends on the file system.
fn candidates(folder: &Path) -> Result<Vec<IdxCandidate>> {
    let mut found = Vec::new();
    for Entry { path, is_folder } in list(folder)? {
        let parsed = path.file_name().and_then(OsStr::to_str).and_then(parse_name);
        if let Some((split, content, stem)) = parsed.filter(|_| !is_folder && path.is_file()) {
            found.push(IdxCandidate { split, content, stem, path });
        }
    }
    Ok(found)
}

/// `[prefix-](train|t10k|test)-(images|labels)-(idxN|ubyte)…[.gz]`, with `-`, `.` or `_` between the words.
fn parse_name(name: &str) -> Option<(IdxSplit, Content, String)> {
    let lower = name.to_ascii_lowercase();
    let stem = lower.strip_suffix(".gz").unwrap_or(&lower).replace(['.', '_'], "-");
    let words: Vec<&str> = stem.split('-').collect();
    let at = words.iter().position(|word| matches!(*word, "train" | "t10k" | "test"))?;
    let split = if words[at] == "train" { IdxSplit::Train } else { IdxSplit::Test };
    let content = match *words.get(at + 1)? {
        "images" => Content::IdxImages,
        "labels" => Content::Labels,
        _ => return None,
    };
    let endings = &words[at + 2..];
    let is_idx = endings.iter().all(|word| matches!(*word, "idx" | "idx1" | "idx3" | "idx4" | "ubyte"));
    (is_idx && !endings.is_empty()).then_some((split, content, stem))
}

fn find_pair(candidates: &[IdxCandidate], split: IdxSplit) -> Result<Option<FilePair>> {
    let images = find_one(candidates, split, Content::IdxImages)?;
    let labels = find_one(candidates, split, Content::Labels)?;
    match (images, labels) {
        (Some(images), Some(labels)) => Ok(Some(FilePair { images: images.path.clone(), labels: labels.path.clone() })),
        (Some(images), None) => Err(partner_missing(images)),
        (None, Some(labels)) => Err(partner_missing(labels)),
        (None, None) => Ok(None),
    }
}

/// The one file for `split` and `content`. A plain file and its compressed copy are one file, and the plain one is
/// read; files of other names could be of another data set, and choosing between them would be a guess.
fn find_one(candidates: &[IdxCandidate], split: IdxSplit, content: Content) -> Result<Option<&IdxCandidate>> {
    let mut all = candidates.iter().filter(|candidate| candidate.split == split && candidate.content == content);
    let Some(first) = all.next() else { return Ok(None) };
    let other = all.clone().find(|other| other.stem != first.stem);
    if let Some(other) = other {
        return Err(Error::data("two files for the same part of the data set")
            .expected("one data set in the folder")
            .got(format!("{} and {}", name_of(&first.path), name_of(&other.path)))
            .help("give each data set a folder of its own"));
    }
    let is_plain = |candidate: &&IdxCandidate| !name_of(&candidate.path).to_ascii_lowercase().ends_with(".gz");
    Ok(Some([first].into_iter().chain(all).find(is_plain).unwrap_or(first)))
}

fn partner_missing(present: &IdxCandidate) -> Error {
    let (partner, name) = match present.content {
        Content::IdxImages => ("labels", present.stem.replace("images", "labels").replace("idx3", "idx1")),
        Content::Labels => ("images", present.stem.replace("labels", "images").replace("idx1", "idx3")),
    };
    Error::data(format!("the {partner} for {} are missing", name_of(&present.path)))
        .expected(format!("{name} beside it, plain or .gz"))
        .got("no such file")
}

fn nothing_found(folder: &Path) -> Result<Error> {
    let entries = list(folder)?;
    let mut names: Vec<String> = entries.iter().take(MAX_LISTED).map(|entry| name_of(&entry.path)).collect();
    if entries.len() > MAX_LISTED {
        names.push(format!("{} more", entries.len() - MAX_LISTED));
    }
    let there = if names.is_empty() { "an empty folder".to_string() } else { names.join(", ") };
    Ok(Error::data("no IDX files in the folder")
        .expected(
            "train-images-idx3-ubyte and train-labels-idx1-ubyte, and perhaps t10k-images-idx3-ubyte and \
             t10k-labels-idx1-ubyte, plain or .gz",
        )
        .got(there)
        .at_path(folder))
}

/// The last part of a path, with a slash behind a folder's.
fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    if path.is_dir() { format!("{name}/") } else { name.into_owned() }
}

#[cfg(test)]
mod tests;
