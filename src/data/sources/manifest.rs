//! Manifests: a line for each image with its path, its label and, perhaps, its split.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::hash::BuildHasher;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::image_list::ImageList;
use super::labelled::{LabelledImage, LabelledImages};
use super::table::{MAX_LINE_BYTES, Table};
use crate::data::Split;
use crate::data::names::composed;
use crate::data::parquet::{self, NamedFile};
use crate::data::stored::ImageSource;
use crate::error::{Error, Result};

/// The column of an image's path, ...
const PATH: &str = "path";
/// ... and what Hugging Face's `metadata.csv`, `metadata.jsonl` and `metadata.parquet` call it.
const FILE_NAME: &str = "file_name";
/// The most lines that are read.
const MAX_LINES: usize = 100_000_000;
/// What it is, for messages.
const WHAT: &str = "the manifest";
/// What editors on Windows put in front of UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One image, as a manifest has it.
struct ManifestRow {
    path: String,
    class: String,
    split: Option<String>,
    /// Whether the path is a [`FILE_NAME`]: it lies below the manifest's folder, and its first folder may name the split.
    is_file_name: bool,
}

/// A line of a JSON manifest. Other keys are passed over.
#[derive(Debug, Deserialize)]
struct JsonRow {
    path: Option<String>,
    file_name: Option<String>,
    label: Value,
    split: Option<String>,
}

/// A CSV with the columns `path` (or `file_name`), `label` and, perhaps, `split`. Paths are relative to the CSV's folder. A label
/// is text: 007 is no 7, and `true` the name of a class.
///
/// # Errors
/// A data error that names the line, where it cannot be used.
pub(super) fn read_csv(path: &Path) -> Result<ImageList> {
    csv_images(Builder::new(path, None))
}

/// As [`read_csv`] or [`read_json_lines`], for the `metadata.csv`, `metadata.jsonl` or `metadata.parquet` of a folder whose images
/// belong to `split` where nothing else says it.
///
/// # Errors
/// As [`read_csv`].
pub(super) fn read_metadata(path: &Path, split: Option<Split>) -> Result<ImageList> {
    let builder = Builder::new(path, split);
    match Form::of(path) {
        Form::Csv => csv_images(builder),
        Form::JsonLines => json_images(builder),
        Form::Parquet => parquet_images(builder),
    }
}

/// Whether the beginning of the `metadata.csv` or `metadata.jsonl`, or the columns of the `metadata.parquet`, say that it names
/// files and their labels.
pub(super) fn has_labelled_files(path: &Path) -> bool {
    match Form::of(path) {
        Form::Csv => Table::open(path, WHAT, &[FILE_NAME, "label"]).is_ok(),
        Form::JsonLines => first_line_names_a_file(path),
        Form::Parquet => parquet::has_names(path),
    }
}

fn first_line_names_a_file(path: &Path) -> bool {
    let mut line = Vec::new();
    let read = File::open(path).and_then(|file| {
        let mut reader = BufReader::new(file);
        while line.trim_ascii().is_empty() {
            line.clear();
            if io::Read::take(&mut reader, MAX_LINE_BYTES).read_until(b'\n', &mut line)? == 0 {
                break;
            }
        }
        Ok(())
    });
    let text = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&line);
    read.is_ok() && serde_json::from_slice(text).is_ok_and(|row: JsonRow| row.file_name.is_some())
}

/// How a file of metadata is written.
enum Form {
    Csv,
    JsonLines,
    Parquet,
}

impl Form {
    /// By the ending of the file's name.
    fn of(path: &Path) -> Self {
        match path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase()).as_deref() {
            Some("jsonl") => Form::JsonLines,
            Some("parquet") => Form::Parquet,
            Some(_) | None => Form::Csv,
        }
    }
}

fn parquet_images(mut builder: Builder) -> Result<ImageList> {
    let named = parquet::open_names(builder.manifest).map_err(|error| error.at_path(builder.manifest))?;
    builder.unit = "row";
    for (number, row) in named.rows.into_iter().enumerate() {
        let NamedFile { file_name, class, split } = row;
        let pushed = builder.push(ManifestRow { path: file_name, class, split, is_file_name: true }, number);
        pushed.map_err(|error| builder.at(error, number))?;
    }
    Ok(ImageList { order: named.classes, ..builder.finish()? })
}

