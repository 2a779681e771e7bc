//! One TensorBoard event file: whole records, flushed, never truncating another's.
//!
//! The format is TensorFlow's: records of a length, its masked CRC-32C, a serialized `Event` and its masked CRC-32C
//! (`tensorflow/core/lib/io/record_writer.h`). Records and messages come from `tensorboard-rs`. Its own file
//! writer is not used: it writes on a thread behind a queue without bounds, loses what is queued when the process exits,
//! panics on a full disk and truncates a file of the same second.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use protobuf::Message;
use tensorboard_proto::event::Event;
use tensorboard_proto::summary::Summary_Value;
use tensorboard_rs::record_writer::RecordWriter;

use super::event_records::{PREFIX, collect_last_steps, event_files, second_of};
use super::event_values;
use crate::error::{Error, Result};
use crate::files;

/// An event file, open for writing. Each call writes a whole record and hands it to the operating system: it outlives
/// the process, however that ends.
pub struct EventFile {
    path: PathBuf,
    file: Arc<File>,
    records: RecordWriter<BufWriter<Appended>>,
    /// The last step of each tag in the folder's older files.
    last_steps: HashMap<String, u64>,
}

impl EventFile {
    /// Creates a file in `folder` (which is created too where it is missing), with a name of its own that sorts behind
    /// those of the folder's other event files: TensorBoard reads them in that order.
    ///
    /// # Errors
    /// A configuration error where no file can be made there, an internal one where it cannot be written or the folder's
    /// other files cannot be read.
    pub fn create(folder: &Path) -> Result<Self> {
        let older = fs::create_dir_all(folder).and_then(|()| event_files(folder));
        let older = older.map_err(|error| cannot_create(folder, error))?;
        let mut last_steps = HashMap::new();
        for path in &older {
            collect_last_steps(path, &mut last_steps)
                .map_err(|error| Error::internal("cannot read a TensorBoard log").at_path(path).because(error))?;
        }
        let newest = older.iter().filter_map(|path| second_of(path)).max();
        let second = newest.map_or(0, |newest| newest.saturating_add(1)).max(since_epoch().as_secs());
        files::crash_point();
        let (path, file) = create_new(folder, second).map_err(|error| cannot_create(folder, error))?;
        files::sync_folder(folder).map_err(|error| cannot_create(folder, error))?;
        Self::begin(path, file, last_steps)
    }

    fn begin(path: PathBuf, file: File, last_steps: HashMap<String, u64>) -> Result<Self> {
        let file = Arc::new(file);
        let records = RecordWriter::new(BufWriter::new(Appended(Arc::clone(&file))));
        let mut this = EventFile { path, file, records, last_steps };
        let mut version = Event::new();
        version.set_file_version("brain.Event:2".to_owned());
        this.write(version)?;
        Ok(this)
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes `value` (rounded to `f32`) under `tag` at `step`, unless an older file of the folder went that far already:
    /// a resumed run repeats the steps after its checkpoint, and TensorBoard would show both.
    ///
    /// # Errors
    /// An internal error where the file cannot be written. The file is of no more use then.
    pub fn scalar(&mut self, tag: &str, step: u64, value: f64) -> Result<()> {
        self.value(step, event_values::scalar(tag, value as f32))
    }

    /// Writes `value` at `step`, as [`EventFile::scalar`] does.
    ///
    /// # Errors
    /// As [`EventFile::scalar`].
    pub(super) fn value(&mut self, step: u64, value: Summary_Value) -> Result<()> {
        if self.last_steps.get(value.get_tag()).is_some_and(|&last| step <= last) {
            return Ok(());
        }
        let mut event = Event::new();
        event.set_step(step.cast_signed());
        event.mut_summary().mut_value().push(value);
        self.write(event)
    }

    /// Writes a Keras model's JSON for TensorBoard's graph page, as Keras's callback does: tag `keras`, step 0, a scalar
    /// string tensor for the plugin `graph_keras_model`. Not where an older file of the folder has it.
    ///
    /// # Errors
    /// As [`EventFile::scalar`].
    pub fn keras_graph(&mut self, model_json: &str) -> Result<()> {
        self.value(0, event_values::keras_graph(model_json))
    }

    /// Waits until the disk has everything: what was written outlives a power cut from then on.
    ///
    /// # Errors
    /// An internal error where the disk says no.
    pub fn sync(&mut self) -> Result<()> {
        self.file.sync_data().map_err(|error| self.cannot_write(error))
    }

    fn write(&mut self, mut event: Event) -> Result<()> {
        event.set_wall_time(since_epoch().as_secs_f64());
        let bytes = event.write_to_bytes().map_err(|error| self.cannot_write(error))?;
        self.records.write(&bytes).and_then(|()| self.records.flush()).map_err(|error| self.cannot_write(error))
    }

    fn cannot_write(&self, error: impl std::error::Error + Send + Sync + 'static) -> Error {
        Error::internal("cannot write the TensorBoard log").at_path(&self.path).because(error)
    }
}

/// Writes to the file's end.
struct Appended(Arc<File>);

impl Write for Appended {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        files::append(&self.0, bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn cannot_create(folder: &Path, error: io::Error) -> Error {
    Error::config("cannot create a TensorBoard log")
        .at_path(folder)
        .help("choose a folder for logs that can be written")
        .because(error)
}

/// A new file with TensorFlow's name: second, host, process, counter, and the suffix of TensorFlow 2's writer.
fn create_new(folder: &Path, second: u64) -> io::Result<(PathBuf, File)> {
    let (host, process) = (host_name(), std::process::id());
    let mut counter = 0u32;
    loop {
        let path = folder.join(format!("{PREFIX}{second:010}.{host}.{process}.{counter}.v2"));
        match File::create_new(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => counter += 1,
            result => return result.map(|file| (path, file)),
        }
    }
}

/// The machine's name, as far as a file's name can hold it.
fn host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c)).take(64).collect();
    if name.is_empty() { "localhost".to_owned() } else { name }
}

