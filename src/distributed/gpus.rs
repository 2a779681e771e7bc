//! Sums from GPU to GPU by NCCL: whether all processes can, and who looks after what no thread waits for.

use std::env;
use std::ffi::c_int;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tch::Device;

use super::others::{BEAT, Beats, LONG_SILENCE, Others, SILENCE};
use super::repeated::Repeated;
use crate::device::libraries::{load, mapped};
use crate::error::{Error, Result, describe};
use crate::native::{Communicator, NcclFunctions, Symbol};

/// Set to 0, GPUs do not sum: tensors go through the host's memory.
const VARIABLE: &str = "CONVNET_NCCL";
/// libtorch's CUDA half has loaded it where it needs it.
const LIBRARY: &str = "libnccl.so.2";
/// The first that sums bf16, by its `ncclGetVersion`.
const OLDEST: i32 = 21_000;

/// What carries the sums over the processes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Carrier {
    /// `gloo`, or `nccl` with its version; empty where there is one process.
    pub name: String,
    /// Why GPUs do not sum though there are some, a sentence.
    pub warning: Option<String>,
}

/// NCCL's functions and its version, such as `2.28.9`.
///
/// # Errors
/// Why it cannot be used, in a sentence.
pub fn nccl() -> Result<(NcclFunctions, String), String> {
    if env::var(VARIABLE).is_ok_and(|value| value == "0") {
        return Err(format!("{VARIABLE} is 0"));
    }
    let path = mapped("libnccl.so.").unwrap_or_else(|| PathBuf::from(LIBRARY));
    let library = load(path, false).map_err(|reason| reason.to_string())?;
    let mut code: c_int = 0;
    // SAFETY: `ncclResult_t ncclGetVersion(int*)`, with a number that lives.
    let result =
        unsafe { library.symbol::<unsafe extern "C" fn(*mut c_int) -> c_int>(c"ncclGetVersion")?(&raw mut code) };
    if result != 0 || code < OLDEST {
        return Err(format!("NCCL is older than {}: {}", version(OLDEST), version(code)));
    }
    // SAFETY: the library is NCCL's, and stays.
    let functions = unsafe { NcclFunctions::new(|name| library.symbol::<Symbol>(name)) }?;
    Ok((functions, version(code)))
}

/// The version that `ncclGetVersion` means by `code`: 10,000 · major + 100 · minor + patch since 2.9, 1,000 · major before.
fn version(code: i32) -> String {
    let major = if code < 10_000 { 1000 } else { 10_000 };
    format!("{}.{}.{}", code / major, code % major / 100, code % 100)
}

/// What a process says of its GPU.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Word {
    /// It computes on the CPU.
    Cpu,
    /// Its GPU can be connected by this version of NCCL.
    Nccl {
        version: String,
        #[serde(skip)]
        functions: Option<NcclFunctions>,
    },
    /// Its GPU cannot be connected.
    Not { reason: String },
}

impl Word {
    /// Of this process, which computes on `device`.
    pub fn of(device: Device) -> Self {
        if !device.is_cuda() {
            return Word::Cpu;
        }
        match nccl() {
            Ok((functions, version)) => Word::Nccl { version, functions: Some(functions) },
            Err(reason) => Word::Not { reason },
        }
    }

    /// NCCL's, where this process can use it.
    pub fn functions(&self) -> Option<NcclFunctions> {
        match self {
            Word::Nccl { functions, .. } => *functions,
            _ => None,
        }
    }
}

/// What all processes take together.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Way<'a> {
    /// Sums by NCCL, of this version.
    Nccl(&'a str),
    /// Sums through the host's memory; why, where there are GPUs.
    Gloo(Option<String>),
}

