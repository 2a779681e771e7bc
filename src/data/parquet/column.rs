//! A column of a Parquet file: where its pages lie, found from their headers alone, and a page's values.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use parquet::basic::Compression;
use parquet::column::reader::ColumnReaderImpl;
use parquet::data_type::{ByteArray, ByteArrayType, DataType};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::schema::types::ColumnDescPtr;

use super::header::{self, PageHeader, PageKind};
use crate::data::image::guard;
use crate::error::{Error, Result};
use crate::files::bounded::{BoundedReader, max_unpacked};

/// The most values that a page may have. What writes files has a million rows in a row group at most.
const MAX_PAGE_VALUES: i64 = 4 << 20;
/// How much is read for a page's header: more, where the first is not enough, as statistics are part of it.
const HEADER_BYTES: [u64; 2] = [256, 64 << 10];
/// The encodings that are read, by their numbers: plain, both of dictionaries, bits (RLE), differences of numbers and of lengths,
/// split bytes. In that of prefixes (7) a small page could unpack to any size.
const ENCODINGS: [i64; 7] = [0, 2, 3, 5, 6, 8, 9];
/// Those whose values are numbers of values in the dictionary.
const DICTIONARY_ENCODINGS: [i64; 2] = [2, 8];

/// A column without lists.
#[derive(Debug)]
pub(super) struct Column {
    path: Arc<Path>,
    descriptor: ColumnDescPtr,
    /// In the order of their rows, without gaps.
    pages: Vec<Page>,
}

/// Where a page lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Page {
    /// Its first row in the file.
    pub first_row: u64,
    /// How many rows it has: more than 0.
    pub num_rows: usize,
    /// Header and values.
    place: Place,
    /// What it needs its values from.
    dictionary: Option<Place>,
    codec: Compression,
}

/// Bytes of the file: a header, levels that are not packed, and what is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    start: u64,
    length: u64,
    /// Where the packed bytes begin, from `start` on.
    packed_from: u64,
    /// What it unpacks to, without the levels; 0 where it is not packed.
    unpacked_bytes: u64,
}

/// Where a value's bytes lie in the file: none, where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ValuePlace {
    pub start: u64,
    pub length: u32,
}

/// The places of all values of a page.
pub(super) type ValuePlaces = Box<[ValuePlace]>;

impl Column {
    /// Column `index` of the file `path`, which has `metadata`. It must have no lists ([`max_rep_level`] 0).
    ///
    /// [`max_rep_level`]: parquet::schema::types::ColumnDescriptor::max_rep_level
    ///
    /// # Errors
    /// A data error where its pages are not where and as many as the metadata say, or of a kind that is not read.
    pub fn open(path: &Arc<Path>, metadata: &ParquetMetaData, index: usize) -> Result<Self> {
        let descriptor = metadata.file_metadata().schema_descr().column(index);
        let mut file = File::open(path).map_err(damaged)?;
        let length = file.metadata().map_err(damaged)?.len();
        let (mut pages, mut first_row) = (Vec::new(), 0);
        for group in metadata.row_groups() {
            let num_rows = u64::try_from(group.num_rows()).map_err(damaged)?;
            let mut walk = Walk::new(group.column(index), length)?;
            walk.pages(&mut file, first_row, num_rows, &mut pages)?;
            first_row += num_rows;
        }
        Ok(Column { path: path.clone(), descriptor, pages })
    }

    /// Its pages, in the order of their rows.
    pub fn pages(&self) -> &[Page] {
        &self.pages
    }

    /// The number of the page that has `row`; `None` past the end.
    pub fn page_of(&self, row: u64) -> Option<usize> {
        let next = self.pages.partition_point(|page| page.first_row <= row);
        let number = next.checked_sub(1)?;
        (row - self.pages[number].first_row < self.pages[number].num_rows as u64).then_some(number)
    }

    /// The values of page `number`, `None` for each that is not there. `T` must be the column's type in the file.
    ///
    /// # Errors
    /// A data error where the page is damaged or the file was changed.
    pub fn values<T: DataType>(&self, number: usize) -> Result<Vec<Option<T::T>>> {
        let page = self.pages[number];
        let bytes = self.read(&page).map_err(damaged)?;
        guard::caught(panicked, || self.decode::<T>(&page, bytes.into()).map_err(damaged))
    }

    /// As [`Column::values`], of a column of bytes; and where each lies in the file, where they are as they are there.
    ///
    /// # Errors
    /// As [`Column::values`].
    pub fn bytes(&self, number: usize) -> Result<(Vec<Option<ByteArray>>, Option<ValuePlaces>)> {
        let page = self.pages[number];
        let bytes = Bytes::from(self.read(&page).map_err(damaged)?);
        let values = guard::caught(panicked, || self.decode::<ByteArrayType>(&page, bytes.clone()).map_err(damaged))?;
        let is_plain = page.codec == Compression::UNCOMPRESSED && page.dictionary.is_none();
        let places = is_plain.then(|| values.iter().map(|value| place_in(&bytes, page.place.start, value.as_ref())));
        let places = places.and_then(Iterator::collect::<Option<_>>);
        Ok((values, places))
    }

