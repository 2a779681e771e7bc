//! Parquet files as the Python package `datasets` writes and reads them: `data/<split>-00000-of-00002.parquet` with a column
//! `image`, a struct of a PNG file's `bytes` and its `path`, and a column `label`; the classes' names are in the metadata.

use std::io;
use std::mem;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::{ColumnPath, TypePtr};
use rayon::prelude::*;
use serde_json::json;

use super::files::{cannot_write, check_no_images_there, check_none_there, encode_png, make_folder};
use crate::data::parquet::FEATURES_KEY;
use crate::data::{Dataset, Samples};
use crate::device::threads;
use crate::error::{Error, Result};
use crate::files::write_atomically;

/// The folder of the files.
const FOLDER: &str = "data";
/// The columns: what Arrow makes of a struct of bytes and text, and of a number.
const SCHEMA: &str = "message schema {
    optional group image { optional binary bytes; optional binary path (STRING); }
    optional int64 label;
}";
/// The most images of a file and of a row group, and the most bytes of their pixels: of PNG files there are fewer bytes, mostly.
/// `datasets` has 500 MB for a file, too.
const FILE: Bounds = Bounds { images: 10_000, bytes: 500 << 20 };
const ROW_GROUP: Bounds = Bounds { images: 1000, bytes: 32 << 20 };
/// One image is read by reading its page.
const PAGE: Bounds = Bounds { images: 100, bytes: 64 << 10 };

struct Bounds {
    images: usize,
    bytes: usize,
}

impl Bounds {
    /// How many images of `image_bytes` each: 1 at least.
    fn count(&self, image_bytes: usize) -> usize {
        (self.bytes / image_bytes.max(1)).clamp(1, self.images)
    }
}

/// Writes `dataset` below `folder`. The same data set gives the same bytes.
///
/// # Errors
/// A configuration error where Parquet files are there already or one cannot be written; a data error where an image cannot be
/// read.
pub(super) fn write(dataset: &Dataset, folder: &Path) -> Result<()> {
    check_no_images_there(folder)?;
    check_none_there(folder, "parquet")?;
    let data = folder.join(FOLDER);
    check_none_there(&data, "parquet")?;
    make_folder(&data)?;
    for (split, samples) in dataset.splits() {
        let of_file = FILE.count(image_bytes(samples));
        let num_files = samples.len().div_ceil(of_file);
        for number in 0..num_files {
            let path = data.join(format!("{split}-{number:05}-of-{num_files:05}.parquet"));
            let images = number * of_file..samples.len().min((number + 1) * of_file);
            write_file(&path, samples, images, &dataset.classes)?;
        }
    }
    Ok(())
}

fn image_bytes(samples: &Samples) -> usize {
    samples.shape().num_bytes().unwrap_or(usize::MAX)
}

fn write_file(path: &Path, samples: &Samples, images: Range<usize>, classes: &[String]) -> Result<()> {
    let (schema, properties) = (schema()?, properties(samples, classes));
    let mut failed = None;
    let written = write_atomically(path, |writer| {
        let mut file = SerializedFileWriter::new(Vec::new(), schema, properties).map_err(io::Error::other)?;
        for start in images.clone().step_by(ROW_GROUP.count(image_bytes(samples))) {
            let rows = start..images.end.min(start + ROW_GROUP.count(image_bytes(samples)));
            let encoded = encode(samples, rows.clone()).map_err(|error| {
                failed = Some(error);
                io::Error::other("an image cannot be read")
            })?;
            let group = file.next_row_group().map_err(io::Error::other)?;
            write_rows(group, rows, encoded, samples).map_err(io::Error::other)?;
            // what was made so far: no more than a row group is in memory
            file.flush()?;
            writer.write_all(&mem::take(file.inner_mut()))?;
        }
        writer.write_all(&file.into_inner().map_err(io::Error::other)?)
    });
    failed.map_or(Ok(()), Err)?;
    written.map_err(cannot_write(path))
}

/// The images `rows` as PNG files, made by the pool's threads.
fn encode(samples: &Samples, rows: Range<usize>) -> Result<Vec<Vec<u8>>> {
    let png = |index: usize| encode_png(&samples.image(index)?, samples.shape());
    let encoded: Vec<Result<Vec<u8>>> = threads::install(|| rows.into_par_iter().map(png).collect())?;
    encoded.into_iter().collect()
}

/// A row group of PNG files, of the images `rows`.
fn write_rows(
    mut group: SerializedRowGroupWriter<'_, Vec<u8>>,
    rows: Range<usize>,
    encoded: Vec<Vec<u8>>,
    samples: &Samples,
) -> Result<(), ParquetError> {
    let bytes: Vec<ByteArray> = encoded.into_iter().map(ByteArray::from).collect();
    let paths: Vec<ByteArray> = rows.clone().map(|index| format!("{index:09}.png").into_bytes().into()).collect();
    write_column::<ByteArrayType>(&mut group, &bytes, 2)?;
    write_column::<ByteArrayType>(&mut group, &paths, 2)?;
    write_column::<Int64Type>(&mut group, &samples.labels()[rows], 1)?;
    group.close().map(drop)
}

/// The next column. `level`: of how many optional things its values are part.
fn write_column<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    values: &[T::T],
    level: i16,
) -> Result<(), ParquetError> {
    let column = group.next_column()?;
    let mut column = column.ok_or_else(|| ParquetError::General("the schema has too few columns".to_owned()))?;
    column.typed::<T>().write_batch(values, Some(&vec![level; values.len()]), None)?;
    column.close()
}

fn schema() -> Result<TypePtr> {
    let schema = parse_message_type(SCHEMA);
    schema.map(Arc::new).map_err(|error| Error::internal("cannot make the schema").because(error))
}

/// PNG files are packed already; what is beside them is packed by zstd.
fn properties(samples: &Samples, classes: &[String]) -> WriterPropertiesPtr {
    let features = json!({"info": {"features": {
        "image": {"_type": "Image"},
        "label": {"names": classes, "_type": "ClassLabel"},
    }}});
    let metadata = KeyValue::new(FEATURES_KEY.to_owned(), features.to_string());
    let bytes = ColumnPath::new(vec!["image".to_owned(), "bytes".to_owned()]);
    let page_images = PAGE.count(image_bytes(samples));
    let properties = WriterProperties::builder()
        .set_key_value_metadata(Some(vec![metadata]))
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_statistics_enabled(EnabledStatistics::None)
        .set_column_compression(bytes.clone(), Compression::UNCOMPRESSED)
        .set_column_dictionary_enabled(bytes.clone(), false)
        .set_column_data_page_row_count_limit(bytes, page_images)
        .set_write_batch_size(page_images)
        .build();
    Arc::new(properties)
}