/// The names of the column of paths, that first which counts where both are there.
fn path_columns(path: &Path) -> [&'static str; 2] {
    let is_metadata = path.file_stem().is_some_and(|name| name.eq_ignore_ascii_case("metadata"));
    if is_metadata { [FILE_NAME, PATH] } else { [PATH, FILE_NAME] }
}

/// The open CSV, and what its column of paths is called.
fn open_csv(path: &Path) -> Result<(Table, &'static str)> {
    let open = |name| Table::open(path, WHAT, &[name, "label"]).map(|table| (table, name));
    let [first, second] = path_columns(path);
    open(first).or_else(|error| open(second).map_err(|_| error)).map_err(|error| error.at_path(path))
}

fn csv_images(mut builder: Builder) -> Result<ImageList> {
    let (mut table, path) = open_csv(builder.manifest)?;
    let columns = [path, "label", "split"].map(|name| table.column(name));
    loop {
        let row = table.next().and_then(|record| {
            let Some(record) = record else { return Ok(None) };
            let [file, class, split] = columns.map(|column| column.and_then(|at| record.get(at)).map(str::to_owned));
            let (file, class) = (file.unwrap_or_default(), class.unwrap_or_default());
            builder
                .push(ManifestRow { path: file, class, split, is_file_name: path == FILE_NAME }, table.line())
                .map(Some)
        });
        if row.map_err(|error| builder.at(error, table.line()))?.is_none() {
            return builder.finish();
        }
    }
}

/// A file with a JSON object on each line, with the keys `path` (or `file_name`), `label` and, perhaps, `split`. A label is text or a whole
/// number.
///
/// # Errors
/// As [`read_csv`].
pub(super) fn read_json_lines(path: &Path) -> Result<ImageList> {
    json_images(Builder::new(path, None))
}

fn json_images(mut builder: Builder) -> Result<ImageList> {
    let path = builder.manifest;
    let prefers_file_name = path_columns(path)[0] == FILE_NAME;
    let mut reader = BufReader::new(File::open(path).map_err(|error| unreadable(error).at_path(path))?);
    for number in 1.. {
        let mut line = Vec::new();
        let count = io::Read::take(&mut reader, MAX_LINE_BYTES + 1).read_until(b'\n', &mut line);
        if count.map_err(|error| unreadable(error).at_path(path))? == 0 {
            break;
        }
        let text = if number == 1 { line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&line) } else { &line };
        if !text.trim_ascii().is_empty() {
            let pushed = json_row(text, prefers_file_name).and_then(|row| builder.push(row, number));
            pushed.map_err(|error| builder.at(error, number))?;
        }
    }
    builder.finish()
}

fn json_row(line: &[u8], prefers_file_name: bool) -> Result<ManifestRow> {
    if line.len() as u64 > MAX_LINE_BYTES {
        return Err(
            Error::data("cannot read the manifest").expected(format!("lines of at most {MAX_LINE_BYTES} bytes"))
        );
    }
    let JsonRow { path, file_name, label, split } = serde_json::from_slice(line)
        .map_err(|error| unreadable(error).expected(r#"{"path": "cat/1.png", "label": "cat", "split": "train"}"#))?;
    let is_file_name = file_name.is_some() && (prefers_file_name || path.is_none());
    let path = if is_file_name { file_name } else { path };
    Ok(ManifestRow { path: path.unwrap_or_default(), class: class_of(label)?, split, is_file_name })
}

/// The class that a label in JSON names.
///
/// # Errors
/// A data error where it is neither text nor a whole number.
pub(super) fn class_of(label: Value) -> Result<String> {
    let got = match label {
        Value::String(class) => return Ok(class),
        Value::Number(number) if !number.is_f64() => return Ok(number.to_string()),
        Value::Number(number) => number.to_string(),
        Value::Bool(value) => value.to_string(),
        Value::Null => "null".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    };
    Err(Error::data("the label names no class")
        .expected("text or a whole number")
        .got(&got)
        .help(format!("a class may be called so, in quotes: \"{got}\"")))
}

fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::data("cannot read the manifest").because(error)
}

struct Builder<'a> {
    manifest: &'a Path,
    /// The split whose folder the manifest lies in.
    split: Option<Split>,
    images: LabelledImages,
    /// What the images are counted in, for messages: lines from 1, rows from 0.
    unit: &'static str,
    /// By a hash of each path, which image it is, and the line or row that named it.
    seen: HashMap<u64, (u32, u32)>,
}

