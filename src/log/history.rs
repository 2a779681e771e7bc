//! history.csv: a line per epoch.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use csv::StringRecord;
use serde::{Serialize, Serializer};
use strum::VariantArray;

use super::{Epoch, Event, Sink};
use crate::error::{Error, Result};
use crate::files::{self, write_atomically};
use crate::metrics::{Metric, Scores};

/// A column of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Epoch,
    /// Of the training images.
    Train(Metric),
    /// Of the validation images.
    Validation(Metric),
    LearningRate,
    Seconds,
    ImagesPerSecond,
}

/// A cell, as it is written: a number in full, or nothing.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(untagged)]
enum Cell {
    Count(u64),
    Number(Option<f64>),
}

/// A line takes some 150 bytes: this is a history of 400,000 epochs.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// One epoch, as a line of `history.csv`. Floats are written in full: they read back to the same bits. Serialised, it is a map
/// from the columns' names to the numbers that are known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HistoryRow {
    /// From 1.
    pub epoch: u64,
    /// Over the epoch's training images, as they were trained on.
    pub train: Scores,
    /// Over the validation images after the epoch; empty cells where there are none.
    pub validation: Option<Scores>,
    /// The learning rate of the epoch's last step.
    pub learning_rate: f64,
    /// Wall time in seconds, validation included.
    pub seconds: f64,
    /// Training images a second, validation not included.
    pub images_per_second: f64,
}

impl From<&Epoch> for HistoryRow {
    fn from(epoch: &Epoch) -> Self {
        let &Epoch { epoch, train, validation, learning_rate, seconds, images_per_second, .. } = epoch;
        HistoryRow { epoch, train, validation, learning_rate, seconds, images_per_second }
    }
}

impl Serialize for HistoryRow {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let cells = Column::of(Metric::VARIANTS).into_iter().map(|column| (column.name(), column.cell(self)));
        serializer.collect_map(cells.filter(|(_, cell)| !matches!(cell, Cell::Number(None))))
    }
}

impl Column {
    /// The columns of a history with these metrics, in order.
    fn of(metrics: &[Metric]) -> Vec<Column> {
        let of_each = |column: fn(Metric) -> Column| metrics.iter().copied().map(column);
        let scores = of_each(Column::Train).chain(of_each(Column::Validation));
        let rest = [Column::LearningRate, Column::Seconds, Column::ImagesPerSecond];
        std::iter::once(Column::Epoch).chain(scores).chain(rest).collect()
    }

    fn name(self) -> String {
        match self {
            Column::Epoch => "epoch".into(),
            Column::Train(metric) => metric.name().into(),
            Column::Validation(metric) => format!("val_{metric}"),
            Column::LearningRate => "learning_rate".into(),
            Column::Seconds => "seconds".into(),
            Column::ImagesPerSecond => "images_per_second".into(),
        }
    }

    /// Whether every history has it: loss and accuracy are as old as the file.
    fn is_required(self) -> bool {
        match self {
            Column::Train(metric) | Column::Validation(metric) => matches!(metric, Metric::Loss | Metric::Accuracy),
            Column::Epoch | Column::LearningRate | Column::Seconds | Column::ImagesPerSecond => true,
        }
    }

    fn cell(self, row: &HistoryRow) -> Cell {
        match self {
            Column::Epoch => Cell::Count(row.epoch),
            Column::Train(metric) => Cell::Number(row.train.get(metric)),
            Column::Validation(metric) => Cell::Number(row.validation.and_then(|scores| scores.get(metric))),
            Column::LearningRate => Cell::Number(Some(row.learning_rate)),
            Column::Seconds => Cell::Number(Some(row.seconds)),
            Column::ImagesPerSecond => Cell::Number(Some(row.images_per_second)),
        }
    }
}

/// Appends a line to `history.csv` at each epoch's end.
#[derive(Debug)]
pub struct HistorySink {
    path: PathBuf,
    file: File,
    columns: Vec<Column>,
}

impl HistorySink {
    /// Creates the file at `path` with its header, for a run with these `metrics`.
    ///
    /// # Errors
    /// A configuration error where it is there already or cannot be made.
    pub fn create(path: &Path, metrics: &[Metric]) -> Result<Self> {
        let columns = Column::of(metrics);
        let created = File::create_new(path).and_then(|mut file| {
            file.write_all(header(&columns).as_bytes())?;
            Ok(file)
        });
        let file = created.map_err(|error| Error::config("cannot create the history").at_path(path).because(error))?;
        Ok(HistorySink { path: path.to_owned(), file, columns })
    }

    /// Opens the file at `path` for a run that is resumed at `first_epoch` (from 1): lines from that epoch on are dropped,
    /// and what is left of a torn line. Columns of `metrics` that an older version did not write are empty in the lines before.
    /// Where there is no file, a new one is created.
    ///
    /// # Errors
    /// As [`read`]; an internal error where the file cannot be written.
    pub fn append(path: &Path, metrics: &[Metric], first_epoch: u64) -> Result<Self> {
        if !path.exists() {
            return Self::create(path, metrics);
        }
        let columns = Column::of(metrics);
        let mut rows = read(path)?;
        rows.retain(|row| row.epoch < first_epoch);
        let mut text = header(&columns).into_bytes();
        for row in &rows {
            text.extend(line(&columns, row)?);
        }
        let replaced = write_atomically(path, |writer| writer.write_all(&text));
        let opened = replaced.and_then(|()| OpenOptions::new().append(true).open(path));
        let file = opened.map_err(|error| cannot_write(path, error))?;
        Ok(HistorySink { path: path.to_owned(), file, columns })
    }
}

