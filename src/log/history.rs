//! history.csv: a line per epoch.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Epoch, Event, Sink};
use crate::error::{Error, Result};
use crate::files::{self, write_atomically};

/// The columns, in order: the fields of [`HistoryRow`].
const COLUMNS: [&str; 8] =
    ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds", "images_per_second"];

/// A line takes some 150 bytes: this is a history of 400,000 epochs.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// One epoch, as a line of `history.csv`. Floats are written in full: they read back to the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct HistoryRow {
    /// From 1.
    pub epoch: u64,
    /// Mean training cross-entropy, in nats.
    pub loss: f64,
    /// Training accuracy, 0 to 1.
    pub accuracy: f64,
    /// Mean validation cross-entropy, in nats; an empty cell where there is no validation.
    pub val_loss: Option<f64>,
    /// Validation accuracy, 0 to 1; an empty cell where there is no validation.
    pub val_accuracy: Option<f64>,
    /// The learning rate of the epoch's last step.
    pub learning_rate: f64,
    /// Wall time in seconds, validation included.
    pub seconds: f64,
    /// Training images a second, validation not included.
    pub images_per_second: f64,
}

impl From<&Epoch> for HistoryRow {
    fn from(epoch: &Epoch) -> Self {
        HistoryRow {
            epoch: epoch.epoch,
            loss: epoch.train.loss,
            accuracy: epoch.train.accuracy,
            val_loss: epoch.validation.map(|scores| scores.loss),
            val_accuracy: epoch.validation.map(|scores| scores.accuracy),
            learning_rate: epoch.learning_rate,
            seconds: epoch.seconds,
            images_per_second: epoch.images_per_second,
        }
    }
}

/// Appends a line to `history.csv` at each epoch's end.
#[derive(Debug)]
pub struct HistorySink {
    path: PathBuf,
    file: File,
}

impl HistorySink {
    /// Creates the file at `path` with its header.
    ///
    /// # Errors
    /// A configuration error where it is there already or cannot be made.
    pub fn create(path: &Path) -> Result<Self> {
        let created = File::create_new(path).and_then(|mut file| {
            file.write_all(header().as_bytes())?;
            Ok(file)
        });
        let file = created.map_err(|error| Error::config("cannot create the history").at_path(path).because(error))?;
        Ok(HistorySink { path: path.to_owned(), file })
    }

    /// Opens the file at `path` for a run that is resumed at `first_epoch` (from 1): lines from that epoch on are dropped,
    /// and what is left of a torn line. Where there is no file, a new one is created.
    ///
    /// # Errors
    /// As [`read`]; an internal error where the file cannot be written.
    pub fn append(path: &Path, first_epoch: u64) -> Result<Self> {
        if !path.exists() {
            return Self::create(path);
        }
        let mut rows = read(path)?;
        rows.retain(|row| row.epoch < first_epoch);
        let mut text = header().into_bytes();
        for row in &rows {
            text.extend(line(row)?);
        }
        let replaced = write_atomically(path, |writer| writer.write_all(&text));
        let opened = replaced.and_then(|()| OpenOptions::new().append(true).open(path));
        let file = opened.map_err(|error| cannot_write(path, error))?;
        Ok(HistorySink { path: path.to_owned(), file })
    }
}

impl Sink for HistorySink {
    fn on(&mut self, event: &Event) -> Result<()> {
        let Event::Epoch(epoch) = event else { return Ok(()) };
        let line = line(&HistoryRow::from(epoch))?;
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
    let columns = reader.headers().map_err(|error| bad("the history has no header").because(error))?;
    if num_whole_bytes > 0 && columns != COLUMNS.as_slice() {
        let got = columns.iter().collect::<Vec<_>>().join(",");
        return Err(bad("the history has other columns").expected(COLUMNS.join(",")).got(got));
    }
    let rows: Result<Vec<HistoryRow>, csv::Error> = reader.deserialize().collect();
    rows.map_err(|error| {
        bad("a line of the history is not an epoch's").help("mend or remove the line; the rest can stay").because(error)
    })
}

fn header() -> String {
    COLUMNS.join(",") + "\n"
}

fn line(row: &HistoryRow) -> Result<Vec<u8>> {
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    let written = writer.serialize(row).map_err(|error| Error::internal("cannot write an epoch as CSV").because(error));
    written.and_then(|()| {
        writer.into_inner().map_err(|error| Error::internal("cannot write an epoch as CSV").got(error.error()))
    })
}

fn cannot_write(path: &Path, error: io::Error) -> Error {
    Error::internal("cannot write the history").at_path(path).because(error)
}

#[cfg(test)]
mod tests {
    use super::super::Scores;
    use super::super::tensorboard::tests::epoch;
    use super::*;

