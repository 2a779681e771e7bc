//! HDF5 files as Keras writes them: groups, string attributes, arrays of numbers. Nothing that a file says is trusted.
//!
//! Two limits keep a hostile file from costing more than an honest one of its size: how many bytes may be read from it
//! altogether (many references can name one large string), and how many bytes its arrays may unpack to.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Cursor, Read, Seek};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use hdf5_pure::{AttrValue, DType, Dataset, FormatError, Group, ReadSeekSource, Source};

use crate::error::{Error, Result};

/// How many times a file's length may be read from it.
const MAX_READS: u64 = 16;
/// How many times a file's length its arrays may unpack to. Keras does not pack them: 1.
const MAX_UNPACKED: u64 = 16;
/// What small files are granted beside, in bytes.
const ALLOWANCE_BYTES: u64 = 32 << 20;

/// An open HDF5 file.
pub(super) struct Hdf5 {
    file: hdf5_pure::File,
    size_bytes: u64,
}

/// An array in a file: what it says of itself, its values not yet read.
pub(super) struct Array {
    /// Where it lies in the file.
    pub path: String,
    /// Its shape, row-major.
    pub shape: Vec<usize>,
    dataset: Dataset,
}

impl Hdf5 {
    /// Opens the file at `path`.
    ///
    /// # Errors
    /// A model error where it cannot be read, is no HDF5 file or is cut short.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|error| Error::model("cannot read the file").because(error))?;
        Self::new(file)
    }

    /// Opens a file that lies in memory.
    ///
    /// # Errors
    /// As [`Hdf5::open`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self> {
        Self::new(Cursor::new(bytes))
    }

    fn new(reader: impl Read + Seek + Send + 'static) -> Result<Self> {
        let source = ReadSeekSource::new(reader).map_err(damaged)?;
        let size_bytes = source.len();
        let limit = size_bytes.saturating_mul(MAX_READS).saturating_add(ALLOWANCE_BYTES);
        let metered = Metered { source, limit, served: AtomicU64::new(0) };
        let file = hdf5_pure::File::from_source(metered).map_err(damaged)?;
        let end = file.superblock().eof_address;
        if end > size_bytes {
            return Err(Error::model("the HDF5 file is cut short")
                .expected(format!("{end} bytes, as it says"))
                .got(size_bytes)
                .help("copy or save the file again"));
        }
        Ok(Hdf5 { file, size_bytes })
    }

    /// The group that holds all others.
    pub fn root(&self) -> Node {
        Node { path: String::new(), group: self.file.root() }
    }

    /// Checks that arrays of `elements` numbers together can be in a file of this size.
    pub fn check_total(&self, elements: usize) -> Result<()> {
        let limit = self.size_bytes.saturating_mul(MAX_UNPACKED).saturating_add(ALLOWANCE_BYTES);
        match (elements as u64).checked_mul(4).is_some_and(|bytes| bytes <= limit) {
            true => Ok(()),
            false => Err(Error::model("the file's arrays are far larger than the file")
                .expected(format!("at most {limit} bytes"))
                .got(format!("{elements} numbers"))),
        }
    }
}

/// A group in a file.
#[derive(Clone)]
pub(super) struct Node {
    /// Where it lies in the file; the root's is empty.
    pub path: String,
    group: Group,
}

impl Node {
    /// The group called `name` in this one, where there is one. `name` may be a path.
    pub fn child(&self, name: &str) -> Result<Option<Node>> {
        let path = self.path_of(name);
        let group = absent_is_none(self.group.group(name), &path)?;
        Ok(group.map(|group| Node { path, group }))
    }

    /// Every group in this one by its name. One call for all: looking each up alone reads the list again every time.
    pub fn children(&self) -> Result<BTreeMap<String, Node>> {
        let groups = self.group.iter_groups().map_err(|error| damaged_at(&self.path, error))?;
        Ok(groups.map(|(name, group)| (name.clone(), Node { path: self.path_of(&name), group })).collect())
    }

    /// The array called `name` in this group, where there is one. `name` may be a path.
    pub fn array(&self, name: &str) -> Result<Option<Array>> {
        let path = self.path_of(name);
        let dataset = absent_is_none(self.group.dataset(name), &path)?;
        dataset.map(|dataset| Array::new(path, dataset)).transpose()
    }

    /// Every array in this group by its name.
    pub fn arrays(&self) -> Result<BTreeMap<String, Array>> {
        let datasets = self.group.iter_datasets().map_err(|error| damaged_at(&self.path, error))?;
        datasets.map(|(name, dataset)| Ok((name.clone(), Array::new(self.path_of(&name), dataset)?))).collect()
    }

