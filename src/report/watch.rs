//! The page of a run that trains, on this machine's own address: it grows with the run.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use axum::Router;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HOST, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use super::page::{content, page};
use super::story::Story;
use crate::error::{Error, Result, describe};
use crate::run::{RunFolder, is_training};

const SCRIPT: &str = include_str!("watch.js");

/// A run's page, served until the program ends.
pub struct Watcher {
    listener: std::net::TcpListener,
    address: SocketAddr,
    watched: Watched,
}

/// What was read of the run last, and the state of its files then.
struct Watched {
    folder: PathBuf,
    last: Mutex<Option<(String, Arc<Story>)>>,
}

impl Watcher {
    /// Listens on `port` of 127.0.0.1, 0 for one that is free, for `folder`'s run.
    ///
    /// # Errors
    /// A configuration error where the port is taken.
    pub fn bind(folder: &RunFolder, port: u16) -> Result<Self> {
        let failed = |error| {
            let error = Error::config(format!("cannot listen on port {port} of 127.0.0.1")).because(error);
            error.help("choose another port, or 0 for one that is free")
        };
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let watched = Watched { folder: folder.path.clone(), last: Mutex::new(None) };
        Ok(Watcher { listener, address, watched })
    }

    /// Where the page is: `http://127.0.0.1:6007/`.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Serves the page for ever.
    ///
    /// # Errors
    /// An internal error where the system gives no sockets any more.
    pub fn serve(self) -> Result<()> {
        let failed = |error| Error::internal("cannot serve the page").because(error);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(failed)?;
        let Watcher { listener, watched, .. } = self;
        let app = Router::new()
            .route("/", get(|state, headers| async { answer(state, headers, |story| page(story, Some(SCRIPT))) }))
            .route("/content", get(|state, headers| async { answer(state, headers, content) }))
            .with_state(Arc::new(watched));
        runtime.block_on(async { axum::serve(TcpListener::from_std(listener)?, app).await }).map_err(failed)
    }
}

impl Watched {
    /// The run as its files are now, and a word that tells this state from others.
    fn story(&self) -> Result<(String, Arc<Story>)> {
        let state = self.state();
        // a panic elsewhere leaves nothing half-written here
        let mut last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((known, story)) = last.as_ref()
            && *known == state
        {
            return Ok((state, Arc::clone(story)));
        }
        let folder = RunFolder::open(&self.folder.to_string_lossy(), &self.folder)?;
        // pictures and data facts take seconds: at the end, once
        let story = Arc::new(Story::read(&folder, folder.result().is_some())?);
        *last = Some((state.clone(), Arc::clone(&story)));
        Ok((state, story))
    }

    /// The lengths and times of the files that the page is made of, and whether a process trains.
    fn state(&self) -> String {
        let files = ["run.json", "history.csv", "predictions/test.safetensors"].map(|file| self.folder.join(file));
        let logs = fs::read_dir(self.folder.join("train")).into_iter().flatten().flatten().map(|entry| entry.path());
        let of_file = |file: std::path::PathBuf| match fs::metadata(file) {
            Ok(metadata) => {
                let changed = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                let since = changed.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                format!("{}-{}", metadata.len(), since.as_nanos())
            }
            Err(_) => "0".to_owned(),
        };
        let words = files.into_iter().chain(logs).map(of_file).chain([is_training(&self.folder).to_string()]);
        words.collect::<Vec<_>>().join("-")
    }
}

/// What `show` makes of the run; 304 where the asker has that state, 503 where the run cannot be read just now.
fn answer(State(watched): State<Arc<Watched>>, headers: HeaderMap, show: impl Fn(&Story) -> String) -> Response {
    if !is_local(&headers) {
        return (StatusCode::FORBIDDEN, "this page is for this machine: open it at 127.0.0.1\n").into_response();
    }
    let (state, story) = match watched.story() {
        Ok(read) => read,
        Err(error) => return (StatusCode::SERVICE_UNAVAILABLE, describe(&error) + "\n").into_response(),
    };
    let tag = format!("\"{state}\"");
    if headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return StatusCode::NOT_MODIFIED.into_response();
    }
    let is_done = story.record.result.is_some();
    let done = [("x-run-done", if is_done { "1" } else { "0" })];
    let kind = [(CONTENT_TYPE, "text/html; charset=utf-8"), (CACHE_CONTROL, "no-store")];
    (kind, [(ETAG, tag)], done, show(&story)).into_response()
}

/// Whether the request names this machine: a foreign page whose name was made to lead here does not.
fn is_local(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    ["127.0.0.1", "localhost"].contains(&name)
}
