//! What is done again and again beside the training.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::error::{Error, Result};

/// An action on a thread of its own, done again and again until it says that it is over or this is dropped.
#[derive(Debug)]
pub(super) struct Repeated {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Repeated {
    /// Does `action` every `interval` for as long as it gives true, on a thread called `name`.
    pub fn start(name: &str, interval: Duration, mut action: impl FnMut() -> bool + Send + 'static) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let repeat = move || {
            while !stopped.load(Ordering::Relaxed) && action() {
                thread::park_timeout(interval);
            }
        };
        let thread = thread::Builder::new().name(name.to_owned()).spawn(repeat);
        let thread = thread.map_err(|error| Error::internal("cannot start a thread").because(error))?;
        Ok(Repeated { stop, thread: Some(thread) })
    }

    /// Does it no more, once what is under way is over.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Drop for Repeated {
    fn drop(&mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}