    /// The page with its dictionary before it, as they lie in the file.
    fn read(&self, page: &Page) -> io::Result<Vec<u8>> {
        let mut file = File::open(&self.path)?;
        let mut bytes = Vec::new();
        for place in page.dictionary.iter().chain([&page.place]) {
            file.seek(SeekFrom::Start(place.start))?;
            let before = bytes.len();
            (&mut file).take(place.length).read_to_end(&mut bytes)?;
            let read = &bytes[before..];
            if read.len() as u64 != place.length {
                return Err(io::Error::other("the file is shorter than it was"));
            }
            if let Compression::GZIP(_) = page.codec {
                check_gzip(&read[place.packed_from as usize..], place.unpacked_bytes)?;
            }
        }
        Ok(bytes)
    }

    fn decode<T: DataType>(&self, page: &Page, bytes: Bytes) -> ParquetResult<Vec<Option<T::T>>> {
        let chunk = ColumnChunkMetaData::builder(self.descriptor.clone())
            .set_compression(page.codec)
            .set_data_page_offset(0)
            .set_total_compressed_size(bytes.len() as i64)
            .build()?;
        let pages = SerializedPageReader::new(Arc::new(bytes), &chunk, page.num_rows, None)?;
        let mut reader = ColumnReaderImpl::<T>::new(self.descriptor.clone(), Box::new(pages));
        let (mut levels, mut values) = (Vec::new(), Vec::new());
        let (num_rows, ..) = reader.read_records(page.num_rows, Some(&mut levels), None, &mut values)?;
        if num_rows != page.num_rows {
            return Err(ParquetError::General(format!("{} rows instead of {}", num_rows, page.num_rows)));
        }
        let full = self.descriptor.max_def_level();
        if full == 0 {
            return Ok(values.into_iter().map(Some).collect());
        }
        let mut values = values.into_iter();
        Ok(levels.into_iter().map(|level| if level == full { values.next() } else { None }).collect())
    }
}

/// Goes over the headers of a row group's part of a column.
struct Walk {
    at: u64,
    end: u64,
    codec: Compression,
    dictionary: Option<Place>,
}

impl Walk {
    fn new(chunk: &ColumnChunkMetaData, file_length: u64) -> Result<Self> {
        if chunk.file_path().is_some() {
            return Err(Error::data("a column lies in another file, which is not read").help("write the file anew"));
        }
        let codec = match chunk.compression() {
            codec @ (Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::GZIP(_) | Compression::ZSTD(_)) => {
                codec
            }
            other @ (Compression::LZO | Compression::BROTLI(_) | Compression::LZ4 | Compression::LZ4_RAW) => {
                return Err(Error::data("the file is packed in a way that is not read")
                    .expected("none, snappy, zstd or gzip")
                    .got(other.to_string().to_lowercase())
                    .help("write it anew with compression=\"zstd\""));
            }
        };
        let data = chunk.data_page_offset();
        // a few writers have a 0 there for none
        let start = chunk.dictionary_page_offset().filter(|&start| start > 0 && start < data).unwrap_or(data);
        let at = u64::try_from(start).ok();
        let end = at.zip(u64::try_from(chunk.compressed_size()).ok()).and_then(|(at, length)| at.checked_add(length));
        match at.zip(end).filter(|(_, end)| *end <= file_length) {
            Some((at, end)) => Ok(Walk { at, end, codec, dictionary: None }),
            None => Err(damaged(ParquetError::General("a column lies outside the file".to_owned()))),
        }
    }

    /// Adds the pages of `num_rows` rows from `first_row` on to `pages`.
    fn pages(&mut self, file: &mut File, first_row: u64, num_rows: u64, pages: &mut Vec<Page>) -> Result<()> {
        let mut rows = 0;
        while rows < num_rows {
            let Some((header, place)) = self.next(file)? else {
                let error = Error::data("the file is damaged: pages are missing");
                return Err(error.expected(format!("{num_rows} rows")).got(rows));
            };
            match header.kind {
                PageKind::Index => {}
                PageKind::Dictionary => self.dictionary = Some(place),
                PageKind::Data | PageKind::DataV2 if header.num_values == 0 => {}
                PageKind::Data | PageKind::DataV2 => {
                    let needs_dictionary = DICTIONARY_ENCODINGS.contains(&header.encoding);
                    pages.push(Page {
                        first_row: first_row + rows,
                        num_rows: header.num_values as usize,
                        place,
                        dictionary: self.dictionary.filter(|_| needs_dictionary),
                        codec: self.codec,
                    });
                    rows += header.num_values as u64;
                }
            }
        }
        match rows == num_rows {
            true => Ok(()),
            false => Err(Error::data("the file is damaged: its pages have other rows than its row groups")
                .expected(num_rows)
                .got(rows)),
        }
    }

