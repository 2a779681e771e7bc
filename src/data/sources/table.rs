//! A CSV with a first line of column names, read line by line in bounded memory.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::rc::Rc;

use csv::StringRecord;

use crate::error::{Error, Result};

/// The longest line of a manifest or list, in bytes.
pub(super) const MAX_LINE_BYTES: u64 = 1 << 20;

/// An open CSV.
pub(super) struct Table {
    reader: csv::Reader<Limited>,
    /// What may still be read of the current line.
    left: Rc<Cell<u64>>,
    headers: StringRecord,
    /// What the table is, for messages.
    what: &'static str,
    /// The number of the last line that was read, from 1.
    pub line: usize,
}

impl Table {
    /// Opens the CSV `path`, which is `what`: the first line has to name the columns `needed`.
    ///
    /// # Errors
    /// A data error where it cannot be read or lacks a column.
    pub fn open(path: &Path, what: &'static str, needed: &[&str]) -> Result<Self> {
        let file = File::open(path).map_err(|error| Error::data(format!("cannot read {what}")).because(error))?;
        let left = Rc::new(Cell::new(0));
        let limited = Limited { file, left: left.clone() };
        // whether lines have as many fields as the first is looked at here, after a quote that is left open
        let mut builder = csv::ReaderBuilder::new();
        let reader = builder.trim(csv::Trim::All).has_headers(false).flexible(true).from_reader(limited);
        let mut table = Table { reader, left, headers: StringRecord::new(), what, line: 0 };
        table.headers = table.next()?.unwrap_or_default();
        match needed.iter().find(|name| table.column(name).is_none()) {
            None => Ok(table),
            Some(missing) => Err(Error::data(format!("{what} has no column '{missing}'"))
                .expected(format!("a first line with {}", needed.join(",")))
                .got(table.headers.iter().collect::<Vec<_>>().join(","))
                .help(format!("write {} into the first line", needed.join(",")))),
        }
    }

    /// The place of the column called `name`.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.headers.iter().position(|header| header == name)
    }

    /// The fields of the next line; `None` after the last.
    ///
    /// # Errors
    /// A data error where it cannot be read, is too long, or has more or fewer fields than the first.
    pub fn next(&mut self) -> Result<Option<StringRecord>> {
        self.line += 1;
        self.left.set(MAX_LINE_BYTES);
        let mut record = StringRecord::new();
        let wrong = || Error::data(format!("cannot read {}", self.what));
        let close = "close the quote (\") that is open, or write a quote in a field twice";
        match self.reader.read_record(&mut record) {
            Ok(false) => return Ok(None),
            Ok(true) => {}
            Err(_) if self.left.get() == 0 => {
                return Err(wrong().expected(format!("lines of at most {MAX_LINE_BYTES} bytes")).help(close));
            }
            Err(error) if matches!(error.kind(), csv::ErrorKind::Utf8 { .. }) => {
                return Err(wrong().help("save it as UTF-8").because(error));
            }
            Err(error) => return Err(wrong().because(error)),
        }
        if record.iter().any(|field| field.contains(['\n', '\r'])) {
            return Err(wrong().got("a field that goes on in the next line").help(close));
        }
        match self.headers.len() {
            count if count == record.len() || self.line == 1 => Ok(Some(record)),
            count => Err(wrong().expected(format!("{count} fields, as in the first line")).got(record.len())),
        }
    }
}

/// A file of which only so much can be read.
struct Limited {
    file: File,
    left: Rc<Cell<u64>>,
}

impl Read for Limited {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left.get() == 0 {
            return Err(io::Error::other("a line is too long"));
        }
        let count = (&mut self.file).take(self.left.get()).read(buffer)?;
        self.left.set(self.left.get() - count as u64);
        Ok(count)
    }
}
