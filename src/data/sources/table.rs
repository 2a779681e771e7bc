//! A CSV with a first line of column names, read line by line in bounded memory.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

use csv::StringRecord;

use crate::data::names::quoted;
use crate::error::{Error, Result};

/// The longest line of a manifest or list, in bytes.
pub(super) const MAX_LINE_BYTES: u64 = 1 << 20;
/// What may stand between two fields: the comma, and what spreadsheets write where the comma is in numbers.
const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];
/// What editors on Windows put in front of UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// An open CSV.
pub(super) struct Table {
    reader: csv::Reader<Lines>,
    place: Rc<Place>,
    headers: StringRecord,
    /// What the table is, for messages.
    what: &'static str,
}

impl Table {
    /// Opens the CSV `path`, which is `what`: the first line has to name the columns `needed`, in any case of letters. Commas,
    /// semicolons or tabs separate the fields: whatever makes the first line do so.
    ///
    /// # Errors
    /// A data error where it cannot be read or lacks a column.
    pub fn open(path: &Path, what: &'static str, needed: &[&str]) -> Result<Self> {
        let file = File::open(path).map_err(|error| Error::data(format!("cannot read {what}")).because(error))?;
        Self::new(file, what, needed)
    }

    /// As [`Table::open`], from a reader.
    ///
    /// # Errors
    /// As [`Table::open`].
    pub fn new(reader: impl Read + 'static, what: &'static str, needed: &[&str]) -> Result<Self> {
        let place = Rc::new(Place::default());
        let mut lines =
            Lines { reader: BufReader::new(Box::new(reader)), rest: Vec::new(), at: 0, place: place.clone() };
        let unreadable = |error: io::Error| Error::data(format!("cannot read {what}")).because(error);
        lines.skip_comments().map_err(unreadable)?;
        let has_needed = |delimiter: &&u8| needed.iter().all(|name| lines.header_has(name, **delimiter));
        let delimiter = DELIMITERS.iter().find(has_needed).copied().unwrap_or(b',');
        // whether lines have as many fields as the first is looked at here, after a quote that is left open
        let mut builder = csv::ReaderBuilder::new();
        builder.trim(csv::Trim::All).has_headers(false).flexible(true).delimiter(delimiter);
        let mut table = Table { reader: builder.from_reader(lines), place, headers: StringRecord::new(), what };
        table.headers = table.read()?.unwrap_or_default();
        match needed.iter().find(|name| table.column(name).is_none()) {
            None => Ok(table),
            Some(missing) => Err(Error::data(format!("{what} has no column \"{missing}\""))
                .expected(format!("a first line with {}", needed.join(",")))
                .got(quoted(&table.headers.iter().collect::<Vec<_>>()))
                .at(format!("line {}", table.line().max(1)))
                .help(format!(
                    "write {} into the first line, in place of what the columns are called",
                    needed.join(",")
                ))),
        }
    }

    /// The place of the column called `name`, in any case of letters.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.headers.iter().position(|header| header.eq_ignore_ascii_case(name))
    }

    /// The number of the line that was read last, from 1, as an editor counts.
    pub fn line(&self) -> usize {
        self.place.begin.get()
    }

    /// The fields of the next line; `None` after the last. Empty lines are passed over, and so are those that begin with `#` and
    /// have not as many fields as the first: comments.
    ///
    /// # Errors
    /// A data error where it cannot be read, is too long, or has more or fewer fields than the first.
    pub fn next(&mut self) -> Result<Option<StringRecord>> {
        loop {
            let Some(record) = self.read()? else { return Ok(None) };
            let count = self.headers.len();
            if record.len() == count {
                return Ok(Some(record));
            }
            if !record.get(0).is_some_and(|field| field.starts_with('#')) {
                let expected = format!("{count} fields, as in the first line");
                return Err(Error::data(format!("cannot read {}", self.what)).expected(expected).got(record.len()));
            }
        }
    }

    fn read(&mut self) -> Result<Option<StringRecord>> {
        self.place.start();
        let mut record = StringRecord::new();
        let wrong = || Error::data(format!("cannot read {}", self.what));
        let close = "close the quote (\") that is open, or write a quote in a field twice";
        match self.reader.read_record(&mut record) {
            Ok(false) => return Ok(None),
            Ok(true) => {}
            Err(_) if self.place.left.get() == 0 => {
                return Err(wrong().expected(format!("lines of at most {MAX_LINE_BYTES} bytes")).help(close));
            }
            Err(error) if matches!(error.kind(), csv::ErrorKind::Utf8 { .. }) => {
                return Err(wrong().help("save it as UTF-8").because(error));
            }
            Err(error) => return Err(wrong().because(error)),
        }
        match record.iter().any(|field| field.contains(['\n', '\r'])) {
            true => Err(wrong().got("a field that goes on in the next line").help(close)),
            false => Ok(Some(record)),
        }
    }
}

/// Where the reading stands.
#[derive(Default)]
struct Place {
    /// What may still be read of the current record, in bytes.
    left: Cell<u64>,
    /// Lines that were read.
    count: Cell<usize>,
    /// The line in which the current record begins, from 1; 0 before it does.
    begin: Cell<usize>,
}

impl Place {
    fn start(&self) {
        self.left.set(MAX_LINE_BYTES);
        self.begin.set(0);
    }
}

/// The lines of a file that have something in them, handed out one at a time: so the line is known that a record comes from.
struct Lines {
    reader: BufReader<Box<dyn Read>>,
    /// The current line, and what of it is handed out.
    rest: Vec<u8>,
    at: usize,
    place: Rc<Place>,
}

impl Lines {
    /// Reads the first line that has something in it.
    fn advance(&mut self) -> io::Result<()> {
        (self.at, self.rest) = (0, Vec::new());
        loop {
            self.rest.clear();
            // a longer line comes in pieces
            let read = (&mut self.reader).take(MAX_LINE_BYTES + 1).read_until(b'\n', &mut self.rest)?;
            if read == 0 {
                return Ok(());
            }
            self.place.count.set(self.place.count.get() + 1);
            if self.place.count.get() == 1 && self.rest.starts_with(BYTE_ORDER_MARK) {
                self.rest.drain(..BYTE_ORDER_MARK.len());
            }
            if !self.rest.trim_ascii().is_empty() {
                return Ok(());
            }
        }
    }

    /// Reads on to the line of column names.
    fn skip_comments(&mut self) -> io::Result<()> {
        self.advance()?;
        while self.rest.starts_with(b"#") {
            self.advance()?;
        }
        Ok(())
    }

    /// Whether the current line names the column `name`, where `delimiter` separates the names.
    fn header_has(&self, name: &str, delimiter: u8) -> bool {
        let mut fields = self.rest.split(|&byte| byte == delimiter).map(String::from_utf8_lossy);
        fields.any(|field| field.trim().trim_matches('"').trim().eq_ignore_ascii_case(name))
    }
}

impl Read for Lines {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.rest.len() {
            self.advance()?;
        }
        if self.place.left.get() == 0 {
            return Err(io::Error::other("a line is too long"));
        }
        if self.place.begin.get() == 0 {
            self.place.begin.set(self.place.count.get());
        }
        let rest = &self.rest[self.at..];
        let count = rest.len().min(buffer.len()).min(self.place.left.get() as usize);
        buffer[..count].copy_from_slice(&rest[..count]);
        self.at += count;
        self.place.left.set(self.place.left.get() - count as u64);
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
