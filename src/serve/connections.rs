//! Connections: how many there may be, how long one may take, and how they end.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};

use super::control::ServeEvent;
use super::routes::Shared;

/// The longest head of a request, in bytes.
const MAX_HEAD_BYTES: usize = 32 << 10;
/// The most headers of a request.
const MAX_HEADERS: usize = 64;
/// How long connections that were kept open may bring a last request once the server stops: one may be on its way.
const LINGER: Duration = Duration::from_millis(300);
/// Until a connection is tried to be taken again where the system gave none.
const PAUSE: Duration = Duration::from_millis(50);

/// Takes connections and answers their requests until the server is told to stop, then answers those that have come.
///
/// Gives how many connections had to be cut.
pub(super) async fn serve(listener: TcpListener, app: Router, shared: Arc<Shared>) -> usize {
    let (max, drain) = (shared.config.connections, shared.config.drain);
    let slots = Arc::new(Semaphore::new(max));
    let (end, ended) = watch::channel(false);
    let door = Door { listener, slots: Arc::clone(&slots), app, shared, ended };
    door.take_until_stopped().await;
    drop(door);
    sleep(LINGER).await;
    // a receiver is gone where there is no connection
    let _ = end.send(true);
    let all = u32::try_from(max).unwrap_or(u32::MAX);
    match timeout(drain, slots.acquire_many(all)).await {
        Ok(_) => 0,
        Err(_) => max - slots.available_permits(),
    }
}

/// Where connections come in.
struct Door {
    listener: TcpListener,
    /// A permit for each connection that there may be.
    slots: Arc<Semaphore>,
    app: Router,
    shared: Arc<Shared>,
    /// Whether connections are to end.
    ended: watch::Receiver<bool>,
}

impl Door {
    async fn take_until_stopped(&self) {
        loop {
            let taken = tokio::select! {
                biased;
                () = self.shared.control.stopped() => break,
                taken = self.accept() => taken,
            };
            match taken {
                Ok((slot, stream)) => self.answer(slot, stream),
                Err(error) => {
                    (self.shared.listener)(&ServeEvent::NoConnection(error.to_string()));
                    sleep(PAUSE).await;
                }
            }
        }
        (self.shared.listener)(&ServeEvent::Stopping);
        // those that the system has taken for us
        while let Ok(Ok((slot, stream))) = timeout(Duration::from_millis(1), self.accept()).await {
            self.answer(slot, stream);
        }
    }

    async fn accept(&self) -> io::Result<(OwnedSemaphorePermit, TcpStream)> {
        let slot = Arc::clone(&self.slots).acquire_owned().await.map_err(io::Error::other)?;
        let (stream, _) = self.listener.accept().await?;
        Ok((slot, stream))
    }

    /// Answers on the connection from now on, beside all others.
    fn answer(&self, slot: OwnedSemaphorePermit, stream: TcpStream) {
        tokio::spawn(connection(stream, self.app.clone(), Arc::clone(&self.shared), self.ended.clone(), slot));
    }
}

/// Answers the requests of one connection; `slot` is free again behind it.
async fn connection(
    stream: TcpStream,
    app: Router,
    shared: Arc<Shared>,
    mut ended: watch::Receiver<bool>,
    slot: OwnedSemaphorePermit,
) {
    // without them a client's answers come a little later, or a client that takes nothing is noticed later
    let _ = stream.set_nodelay(true);
    #[cfg(target_os = "linux")]
    let _ = rustix::net::sockopt::set_tcp_user_timeout(&stream, shared.config.timeout.as_millis() as u32);
    shared.metrics.connections.fetch_add(1, Relaxed);
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(shared.config.timeout)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app));
    let mut serving = std::pin::pin!(serving);
    // the sender lives as long as any connection
    let end = async { drop(ended.wait_for(|ended| *ended).await) };
    tokio::select! {
        // a client that breaks off, or sends what is no HTTP, has been answered as far as that goes
        _ = serving.as_mut() => {}
        () = end => {
            serving.as_mut().graceful_shutdown();
            let _ = serving.await;
        }
    }
    shared.metrics.connections.fetch_sub(1, Relaxed);
    drop(slot);
}
