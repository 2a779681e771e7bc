//! NumPy's `.npy` arrays: images in, model outputs out.
//!
//! The format is NumPy's NEP 1 (`numpy.lib.format`): a header, then the numbers.

mod header;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use super::ImageShape;
use crate::error::{Error, Result};
use crate::files::{bounded, write_output};
pub(super) use header::array_header;
use header::{NpyHeader, f32_header, read_header_text, wrong_kind};

/// The most bytes of numbers that are read.
const MAX_DATA_BYTES: u64 = 16 << 30;

/// An array of N images.
#[derive(Debug, Clone, PartialEq)]
pub enum NpyImages {
    /// Images as they are stored: 0 to 255.
    U8 {
        /// H, W, C of each image.
        shape: ImageShape,
        /// N: never 0.
        count: usize,
        /// `u8 [N, H, W, C]`, row-major.
        pixels: Vec<u8>,
    },
    /// Numbers for the model as they are, with no scaling left to do.
    F32 {
        /// H, W, C of each image.
        shape: ImageShape,
        /// N: never 0.
        count: usize,
        /// `f32 [N, H, W, C]`, row-major.
        values: Vec<f32>,
    },
}

/// The images in the `.npy` file `path`: `[N, H, W, C]`, or `[N, H, W]` for grey ones (then C is 1).
///
/// The kind must be uint8, float32 or float64 (rounded to float32, as NumPy's `astype` does), in either byte order, in C or
/// in Fortran order.
///
/// # Errors
/// A data error where the file cannot be read, is no `.npy` array, holds another kind or shape, or has another length than
/// its header says.
pub fn read_images(path: &Path) -> Result<NpyImages> {
    read_file(path).map_err(|error| error.at_path(path))
}

/// Writes `values` as the `.npy` array of kind `<f4` and shape `shape`, row-major; the file appears whole or not at all.
///
/// # Errors
/// A configuration error where the file cannot be written.
///
/// # Panics
/// Where `shape` is not the shape of `values`.
pub fn write_f32(path: &Path, shape: &[usize], values: &[f32]) -> Result<()> {
    assert_eq!(shape.iter().product::<usize>(), values.len(), "the shape is that of the values");
    let written = write_output(path, |writer| {
        writer.write_all(&f32_header(shape))?;
        values.iter().try_for_each(|value| writer.write_all(&value.to_le_bytes()))
    });
    written.map_err(|error| Error::config("cannot write the array").at_path(path).because(error))
}

fn read_file(path: &Path) -> Result<NpyImages> {
    let unreadable = |error: io::Error| Error::data("cannot read the array").because(error);
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(Error::data("this is no .npy array").expected("a file").got("a folder or a device"));
    }
    let mut file = File::open(path).map_err(unreadable)?;
    read_images_from(&mut file, metadata.len())
}

/// As [`read_images`], from a reader of `length` bytes.
///
/// # Errors
/// As [`read_images`].
pub fn read_images_from(reader: &mut dyn Read, length: u64) -> Result<NpyImages> {
    let (text, header_bytes) = read_header_text(reader)?;
    let header = NpyHeader::parse(&text)?;
    let (kind, dimensions) = (ElementKind::from_descr(header.descr)?, image_dimensions(&header.shape)?);
    let data = read_data(reader, kind.data_bytes(dimensions)?, length.saturating_sub(header_bytes))?;
    Ok(kind.images(data, dimensions, header.fortran_order))
}

