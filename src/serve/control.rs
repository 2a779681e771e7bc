//! From outside: to stop, and to load the models again. And what a server says.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

/// Something that a server says while it runs.
#[derive(Debug, Clone, PartialEq)]
pub enum ServeEvent {
    /// A model was loaded again: its name.
    Reloaded(String),
    /// A model could not be loaded again, and the one before is served on: its name, and why.
    KeptOld(String, String),
    /// It takes no more connections.
    Stopping,
    /// A request was answered: for `--verbose`.
    Answered {
        /// GET, POST …
        method: String,
        /// Its path, without what follows a question mark.
        path: String,
        /// The answer's status.
        status: u16,
        /// How long it took.
        seconds: f64,
    },
    /// The system gives no connection just now: why.
    NoConnection(String),
}

impl fmt::Display for ServeEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServeEvent::Reloaded(name) => write!(f, "{name}: loaded again"),
            ServeEvent::KeptOld(name, why) => {
                write!(f, "{name}: cannot be loaded again, the model before is served on: {why}")
            }
            ServeEvent::Stopping => f.write_str("stopping: requests that came are answered"),
            ServeEvent::Answered { method, path, status, seconds } => {
                write!(f, "{method} {path} {status} {:.1} ms", seconds * 1e3)
            }
            ServeEvent::NoConnection(why) => write!(f, "cannot take a connection: {why}"),
        }
    }
}

/// Where a server says something.
pub type Listener = Arc<dyn Fn(&ServeEvent) + Send + Sync>;

/// A handle to a server that runs: all clones are one.
#[derive(Debug, Clone, Default)]
pub struct Control(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    is_stopping: AtomicBool,
    stop: Notify,
    wants_reload: Mutex<bool>,
    changed: Condvar,
}

impl Control {
    /// Lets the server answer what it has taken, and end.
    pub fn stop(&self) {
        self.0.is_stopping.store(true, SeqCst);
        self.0.stop.notify_one();
        self.0.changed.notify_all();
    }

    /// Lets the server load its models again.
    pub fn reload(&self) {
        *self.0.wants_reload.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.changed.notify_all();
    }

    /// Whether it was told to stop.
    pub fn is_stopping(&self) -> bool {
        self.0.is_stopping.load(SeqCst)
    }

    /// Until it was told to stop.
    pub(super) async fn stopped(&self) {
        while !self.is_stopping() {
            self.0.stop.notified().await;
        }
    }

    /// Waits for [`Control::reload`] or `[Control::stop`], `longest` at most; whether the models are to be loaded again.
    pub(super) fn wait_for_reload(&self, longest: Duration) -> bool {
        let wanted = self.0.wants_reload.lock().unwrap_or_else(PoisonError::into_inner);
        let is_idle = |wanted: &mut bool| !*wanted && !self.is_stopping();
        let (mut wanted, _) =
            self.0.changed.wait_timeout_while(wanted, longest, is_idle).unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *wanted)
    }
}
