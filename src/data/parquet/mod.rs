//! Parquet files of images and labels. Images stay in the file: a page of them is read when one is needed, so that what is in
//! memory is a place for each row.
//!
//! Nothing that a file says is believed: sizes are checked before anything is unpacked (`column`), and a reader that breaks
//! down is an error.

mod column;
mod header;
mod images;
mod names;
mod schema;

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use parquet::data_type::{ByteArrayType, Int32Type, Int64Type};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use column::{Column, damaged, panicked};
use schema::{Columns, LabelKind};

pub use images::{ImageColumn, KeptPages};
pub use names::{NamedFile, NamedFiles, has_names, open_names};
pub(in crate::data) use schema::KEY as FEATURES_KEY;

use super::image::guard;
use super::names::composed;
use crate::error::{Error, Result};
use crate::files::bounded::max_unpacked;

/// What a file begins and ends with.
pub(in crate::data) const MAGIC: &[u8] = b"PAR1";
/// The most rows that are believed.
const MAX_ROWS: u64 = 20_000_000;

/// What a file holds.
#[derive(Debug)]
pub struct ParquetImages {
    /// The encoded images.
    pub images: Arc<ImageColumn>,
    /// Each row's class: its name, or its number where nothing names it.
    pub labels: Vec<String>,
    /// The classes' names in the order of the labels, where the file says it.
    pub classes: Option<Vec<String>>,
    /// The columns that were not read.
    pub unread: Vec<String>,
}

/// Reads the labels of the file `path`, and where its images lie. `kept` keeps pages of images, for all files of a data set.
///
/// # Errors
/// A data error where it is no Parquet file, is damaged or cut short, lacks a column of images or labels, and where a row has
/// no label.
pub fn open(path: &Path, kept: &Arc<KeptPages>) -> Result<ParquetImages> {
    let (metadata, length) = read_metadata(path)?;
    check_rows(&metadata, length)?;
    let Columns { image, label, kind, classes, unread } = Columns::find(metadata.file_metadata())?;
    let path: Arc<Path> = path.into();
    let labels = Column::open(&path, &metadata, label)?;
    let labels = read_labels(&labels, kind, classes.as_deref(), max_unpacked(length))?;
    let images = Column::open(&path, &metadata, image)?;
    Ok(ParquetImages { images: Arc::new(ImageColumn::new(path, images, kept.clone())), labels, classes, unread })
}

/// Whether `path` is a Parquet file with a column of images.
pub fn has_images(path: &Path) -> bool {
    read_metadata(path).is_ok_and(|(metadata, _)| schema::has_images(metadata.file_metadata()))
}

/// What stands at the file's end, and its length in bytes.
fn read_metadata(path: &Path) -> Result<(ParquetMetaData, u64)> {
    let mut file = File::open(path).map_err(damaged)?;
    let length = file.metadata().map_err(damaged)?.len();
    let mut start = [0; MAGIC.len()];
    file.read_exact(&mut start).map_err(damaged)?;
    if start != MAGIC {
        return Err(Error::data("this is no Parquet file").got(super::image::describe_start(&start)));
    }
    let metadata = guard::caught(panicked, || ParquetMetaDataReader::new().parse_and_finish(&file).map_err(damaged))?;
    Ok((metadata, length))
}

/// A row takes at least a byte.
fn check_rows(metadata: &ParquetMetaData, length: u64) -> Result<()> {
    let groups = metadata.row_groups().iter().map(|group| u64::try_from(group.num_rows()).unwrap_or(u64::MAX));
    let num_rows = groups.fold(0, u64::saturating_add);
    match num_rows {
        0 => Err(Error::data("the file has no rows")),
        _ if num_rows > MAX_ROWS.min(length) => Err(Error::data("the file has more rows than it can have")
            .expected(format!("at most {}", MAX_ROWS.min(length)))
            .got(num_rows)),
        _ => Ok(()),
    }
}

/// Each row's class. `max_bytes`: of all names together.
fn read_labels(column: &Column, kind: LabelKind, classes: Option<&[String]>, max_bytes: u64) -> Result<Vec<String>> {
    let (mut labels, mut num_bytes) = (Vec::new(), 0);
    for (number, page) in column.pages().iter().enumerate() {
        let read: Vec<Option<Label>> = match kind {
            LabelKind::I32 => labels_of(column.values::<Int32Type>(number)?, |label| Ok(Label::Number(label.into())))?,
            LabelKind::I64 => labels_of(column.values::<Int64Type>(number)?, |label| Ok(Label::Number(label)))?,
            LabelKind::Text => labels_of(column.values::<ByteArrayType>(number)?, |label| text(label.data()))?,
        };
        for (row, label) in (page.first_row..).zip(read) {
            let class = class_of(label, classes).map_err(|error| error.at(row_name(row)))?;
            num_bytes += class.len() as u64;
            if num_bytes > max_bytes {
                return Err(Error::data("the labels are longer than labels ever are")
                    .expected(format!("at most {max_bytes} bytes together")));
            }
            labels.push(class);
        }
    }
    Ok(labels)
}

/// What a row is called in messages and lists: rows count from 0, as in pandas.
pub fn row_name(row: u64) -> String {
    format!("row {row}")
}

/// A row's label.
enum Label {
    Number(i64),
    Text(String),
}

fn labels_of<T>(values: Vec<Option<T>>, label: impl Fn(T) -> Result<Label>) -> Result<Vec<Option<Label>>> {
    values.into_iter().map(|value| value.map(&label).transpose()).collect()
}

fn text(label: &[u8]) -> Result<Label> {
    let text = std::str::from_utf8(label).map_err(|error| Error::data("a label is not UTF-8").because(error))?;
    Ok(Label::Text(composed(text).into_owned()))
}

/// The class that a label names. Numbers go by `classes`, where there are any.
fn class_of(label: Option<Label>, classes: Option<&[String]>) -> Result<String> {
    let Some(label) = label else {
        return Err(Error::data("an image has no label").got("null").help("leave out the rows without one"));
    };
    let number = match label {
        Label::Text(text) if text.trim().is_empty() => {
            return Err(Error::data("an image has no label").got("an empty text"));
        }
        Label::Text(text) => return Ok(text),
        Label::Number(number) => number,
    };
    match (u64::try_from(number), classes) {
        // so `datasets` marks images whose labels are kept back
        (Err(_), _) => Err(Error::data("an image has no label")
            .expected("a whole number from 0")
            .got(number)
            .help("leave out the rows, or the file, without labels")),
        (Ok(number), None) => Ok(number.to_string()),
        (Ok(number), Some(classes)) => {
            let class = usize::try_from(number).ok().and_then(|number| classes.get(number));
            class.cloned().ok_or_else(|| {
                Error::data("a label has no name").expected(format!("a number below {}", classes.len())).got(number)
            })
        }
    }
}

#[cfg(test)]
mod tests;