    /// The string attribute `name`.
    pub fn text(&self, name: &str) -> Result<Option<String>> {
        Ok(self.attributes()?.get(name).and_then(AttrValue::as_str).map(str::to_owned))
    }

    /// The list of strings in the attribute `name`, which Keras splits into `name0`, `name1` … over 64 kB.
    pub fn texts(&self, name: &str) -> Result<Option<Vec<String>>> {
        let attributes = self.attributes()?;
        let not_strings = || damaged_at(&self.path, format!("the attribute {name} is no list of strings"));
        if let Some(value) = attributes.get(name) {
            return strings(value).map(Some).ok_or_else(not_strings);
        }
        let mut all = None::<Vec<String>>;
        for value in (0..).map_while(|piece: usize| attributes.get(&format!("{name}{piece}"))) {
            all.get_or_insert_default().extend(strings(value).ok_or_else(not_strings)?);
        }
        Ok(all)
    }

    fn attributes(&self) -> Result<HashMap<String, AttrValue>> {
        self.group.attrs().map_err(|error| damaged_at(&self.path, error))
    }

    fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}/{name}", self.path) }
    }
}

impl Array {
    fn new(path: String, dataset: Dataset) -> Result<Self> {
        let shape = dataset.shape().map_err(|error| damaged_at(&path, error))?;
        let shape: Option<Vec<usize>> = shape.into_iter().map(|size| usize::try_from(size).ok()).collect();
        let shape = shape.ok_or_else(|| Error::model("an array is too large").at(&path))?;
        let kind = dataset.dtype().map_err(|error| damaged_at(&path, error))?;
        match kind {
            DType::F32 | DType::F64 | DType::I32 | DType::I64 | DType::U32 | DType::U64 => {
                Ok(Array { path, shape, dataset })
            }
            other => Err(Error::model("an array's kind cannot be used").expected("float32").got(other).at(path)),
        }
    }

    /// How many numbers it has; `None` beyond counting.
    pub fn num_elements(&self) -> Option<usize> {
        self.shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size))
    }

    /// Its values, row-major, as f32. The caller has checked their number with [`Hdf5::check_total`].
    pub fn values(&self) -> Result<Vec<f32>> {
        let values = self.dataset.read_f32().map_err(|error| damaged_at(&self.path, error))?;
        match Some(values.len()) == self.num_elements() {
            true => Ok(values),
            false => Err(damaged_at(&self.path, "an array has another number of values than its shape")),
        }
    }

    /// The value of an integer that stands alone.
    pub fn integer(&self) -> Result<i64> {
        let scalar = self.num_elements() == Some(1);
        let values = match scalar {
            true => self.dataset.read_i64().map_err(|error| damaged_at(&self.path, error))?,
            false => Vec::new(),
        };
        values.first().copied().ok_or_else(|| damaged_at(&self.path, "not one number"))
    }
}

/// The strings of an attribute; an empty list of any kind is an empty list (NumPy writes those as numbers).
fn strings(value: &AttrValue) -> Option<Vec<String>> {
    match (value.as_strings(), value.as_str()) {
        (Some(strings), _) => Some(strings.to_vec()),
        (None, Some(one)) => Some(vec![one.to_owned()]),
        (None, None) => value.to_f64s().filter(Vec::is_empty).map(|_| Vec::new()),
    }
}

/// A source that serves a bounded number of bytes.
struct Metered<S> {
    source: S,
    limit: u64,
    served: AtomicU64,
}

impl<S: Source> Source for Metered<S> {
    fn len(&self) -> u64 {
        self.source.len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), FormatError> {
        // a read costs a little however short it is
        let cost = buffer.len() as u64 + 16;
        if self.served.fetch_add(cost, Ordering::Relaxed).saturating_add(cost) > self.limit {
            return Err(FormatError::Source("the file names its bytes over and over".into()));
        }
        self.source.read_at(offset, buffer)
    }
}

fn absent_is_none<T>(found: Result<T, hdf5_pure::Error>, path: &str) -> Result<Option<T>> {
    use hdf5_pure::Error::{Format, NotADataset, NotAGroup};
    match found {
        Ok(found) => Ok(Some(found)),
        Err(Format(FormatError::PathNotFound(_)) | NotADataset(_) | NotAGroup(_)) => Ok(None),
        Err(error) => Err(damaged_at(path, error)),
    }
}

fn damaged(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::model("the HDF5 file is damaged, or is none").because(error).help("copy or save the file again")
}

fn damaged_at(path: &str, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    damaged(error).at(path)
}
