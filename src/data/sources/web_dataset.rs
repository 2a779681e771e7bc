//! WebDataset shards: tar files in which the files of one key are a sample, its image and its label. They are read without
//! unpacking, several at a time; images are decoded later, from their places in the shards. Those of compressed shards, which
//! can be read from their beginning only, are kept in memory.
//!
//! The form is that of the Python package `webdataset`: a key is a name up to the first dot behind its last slash.

mod label;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;
use rayon::prelude::*;
use tar::{Archive, Entries, Entry, EntryType};

use super::archive::{MAX_ENTRIES, check_end, damaged, parts, read_into_memory, sparse, stem, symbolic_link, unsparse};
use super::class_names;
use super::image_folder::left_out_note;
use super::image_list::ImageList;
use super::labelled::{LabelledImage, LabelledImages};
use super::shards::{find, has_ending, with_splits};
use crate::data::image::{EXTENSIONS, LeftOut};
use crate::data::stored::ImageSource;
use crate::data::{Split, idx};
use crate::device::threads;
use crate::error::{Error, Result};
use crate::files::bounded::BoundedReader;
use label::LabelFile;

/// How many shards, and how many files of each, are looked at to tell whether they are shards.
const PROBES: (usize, usize) = (4, 16);

/// How many shards are listed before their lists are put together.
const AT_ONCE: usize = 64;

/// How the names of shards end, in small letters.
const ENDINGS: [&str; 3] = [".tar", ".tar.gz", ".tgz"];

/// Whether shards lie in `folder`, or in a split's folder in it.
///
/// # Errors
/// A data error where it cannot be listed.
pub(super) fn has_shards(folder: &Path) -> Result<bool> {
    let shards = find(folder, |path| has_ending(path, &ENDINGS))?;
    Ok(shards.iter().take(PROBES.0).any(|(path, _)| first_sample(path).is_some()))
}

/// Whether the tar at `path` is a shard, and no archive of class folders: these may have texts beside their images, too, but
/// no `.cls`.
pub(super) fn is_shard(path: &Path) -> bool {
    first_sample(path).is_some_and(|sample| !sample.is_in_folder || sample.labels.contains(&LabelFile::Number))
}

/// The samples of the shards in `folder`, in their order. A shard's split is that of its folder or of its name, `train` where no
/// shard's says one.
///
/// # Errors
/// A data error where a shard is damaged or cut short, where an image has no label or several, where labels are of several kinds,
/// and where a shard's split cannot be told.
pub(super) fn read_folder(folder: &Path) -> Result<ImageList> {
    let files = find(folder, |path| has_ending(path, &ENDINGS)).and_then(|files| {
        check_packed_once(files.iter().map(|(path, _)| path))?;
        with_splits(files)
    });
    let all = read_shards(&files.map_err(|error| error.at_path(folder))?);
    let mut all = all.map_err(|error| error.at_path(folder))?;
    all.notes.extend(left_out_note(folder, &all.images, "beside the shards")?);
    name_classes(ImageList { name: idx::folder_name(folder), root: folder.to_owned(), ..all }, folder)
}

/// The samples of the one shard at `path`, as [`read_folder`].
///
/// # Errors
/// As [`read_folder`].
pub(super) fn read_file(path: &Path) -> Result<ImageList> {
    let all = with_splits(vec![(path.to_owned(), None)]).and_then(|files| read_shards(&files));
    let all = all.map_err(|error| error.at_path(path))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    name_classes(ImageList { name: stem(path), ..all }, folder)
}

/// A shard and the same one packed would count twice.
fn check_packed_once<'a>(shards: impl Iterator<Item = &'a PathBuf>) -> Result<()> {
    let mut seen = HashSet::new();
    for path in shards {
        if !seen.insert(path.with_file_name(stem(path))) {
            return Err(Error::data("a shard is there twice: packed and not packed, by its name")
                .got(path.display())
                .help("remove one of the two"));
        }
    }
    Ok(())
}

fn read_shards(files: &[(PathBuf, Split)]) -> Result<ImageList> {
    let num_bytes = AtomicU64::new(0);
    let read =
        |(path, split): &(PathBuf, Split)| read_shard(path, *split, &num_bytes).map_err(|error| error.at_path(path));
    let mut all = Shard::default();
    for files in files.chunks(AT_ONCE) {
        let shards: Vec<Result<Shard>> = threads::install(|| files.par_iter().map(read).collect())?;
        shards.into_iter().try_for_each(|shard| shard.map(|shard| all.append(shard)))?;
    }
    check_one_kind(&all)?;
    let mut notes: Vec<String> = all.left_out.note().into_iter().collect();
    notes.extend(
        (all.num_without_image > 0).then(|| format!("left out: {} samples without an image", all.num_without_image)),
    );
    Ok(ImageList { images: all.images, notes, ..ImageList::default() })
}

/// The sample that a tar begins with.
struct FirstSample {
    labels: BTreeSet<LabelFile>,
    /// Whether its key has a folder.
    is_in_folder: bool,
}

/// The first sample of a tar, where its first files are an image and a label of one key.
fn first_sample(path: &Path) -> Option<FirstSample> {
    let mut file = File::open(path).ok()?;
    match is_gzip(&mut file).ok()? {
        true => sample_of(Archive::new(unpacked(file).ok()?).entries().ok()?),
        false => sample_of(Archive::new(BufReader::new(file)).entries_with_seek().ok()?),
    }
}