    /// The next page, whose sizes are checked; `None` at the end.
    fn next(&mut self, file: &mut File) -> Result<Option<(PageHeader, Place)>> {
        if self.at >= self.end {
            return Ok(None);
        }
        let (header, header_bytes) = read_header(file, self.at, self.end)?;
        let start = self.at;
        check(&header).map_err(|error| error.at(format!("byte {start}")))?;
        let packed_from = header_bytes + header.level_bytes as u64;
        let length = header_bytes + header.packed_bytes as u64;
        if length > self.end - start {
            return Err(damaged(io::Error::from(io::ErrorKind::UnexpectedEof)).at(format!("byte {start}")));
        }
        self.at += length;
        let unpacked_bytes = if header.is_packed { (header.unpacked_bytes - header.level_bytes) as u64 } else { 0 };
        Ok(Some((header, Place { start, length, packed_from, unpacked_bytes })))
    }
}

/// The header at byte `at`, and its length in bytes. The pages end at `end`.
fn read_header(file: &mut File, at: u64, end: u64) -> Result<(PageHeader, u64)> {
    for most in HEADER_BYTES {
        let mut start = Vec::new();
        file.seek(SeekFrom::Start(at)).map_err(damaged)?;
        file.take(most.min(end - at)).read_to_end(&mut start).map_err(damaged)?;
        if let Some((header, length)) = header::read(&start) {
            return Ok((header, length as u64));
        }
    }
    Err(Error::data("the file is damaged: there is no page where one should be").at(format!("byte {at}")))
}

/// Refuses what no page is, or what would take too much memory.
fn check(header: &PageHeader) -> Result<()> {
    let PageHeader { kind, unpacked_bytes, packed_bytes, num_values, encoding, level_bytes, is_packed: _ } = *header;
    let is_sound = unpacked_bytes >= 0
        && (0..=unpacked_bytes.min(packed_bytes)).contains(&level_bytes)
        && packed_bytes >= 0
        // each has a length or is a number, of 4 bytes at least
        && (kind != PageKind::Dictionary || (0..=unpacked_bytes / 4).contains(&num_values));
    if !is_sound {
        return Err(Error::data("the file is damaged: a page's sizes cannot be"));
    }
    if unpacked_bytes as u64 > max_unpacked(packed_bytes as u64) {
        return Err(Error::data("a page unpacks to more than images ever do")
            .expected(format!("at most {} bytes of {packed_bytes}", max_unpacked(packed_bytes as u64)))
            .got(unpacked_bytes));
    }
    if !(0..=MAX_PAGE_VALUES).contains(&num_values) {
        return Err(Error::data("a page has too many rows")
            .expected(format!("at most {MAX_PAGE_VALUES}"))
            .got(num_values));
    }
    match kind {
        PageKind::Data | PageKind::DataV2 if !ENCODINGS.contains(&encoding) => {
            let error = Error::data("a page has an encoding that is not read").got(format!("number {encoding}"));
            Err(error.help("write the file anew with the encoding PLAIN"))
        }
        PageKind::Data | PageKind::DataV2 | PageKind::Dictionary | PageKind::Index => Ok(()),
    }
}

/// Where `value`, which was not copied out of `bytes`, lies in the file, where `bytes` begin at `start`; `None` where it was.
fn place_in(bytes: &Bytes, start: u64, value: Option<&ByteArray>) -> Option<ValuePlace> {
    let Some(value) = value.map(ByteArray::data).filter(|value| !value.is_empty()) else {
        return Some(ValuePlace { start, length: 0 });
    };
    let offset = (value.as_ptr() as usize).checked_sub(bytes.as_ptr() as usize)?;
    let is_inside = offset.checked_add(value.len())? <= bytes.len();
    let length = u32::try_from(value.len()).ok()?;
    is_inside.then_some(ValuePlace { start: start + offset as u64, length })
}

/// The decoder of gzip goes on to the stream's end, whatever the header says.
fn check_gzip(packed: &[u8], unpacked_bytes: u64) -> io::Result<()> {
    if unpacked_bytes == 0 {
        return Ok(());
    }
    let mut unpacked = BoundedReader::new(MultiGzDecoder::new(BufReader::new(packed)), unpacked_bytes);
    io::copy(&mut unpacked, &mut io::sink()).map(drop)
}

/// That the file cannot be read, for the reason `error`.
pub(super) fn damaged(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::data("the Parquet file is damaged or cannot be read").because(error)
}

/// That what reads the file broke down.
pub(super) fn panicked() -> Error {
    Error::data("the Parquet file cannot be read: its reader fails on it, so it is damaged or very unusual")
        .help("write it anew")
}
