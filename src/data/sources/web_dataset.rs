//! WebDataset shards: tar files in which the files of one key are a sample, its image and its label. They are read without
//! unpacking, several at a time; images are decoded later, from their places in the shards.
//!
//! The form is that of the Python package `webdataset`: a key is a name up to the first dot behind its last slash.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use serde::Deserialize;
use serde_json::Value;
use tar::{Archive, EntryType};

use super::archive::{MAX_ENTRIES, check_end, damaged, parts, sparse, symbolic_link, unsparse};
use super::class_names;
use super::image_folder::left_out_note;
use super::image_list::{ImageList, LabelledImage};
use super::manifest::class_of;
use crate::data::image::{EXTENSIONS, LeftOut};
use crate::data::names::composed;
use crate::data::stored::ImageSource;
use crate::data::{Split, idx};
use crate::device::threads;
use crate::error::{Error, Result};
use crate::files::bounded::read_up_to;
use crate::files::walk::list;

/// The most bytes of a label's file.
const MAX_LABEL_BYTES: u64 = 1 << 20;
/// How many shards, and how many files of each, are looked at to tell whether they are shards.
const PROBES: (usize, usize) = (4, 16);

type Entry<'a> = tar::Entry<'a, BufReader<File>>;

/// A file that holds a sample's label. Of several the first one here counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum LabelFile {
    /// `.cls`: a number.
    Number,
    /// `.json`: an object with `label` or `cls`, text or a whole number.
    Json,
    /// `.txt`: a class's name.
    Text,
}

impl LabelFile {
    const ALL: [LabelFile; 3] = [LabelFile::Number, LabelFile::Json, LabelFile::Text];

    fn extension(self) -> &'static str {
        match self {
            LabelFile::Number => "cls",
            LabelFile::Json => "json",
            LabelFile::Text => "txt",
        }
    }

    fn from_extension(extension: &str) -> Option<Self> {
        LabelFile::ALL.into_iter().find(|kind| kind.extension() == extension)
    }

    /// The class that `file` names; `None` where it is an object without one.
    fn read(self, file: impl Read) -> Result<Option<String>> {
        let bytes = read_up_to(file, MAX_LABEL_BYTES).map_err(damaged)?.ok_or_else(|| {
            Error::data("a label is too long").expected(format!("at most {MAX_LABEL_BYTES} bytes")).got("more")
        })?;
        match self {
            LabelFile::Number => number(&bytes).map(Some),
            LabelFile::Json => json_label(&bytes),
            LabelFile::Text => name(&bytes).map(Some),
        }
    }
}

/// What of a sample's `.json` says its class. Other keys are passed over.
#[derive(Debug, Deserialize)]
struct JsonLabel {
    label: Option<Value>,
    cls: Option<Value>,
}

fn number(bytes: &[u8]) -> Result<String> {
    let text = String::from_utf8_lossy(bytes);
    let number = text.trim().parse::<u32>().map_err(|error| {
        let start: String = text.trim().chars().take(40).collect();
        Error::data("a label is no number").expected("a whole number from 0").got(format!("\"{start}\"")).because(error)
    })?;
    Ok(number.to_string())
}

