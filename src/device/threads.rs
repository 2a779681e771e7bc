//! The one pool of threads that reads, decodes, prepares and checks images. libtorch computes on threads of its own.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::{Error, Result};

static POOL: Mutex<Option<Arc<ThreadPool>>> = Mutex::new(None);

/// Sets how many threads the pool has: `None` is one for each processor that this process may use. Work that has begun keeps
/// the threads that it has.
///
/// # Errors
/// An internal error where the system gives no threads.
pub fn configure(num_threads: Option<usize>) -> Result<()> {
    let num_threads = num_threads.filter(|&count| count > 0).unwrap_or_else(num_processors);
    let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
    if pool.as_ref().is_none_or(|pool| pool.current_num_threads() != num_threads) {
        *pool = Some(Arc::new(build(num_threads)?));
    }
    Ok(())
}

/// The pool, with a thread for each processor where nobody called [`configure`].
///
/// # Errors
/// As [`configure`].
pub fn pool() -> Result<Arc<ThreadPool>> {
    let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
    match &*pool {
        Some(pool) => Ok(pool.clone()),
        None => Ok(pool.insert(Arc::new(build(num_processors())?)).clone()),
    }
}

/// What `work` gives, whose parallel iterators run on the pool; on that of the caller, where it is a thread of one.
///
/// # Errors
/// As [`configure`].
pub fn install<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T> {
    match rayon::current_thread_index() {
        Some(_) => Ok(work()),
        None => Ok(pool()?.install(work)),
    }
}

/// A pool of its own.
///
/// # Errors
/// As [`configure`].
pub(crate) fn build(num_threads: usize) -> Result<ThreadPool> {
    let builder = ThreadPoolBuilder::new().num_threads(num_threads).thread_name(|number| format!("images-{number}"));
    builder.build().map_err(|error| Error::internal("cannot start the threads that read images").because(error))
}

/// The processors that this process may use, by its affinity and its cgroup's quota.
pub(crate) fn num_processors() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

#[cfg(test)]
mod tests;
