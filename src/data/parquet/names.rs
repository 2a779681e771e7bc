//! A Parquet file that names image files with their labels: the `metadata.parquet` of an `imagefolder`.

use std::path::Path;
use std::sync::Arc;

use parquet::data_type::ByteArrayType;

use super::column::Column;
use super::schema::{self, NameColumns};
use super::{check_rows, read_labels, read_metadata, row_name};
use crate::error::{Error, Result};
use crate::files::bounded::max_unpacked;

/// What a file names.
#[derive(Debug)]
pub struct NamedFiles {
    /// A row each, in their order.
    pub rows: Vec<NamedFile>,
    /// The classes' names in the order of the labels, where the file says it.
    pub classes: Option<Vec<String>>,
}

/// A row.
#[derive(Debug)]
pub struct NamedFile {
    /// Where the image lies, as it is written; empty where it is null.
    pub file_name: String,
    /// The class: its name, or its number where nothing names it.
    pub class: String,
    /// The split, where there is a column of that name and something in it.
    pub split: Option<String>,
}

/// Reads the columns `file_name`, `label` and, where it is there, `split` of the file `path`.
///
/// # Errors
/// A data error where it is no Parquet file, is damaged or cut short, lacks one of the first two, and where a row has no label.
pub fn open_names(path: &Path) -> Result<NamedFiles> {
    let (metadata, length) = read_metadata(path)?;
    check_rows(&metadata, length)?;
    let NameColumns { file_name, label, kind, split, classes } = NameColumns::find(metadata.file_metadata())?;
    let path: Arc<Path> = path.into();
    let max_bytes = max_unpacked(length);
    let texts = |index| Column::open(&path, &metadata, index).and_then(|column| read_texts(&column, max_bytes));
    let names = texts(file_name)?;
    let labels = read_labels(&Column::open(&path, &metadata, label)?, kind, classes.as_deref(), max_bytes)?;
    let mut splits = split.map(texts).transpose()?.unwrap_or_default().into_iter();
    let rows = names.into_iter().zip(labels).map(|(file_name, class)| NamedFile {
        file_name: file_name.unwrap_or_default(),
        class,
        split: splits.next().flatten(),
    });
    Ok(NamedFiles { rows: rows.collect(), classes })
}

/// Whether `path` is a Parquet file that names files and their labels, and holds no images itself.
pub fn has_names(path: &Path) -> bool {
    let named = |metadata: &parquet::file::metadata::FileMetaData| {
        !schema::has_images(metadata) && NameColumns::find(metadata).is_ok()
    };
    read_metadata(path).is_ok_and(|(metadata, _)| named(metadata.file_metadata()))
}

/// Each row's text, as it is written. `max_bytes`: of all together.
fn read_texts(column: &Column, max_bytes: u64) -> Result<Vec<Option<String>>> {
    let (mut texts, mut num_bytes) = (Vec::new(), 0);
    for (number, page) in column.pages().iter().enumerate() {
        for (row, value) in (page.first_row..).zip(column.values::<ByteArrayType>(number)?) {
            num_bytes += value.as_ref().map_or(0, |value| value.len() as u64);
            if num_bytes > max_bytes {
                return Err(Error::data("the names are longer than names ever are")
                    .expected(format!("at most {max_bytes} bytes together")));
            }
            let text = value.map(|value| String::from_utf8(value.data().to_vec())).transpose();
            texts.push(text.map_err(|error| Error::data("a name is not UTF-8").because(error).at(row_name(row)))?);
        }
    }
    Ok(texts)
}

#[cfg(test)]
mod tests;