fn sample_of<R: Read>(entries: Entries<'_, R>) -> Option<FirstSample> {
    let (mut first, mut has_image, mut labels) = (None, false, BTreeSet::new());
    for entry in entries.take(PROBES.1).map_while(std::result::Result::ok) {
        let is_folder = entry.header().entry_type() == EntryType::Directory;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let Some((key, extension)) = key_of(&name).filter(|_| !is_folder) else { continue };
        if *first.get_or_insert_with(|| key.clone()) != key {
            break;
        }
        has_image |= EXTENSIONS.contains(&extension.as_str());
        labels.extend(LabelFile::from_extension(&extension));
    }
    let is_in_folder = first?.contains('/');
    (has_image && !labels.is_empty()).then_some(FirstSample { labels, is_in_folder })
}

/// A file's key, and its extension in small letters; `None` where it is hidden.
fn key_of(name: &str) -> Option<(String, String)> {
    let mut parts = parts(name)?;
    let file = parts.pop()?;
    let (stem, extension) = file.split_once('.').unwrap_or((&file, ""));
    parts.push(stem.to_owned());
    Some((parts.join("/"), extension.to_ascii_lowercase()))
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
    images: LabelledImages,
    /// What their labels were read from.
    kinds: BTreeSet<LabelFile>,
    left_out: LeftOut,
    num_without_image: usize,
}

impl Shard {
    fn append(&mut self, other: Shard) {
        let Shard { images, kinds, left_out, num_without_image } = other;
        self.images.extend(images.iter());
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

/// `num_bytes` counts what all shards keep in memory.
fn read_shard(path: &Path, split: Split, num_bytes: &AtomicU64) -> Result<Shard> {
    let mut file = File::open(path).map_err(damaged)?;
    let archive: Arc<Path> = path.into();
    if is_gzip(&mut file).map_err(damaged)? {
        let mut tar = Archive::new(unpacked(file).map_err(damaged)?);
        return read_entries(tar.entries().map_err(damaged)?, split, &mut |entry, name| {
            let total = num_bytes.fetch_add(entry.size(), Ordering::Relaxed).saturating_add(entry.size());
            read_into_memory(entry, &archive, name, total)
        });
    }
    let length = file.metadata().map_err(damaged)?.len();
    check_end(&mut file, length)?;
    let mut tar = Archive::new(BufReader::new(file));
    read_entries(tar.entries_with_seek().map_err(damaged)?, split, &mut |entry, name| {
        let (archive, start, length_there) = (archive.clone(), entry.raw_file_position(), entry.size());
        match start.checked_add(length_there).is_some_and(|end| end <= length) {
            true => Ok(ImageSource::Part {
                archive,
                name: name.to_owned(),
                start,
                length: length_there,
                is_deflated: false,
                checksum: None,
            }),
            false => Err(Error::data("the archive is cut short")),
        }
    })
}

/// Whether a file is compressed. It is at its beginning again.
fn is_gzip(file: &mut File) -> io::Result<bool> {
    let mut start = Vec::new();
    Read::by_ref(file).take(2).read_to_end(&mut start)?;
    file.rewind()?;
    Ok(start == [0x1f, 0x8b])
}

/// What is in a compressed file.
fn unpacked(file: File) -> io::Result<impl Read> {
    let packed_bytes = file.metadata()?.len();
    Ok(BoundedReader::unpacking(MultiGzDecoder::new(BufReader::new(file)), packed_bytes))
}

/// Says where an image of a tar lies, or keeps it.
type Store<'a, R> = &'a mut dyn FnMut(&mut Entry<'_, R>, &str) -> Result<ImageSource>;

fn read_entries<R: Read>(entries: Entries<'_, R>, split: Split, store: Store<'_, R>) -> Result<Shard> {
    let mut samples: Vec<Sample> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut shard = Shard::default();
    for (count, entry) in entries.enumerate() {
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
        check_kind(&entry, &name)?;
        add_file(&mut samples[place], entry, &name, store).map_err(|error| error.at(&name))?;
    }
    samples.into_iter().try_for_each(|sample| shard.add(sample, split))?;
    Ok(shard)
}

/// Whether an entry is no file and no link to one: a folder, or what only systems need.
fn is_other<R: Read>(entry: &Entry<'_, R>) -> bool {
    use EntryType::{Continuous, GNUSparse, Link, Regular, Symlink};
    !matches!(entry.header().entry_type(), Regular | Continuous | Link | Symlink | GNUSparse)
}

/// Refuses links and sparse files.
fn check_kind<R: Read>(entry: &Entry<'_, R>, name: &str) -> Result<()> {
    match entry.header().entry_type() {
        EntryType::Symlink | EntryType::Link => {
            Err(symbolic_link(name).help("pack it anew with tar -h --hard-dereference, which follows links"))
        }
        EntryType::GNUSparse => Err(sparse(name)),
        _ => Ok(()),
    }
}

/// Adds an image or a label to its sample.
fn add_file<R: Read>(sample: &mut Sample, mut entry: Entry<'_, R>, name: &str, store: Store<'_, R>) -> Result<()> {
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
    let image = store(&mut entry, name)?;
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
    let are_numbers = images.images.classes().iter().all(|class| class.parse::<u32>().is_ok());
    if !are_numbers || !lines.is_file() {
        return Ok(images);
    }
    let names = class_names::read_lines(&lines)?;
    let count = names.classes().len();
    let known = |class: &str| class.parse::<usize>().is_ok_and(|number| number < count);
    let unknown = images.images.iter().find(|image| !known(&image.class));
    match unknown {
        None => names.apply(images).map_err(|error| error.at_path(&lines)),
        Some(image) => Err(Error::data("a label has no name")
            .expected(format!("a number below {count}, the lines of {}", lines.display()))
            .got(image.class)
            .at(&image.image)),
    }
}

#[cfg(test)]
mod tests;
