//! Manifests: a line for each image with its path, its label and, perhaps, its split.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::image_list::{ImageList, LabelledImage};
use super::table::{MAX_LINE_BYTES, Table};
use crate::data::Split;
use crate::data::names::composed;
use crate::data::stored::ImageSource;
use crate::error::{Error, Result};

/// The most lines that are read.
const MAX_LINES: usize = 100_000_000;
/// What editors on Windows put in front of UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One image, as a manifest has it.
struct ManifestRow {
    path: String,
    class: String,
    split: Option<String>,
}

/// A line of a JSON manifest. Other keys are passed over.
#[derive(Debug, Deserialize)]
struct JsonRow {
    path: String,
    label: Value,
    split: Option<String>,
}

/// A CSV with the columns `path`, `label` and, perhaps, `split`. Paths are relative to the CSV's folder. A label is text: 007 is
/// no 7, and `true` the name of a class.
///
/// # Errors
/// A data error that names the line, where it cannot be used.
pub(super) fn read_csv(path: &Path) -> Result<ImageList> {
    let mut table = Table::open(path, "the manifest", &["path", "label"]).map_err(|error| error.at_path(path))?;
    let columns = ["path", "label", "split"].map(|name| table.column(name));
    let mut builder = Builder::new(path);
    loop {
        let row = table.next().and_then(|record| {
            let Some(record) = record else { return Ok(None) };
            let [path, class, split] = columns.map(|column| column.and_then(|at| record.get(at)).map(str::to_owned));
            let row = ManifestRow { path: path.unwrap_or_default(), class: class.unwrap_or_default(), split };
            builder.push(row, table.line()).map(Some)
        });
        if row.map_err(|error| builder.at(error, table.line()))?.is_none() {
            return builder.finish();
        }
    }
}

/// A file with a JSON object on each line, with the keys `path`, `label` and, perhaps, `split`. A label is text or a whole
/// number.
///
/// # Errors
/// As [`read_csv`].
pub(super) fn read_json_lines(path: &Path) -> Result<ImageList> {
    let mut reader = BufReader::new(File::open(path).map_err(|error| unreadable(error).at_path(path))?);
    let mut builder = Builder::new(path);
    for number in 1.. {
        let mut line = Vec::new();
        let count = io::Read::take(&mut reader, MAX_LINE_BYTES + 1).read_until(b'\n', &mut line);
        if count.map_err(|error| unreadable(error).at_path(path))? == 0 {
            break;
        }
        let text = if number == 1 { line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&line) } else { &line };
        if !text.trim_ascii().is_empty() {
            let pushed = json_row(text).and_then(|row| builder.push(row, number));
            pushed.map_err(|error| builder.at(error, number))?;
        }
    }
    builder.finish()
}

fn json_row(line: &[u8]) -> Result<ManifestRow> {
    if line.len() as u64 > MAX_LINE_BYTES {
        return Err(
            Error::data("cannot read the manifest").expected(format!("lines of at most {MAX_LINE_BYTES} bytes"))
        );
    }
    let JsonRow { path, label, split } = serde_json::from_slice(line)
        .map_err(|error| unreadable(error).expected(r#"{"path": "cat/1.png", "label": "cat", "split": "train"}"#))?;
    let got = match label {
        Value::String(class) => return Ok(ManifestRow { path, class, split }),
        Value::Number(number) if !number.is_f64() => return Ok(ManifestRow { path, class: number.to_string(), split }),
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
    images: Vec<LabelledImage>,
    /// The line that named a path first.
    seen: HashMap<String, usize>,
}

impl<'a> Builder<'a> {
    fn new(manifest: &'a Path) -> Self {
        Builder { manifest, images: Vec::new(), seen: HashMap::new() }
    }

    fn at(&self, error: Error, line: usize) -> Error {
        error.at(format!("line {line}")).at_path(self.manifest)
    }

    /// Adds the image of line `line`.
    fn push(&mut self, row: ManifestRow, line: usize) -> Result<()> {
        let ManifestRow { path, class, split } = row;
        let class = composed(class.trim()).into_owned();
        if path.is_empty() || class.is_empty() || self.images.len() == MAX_LINES {
            let missing = if path.is_empty() { "no path" } else { "no label" };
            return Err(Error::data("the line cannot be used").expected("a path and a label").got(missing));
        }
        let split = match split.filter(|split| !split.is_empty()) {
            None => Split::Train,
            Some(name) => Split::from_name(&name).ok_or_else(|| {
                Error::data("unknown split").expected(Split::NAMES.join(", ")).got(format!("'{name}'"))
            })?,
        };
        if let Some(before) = self.seen.insert(path.clone(), line) {
            return Err(Error::data("the image is in the manifest twice").got(format!("{path}, as in line {before}")));
        }
        let folder = self.manifest.parent().unwrap_or(Path::new(""));
        self.images.push(LabelledImage { split, class, image: ImageSource::File(locate(folder, path)) });
        Ok(())
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

/// The file that `path` names in `folder`: written on Windows, it has `\\` between folders.
fn locate(folder: &Path, path: String) -> PathBuf {
    let file = folder.join(&path);
    match path.contains('\\') && !file.exists() {
        true => folder.join(path.replace('\\', "/")),
        false => file,
    }
}

#[cfg(test)]
mod tests;
