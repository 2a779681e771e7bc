//! The other processes: how they are met, whether they live, and what one failed at.

use std::env;
use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::launch::Launch;
use crate::error::{Error, ErrorKind, Result, describe};
use crate::native::{GlooGroup, TcpStore};

/// How long the processes wait for each other at the start.
const MEETING_TIME: Duration = Duration::from_secs(60);
/// How long a call waits for the others.
const CALL_TIME: Duration = Duration::from_secs(300);
/// Another time for both, in seconds.
const TIME_VARIABLE: &str = "CONVNET_PEER_TIMEOUT";
/// How often a process says that it lives.
const BEAT: Duration = Duration::from_millis(500);
/// A process that says nothing for so long is gone, or hangs.
const SILENCE: Duration = Duration::from_millis(2500);
/// As [`SILENCE`], where nothing has failed: a machine may be busy.
const LONG_SILENCE: Duration = Duration::from_secs(10);
/// How often the store is asked.
const PAUSE: Duration = Duration::from_millis(50);

/// The connected processes.
#[derive(Debug)]
pub(super) struct Peers {
    pub rank: usize,
    pub size: usize,
    /// The number on this machine, and how many there are on it.
    pub local: (usize, usize),
    pub gloo: GlooGroup,
    store: TcpStore,
    /// Whether this process serves the store.
    serves: bool,
    /// How often all processes have met at the store: each time has keys of its own.
    meetings: AtomicU64,
    /// Whether it is another process that the training failed at.
    is_blamed: AtomicBool,
    /// How many of the others are gone without a word.
    num_silent: AtomicUsize,
    /// Nanoseconds in calls that wait for the others.
    pub waited: AtomicU64,
    _heart: Heart,
}

/// Says that this process lives until it is dropped.
#[derive(Debug)]
struct Heart {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Peers {
    /// Meets the others of `launch`.
    pub fn meet(launch: &Launch) -> Result<Self> {
        let Launch { rank, size, .. } = *launch;
        let limit = given_time()?;
        let meeting = limit.unwrap_or(MEETING_TIME);
        let serves = rank == 0 && !launch.store_is_served;
        let prefix = format!("convnet/{}", launch.restarts);
        let open = |serves| open(launch, serves, &prefix, meeting);
        let place = format!("{}:{}", launch.host, launch.port);
        let store = open(serves).map_err(|error| {
            let what = if serves {
                "cannot serve the processes' meeting place"
            } else {
                "cannot reach the processes' meeting place"
            };
            Error::config(what)
                .at(&place)
                .because(error.source().map_or_else(|| error.fault(), ToString::to_string))
                .help("MASTER_ADDR and MASTER_PORT name a free port of process 0's host, the same for every process")
        })?;
        let heart = Heart::new(open(false)?, rank)?;
        come(&store, rank, size, meeting)?;
        let gloo = GlooGroup::connect(&store, rank, size, limit.unwrap_or(CALL_TIME))
            .map_err(|error| error.help("GLOO_SOCKET_IFNAME names the network interface to use"))?;
        let local = (launch.local_rank, launch.local_size);
        Ok(Peers {
            rank,
            size,
            local,
            gloo,
            store,
            serves,
            meetings: AtomicU64::new(0),
            is_blamed: AtomicBool::new(false),
            num_silent: AtomicUsize::new(0),
            waited: AtomicU64::new(0),
            _heart: heart,
        })
    }

    /// The key of what all do next at the store, in one order.
    fn meeting(&self, name: &str) -> String {
        format!("meeting/{}/{name}", self.meetings.fetch_add(1, Ordering::Relaxed))
    }

    /// Waits until all have come to `place`.
    pub fn wait_for_all(&self, place: &str) -> Result<()> {
        let key = self.meeting(place);
        self.ask(|store| store.add(&key, 1))?;
        self.wait_until(|store| Ok((store.add(&key, 0)? >= self.size as i64).then_some(())))
    }

    /// The main process's `text` of this name.
    pub fn told_by_main(&self, name: &str, text: &str) -> Result<String> {
        let key = self.meeting(name);
        if self.rank == 0 {
            self.ask(|store| store.set(&key, text))?;
            return Ok(text.to_owned());
        }
        self.wait_until(|store| store.get(&key))
    }