fn json_label(bytes: &[u8]) -> Result<Option<String>> {
    let JsonLabel { label, cls } = serde_json::from_slice(bytes).map_err(|error| {
        Error::data("cannot read a label").expected(r#"an object as {"label": "cat"} or {"cls": 3}"#).because(error)
    })?;
    let class = label.or(cls).map(class_of).transpose()?;
    class.map(|class| name(class.as_bytes())).transpose()
}

fn name(bytes: &[u8]) -> Result<String> {
    let text = std::str::from_utf8(bytes).map_err(|error| Error::data("a label is not UTF-8").because(error))?.trim();
    match text.is_empty() || text.contains(['\n', '\r']) {
        false => Ok(composed(text).into_owned()),
        true => Err(Error::data("a label names no class")
            .expected("a class's name on one line")
            .got(if text.is_empty() { "nothing" } else { "several lines" })),
    }
}

/// Whether shards lie in `folder`, or in a split's folder in it.
///
/// # Errors
/// A data error where it cannot be listed.
pub(super) fn has_shards(folder: &Path) -> Result<bool> {
    Ok(find(folder)?.iter().take(PROBES.0).any(|(path, _)| begins_with_sample(path)))
}

/// The samples of the shards in `folder`, in their order. A shard's split is that of its folder or of its name, `train` where no
/// shard's says one.
///
/// # Errors
/// A data error where a shard is damaged or cut short, where an image has no label or several, where labels are of several kinds,
/// and where a shard's split cannot be told.
pub(super) fn read_folder(folder: &Path) -> Result<ImageList> {
    let files = with_splits(find(folder)?).map_err(|error| error.at_path(folder))?;
    let read = |(path, split): &(PathBuf, Split)| read_shard(path, *split).map_err(|error| error.at_path(path));
    let shards: Vec<Result<Shard>> = threads::install(|| files.par_iter().map(read).collect())?;
    let mut all = Shard::default();
    for shard in shards {
        all.append(shard?);
    }
    check_one_kind(&all).map_err(|error| error.at_path(folder))?;
    let mut notes: Vec<String> = all.left_out.note().into_iter().collect();
    notes.extend(
        (all.num_without_image > 0).then(|| format!("left out: {} samples without an image", all.num_without_image)),
    );
    notes.extend(left_out_note(folder, &all.images, "beside the shards")?);
    let (name, root) = (idx::folder_name(folder), folder.to_owned());
    name_classes(ImageList { name, root, images: all.images, notes, ..ImageList::default() }, folder)
}

/// The tars in `folder` and in the splits' folders in it, each with that folder's split.
fn find(folder: &Path) -> Result<Vec<(PathBuf, Option<Split>)>> {
    let mut found = Vec::new();
    let mut add = |path: PathBuf, split| {
        let is_tar = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("tar"));
        // a pipe would wait for ever
        if is_tar && path.is_file() {
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

/// Whether the first files of a tar are an image and a label of one key.
fn begins_with_sample(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return false };
    let mut tar = Archive::new(BufReader::new(file));
    let Ok(entries) = tar.entries_with_seek() else { return false };
    let (mut first, mut has_image, mut has_label) = (None, false, false);
    for entry in entries.take(PROBES.1).map_while(std::result::Result::ok) {
        let is_folder = entry.header().entry_type() == EntryType::Directory;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let Some((key, extension)) = key_of(&name).filter(|_| !is_folder) else { continue };
        if *first.get_or_insert_with(|| key.clone()) != key {
            break;
        }
        has_image |= EXTENSIONS.contains(&extension.as_str());
        has_label |= LabelFile::from_extension(&extension).is_some();
    }
    has_image && has_label
}

/// A file's key, and its extension in small letters; `None` where it is hidden.
fn key_of(name: &str) -> Option<(String, String)> {
    let mut parts = parts(name)?;
    let file = parts.pop()?;
    let (stem, extension) = file.split_once('.').unwrap_or((&file, ""));
    parts.push(stem.to_owned());
    Some((parts.join("/"), extension.to_ascii_lowercase()))
}

fn with_splits(files: Vec<(PathBuf, Option<Split>)>) -> Result<Vec<(PathBuf, Split)>> {
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

/// What a sample has so far.
#[derive(Debug, Default)]
struct Sample {
    image: Option<ImageSource>,
    label: Option<(LabelFile, String)>,
}

/// The samples of a shard, or of several.
#[derive(Debug, Default)]
struct Shard {
    images: Vec<LabelledImage>,
    /// What their labels were read from.
    kinds: BTreeSet<LabelFile>,
    left_out: LeftOut,
    num_without_image: usize,
}

impl Shard {
    fn append(&mut self, other: Shard) {
        let Shard { images, kinds, left_out, num_without_image } = other;
        self.images.extend(images);
        self.kinds.extend(kinds);
        self.left_out.append(left_out);
        self.num_without_image += num_without_image;
    }

    fn add(&mut self, sample: Sample, split: Split) -> Result<()> {
        match sample {
            Sample { image: Some(image), label: Some((kind, class)) } => {
                self.kinds.insert(kind);
                self.images.push(LabelledImage { split, class, image });
                Ok(())
            }
            Sample { image: Some(image), label: None } => Err(Error::data("an image has no label")
                .expected(
                    "a file of its key: .cls with a number, .json with label or cls, or .txt with the class's name",
                )
                .at(image.file_name().display())),
            Sample { image: None, .. } => {
                self.num_without_image += 1;
                Ok(())
            }
        }
    }
}

fn read_shard(path: &Path, split: Split) -> Result<Shard> {
    let mut file = File::open(path).map_err(damaged)?;
    let length = file.metadata().map_err(damaged)?.len();
    check_end(&mut file, length)?;
    let mut samples: Vec<Sample> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    let (archive, mut shard) = (path.into(), Shard::default());
    for (count, entry) in Archive::new(BufReader::new(file)).entries_with_seek().map_err(damaged)?.enumerate() {
        let mut entry = entry.map_err(damaged)?;
        if count == MAX_ENTRIES {
            return Err(Error::data("the archive has too many files").expected(format!("at most {MAX_ENTRIES}")));
        }
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let name = unsparse(&mut entry, &name)?;
        let Some((key, extension)) = key_of(&name).filter(|_| !is_other(&entry)) else { continue };
        if !EXTENSIONS.contains(&extension.as_str()) && LabelFile::from_extension(&extension).is_none() {
            shard.left_out.add(Path::new(&name));
            continue;
        }
        let place = *places.entry(key).or_insert(samples.len());
        samples.resize_with(samples.len().max(place + 1), Sample::default);
        check_whole(&entry, &name, length)?;
        add_file(&mut samples[place], entry, &name, &archive).map_err(|error| error.at(&name))?;
    }
    samples.into_iter().try_for_each(|sample| shard.add(sample, split))?;
    Ok(shard)
}

/// Whether an entry is no file and no link to one: a folder, or what only systems need.
fn is_other(entry: &Entry) -> bool {
    use EntryType::{Continuous, GNUSparse, Link, Regular, Symlink};
    !matches!(entry.header().entry_type(), Regular | Continuous | Link | Symlink | GNUSparse)
}

/// Refuses links, and files that go on behind the end of the archive.
fn check_whole(entry: &Entry, name: &str, length: u64) -> Result<()> {
    let kind = entry.header().entry_type();
    if matches!(kind, EntryType::Symlink | EntryType::Link) {
        return Err(symbolic_link(name).help("pack it anew with tar -h --hard-dereference, which follows links"));
    }
    if kind == EntryType::GNUSparse {
        return Err(sparse(name));
    }
    match entry.raw_file_position().checked_add(entry.size()).is_some_and(|end| end <= length) {
        true => Ok(()),
        false => Err(Error::data("the archive is cut short").at(name)),
    }
}

/// Adds an image or a label to its sample.
fn add_file(sample: &mut Sample, entry: Entry, name: &str, archive: &Arc<Path>) -> Result<()> {
    let extension = key_of(name).map(|(_, extension)| extension).unwrap_or_default();
    let twice = |what: &str| {
        let error = Error::data(format!("a sample has two {what}")).expected("one for each key");
        Err(error.help("keys are names up to their first dot"))
    };
    if let Some(kind) = LabelFile::from_extension(&extension) {
        let label = kind.read(entry)?.map(|class| (kind, class));
        match &sample.label {
            Some((before, _)) if label.is_some() && *before == kind => return twice("labels"),
            Some((before, _)) if *before < kind => {}
            Some(_) | None => sample.label = label.or(sample.label.take()),
        }
        return Ok(());
    }
    let image = ImageSource::Part {
        archive: archive.clone(),
        name: name.to_owned(),
        start: entry.raw_file_position(),
        length: entry.size(),
        is_deflated: false,
        checksum: None,
    };
    match sample.image.replace(image) {
        None => Ok(()),
        Some(_) => twice("images"),
    }
}

/// Numbers of some samples and names of others would be classes beside each other.
fn check_one_kind(all: &Shard) -> Result<()> {
    let kinds: Vec<&str> = all.kinds.iter().map(|kind| kind.extension()).collect();
    match kinds.len() {
        1 => Ok(()),
        0 => Err(Error::data("the shards hold no image").expected(EXTENSIONS.join(", "))),
        _ => Err(Error::data("the samples' labels are of several kinds")
            .expected("one for all images: .cls, .json or .txt")
            .got(kinds.join(" and "))),
    }
}

/// `images` under the classes' true names, where a file beside the shards has them.
fn name_classes(images: ImageList, folder: &Path) -> Result<ImageList> {
    let (table, lines) = (folder.join(class_names::FILE), folder.join(class_names::LINES));
    if table.is_file()
        && let Some(names) = class_names::read(&table)?
    {
        return names.apply(images).map_err(|error| error.at_path(&table));
    }
    let are_numbers = images.images.iter().all(|image| image.class.parse::<u32>().is_ok());
    if !are_numbers || !lines.is_file() {
        return Ok(images);
    }
    let names = class_names::read_lines(&lines)?;
    let count = names.classes().len();
    let known = |class: &str| class.parse::<usize>().is_ok_and(|number| number < count);
    match images.images.iter().find(|image| !known(&image.class)) {
        None => names.apply(images).map_err(|error| error.at_path(&lines)),
        Some(image) => Err(Error::data("a label has no name")
            .expected(format!("a number below {count}, the lines of {}", lines.display()))
            .got(&image.class)
            .at(&image.image)),
    }
}

#[cfg(test)]
mod tests;
