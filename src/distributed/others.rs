//! What the store says of the other processes: who lives, and what one failed at.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result, describe};
use crate::native::TcpStore;

/// How often a process says that it lives.
pub(super) const BEAT: Duration = Duration::from_millis(500);
/// A process that says nothing for so long is gone, or hangs.
pub(super) const SILENCE: Duration = Duration::from_millis(2500);
/// As [`SILENCE`], where nothing has failed: a machine may be busy.
pub(super) const LONG_SILENCE: Duration = Duration::from_secs(10);
/// How often the store is asked.
pub(super) const PAUSE: Duration = Duration::from_millis(50);

/// The other processes, as far as the store knows of them.
#[derive(Debug)]
pub(super) struct Others {
    pub rank: usize,
    pub size: usize,
    pub store: TcpStore,
    /// Whether it is another process that the training failed at.
    is_blamed: AtomicBool,
    /// How many of the others are gone without a word.
    num_silent: AtomicUsize,
    /// What was the matter with another process when all were alarmed.
    heard: Mutex<Option<Error>>,
}

/// The key of the numbers of the processes that one has found gone without a word.
const SILENT: &str = "silent";
/// The key of how often all were told to look.
const ALARMS: &str = "alarms";

impl Others {
    /// Of process `rank` of `size`, which meet at `store`.
    pub fn new(rank: usize, size: usize, store: TcpStore) -> Self {
        Others {
            rank,
            size,
            store,
            is_blamed: AtomicBool::new(false),
            num_silent: AtomicUsize::new(0),
            heard: Mutex::new(None),
        }
    }

    /// Asks the store, which is gone with the process that serves it.
    pub fn ask<T>(&self, question: impl FnOnce(&TcpStore) -> Result<T>) -> Result<T> {
        question(&self.store).map_err(|error| self.without_store(error))
    }