    /// Every process's `text` of this name.
    pub fn gather_texts(&self, name: &str, text: &str) -> Result<Vec<String>> {
        let key = self.meeting(name);
        self.ask(|store| store.set(&format!("{key}/{}", self.rank), text))?;
        (0..self.size).map(|rank| self.wait_until(|store| store.get(&format!("{key}/{rank}")))).collect()
    }

    /// Compares `facts` with those of process 0.
    pub fn check_same(&self, facts: &[(String, String)]) -> Result<()> {
        let own = serde_json::to_string(facts).expect("texts");
        let there = self.told_by_main("facts", &own)?;
        let there: Vec<(String, String)> = serde_json::from_str(&there).unwrap_or_default();
        let other = facts.iter().find(|fact| !there.contains(fact));
        if let Some((name, here)) = other {
            let there =
                there.into_iter().find(|(other, _)| other == name).map_or("none".to_owned(), |(_, value)| value);
            let error = Error::config(format!("process {} has another {name} than process 0", self.rank));
            return Err(error.expected(there).got(here));
        }
        self.wait_for_all("facts")
    }

    /// What `get` finds, once it finds something; or what another process failed at.
    fn wait_until<T>(&self, get: impl Fn(&TcpStore) -> Result<Option<T>>) -> Result<T> {
        let mut beats = Beats::new(self.size);
        loop {
            if let Some(found) = self.ask(&get)? {
                return Ok(found);
            }
            if let Some(error) = self.ask(|store| self.failure(store))? {
                return Err(error);
            }
            let silent = self.ask(|store| beats.silent(store, LONG_SILENCE))?;
            if !silent.is_empty() {
                return Err(self.gone(&silent));
            }
            thread::sleep(PAUSE);
        }
    }

    /// Asks the store, which is gone with the process that serves it.
    fn ask<T>(&self, question: impl FnOnce(&TcpStore) -> Result<T>) -> Result<T> {
        question(&self.store)
            .map_err(|error| Error::device("process 0, where the processes meet, is gone").because(error))
    }

    /// What another process said that it failed at.
    fn failure(&self, store: &TcpStore) -> Result<Option<Error>> {
        for rank in (0..self.size).filter(|&rank| rank != self.rank) {
            if let Some(text) = store.get(&format!("failed/{rank}"))? {
                let (code, what) = text.split_once(' ').unwrap_or(("", &text));
                let kind = KINDS.into_iter().find(|kind| kind.exit_code().to_string() == code);
                let what = format!("process {rank} of {} failed: {what}", self.size);
                self.is_blamed.store(true, Ordering::Relaxed);
                return Ok(Some(Error::new(kind.unwrap_or(ErrorKind::Device), what)));
            }
        }
        Ok(None)
    }

    /// Why a call with the others failed: what another process says, or which one says nothing; `error` itself once that is said.
    pub fn blame(&self, error: Error) -> Error {
        if self.is_blamed.load(Ordering::Relaxed) {
            return error;
        }
        let mut beats = Beats::new(self.size);
        let until = Instant::now() + SILENCE * 2;
        loop {
            let found = self.failure(&self.store).and_then(|failure| match failure {
                Some(failure) => Ok(Some(failure)),
                None => {
                    let silent = beats.silent(&self.store, SILENCE)?;
                    Ok((!silent.is_empty()).then(|| self.gone(&silent)))
                }
            });
            match found {
                Ok(Some(found)) => return found,
                Err(_) => return Error::device("process 0, where the processes meet, is gone").because(error),
                Ok(None) if Instant::now() > until => return error,
                Ok(None) => thread::sleep(PAUSE),
            }
        }
    }

    fn gone(&self, silent: &[usize]) -> Error {
        self.num_silent.store(silent.len(), Ordering::Relaxed);
        self.is_blamed.store(true, Ordering::Relaxed);
        let names: Vec<String> = silent.iter().map(usize::to_string).collect();
        let noun = if silent.len() == 1 { "process" } else { "processes" };
        let verb = if silent.len() == 1 { "is" } else { "are" };
        Error::device(format!("{noun} {} of {} {verb} gone, or stopped", names.join(", "), self.size))
            .help("the last checkpoint is whole: `resume` goes on from it, with any number of processes")
    }