/// What all processes take together, by what each says.
///
/// # Errors
/// A configuration error where some compute on the CPU and some on GPUs: their weights would part.
pub(super) fn agreed(words: &[Word]) -> Result<Way<'_>> {
    let is_cpu = |word: &Word| matches!(word, Word::Cpu);
    if words.iter().all(is_cpu) {
        return Ok(Way::Gloo(None));
    }
    let gloo = |why: String| Ok(Way::Gloo(Some(format!("{why}: sums go through the host's memory (gloo)"))));
    let mut versions = Vec::new();
    if let Some(rank) = words.iter().position(is_cpu) {
        return Err(Error::config(format!("process {rank} computes on the CPU, and others on GPUs"))
            .help("start as many processes on a host as it has GPUs, or set `device = 'cpu'` for all"));
    }
    for (rank, word) in words.iter().enumerate() {
        match word {
            Word::Nccl { version, .. } => versions.push(version.as_str()),
            Word::Not { reason } => return gloo(format!("process {rank} cannot use NCCL ({reason})")),
            Word::Cpu => {}
        }
    }
    let first = versions.first().copied().unwrap_or_default();
    match versions.iter().position(|version| *version != first) {
        None => Ok(Way::Nccl(first)),
        Some(rank) => gloo(format!("process 0 has NCCL {first} and process {rank} NCCL {}", versions[rank])),
    }
}

/// Does `connect` on a thread of its own, for it may wait for ever.
pub(super) fn beside(
    connect: impl FnOnce() -> Result<Communicator> + Send + 'static,
) -> Result<Receiver<Result<Communicator>>> {
    let (send, receive) = mpsc::channel();
    let thread = thread::Builder::new().name("nccl".to_owned()).spawn(move || drop(send.send(connect())));
    thread.map_err(|error| Error::internal("cannot start a thread").because(error))?;
    Ok(receive)
}

/// What has come of `connecting`; an error where nothing has `until` then, after `limit`.
pub(super) fn connected(
    connecting: &Receiver<Result<Communicator>>,
    until: Instant,
    limit: Duration,
) -> Result<Option<Communicator>> {
    match connecting.try_recv() {
        Ok(connected) => connected.map(Some),
        Err(TryRecvError::Empty) if Instant::now() < until => Ok(None),
        Err(_) => Err(Error::device(format!("the GPUs are not connected after {} seconds", limit.as_secs()))
            .help(format!("with NCCL_DEBUG=INFO in the environment NCCL says more; with {VARIABLE}=0 it is not used"))),
    }
}

/// The connected GPUs. No thread waits for their sums, a GPU does, and with it any thread that waits for the GPU: somebody has to see
/// when another process is gone.
#[derive(Debug)]
pub(super) struct Gpus {
    shared: Arc<Shared>,
    watcher: Repeated,
}

#[derive(Debug)]
struct Shared {
    communicator: Arc<Communicator>,
    others: Arc<Others>,
    is_given_up: AtomicBool,
    /// What NCCL or the clock said.
    trouble: Mutex<Option<Error>>,
}

impl Gpus {
    /// Those of `communicator`, and a thread that gives them up where one of the `others` is gone or has failed, NCCL says so, or a sum
    /// takes longer than `limit`.
    pub fn watched(communicator: Arc<Communicator>, others: Arc<Others>, limit: Duration) -> Result<Self> {
        let neighbour = (others.rank + 1) % others.size;
        let (is_given_up, trouble, rank) = (AtomicBool::new(false), Mutex::new(None), others.rank);
        let shared = Arc::new(Shared { communicator, others, is_given_up, trouble });
        let (watched, mut beats) = (Arc::clone(&shared), Beats::new([rank, neighbour]));
        let look = move || match watched.is_well(neighbour, &mut beats, limit) {
            true => !watched.is_given_up.load(Ordering::SeqCst),
            false => {
                watched.end();
                false
            }
        };
        Ok(Gpus { watcher: Repeated::start("nccl watcher", BEAT, look)?, shared })
    }

    /// Whether sums were given up: what comes of them is wrong.
    pub fn is_given_up(&self) -> bool {
        self.shared.is_given_up.load(Ordering::SeqCst)
    }