impl<'a> Builder<'a> {
    fn new(manifest: &'a Path, split: Option<Split>) -> Self {
        Builder { manifest, split, images: LabelledImages::default(), unit: "line", seen: HashMap::new() }
    }

    fn at(&self, error: Error, number: usize) -> Error {
        error.at(format!("{} {number}", self.unit)).at_path(self.manifest)
    }

    /// Adds the image of line or row `number`.
    fn push(&mut self, row: ManifestRow, number: usize) -> Result<()> {
        let ManifestRow { path, class, split, is_file_name } = row;
        let class = composed(class.trim()).into_owned();
        if path.is_empty() || class.is_empty() || self.images.len() == MAX_LINES {
            let missing = if path.is_empty() { "no path" } else { "no label" };
            return Err(Error::data(format!("the {} cannot be used", self.unit))
                .expected("a path and a label")
                .got(missing));
        }
        let split = match split.filter(|split| !split.is_empty()) {
            None if is_file_name => self.split.or_else(|| split_of(&path)).unwrap_or(Split::Train),
            None => self.split.unwrap_or(Split::Train),
            Some(name) => Split::from_name(&name).ok_or_else(|| {
                Error::data("unknown split").expected(Split::NAMES.join(", ")).got(format!("'{name}'"))
            })?,
        };
        if is_file_name {
            check_below(&path)?;
        }
        let folder = self.manifest.parent().unwrap_or(Path::new(""));
        let image = ImageSource::File(locate(folder, &path));
        if let Some(before) = self.named_before(&path, &image, number) {
            let got = format!("{path}, as in {} {before}", self.unit);
            return Err(Error::data("the image is in the manifest twice").got(got));
        }
        self.images.push(LabelledImage { split, class, image });
        Ok(())
    }

    /// The line or row that named `path` before line or row `number`, where `image` lies; none where it is new.
    fn named_before(&mut self, path: &str, image: &ImageSource, number: usize) -> Option<u32> {
        let [index, number] = [self.images.len(), number].map(|number| u32::try_from(number).unwrap_or(u32::MAX));
        match self.seen.entry(self.seen.hasher().hash_one(path)) {
            Entry::Vacant(entry) => {
                entry.insert((index, number));
                None
            }
            Entry::Occupied(entry) => {
                let (before, number) = *entry.get();
                // two paths may have one hash
                (self.images.sources().get(before as usize).as_ref() == Some(image)).then_some(number)
            }
        }
    }

    fn finish(self) -> Result<ImageList> {
        let name = self.manifest.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if self.images.is_empty() {
            return Err(Error::data("the manifest names no image").at_path(self.manifest));
        }
        let root = self.manifest.parent().unwrap_or(Path::new("")).to_owned();
        Ok(ImageList { name, root, images: self.images, ..ImageList::default() })
    }
}

/// The split that the first folder of `path` names.
fn split_of(path: &str) -> Option<Split> {
    let (folder, _) = path.trim_start_matches("./").split_once(['/', '\\'])?;
    Split::from_name(folder)
}

/// Data sets of strangers have no say in what lies elsewhere.
fn check_below(path: &str) -> Result<()> {
    let leads_out = path.starts_with(['/', '\\']) || path.split(['/', '\\']).any(|part| part == "..");
    match leads_out || Path::new(path).is_absolute() {
        false => Ok(()),
        true => Err(Error::data("the file name leads out of the folder")
            .expected("a path below the folder of the file that names it")
            .got(path)
            .help("for files elsewhere call the column `path`, and name the file itself with `data`")),
    }
}

/// The file that `path` names in `folder`: written on Windows, it has `\\` between folders.
fn locate(folder: &Path, path: &str) -> PathBuf {
    let file = folder.join(path);
    match path.contains('\\') && !file.exists() {
        true => folder.join(path.replace('\\', "/")),
        false => file,
    }
}

#[cfg(test)]
mod tests;