    /// Why the training fails at `error`, now that the store is gone: what was heard before, or that process 0 is gone.
    fn without_store(&self, error: Error) -> Error {
        self.is_blamed.store(true, Ordering::Relaxed);
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner).take();
        heard.unwrap_or_else(|| Error::device("process 0, where the processes meet, is gone").because(error))
    }

    /// Keeps what is the matter once all are alarmed: the store may be gone before this process has to know.
    pub fn listen(&self, store: &TcpStore) -> Result<()> {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        if heard.is_none() && store.add(ALARMS, 0)? > 0 {
            *heard = self.said(store)?;
        }
        Ok(())
    }

    /// What another process said that it failed at, or which ones it found gone.
    pub fn failure(&self) -> Result<Option<Error>> {
        let failure = self.said(&self.store)?;
        if failure.is_some() {
            self.is_blamed.store(true, Ordering::Relaxed);
        }
        Ok(failure)
    }

    fn said(&self, store: &TcpStore) -> Result<Option<Error>> {
        for rank in (0..self.size).filter(|&rank| rank != self.rank) {
            if let Some(text) = store.get(&format!("failed/{rank}"))? {
                let (code, what) = text.split_once(' ').unwrap_or(("", &text));
                let kind = KINDS.into_iter().find(|kind| kind.exit_code().to_string() == code);
                let what = format!("process {rank} of {} failed: {what}", self.size);
                return Ok(Some(Error::new(kind.unwrap_or(ErrorKind::Device), what)));
            }
        }
        let silent = store.get(SILENT)?.unwrap_or_default();
        let silent: Vec<usize> = silent.split(' ').filter_map(|rank| rank.parse().ok()).collect();
        Ok((!silent.is_empty()).then(|| self.named(&silent)))
    }

    /// Why a call with the others failed: what another process says, or which one says nothing; `error` itself once that is said.
    pub fn blame(&self, error: Error) -> Error {
        if self.is_blamed.load(Ordering::Relaxed) {
            return error;
        }
        let mut beats = Beats::new(0..self.size);
        let until = Instant::now() + SILENCE * 2;
        loop {
            let found = self.failure().and_then(|failure| match failure {
                Some(failure) => Ok(Some(failure)),
                None => {
                    let silent = self.silent(&mut beats, SILENCE)?;
                    Ok((!silent.is_empty()).then(|| self.gone(&silent)))
                }
            });
            match found {
                Ok(Some(found)) => return found,
                Err(_) => return self.without_store(error),
                Ok(None) if Instant::now() > until => return error,
                Ok(None) => thread::sleep(PAUSE),
            }
        }
    }

    /// The processes of which nothing new was heard for `silence`; none where this one is among them: then the machine or the store is
    /// slow, and nothing follows.
    pub fn silent(&self, beats: &mut Beats, silence: Duration) -> Result<Vec<usize>> {
        let silent = beats.silent(&self.store, silence)?;
        Ok(if silent.contains(&self.rank) { Vec::new() } else { silent })
    }

    /// That the `silent` processes are, which the others hear of too.
    pub fn gone(&self, silent: &[usize]) -> Error {
        self.is_blamed.store(true, Ordering::Relaxed);
        let numbers: Vec<String> = silent.iter().map(usize::to_string).collect();
        let _ = self.store.set(SILENT, &numbers.join(" "));
        self.named(silent)
    }

    fn named(&self, silent: &[usize]) -> Error {
        self.num_silent.store(silent.len(), Ordering::Relaxed);
        let names: Vec<String> = silent.iter().map(usize::to_string).collect();
        let noun = if silent.len() == 1 { "process" } else { "processes" };
        let verb = if silent.len() == 1 { "is" } else { "are" };
        Error::device(format!("{noun} {} of {} {verb} gone, or stopped", names.join(", "), self.size))
            .help("the last checkpoint is whole: `resume` goes on from it, with any number of processes")
    }

    /// Tells the others what this process failed at, unless that was another one.
    pub fn tell(&self, error: &Error) {
        if !self.is_blamed.load(Ordering::Relaxed) {
            let text = format!("{} {}", error.exit_code(), describe(error));
            let _ = self.store.set(&format!("failed/{}", self.rank), &text);
        }
        self.alarm();
    }

    /// Has all processes look who is gone or has failed that do not hear of it otherwise: see [`Others::is_alarmed`].
    pub fn alarm(&self) {
        let _ = self.store.add(ALARMS, 1);
    }

    /// Whether a process is gone, or has failed, as another one has found.
    pub fn is_alarmed(&self) -> Result<bool> {
        Ok(self.store.add(ALARMS, 0)? > 0)
    }

    /// Says that this process needs the others no more.
    pub fn leave(&self) {
        let _ = self.store.set(&format!("left/{}", self.rank), "");
        let _ = self.store.add("gone", 1);
    }

    /// Whether process `rank` needs the others no more.
    pub fn has_left(&self, rank: usize) -> Result<bool> {
        Ok(self.store.get(&format!("left/{rank}"))?.is_some())
    }

    /// Waits until the others need this one no more, a few seconds at most.
    pub fn linger(&self) {
        let until = Instant::now() + SILENCE * 2;
        let others = (self.size - 1).saturating_sub(self.num_silent.load(Ordering::Relaxed)) as i64;
        while Instant::now() < until && self.store.add("gone", 0).is_ok_and(|gone| gone < others) {
            thread::sleep(PAUSE);
        }
    }
}

/// The kinds of errors that a process may tell of.
const KINDS: [ErrorKind; 7] = [
    ErrorKind::Internal,
    ErrorKind::Config,
    ErrorKind::Data,
    ErrorKind::Model,
    ErrorKind::Device,
    ErrorKind::Numeric,
    ErrorKind::Check,
];

/// What was heard of some processes, and when that was something new.
pub(super) struct Beats(Vec<Heard>);

struct Heard {
    rank: usize,
    beats: i64,
    at: Instant,
}

impl Beats {
    /// Of the processes `ranks`, from now on.
    pub fn new(ranks: impl IntoIterator<Item = usize>) -> Self {
        Beats(ranks.into_iter().map(|rank| Heard { rank, beats: 0, at: Instant::now() }).collect())
    }

    /// The processes of which nothing new was heard for `silence`.
    fn silent(&mut self, store: &TcpStore, silence: Duration) -> Result<Vec<usize>> {
        for heard in &mut self.0 {
            let beats = store.add(&format!("beat/{}", heard.rank), 0)?;
            if beats != heard.beats {
                (heard.beats, heard.at) = (beats, Instant::now());
            }
        }
        let silent = self.0.iter().filter(|heard| heard.at.elapsed() > silence);
        Ok(silent.map(|heard| heard.rank).collect())
    }
}