/// Time since 1970; 0 where the clock stands before that.
fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::fs::OpenOptions;

    /// The event files' records under `folder`, in the order of the files. Panics on a record that is not whole. The
    /// checksum is computed bit by bit here: the reflected polynomial of RFC 3720, then TFRecord's rotation and constant.
    pub fn read_events(folder: &Path) -> Vec<Event> {
        let mut events = Vec::new();
        for path in event_files(folder).unwrap() {
            let bytes = fs::read(&path).unwrap();
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                let (length, tail) = rest.split_at(8);
                assert_eq!(tail[..4], masked(length).to_le_bytes(), "{path:?}");
                let length = u64::from_le_bytes(length.try_into().unwrap()) as usize;
                let (record, tail) = tail[4..].split_at(length);
                assert_eq!(tail[..4], masked(record).to_le_bytes(), "{path:?}");
                events.push(Event::parse_from_bytes(record).unwrap());
                rest = &tail[4..];
            }
        }
        events
    }

    /// Tag, step and value of every scalar under `folder`.
    pub fn read_scalars(folder: &Path) -> Vec<(String, i64, f32)> {
        let events = read_events(folder);
        let scalars = events.iter().flat_map(|event| event.get_summary().get_value().iter().map(|v| (event.step, v)));
        scalars
            .filter(|(_, v)| v.has_simple_value())
            .map(|(step, v)| (v.tag.clone(), step, v.get_simple_value()))
            .collect()
    }

    fn masked(bytes: &[u8]) -> u32 {
        let mut crc = u32::MAX;
        for byte in bytes {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                crc = (crc >> 1) ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 };
            }
        }
        (!crc).rotate_right(15).wrapping_add(0xa282_ead8)
    }

    #[test]
    fn records_are_whole_before_the_file_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = EventFile::create(&folder.path().join("new/train")).unwrap();
        let before = since_epoch().as_secs_f64();
        file.keras_graph("{\"class_name\": \"Sequential\"}").unwrap();
        file.scalar("epoch_loss", 7, 0.1).unwrap();
        let events = read_events(&folder.path().join("new/train"));
        assert_eq!(events.len(), 3);
        assert_eq!(events[0].get_file_version(), "brain.Event:2");
        let graph = &events[1].get_summary().get_value()[0];
        assert_eq!((graph.get_tag(), events[1].get_step()), ("keras", 0));
        assert_eq!(graph.get_metadata().get_plugin_data().get_plugin_name(), "graph_keras_model");
        assert_eq!(graph.get_metadata().get_plugin_data().get_content(), b"1");
        assert_eq!(graph.get_tensor().get_string_val()[0], b"{\"class_name\": \"Sequential\"}");
        assert_eq!(read_scalars(&folder.path().join("new/train")), [("epoch_loss".to_owned(), 7, 0.1f32)]);
        assert!((before..before + 60.0).contains(&events[2].get_wall_time()), "{}", events[2].get_wall_time());
        drop(file);
        assert_eq!(read_events(&folder.path().join("new/train")).len(), 3);
    }

    #[test]
    fn a_file_is_never_opened_twice_and_sorts_behind_older_ones() {
        let folder = tempfile::tempdir().unwrap();
        let far = since_epoch().as_secs() + 1000; // another machine's clock
        fs::write(folder.path().join(format!("{PREFIX}{far}.host.1.0")), b"").unwrap();
        let files: Vec<EventFile> = (0..3).map(|_| EventFile::create(folder.path()).unwrap()).collect();
        let names: Vec<PathBuf> = event_files(folder.path()).unwrap();
        assert_eq!(names[1..], files.iter().map(|file| file.path().to_owned()).collect::<Vec<_>>());
        let (first, _) = create_new(folder.path(), 5).unwrap();
        let (second, _) = create_new(folder.path(), 5).unwrap();
        assert!(first.to_str().unwrap().ends_with(".0.v2") && second.to_str().unwrap().ends_with(".1.v2"));
    }

    #[test]
    fn steps_of_older_files_are_not_repeated_and_a_torn_tail_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = EventFile::create(folder.path()).unwrap();
        file.keras_graph(&"x".repeat(5000)).unwrap();
        for step in 1..=4 {
            file.scalar("batch_loss", step, 1.0).unwrap();
        }
        let whole = fs::metadata(file.path()).unwrap().len();
        for missing in [1, 20] {
            let torn = OpenOptions::new().write(true).open(file.path()).unwrap();
            torn.set_len(whole - missing).unwrap();
            let steps = last_steps(file.path());
            assert_eq!(steps["batch_loss"], 3, "{missing} bytes missing");
        }
        let mut resumed = EventFile::create(folder.path()).unwrap();
        for step in 3..=5 {
            resumed.scalar("batch_loss", step, 2.0).unwrap();
        }
        resumed.scalar("epoch_loss", 0, 2.0).unwrap();
        fs::remove_file(file.path()).unwrap();
        let expected =
            [("batch_loss".to_owned(), 4, 2.0), ("batch_loss".to_owned(), 5, 2.0), ("epoch_loss".to_owned(), 0, 2.0)];
        assert_eq!(read_scalars(folder.path()), expected);
    }

    #[test]
    fn damaged_and_lying_records_end_the_reading() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = EventFile::create(folder.path()).unwrap();
        file.scalar("loss", 1, 1.0).unwrap();
        file.scalar("loss", 2, 1.0).unwrap();
        let whole = fs::read(file.path()).unwrap();
        let path = folder.path().join("damaged");
        let mut flipped = whole.clone();
        *flipped.last_mut().unwrap() ^= 1;
        fs::write(&path, &flipped).unwrap();
        assert_eq!(last_steps(&path)["loss"], 1);
        let huge = u64::MAX.to_le_bytes();
        let lie = [whole.as_slice(), &huge, &masked(&huge).to_le_bytes(), b"short"].concat();
        fs::write(&path, &lie).unwrap();
        assert_eq!(last_steps(&path)["loss"], 2);
        let groups = vec![0x0b; 1024]; // each byte opens an unknown group in the one before
        fs::write(&path, [whole.as_slice(), &masked_record(&groups)].concat()).unwrap();
        assert_eq!(last_steps(&path)["loss"], 2);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_an_error() {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let error = EventFile::begin("/dev/full".into(), full, HashMap::new()).err().unwrap();
        assert_eq!(error.to_string(), "cannot write the TensorBoard log (/dev/full)");
        let folder = tempfile::NamedTempFile::new().unwrap();
        let error = EventFile::create(folder.path()).err().unwrap();
        assert_eq!(error.kind(), crate::error::ErrorKind::Config);
    }

    fn last_steps(path: &Path) -> HashMap<String, u64> {
        let mut steps = HashMap::new();
        collect_last_steps(path, &mut steps).unwrap();
        steps
    }

    fn masked_record(bytes: &[u8]) -> Vec<u8> {
        let length = (bytes.len() as u64).to_le_bytes();
        [&length, masked(&length).to_le_bytes().as_slice(), bytes, &masked(bytes).to_le_bytes()].concat()
    }
}
