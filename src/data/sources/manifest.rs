//! Manifests: a line for each image with its path, its label and, perhaps, its split.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use serde::Deserialize;

use super::{Labelled, LabelledImage};
use crate::data::Split;
use crate::data::stored::StoredImage;
use crate::error::{Error, Result};

/// The most lines that are read.
const MAX_LINES: usize = 100_000_000;
/// The longest line of a JSON manifest, in bytes.
const MAX_LINE_BYTES: u64 = 1 << 20;

/// One image, as a manifest has it. Other columns and keys are passed over.
#[derive(Debug, Deserialize)]
struct Row {
    path: String,
    label: Label,
    split: Option<String>,
}

/// A class's name, or a number that names it.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Label {
    Number(i64),
    Name(String),
}

/// A CSV with the columns `path`, `label` and, perhaps, `split`. Paths are relative to the CSV's folder.
///
/// # Errors
/// A data error that names the line, where it cannot be used.
pub(super) fn read_csv(path: &Path) -> Result<Labelled> {
    let file = File::open(path).map_err(|error| unreadable(error).at_path(path))?;
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(BufReader::new(file));
    let headers = reader.headers().map_err(|error| unreadable(error).at_path(path))?;
    if let Some(missing) = ["path", "label"].into_iter().find(|name| !headers.iter().any(|header| header == *name)) {
        return Err(Error::data(format!("the manifest has no column '{missing}'"))
            .expected("a first line path,label or path,label,split")
            .got(headers.iter().collect::<Vec<_>>().join(","))
            .at_path(path));
    }
    let labels = headers.iter().position(|header| header == "label").unwrap_or_default();
    let headers = headers.clone();
    let mut builder = Builder::new(path);
    for (number, record) in (2..).zip(reader.records()) {
        let row = record.and_then(|record| {
            let mut row: Row = record.deserialize(Some(&headers))?;
            // as it is written: 007 is no 7
            row.label = Label::Name(record[labels].to_owned());
            Ok(row)
        });
        builder.push(row.map_err(unreadable)).map_err(|error| builder.at(error, number))?;
    }
    builder.finish()
}

/// A file with a JSON object on each line, with the keys `path`, `label` and, perhaps, `split`.
///
/// # Errors
/// As [`read_csv`].
pub(super) fn read_json_lines(path: &Path) -> Result<Labelled> {
    let mut reader = BufReader::new(File::open(path).map_err(|error| unreadable(error).at_path(path))?);
    let mut builder = Builder::new(path);
    for number in 1.. {
        let mut line = Vec::new();
        let count = io::Read::take(&mut reader, MAX_LINE_BYTES).read_until(b'\n', &mut line);
        if count.map_err(|error| unreadable(error).at_path(path))? == 0 {
            break;
        }
        if !line.trim_ascii().is_empty() {
            let row = serde_json::from_slice(&line).map_err(|error| {
                unreadable(error).expected(r#"{"path": "cat/1.png", "label": "cat", "split": "train"}"#)
            });
            builder.push(row).map_err(|error| builder.at(error, number))?;
        }
    }
    builder.finish()
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

    fn push(&mut self, row: Result<Row>) -> Result<()> {
        let Row { path, label, split } = row?;
        let class = match label {
            Label::Number(number) => number.to_string(),
            Label::Name(name) => name,
        };
        if path.is_empty() || class.is_empty() || self.images.len() == MAX_LINES {
            return Err(Error::data("the line cannot be used").expected("a path and a label"));
        }
        let split = match split.filter(|split| !split.is_empty()) {
            None => Split::Train,
            Some(name) => Split::from_name(&name).ok_or_else(|| {
                Error::data("unknown split").expected("train, val, valid, validation or test").got(format!("'{name}'"))
            })?,
        };
        if let Some(before) = self.seen.insert(path.clone(), self.images.len()) {
            return Err(Error::data("the image is in the manifest twice")
                .got(format!("{path}, which is image {} already", before + 1)));
        }
        let folder = self.manifest.parent().unwrap_or(Path::new(""));
        self.images.push(LabelledImage { split, class, image: StoredImage::File(folder.join(path)) });
        Ok(())
    }

    fn finish(self) -> Result<Labelled> {
        let name = self.manifest.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if self.images.is_empty() {
            return Err(Error::data("the manifest names no image").at_path(self.manifest));
        }
        Ok(Labelled { name, images: self.images, empty_classes: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, text: &str) -> Result<Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        let labelled = if name.ends_with("csv") { read_csv(&path) } else { read_json_lines(&path) }?;
        let tell = |image: &LabelledImage| {
            let path = image.image.to_string().replace(&folder.path().display().to_string(), ".");
            format!("{} {} {path}", image.split, image.class)
        };
        Ok(labelled.images.iter().map(tell).collect())
    }

    #[test]
    fn paths_are_relative_to_the_manifest() {
        let expected = ["train cat ./a/1.png", "test 007 ./b, c.png", "validation dog /abs.png"];
        let csv = "label,path,note,split\ncat,a/1.png,x,\n007,\"b, c.png\",y,test\ndog,/abs.png,z,val\n";
        assert_eq!(read("m.csv", csv).unwrap(), expected);
        let lines = "{\"path\": \"a/1.png\", \"label\": \"cat\", \"width\": 3}\n\n{\"label\": 7, \"path\": \"b.png\", \"split\": \"test\"}";
        assert_eq!(read("m.jsonl", lines).unwrap(), ["train cat ./a/1.png", "test 7 ./b.png"]);
        assert_eq!(read("m.csv", "path,label\n1.png,3\n").unwrap(), ["train 3 ./1.png"]);
    }

    #[test]
    fn a_line_that_cannot_be_used_is_named() {
        for (name, text, parts) in [
            ("m.csv", "1.png,cat\n2.png,dog\n", ["no column 'path'", "got 1.png,cat"]),
            ("m.csv", "path,label\n1.png\n", ["cannot read the manifest", "line 2"]),
            ("m.csv", "path,label\n1.png,\n", ["a path and a label", "line 2"]),
            ("m.csv", "path,label,split\n1.png,a,dev\n", ["got 'dev'", "line 2"]),
            ("m.csv", "path,label\n1.png,a\n1.png,b\n", ["twice", "line 3"]),
            ("m.csv", "path,label\n", ["names no image", "m.csv"]),
            ("m.csv", "path,label\n\u{0}\u{ff}\n", ["cannot read the manifest", "line 2"]),
            ("m.jsonl", "{\"path\": 3, \"label\": \"a\"}", ["expected {\"path\"", "line 1"]),
            ("m.jsonl", "[1]\n", ["cannot read the manifest", "line 1"]),
        ] {
            let error = read(name, text).unwrap_err();
            assert_eq!(error.exit_code(), 3);
            assert!(parts.iter().all(|part| error.to_string().contains(part)), "{text}: {error}");
        }
    }
}
