//! The other processes: how they are met, whether they live, and what one failed at.

use std::env;
use std::error::Error as _;
use std::ffi::CString;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use tch::Device;

use super::gpus::{self, Carrier, Gpus, Way, Word};
use super::launch::Launch;
use super::others::{BEAT, Beats, LONG_SILENCE, Others, PAUSE, SILENCE};
use super::repeated::Repeated;
use crate::error::{Error, ErrorKind, Result};
use crate::native::{GlooGroup, TcpStore};

/// How long the processes wait for each other at the start.
const MEETING_TIME: Duration = Duration::from_secs(60);
/// How long a call waits for the others.
const CALL_TIME: Duration = Duration::from_secs(300);
/// Another time for both, in seconds.
const TIME_VARIABLE: &str = "CONVNET_PEER_TIMEOUT";

/// The connected processes.
#[derive(Debug)]
pub(super) struct Peers {
    pub rank: usize,
    pub size: usize,
    /// The number on this machine, and how many there are on it.
    pub local: (usize, usize),
    pub gloo: GlooGroup,
    /// Where each has a GPU that is connected with the others'.
    gpus: OnceLock<Gpus>,
    others: Arc<Others>,
    /// How long a call waits for the others.
    call_time: Duration,
    /// Whether this process serves the store.
    serves: bool,
    /// How often all processes have met at the store: each time has keys of its own.
    meetings: AtomicU64,
    /// Nanoseconds in calls that wait for the others.
    pub waited: AtomicU64,
    _heart: Repeated,
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
        let others = Arc::new(Others::new(rank, size, store));
        let (beating, listening, key) = (open(false)?, Arc::clone(&others), format!("beat/{rank}"));
        let beat = move || beating.add(&key, 1).and_then(|_| listening.listen(&beating)).is_ok();
        let heart = Repeated::start("heartbeat", BEAT, beat)?;
        come(&others.store, rank, size, meeting)?;
        let call_time = limit.unwrap_or(CALL_TIME);
        let gloo = GlooGroup::connect(&others.store, rank, size, call_time)
            .map_err(|error| error.help("GLOO_SOCKET_IFNAME names the network interface to use"))?;
        let local = (launch.local_rank, launch.local_size);
        Ok(Peers {
            rank,
            size,
            local,
            gloo,
            gpus: OnceLock::new(),
            others,
            call_time,
            serves,
            meetings: AtomicU64::new(0),
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
        self.others.ask(|store| store.add(&key, 1))?;
        self.wait_until(|store| Ok((store.add(&key, 0)? >= self.size as i64).then_some(())))
    }

    /// The main process's `text` of this name.
    pub fn told_by_main(&self, name: &str, text: &str) -> Result<String> {
        let key = self.meeting(name);
        if self.rank == 0 {
            self.others.ask(|store| store.set(&key, text))?;
            return Ok(text.to_owned());
        }
        self.wait_until(|store| store.get(&key))
    }

    /// Every process's `text` of this name.
    pub fn gather_texts(&self, name: &str, text: &str) -> Result<Vec<String>> {
        let key = self.meeting(name);
        self.others.ask(|store| store.set(&format!("{key}/{}", self.rank), text))?;
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

    /// What `get` finds in the store, once it finds something; or what another process failed at.
    fn wait_until<T>(&self, get: impl Fn(&TcpStore) -> Result<Option<T>>) -> Result<T> {
        self.wait(|| self.others.ask(&get))
    }

    /// What `get` gives, once it gives something; or what another process failed at.
    fn wait<T>(&self, mut get: impl FnMut() -> Result<Option<T>>) -> Result<T> {
        let (others, mut beats) = (&self.others, Beats::new(0..self.size));
        loop {
            if let Some(found) = get()? {
                return Ok(found);
            }
            if let Some(error) = others.ask(|_| others.failure())? {
                return Err(error);
            }
            let silent = others.ask(|_| others.silent(&mut beats, LONG_SILENCE))?;
            if !silent.is_empty() {
                return Err(others.gone(&silent));
            }
            thread::sleep(PAUSE);
        }
    }

    /// As [`Others::blame`]. Sums on GPUs end, for nobody waits for a process that is gone.
    pub fn blame(&self, error: Error) -> Error {
        let error = match self.gpus.get() {
            Some(gpus) => gpus.give_up(error),
            None => error,
        };
        self.others.blame(error)
    }

    /// Fails where the sums on GPUs were given up: what was computed with them is wrong.
    pub fn check_intact(&self) -> Result<()> {
        match self.is_given_up() {
            true => Err(self.blame(Error::device("the sums over the processes were given up"))),
            false => Ok(()),
        }
    }

    /// Whether the sums on GPUs were given up.
    pub fn is_given_up(&self) -> bool {
        self.gpus.get().is_some_and(Gpus::is_given_up)
    }

    /// Has GPUs sum what lies on them, where all processes can: `device` is this one's.
    pub fn connect_gpus(&self, device: Device) -> Result<Carrier> {
        let word = Word::of(device);
        let words = self.gather_texts("NCCL", &serde_json::to_string(&word).expect("texts"))?;
        let words =
            words.iter().map(|text| serde_json::from_str(text).map_err(|error| not_understood().because(error)));
        let words = words.collect::<Result<Vec<Word>>>()?;
        let gloo = |warning| Ok(Carrier { name: "gloo".to_owned(), warning });
        let version = match gpus::agreed(&words)? {
            Way::Nccl(version) => version,
            Way::Gloo(warning) => return gloo(warning),
        };
        let Some(functions) = word.functions() else { return gloo(None) };
        let id = if self.rank == 0 { functions.id()? } else { String::new() };
        let id =
            CString::new(self.told_by_main("the NCCL group", &id)?).map_err(|error| not_understood().because(error))?;
        let (rank, size, limit) = (self.rank, self.size, self.call_time);
        let connecting = gpus::beside(move || functions.connect(&id, rank, size, device))?;
        let until = Instant::now() + limit;
        let connected = self.wait(|| gpus::connected(&connecting, until, limit)).map_err(|error| self.blamed(error))?;
        let connected = Arc::new(connected);
        self.gloo.use_gpus(Arc::clone(&connected));
        let _ = self.gpus.set(Gpus::watched(connected, Arc::clone(&self.others), limit)?);
        Ok(Carrier { name: format!("nccl {version}"), warning: None })
    }

    /// Which process an error comes from that was met in a call with the others, or this process's own.
    pub fn blamed(&self, error: Error) -> Error {
        match error.kind() == ErrorKind::Device || self.is_given_up() {
            true => self.blame(error),
            false => error,
        }
    }

    /// Tells the others what this process failed at, unless that was another one, and has them wait for it no more. Where it serves the
    /// store it waits until they have heard it, a few seconds at most.
    pub fn tell_failure(&self, error: &Error) {
        self.others.tell(error);
        let _ = self.gloo.disconnect();
        self.leave();
    }

    /// Ends this process's part. Where it serves the store it keeps it until the others are gone, a few seconds at most.
    pub fn leave(&self) {
        self.gpus.get().into_iter().for_each(Gpus::leave);
        match self.serves {
            true => self.others.linger(),
            false => self.others.leave(),
        }
    }
}

fn not_understood() -> Error {
    Error::device("another process says something that is not understood")
        .help("every process has to run the same version of convnet")
}

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