    /// Tells the others what this process failed at, unless that was another one. Where it serves the store it waits until they have
    /// heard it, a few seconds at most.
    pub fn tell_failure(&self, error: &Error) {
        if self.is_blamed.load(Ordering::Relaxed) {
            return self.leave();
        }
        let text = format!("{} {}", error.exit_code(), describe(error));
        let _ = self.store.set(&format!("failed/{}", self.rank), &text);
        self.leave();
    }

    /// Ends this process's part.
    pub fn leave(&self) {
        match self.serves {
            true => self.linger(),
            false => drop(self.store.add("gone", 1)),
        }
    }

    /// Keeps the store until the others are gone, a few seconds at most.
    fn linger(&self) {
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

/// The time for both, where one is given.
fn given_time() -> Result<Option<Duration>> {
    let Ok(text) = env::var(TIME_VARIABLE) else { return Ok(None) };
    let seconds = text.parse().ok().filter(|seconds| (1..=86_400).contains(seconds));
    let wrong = || {
        Error::config(format!("{TIME_VARIABLE} cannot be used")).expected("1 to 86400 seconds").got(format!("'{text}'"))
    };
    seconds.map(|seconds| Some(Duration::from_secs(seconds))).ok_or_else(wrong)
}

/// The store of `launch`. What another program than c10d serves at its port may never answer: then the time is over, too.
fn open(launch: &Launch, serves: bool, prefix: &str, time: Duration) -> Result<TcpStore> {
    let (send, receive) = mpsc::channel();
    let (host, port, prefix) = (launch.host.clone(), launch.port, prefix.to_owned());
    let connect = move || drop(send.send(TcpStore::open(&host, port, serves, &prefix, time)));
    let thread = thread::Builder::new().name("store".to_owned()).spawn(connect);
    thread.map_err(|error| Error::internal("cannot start a thread").because(error))?;
    receive.recv_timeout(time + SILENCE).unwrap_or_else(|_| Err(Error::device("what listens there does not answer")))
}

/// Says that process `rank` is here, and waits for the others.
fn come(store: &TcpStore, rank: usize, size: usize, time: Duration) -> Result<()> {
    if store.add(&format!("here/{rank}"), 1)? > 1 {
        return Err(Error::config(format!("there are two processes of RANK {rank}"))
            .help("every process has a RANK of its own"));
    }
    let until = Instant::now() + time;
    loop {
        let mut missing = Vec::new();
        for other in 0..size {
            if store.get(&format!("here/{other}"))?.is_none() {
                missing.push(other.to_string());
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        if Instant::now() > until {
            return Err(Error::config("not all processes have come")
                .expected(format!("{size} processes within {} seconds", time.as_secs()))
                .got(format!("none of RANK {}", missing.join(", ")))
                .help("start them all, with the same WORLD_SIZE, MASTER_ADDR and MASTER_PORT"));
        }
        thread::sleep(PAUSE);
    }
}

/// What was heard of each process, and when that was something new.
struct Beats(Vec<(i64, Instant)>);

impl Beats {
    fn new(size: usize) -> Self {
        Beats(vec![(0, Instant::now()); size])
    }

    /// The processes of which nothing new was heard for `silence`.
    fn silent(&mut self, store: &TcpStore, silence: Duration) -> Result<Vec<usize>> {
        for (rank, (last, heard)) in self.0.iter_mut().enumerate() {
            let beats = store.add(&format!("beat/{rank}"), 0)?;
            if beats != *last {
                (*last, *heard) = (beats, Instant::now());
            }
        }
        Ok((0..self.0.len()).filter(|&rank| self.0[rank].1.elapsed() > silence).collect())
    }
}

impl Heart {
    fn new(store: TcpStore, rank: usize) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let beat = move || {
            let key = format!("beat/{rank}");
            while !stopped.load(Ordering::Relaxed) && store.add(&key, 1).is_ok() {
                thread::park_timeout(BEAT);
            }
        };
        let thread = thread::Builder::new().name("heartbeat".to_owned()).spawn(beat);
        let thread = thread.map_err(|error| Error::internal("cannot start a thread").because(error))?;
        Ok(Heart { stop, thread: Some(thread) })
    }
}

impl Drop for Heart {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}