    fn validation(loss: f64) -> Option<Scores> {
        Some(Scores { loss, accuracy: 0.1 + 0.2 })
    }

    #[test]
    fn lines_are_plain_csv_and_there_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.csv");
        let mut sink = HistorySink::create(&path).unwrap();
        sink.on(&Event::Epoch(epoch(1, None))).unwrap();
        sink.on(&Event::Validating).unwrap();
        sink.on(&Event::Epoch(epoch(2, validation(0.25)))).unwrap();
        let expected = "epoch,loss,accuracy,val_loss,val_accuracy,learning_rate,seconds,images_per_second\n\
                        1,0.3012,0.8921,,,0.002,7.1,9100.0\n\
                        2,0.3012,0.8921,0.25,0.30000000000000004,0.002,7.1,9100.0\n";
        assert_eq!(fs::read_to_string(&path).unwrap(), expected);
        assert_eq!(HistorySink::create(&path).unwrap_err().kind(), crate::error::ErrorKind::Config);
        assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    }

    #[test]
    fn floats_read_back_to_the_same_bits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.csv");
        let mut sink = HistorySink::create(&path).unwrap();
        let losses =
            [1.0 / 3.0, f64::MIN_POSITIVE, 5e-324, f64::MAX, 1e-7, 123_456_789.123_456_79, f64::INFINITY, f64::NAN];
        for loss in losses {
            sink.on(&Event::Epoch(epoch(1, validation(loss)))).unwrap();
        }
        let rows = read(&path).unwrap();
        let bits: Vec<u64> = rows.iter().map(|row| row.val_loss.unwrap().to_bits()).collect();
        assert_eq!(bits, losses.map(f64::to_bits));
        assert_eq!(rows[0], HistoryRow::from(&epoch(1, validation(losses[0]))));
    }

    #[test]
    fn resuming_drops_later_epochs_and_a_torn_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.csv");
        let mut sink = HistorySink::create(&path).unwrap();
        for number in 1..=4 {
            sink.on(&Event::Epoch(epoch(number, validation(0.5)))).unwrap();
        }
        let whole = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{whole}5,0.1,0.")).unwrap();
        assert_eq!(read(&path).unwrap().len(), 4);
        let mut resumed = HistorySink::append(&path, 3).unwrap();
        resumed.on(&Event::Epoch(epoch(3, None))).unwrap();
        let rows = read(&path).unwrap();
        assert_eq!(
            rows.iter().map(|row| (row.epoch, row.val_loss)).collect::<Vec<_>>(),
            [(1, Some(0.5)), (2, Some(0.5)), (3, None)]
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_history_that_is_missing_or_torn_in_its_header_starts_anew() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("none.csv", None), ("empty.csv", Some("")), ("torn.csv", Some("epoch,lo"))] {
            let path = folder.path().join(name);
            if let Some(text) = text {
                fs::write(&path, text).unwrap();
            }
            let mut sink = HistorySink::append(&path, 2).unwrap();
            sink.on(&Event::Epoch(epoch(2, None))).unwrap();
            assert_eq!(read(&path).unwrap().len(), 1, "{name}");
        }
    }

    #[test]
    fn what_is_no_history_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.csv");
        let cases = [
            ("epoch,loss\n1,0.5\n", "the history has other columns: expected epoch,loss,accuracy,"),
            (&format!("{}1,2\n", header()), "a line of the history is not an epoch's"),
            (&format!("{}one,0,0,,,0,0,0\n", header()), "a line of the history is not an epoch's"),
        ];
        for (text, message) in cases {
            fs::write(&path, text).unwrap();
            let error = HistorySink::append(&path, 2).unwrap_err();
            assert!(error.to_string().starts_with(message), "{error}");
            assert_eq!(error.kind(), crate::error::ErrorKind::Data);
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        let file = File::options().write(true).open("/dev/full").unwrap();
        let mut full = HistorySink { path: "/dev/full".into(), file };
        assert_eq!(
            full.on(&Event::Epoch(epoch(1, None))).unwrap_err().to_string(),
            "cannot write the history (/dev/full)"
        );
    }
}