/// Whole numbers, `[N]` or `[N, 1]`, of any integer kind, from a reader of `length` bytes.
///
/// # Errors
/// As [`read_images`], for another kind or shape.
pub fn read_labels_from(reader: &mut dyn Read, length: u64) -> Result<Vec<i64>> {
    let (text, header_bytes) = read_header_text(reader)?;
    let header = NpyHeader::parse(&text)?;
    let (count @ 1.., [_] | [_, 1]) = (header.shape.first().copied().unwrap_or(0), &header.shape[..]) else {
        let error =
            Error::data("the array holds no labels").expected("[N] or [N, 1]").got(format!("{:?}", header.shape));
        return Err(match header.shape[..] {
            [_, _] => error.help("labels in one-hot form become numbers with array.argmax(1)"),
            _ => error,
        });
    };
    let kind = header.descr.trim_start_matches(['<', '>', '|', '=']);
    let item_bytes: u64 = match kind {
        "u1" | "i1" => 1,
        "u2" | "i2" => 2,
        "u4" | "i4" => 4,
        "u8" | "i8" => 8,
        _ => return Err(wrong_labels(header.descr)),
    };
    let num_bytes = item_bytes.checked_mul(count as u64).filter(|&bytes| bytes <= MAX_DATA_BYTES);
    let data = read_data(reader, num_bytes.ok_or_else(|| too_large(count))?, length.saturating_sub(header_bytes))?;
    let (is_signed, is_big_endian) = (kind.starts_with('i'), header.descr.starts_with('>'));
    let items = data.chunks_exact(item_bytes as usize);
    items.map(|item| whole_number(item, is_signed, is_big_endian).ok_or_else(|| wrong_labels(header.descr))).collect()
}

fn wrong_labels(descr: &str) -> Error {
    let error = Error::data("the labels are not whole numbers").expected("an integer kind").got(descr);
    match descr.trim_start_matches(['<', '>', '|', '=']).chars().next() {
        Some('U' | 'S' | 'O') => error.help("save numbers in place of names: np.unique(array, return_inverse=True)[1]"),
        _ => error.help("save them with array.astype('int64')"),
    }
}

/// `None` where it does not fit.
fn whole_number(item: &[u8], is_signed: bool, is_big_endian: bool) -> Option<i64> {
    let little: Vec<u8> = if is_big_endian { item.iter().rev().copied().collect() } else { item.to_vec() };
    let is_negative = is_signed && little.last()? & 0x80 != 0;
    let mut bytes = [if is_negative { 0xff } else { 0 }; 8];
    bytes[..little.len()].copy_from_slice(&little);
    let number = i64::from_le_bytes(bytes);
    (is_signed || number >= 0).then_some(number)
}

/// The numbers, which must be as many bytes as the header says. Memory is taken as they come.
fn read_data(reader: &mut dyn Read, expected: u64, length: u64) -> Result<Vec<u8>> {
    let wrong_length = |got: u64| {
        Error::data("the file's length is not what its header says")
            .expected(format!("{expected} bytes of numbers"))
            .got(got)
    };
    if length != expected {
        return Err(wrong_length(length));
    }
    let mut data = Vec::new();
    bounded::reserve(&mut data, expected);
    let read = reader.take(expected).read_to_end(&mut data);
    read.map_err(|error| Error::data("cannot read the array").because(error))?;
    if data.len() as u64 == expected { Ok(data) } else { Err(wrong_length(data.len() as u64)) }
}

/// `[N, H, W, C]` of the array, without a zero.
fn image_dimensions(shape: &[usize]) -> Result<[usize; 4]> {
    let dimensions = match *shape {
        [n, height, width, channels] => Some([n, height, width, channels]),
        [n, height, width] => Some([n, height, width, 1]),
        _ => None,
    };
    let wrong =
        || Error::data("the array holds no images").expected("[N, H, W, C] or [N, H, W]").got(format!("{shape:?}"));
    dimensions.filter(|dimensions| !dimensions.contains(&0)).ok_or_else(wrong)
}

fn too_large(data_bytes: impl ToString) -> Error {
    Error::data("the array is too large")
        .expected(format!("at most {MAX_DATA_BYTES} bytes"))
        .got(data_bytes.to_string())
}

/// The kinds of number that are read.
#[derive(Debug, Clone, Copy)]
enum ElementKind {
    U8,
    F32 { big_endian: bool },
    F64 { big_endian: bool },
}

