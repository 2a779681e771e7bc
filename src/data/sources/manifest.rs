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
    fn what_other_systems_write_is_read() {
        let expected = ["train café ./a/1.png", "test dog ./b.png"];
        assert_eq!(read("m.csv", "Path;Label;Split\na\\1.png;cafe\u{301};\nb.png;dog;test\n").unwrap(), expected);
        assert_eq!(read("m.csv", "split\tlabel\tpath\n\tcafé\ta\\1.png\ntest\tdog\tb.png\n").unwrap(), expected);
        let lines = r#"{"path": "a\\1.png", "label": "café"}
            {"path": "b.png", "label": "dog ", "split": "test"}"#;
        assert_eq!(read("m.jsonl", lines).unwrap(), expected);
    }

    #[test]
    fn a_line_that_cannot_be_used_is_named() {
        for (name, text, parts) in [
            ("m.csv", "1.png,cat\n2.png,dog\n", ["no column \"path\"", "got \"1.png\", \"cat\""]),
            ("m.csv", "path,label\n1.png\n", ["cannot read the manifest", "line 2"]),
            ("m.csv", "path,label\n1.png,\n", ["a path and a label, got no label", "line 2"]),
            ("m.csv", "path,label\n\n\n1.png,a\n\n2.png,\n", ["got no label", "line 6"]),
            ("m.jsonl", "\n{\"path\": \"1.png\", \"label\": \"a\"}\n\n{}\n", ["cannot read the manifest", "line 4"]),
            ("m.csv", "path,label,split\n1.png,a,dev\n", ["got 'dev'", "line 2"]),
            ("m.csv", "path,label\n1.png,a\n1.png,b\n", ["1.png, as in line 2", "line 3"]),
            ("m.csv", "path,label\n", ["names no image", "m.csv"]),
            ("m.csv", "path,label\n\u{0}\u{ff}\n", ["cannot read the manifest", "line 2"]),
            ("m.jsonl", "{\"path\": 3, \"label\": \"a\"}", ["expected {\"path\"", "line 1"]),
            ("m.jsonl", "[1]\n", ["cannot read the manifest", "line 1"]),
            ("m.csv", "path,label\n1.png,a,train\n", ["expected 2 fields, as in the first line, got 3", "line 2"]),
            ("m.csv", "path,label\n1.png,\"a\n2.png,b\n", ["goes on in the next line", "line 2"]),
            ("m.csv", "path,\"label\n1.png,a\n2.png,b\n", ["goes on in the next line", "m.csv"]),
            (
                "m.jsonl",
                "{\"path\": \"1.png\", \"label\": 1.5}",
                ["expected text or a whole number, got 1.5", "line 1"],
            ),
            ("m.jsonl", "{\"path\": \"1.png\", \"label\": true}", ["in quotes: \"true\"", "line 1"]),
            ("m.jsonl", "{\"path\": \"1.png\", \"label\": [1]}", ["got a list", "line 1"]),
        ] {
            let error = read(name, text).unwrap_err();
            assert_eq!(error.exit_code(), 3);
            assert!(parts.iter().all(|part| error.to_string().contains(part)), "{text}: {error}");
        }
    }

    #[test]
    fn labels_of_a_csv_are_text() {
        let lines = "path,label\n1.png,true\n2.png,1.5\n3.png,1e5\n4.png,99999999999999999999\n";
        let expected =
            ["train true ./1.png", "train 1.5 ./2.png", "train 1e5 ./3.png", "train 99999999999999999999 ./4.png"];
        assert_eq!(read("m.csv", lines).unwrap(), expected);
        let lines = "{\"path\": \"1.png\", \"label\": 18446744073709551615}\n";
        assert_eq!(read("m.jsonl", lines).unwrap(), ["train 18446744073709551615 ./1.png"]);
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_first_line() {
        assert_eq!(read("m.csv", "\u{feff}path,label\r\n1.png,a\r\n").unwrap(), ["train a ./1.png"]);
        let line = "\u{feff}{\"path\": \"1.png\", \"label\": \"a\"}\r\n";
        assert_eq!(read("m.jsonl", line).unwrap(), ["train a ./1.png"]);
    }

    #[test]
    fn a_line_without_an_end_is_not_read_to_its_end() {
        for (name, start) in [("m.csv", "path,label\n1.png,\""), ("m.jsonl", "")] {
            let error = read(name, &(start.to_owned() + &"x".repeat(3 << 20))).unwrap_err().to_string();
            assert!(error.contains("lines of at most 1048576 bytes"), "{error}");
        }
    }
}
