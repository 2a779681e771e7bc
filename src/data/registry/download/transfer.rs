//! One file from one mirror: continued where it broke off, checked at the end.

use std::fs::{self, File, TryLockError};
use std::io::{self, IsTerminal, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use md5::{Digest, Md5};
use sha2::Sha256;
use ureq::http::{Response, StatusCode, header};
use ureq::{Agent, Body};

use super::network::Connection;
use crate::error::{Error, Result};
use crate::files::hex;

/// How often a connection that breaks off after it has brought something is made again.
const MAX_CONTINUATIONS: usize = 4;
/// How often progress is shown.
const SHOW_INTERVAL: Duration = Duration::from_millis(100);

/// What a file's publisher says of its content.
#[derive(Debug, Clone, Copy)]
pub(in crate::data::registry) enum Checksum<'a> {
    /// The whole MD5, in hexadecimal.
    Md5(&'a str),
    /// How the SHA-256 begins: PyTorch has it in its files' names.
    Sha256Start(&'a str),
}

/// Why a file did not come: the next mirror may do better, or none would.
pub(super) enum Failure {
    Mirror(String),
    Disk(Error),
}

impl From<ureq::Error> for Failure {
    fn from(error: ureq::Error) -> Self {
        Failure::Mirror(error.to_string())
    }
}

/// Fetches `url` into `folder` under the name `name`. What has come is in `<name>.part`; what the server called that version
/// of the file, in `<name>.part.version`.
pub(super) fn fetch(
    agent: &Agent,
    url: &str,
    (name, checksum): (&str, Checksum),
    folder: &Path,
    network: &Connection,
) -> Result<(), Failure> {
    let mut part = PartialFile::open(folder, name)?;
    for attempt in 0.. {
        let before = part.length;
        match part.fetch(agent, url, network) {
            Ok(()) => break,
            // it broke off after it had brought something, and can be continued
            Err(Failure::Mirror(_))
                if part.version.is_some() && part.length > before && attempt < MAX_CONTINUATIONS => {}
            Err(failure) => {
                part.give_up();
                return Err(failure);
            }
        }
    }
    part.finish(checksum)
}

/// Whether a part of the file has come that can be continued.
pub(super) fn is_begun(folder: &Path, name: &str) -> bool {
    folder.join(format!("{name}.part")).metadata().is_ok_and(|metadata| metadata.len() > 0)
}

/// A file that has come in part.
struct PartialFile {
    name: String,
    target: PathBuf,
    path: PathBuf,
    file: File,
    length: u64,
    /// The entity tag or the date of the file that the part is of.
    version: Option<String>,
}

impl PartialFile {
    fn open(folder: &Path, name: &str) -> Result<Self, Failure> {
        let [target, path] = [folder.join(name), folder.join(format!("{name}.part"))];
        let disk = |error: io::Error| disk_failed(&path, error);
        let file = File::options().read(true).write(true).create(true).truncate(false).open(&path).map_err(disk)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let error = Error::config("another process is downloading the file").at_path(&target);
                return Err(Failure::Disk(error.help("wait until it has ended")));
            }
            // a file system without locks
            Err(TryLockError::Error(_)) => {}
        }
        let length = file.metadata().map_err(disk)?.len();
        let version = fs::read_to_string(version_path(&path)).ok().filter(|version| is_header_value(version));
        Ok(PartialFile { name: name.to_owned(), target, path, file, length, version })
    }

    /// Asks for what is missing and appends it.
    fn fetch(&mut self, agent: &Agent, url: &str, network: &Connection) -> Result<(), Failure> {
        let mut request = agent.get(url);
        if let Some(version) = self.version.as_ref().filter(|_| self.length > 0) {
            request =
                request.header(header::RANGE, format!("bytes={}-", self.length)).header(header::IF_RANGE, version);
        }
        let mut response = match request.call() {
            Err(ureq::Error::StatusCode(416)) => {
                // the server's file ends before the part does
                self.restart(None)?;
                agent.get(url).call()?
            }
            other => other?,
        };
        if response.status() != StatusCode::PARTIAL_CONTENT {
            let version = version_of(&response);
            self.restart(version)?;
        } else if content_start(&response) != Some(self.length) {
            self.restart(None)?;
            return Err(Failure::Mirror("the server continued at another byte than it was asked to".to_owned()));
        }
        let left = network.max_bytes.saturating_sub(self.length);
        let total = response.body().content_length().map(|bytes| bytes.saturating_add(self.length));
        let mut body = response.body_mut().with_config().limit(left).reader();
        self.append(&mut body, total)
    }

    fn append(&mut self, body: &mut dyn Read, total: Option<u64>) -> Result<(), Failure> {
        let mut progress = DownloadProgress::new(&self.name, self.length, total);
        let mut buffer = vec![0; 1 << 16];
        self.file.seek(SeekFrom::Start(self.length)).map_err(|error| disk_failed(&self.path, error))?;
        loop {
            let count = body.read(&mut buffer).map_err(|error| Failure::Mirror(error.to_string()))?;
            if count == 0 {
                return Ok(());
            }
            self.file.write_all(&buffer[..count]).map_err(|error| disk_failed(&self.path, error))?;
            self.length += count as u64;
            progress.show(self.length);
        }
    }

    /// Forgets what has come; what follows is `version` of the file.
    fn restart(&mut self, version: Option<String>) -> Result<(), Failure> {
        self.file.set_len(0).map_err(|error| disk_failed(&self.path, error))?;
        self.length = 0;
        let path = version_path(&self.path);
        let written = match &version {
            Some(version) => fs::write(&path, version),
            None => fs::remove_file(&path).or_else(|error| match error.kind() {
                io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            }),
        };
        self.version = version;
        written.map_err(|error| disk_failed(&path, error))
    }

    /// What came is kept for the next time, where it can be continued then.
    fn give_up(self) {
        if self.version.is_none() || self.length == 0 {
            let _ = fs::remove_file(version_path(&self.path));
            let _ = fs::remove_file(&self.path);
        }
    }

    /// Checks the whole file and gives it its name. One with a wrong checksum is not kept.
    fn finish(mut self, checksum: Checksum) -> Result<(), Failure> {
        let disk = |error: io::Error| disk_failed(&self.path, error);
        self.file.seek(SeekFrom::Start(0)).map_err(disk)?;
        let (kind, expected, got) = match checksum {
            Checksum::Md5(expected) => ("md5", expected, digest::<Md5>(&mut self.file).map_err(disk)?),
            Checksum::Sha256Start(expected) => ("sha256", expected, digest::<Sha256>(&mut self.file).map_err(disk)?),
        };
        // the version goes first: a part without one is never continued
        let _ = fs::remove_file(version_path(&self.path));
        if expected.is_empty() || !got.starts_with(expected) {
            let _ = fs::remove_file(&self.path);
            return Err(Failure::Mirror(format!("wrong checksum, expected {kind} {expected}, got {got}")));
        }
        self.file.sync_all().map_err(disk)?;
        fs::rename(&self.path, &self.target).map_err(disk)
    }
}

