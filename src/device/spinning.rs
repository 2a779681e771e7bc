//! How libgomp's threads wait for each other: by spinning, until others need the processors.
//!
//! libtorch's operators end with all threads waiting for the last one. libgomp lets them spin meanwhile, which is the fastest
//! way on a free machine and the slowest beside other work: who spins keeps the processor from the thread that is waited for.
//! libgomp itself spins little as soon as there are more threads than processors, but it counts this process's alone. So
//! a thread here looks how long the computing thread waits for a processor, and while that is long, threads that do nothing
//! are there to be counted. What is computed does not change.

use std::ffi::{c_uint, c_void};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Once;
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Between two looks.
const INTERVAL: Duration = Duration::from_millis(20);
/// The share of its time that a thread waits for a processor: from this on others need them, …
const BUSY: f64 = 0.08;
/// … and below this they do not.
const FREE: f64 = 0.02;
/// How many times in a row that has to be seen before threads spin again.
const CALM_LOOKS: u32 = 25;

/// `GOMP_parallel(fn, data, num_threads, flags)`: runs `fn` on a team of threads, which stay for the next team.
type Parallel = unsafe extern "C" fn(extern "C" fn(*mut c_void), *mut c_void, c_uint, c_uint);

/// Watches from now on, once for the process; the calling thread is the one that computes.
pub fn watch() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        if let (Some(parallel), Some(waits)) = (libgomp(), RunDelay::of_this_thread()) {
            // without it all is as it was
            let _ = thread::Builder::new().name("spinning".to_owned()).spawn(move || follow(parallel, &waits));
        }
    });
}

/// Looks again and again, and counts threads in and out.
fn follow(parallel: Parallel, delay: &RunDelay) {
    let (mut counted, mut calm_looks) = (None::<CountedThreads>, 0);
    let (mut before, mut since) = (delay.seconds(), Instant::now());
    loop {
        thread::sleep(INTERVAL);
        let Some(now) = delay.seconds() else { return };
        let share = (now - before.unwrap_or(now)) / since.elapsed().as_secs_f64();
        (before, since) = (Some(now), Instant::now());
        calm_looks = if share < FREE { calm_looks + 1 } else { 0 };
        match &counted {
            None if share > BUSY => counted = CountedThreads::start(parallel),
            Some(_) if calm_looks >= CALM_LOOKS => counted = None,
            _ => {}
        }
    }
}

/// libgomp's function, where libtorch uses libgomp.
fn libgomp() -> Option<Parallel> {
    // SAFETY: it looks a symbol up among the libraries that are loaded.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"GOMP_parallel".as_ptr()) };
    // SAFETY: that is the function's type in every version of libgomp since 4.9.
    (!found.is_null()).then(|| unsafe { std::mem::transmute::<*mut c_void, Parallel>(found) })
}

/// How long a thread has waited for a processor while it could have run.
struct RunDelay(File);

impl RunDelay {
    /// None where the system does not tell.
    fn of_this_thread() -> Option<Self> {
        // SAFETY: it returns a number.
        let thread = unsafe { libc::gettid() };
        let delay = RunDelay(File::open(format!("/proc/self/task/{thread}/schedstat")).ok()?);
        delay.seconds().is_some().then_some(delay)
    }

    fn seconds(&self) -> Option<f64> {
        let mut text = [0; 96]; // run time, delay, time slices; nanoseconds
        let length = self.0.read_at(&mut text, 0).ok()?;
        let delay: u64 = str::from_utf8(&text[..length]).ok()?.split_whitespace().nth(1)?.parse().ok()?;
        Some(delay as f64 * 1e-9)
    }
}

/// Threads that sleep, which libgomp counts; no more when it is dropped.
struct CountedThreads {
    end: Option<Sender<()>>,
    owner: Option<JoinHandle<()>>,
}

impl CountedThreads {
    /// So many that there are more than processors with those that compute; none where the system gives no thread.
    fn start(parallel: Parallel) -> Option<Self> {
        extern "C" fn nothing(_: *mut c_void) {}
        let computing = tch::get_num_threads().max(1) as usize;
        let team = num_processors().saturating_sub(computing) + 2;
        let (end, ended) = channel::<()>();
        let owner = thread::Builder::new().name("counted".to_owned()).spawn(move || {
            // SAFETY: `nothing` may run on any thread; the team is gone when this thread is.
            unsafe { parallel(nothing, std::ptr::null_mut(), team as c_uint, 0) };
            let _ = ended.recv();
        });
        owner.ok().map(|owner| CountedThreads { end: Some(end), owner: Some(owner) })
    }
}

impl Drop for CountedThreads {
    fn drop(&mut self) {
        self.end.take();
        let _ = self.owner.take().map(JoinHandle::join);
    }
}

/// How many processors libgomp sees: those that this process may run on.
fn num_processors() -> usize {
    // SAFETY: the set is plain bits, and the call fills it.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        match libc::sched_getaffinity(0, size_of_val(&set), &raw mut set) {
            0 => libc::CPU_COUNT(&set) as usize,
            _ => thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

#[cfg(test)]
mod tests;