impl ElementKind {
    /// `descr`: NumPy's array-protocol type string: byte order, letter, bytes of one number.
    fn from_descr(descr: &str) -> Result<Self> {
        let big_endian = descr.starts_with('>');
        match descr.trim_start_matches(['<', '>', '|', '=']) {
            "u1" => Ok(ElementKind::U8),
            "f4" => Ok(ElementKind::F32 { big_endian }),
            "f8" => Ok(ElementKind::F64 { big_endian }),
            other => Err(refuse(descr, other)),
        }
    }

    fn data_bytes(self, dimensions: [usize; 4]) -> Result<u64> {
        let item_bytes = match self {
            ElementKind::U8 => 1_u64,
            ElementKind::F32 { .. } => 4,
            ElementKind::F64 { .. } => 8,
        };
        let product = dimensions.iter().try_fold(item_bytes, |product, &size| product.checked_mul(size as u64));
        product.filter(|&bytes| bytes <= MAX_DATA_BYTES).ok_or_else(|| too_large(format!("shape {dimensions:?}")))
    }

    fn images(self, data: Vec<u8>, dimensions: [usize; 4], fortran_order: bool) -> NpyImages {
        let [count, height, width, channels] = dimensions;
        let shape = ImageShape { height, width, channels };
        let values = match self {
            ElementKind::U8 if fortran_order => {
                return NpyImages::U8 { shape, count, pixels: row_major(&data, dimensions) };
            }
            ElementKind::U8 => return NpyImages::U8 { shape, count, pixels: data },
            ElementKind::F32 { big_endian: false } => numbers(&data, f32::from_le_bytes),
            ElementKind::F32 { big_endian: true } => numbers(&data, f32::from_be_bytes),
            ElementKind::F64 { big_endian: false } => numbers(&data, |bytes| f64::from_le_bytes(bytes) as f32),
            ElementKind::F64 { big_endian: true } => numbers(&data, |bytes| f64::from_be_bytes(bytes) as f32),
        };
        let values = if fortran_order { row_major(&values, dimensions) } else { values };
        NpyImages::F32 { shape, count, values }
    }
}

/// The error for another kind: its name in NumPy, and what to do with it.
fn refuse(descr: &str, letter_and_size: &str) -> Error {
    let mut letters = letter_and_size.chars();
    let letter = letters.next().unwrap_or_default();
    let bits = letters.as_str().parse::<u32>().unwrap_or_default().saturating_mul(8);
    let (name, help) = match letter {
        'O' => ("an object array".to_owned(), "it is a Python pickle, which can run code: save an array of numbers"),
        'b' => ("bool".to_owned(), "convert it with array.astype('uint8') * 255"),
        'i' => (format!("int{bits}"), "convert it with array.astype('uint8')"),
        'u' if bits == 16 => ("uint16".to_owned(), "convert it with (array // 257).astype('uint8')"),
        'u' => (format!("uint{bits}"), "convert it with array.astype('uint8')"),
        'f' => (format!("float{bits}"), "convert it with array.astype('float32')"),
        _ => ("another kind".to_owned(), "save an array of numbers"),
    };
    wrong_kind(&format!("{name} ('{descr}')")).help(help)
}

fn numbers<const BYTES: usize>(data: &[u8], number: impl Fn([u8; BYTES]) -> f32) -> Vec<f32> {
    data.as_chunks::<BYTES>().0.iter().map(|&bytes| number(bytes)).collect()
}

/// From Fortran order, where the first index runs fastest, to C order, where the last one does.
fn row_major<T: Copy>(values: &[T], [count, height, width, channels]: [usize; 4]) -> Vec<T> {
    let mut ordered = Vec::with_capacity(values.len());
    for n in 0..count {
        for y in 0..height {
            for x in 0..width {
                ordered.extend((0..channels).map(|c| values[n + count * (y + height * (x + width * c))]));
            }
        }
    }
    ordered
}

#[cfg(test)]
mod tests;