/// The checksum of what is left of `file`, in hexadecimal.
fn digest<D: Digest>(file: &mut File) -> io::Result<String> {
    let mut hasher = D::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&hasher.finalize())),
            count => hasher.update(&buffer[..count]),
        }
    }
}

fn disk_failed(path: &Path, source: io::Error) -> Failure {
    Failure::Disk(Error::internal("cannot write a downloaded file").at_path(path).because(source))
}

fn version_path(part: &Path) -> PathBuf {
    part.with_added_extension("version")
}

/// What tells this version of the file from another (RFC 9110, 13.1.5): a strong entity tag, else the date.
fn version_of(response: &Response<Body>) -> Option<String> {
    let value = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let tag = value(header::ETAG).filter(|tag| tag.starts_with('"'));
    tag.or_else(|| value(header::LAST_MODIFIED)).filter(|version| is_header_value(version))
}

fn is_header_value(text: &str) -> bool {
    !text.is_empty() && text.len() < 1000 && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

/// `bytes 7-99/100` begins at 7.
fn content_start(response: &Response<Body>) -> Option<u64> {
    let range = response.headers().get(header::CONTENT_RANGE)?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split_once('-')?.0.parse().ok()
}

/// A line that is written over, where a person looks.
struct DownloadProgress<'a> {
    name: &'a str,
    start: u64,
    total: Option<u64>,
    began: Instant,
    shown: Option<Instant>,
    is_terminal: bool,
}

impl<'a> DownloadProgress<'a> {
    fn new(name: &'a str, start: u64, total: Option<u64>) -> Self {
        DownloadProgress {
            name,
            start,
            total,
            began: Instant::now(),
            shown: None,
            is_terminal: io::stderr().is_terminal(),
        }
    }

    fn show(&mut self, length: u64) {
        if !self.is_terminal || self.shown.is_some_and(|shown| shown.elapsed() < SHOW_INTERVAL) {
            return;
        }
        self.shown = Some(Instant::now());
        let speed = (length - self.start) as f64 / self.began.elapsed().as_secs_f64().max(0.001);
        eprint!("\r{}\x1b[K", describe(self.name, length, self.total, speed));
    }
}

impl Drop for DownloadProgress<'_> {
    fn drop(&mut self) {
        if self.shown.is_some() {
            eprint!("\r\x1b[K");
        }
    }
}

/// `  a.gz  ████████░░░░░░░░░░░░  10.5 of 26.4 MB  3.1 MB/s`.
fn describe(name: &str, length: u64, total: Option<u64>, speed: f64) -> String {
    let mega = |bytes: f64| format!("{:.1}", bytes / 1e6);
    let bar = match total {
        Some(total @ 1..) => {
            let full = (20.0 * length as f64 / total as f64).min(20.0) as usize;
            format!(
                "{}{}  {} of {} MB",
                "█".repeat(full),
                "░".repeat(20 - full),
                mega(length as f64),
                mega(total as f64)
            )
        }
        _ => format!("{} MB", mega(length as f64)),
    };
    format!("  {name}  {bar}  {} MB/s", mega(speed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_a_line() {
        assert_eq!(
            describe("a.gz", 5_200_000, Some(10_400_000), 3.1e6),
            "  a.gz  ██████████░░░░░░░░░░  5.2 of 10.4 MB  3.1 MB/s"
        );
        assert_eq!(describe("a.gz", 5_200_000, None, 0.0), "  a.gz  5.2 MB  0.0 MB/s");
        assert!(describe("a.gz", 9, Some(3), 1.0).contains(&"█".repeat(20)), "more came than was said");
    }
}