    /// Ends all sums, because of `error`: what was the matter with them.
    pub fn give_up(&self, error: Error) -> Error {
        self.shared.give_up();
        self.shared.trouble().take().unwrap_or(error)
    }

    /// Looks after them no more.
    pub fn leave(&self) {
        self.watcher.stop();
    }
}

impl Shared {
    /// Whether the sums may go on, as far as this process sees: each looks after one other, and all hear of what it finds.
    fn is_well(&self, neighbour: usize, beats: &mut Beats, limit: Duration) -> bool {
        let is_gone = self.others.is_alarmed().and_then(|is_alarmed| Ok(is_alarmed || self.is_gone(neighbour, beats)?));
        if is_gone.unwrap_or(true) {
            return false; // a store that is gone is a process that is gone
        }
        match self.communicator.check(limit) {
            Ok(()) => true,
            Err(error) => {
                self.others.tell(&error); // before they hear that there is something
                *self.trouble() = Some(error);
                false
            }
        }
    }

    /// Whether process `neighbour`, of which there are the `beats`, is gone without a word.
    fn is_gone(&self, neighbour: usize, beats: &mut Beats) -> Result<bool> {
        let silent = self.others.silent(beats, LONG_SILENCE)?;
        Ok(!silent.is_empty() && !self.others.has_left(neighbour)?)
    }

    fn trouble(&self) -> MutexGuard<'_, Option<Error>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends all sums, and has the other processes do so. Whether it could.
    fn give_up(&self) -> bool {
        // before anybody can read what they leave
        self.is_given_up.store(true, Ordering::SeqCst);
        self.others.alarm();
        self.communicator.give_up(SILENCE)
    }

    /// Ends all sums, and so whatever waits for the GPU, which then finds them given up. Where a thread is caught within NCCL it ends the
    /// process.
    fn end(&self) {
        if self.give_up() {
            return;
        }
        let error =
            self.trouble().take().unwrap_or_else(|| Error::device("a sum over the processes does not come to an end"));
        let error = self.others.blame(error);
        self.others.tell(&error);
        let error = error.at(format!("process {} of {}", self.others.rank, self.others.size));
        let _ = writeln!(io::stderr(), "error: {}", describe(&error));
        // SAFETY: it ends the process at once; what is at exit might wait for the GPU.
        unsafe { libc::_exit(error.exit_code().into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nccl(version: &str) -> Word {
        Word::Nccl { version: version.to_owned(), functions: None }
    }

    #[test]
    fn all_use_nccl_or_none_does() {
        let lacking = || Word::Not { reason: "it is not there".to_owned() };
        assert_eq!(agreed(&[nccl("2.28.9"), nccl("2.28.9")]).unwrap(), Way::Nccl("2.28.9"));
        assert_eq!(agreed(&[Word::Cpu, Word::Cpu]).unwrap(), Way::Gloo(None));
        let mixed = agreed(&[nccl("2.28.9"), Word::Cpu]).unwrap_err().to_string();
        assert!(mixed.starts_with("process 1 computes on the CPU"), "{mixed}");
        let warning = |words: &[Word]| match agreed(words).unwrap() {
            Way::Gloo(Some(why)) => why,
            other => panic!("{other:?}"),
        };
        assert!(warning(&[nccl("2.28.9"), lacking(), nccl("2.28.9")]).starts_with("process 1 cannot use NCCL (it is"));
        assert!(warning(&[nccl("2.28.9"), nccl("2.28.9"), nccl("2.27.5")]).contains("process 2 NCCL 2.27.5"));
    }

    #[test]
    fn a_word_is_heard_as_it_was_said() {
        let said = serde_json::to_string(&nccl("2.28.9")).unwrap();
        assert!(matches!(serde_json::from_str(&said).unwrap(), Word::Nccl { version, .. } if version == "2.28.9"));
        assert_eq!([22_809, 20_900, 2804].map(version), ["2.28.9", "2.9.0", "2.8.4"]);
    }
}