impl Sink for HistorySink {
    fn on(&mut self, event: &Event) -> Result<()> {
        let Event::Epoch(epoch) = event else { return Ok(()) };
        let line = line(&self.columns, &HistoryRow::from(epoch))?;
        let written = files::append(&self.file, &line).and_then(|()| self.file.sync_data());
        written.map_err(|error| cannot_write(&self.path, error))
    }
}

/// The rows of the history at `path`. A last line without its end, torn by a kill or a full disk, does not count.
///
/// # Errors
/// A data error where the file cannot be read, or a line of it is not a row.
pub fn read(path: &Path) -> Result<Vec<HistoryRow>> {
    let bad = |what: &str| Error::data(what).at_path(path);
    let size_bytes = fs::metadata(path).map_err(|error| bad("cannot read the history").because(error))?.len();
    if size_bytes > MAX_FILE_BYTES {
        return Err(bad("the history is too large")
            .expected(format!("at most {MAX_FILE_BYTES} bytes"))
            .got(size_bytes));
    }
    let bytes = fs::read(path).map_err(|error| bad("cannot read the history").because(error))?;
    let num_whole_bytes = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
    let mut reader = csv::Reader::from_reader(&bytes[..num_whole_bytes]);
    let header = reader.headers().map_err(|error| bad("the history has no header").because(error))?;
    if num_whole_bytes == 0 {
        return Ok(Vec::new());
    }
    let columns = columns_of(header).map_err(|error| error.at_path(path))?;
    let no_row =
        || bad("a line of the history is not an epoch's").help("correct or remove the line; the rest can stay");
    let row = |record: Result<StringRecord, csv::Error>| {
        let record = record.map_err(|error| no_row().because(error))?;
        row_of(&columns, &record).map_err(|what| no_row().at(format!("line {}", line_number(&record))).got(what))
    };
    reader.records().map(row).collect()
}

/// The columns that a header names, in its order: all that are required, and none twice.
fn columns_of(header: &StringRecord) -> Result<Vec<Column>> {
    let known = Column::of(Metric::VARIANTS);
    let columns: Option<Vec<Column>> =
        header.iter().map(|name| known.iter().find(|column| column.name() == name).copied()).collect();
    let is_history = |columns: &Vec<Column>| {
        let count = |column: &Column| columns.iter().filter(|other| *other == column).count();
        known.iter().all(|column| (usize::from(column.is_required())..=1).contains(&count(column)))
    };
    columns.filter(is_history).ok_or_else(|| {
        let names = |columns: &[Column]| columns.iter().map(|column| column.name()).collect::<Vec<_>>().join(",");
        let required: Vec<Column> = known.iter().copied().filter(|column| column.is_required()).collect();
        let got = header.iter().collect::<Vec<_>>().join(",");
        Error::data("the history has other columns").expected(names(&required)).got(got)
    })
}

/// The row of a line with these columns, or what in it is no number.
fn row_of(columns: &[Column], record: &StringRecord) -> std::result::Result<HistoryRow, String> {
    let mut row = HistoryRow {
        epoch: 0,
        train: Scores::default(),
        validation: None,
        learning_rate: 0.0,
        seconds: 0.0,
        images_per_second: 0.0,
    };
    for (column, cell) in columns.iter().zip(record) {
        let wrong = || format!("{} '{cell}'", column.name());
        let number = || cell.parse::<f64>().map_err(|_| wrong());
        match *column {
            Column::Epoch => row.epoch = cell.parse().map_err(|_| wrong())?,
            Column::Validation(_) if cell.is_empty() => {}
            Column::Train(_) if cell.is_empty() && !column.is_required() => {}
            Column::Train(metric) => row.train.set(metric, number()?),
            Column::Validation(metric) => row.validation.get_or_insert_default().set(metric, number()?),
            Column::LearningRate => row.learning_rate = number()?,
            Column::Seconds => row.seconds = number()?,
            Column::ImagesPerSecond => row.images_per_second = number()?,
        }
    }
    Ok(row)
}

fn line_number(record: &StringRecord) -> u64 {
    record.position().map_or(0, csv::Position::line)
}

fn header(columns: &[Column]) -> String {
    columns.iter().map(|column| column.name()).collect::<Vec<_>>().join(",") + "\n"
}

fn line(columns: &[Column], row: &HistoryRow) -> Result<Vec<u8>> {
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    let cells: Vec<Cell> = columns.iter().map(|column| column.cell(row)).collect();
    let written =
        writer.serialize(cells).map_err(|error| Error::internal("cannot write an epoch as CSV").because(error));
    written.and_then(|()| {
        writer.into_inner().map_err(|error| Error::internal("cannot write an epoch as CSV").got(error.error()))
    })
}

fn cannot_write(path: &Path, error: io::Error) -> Error {
    Error::internal("cannot write the history").at_path(path).because(error)
}

#[cfg(test)]
mod tests;
