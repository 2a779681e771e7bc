//! Saved models behind HTTP: predictions with the bits of `predict`, in batches, within limits.
//!
//! A request's body is read within limits of size and time (`src/serve/body.rs`), its images are decoded by a few threads
//! (`src/serve/images.rs`) and wait in their model's bounded queue (`src/serve/queue.rs`), from which one thread for each model takes
//! as many as there are (`src/serve/engine.rs`). Each image carries the model that it was prepared for, so that a model can be
//! exchanged at any moment. Nothing here knows signals or a terminal: see [`Control`] and [`ServeEvent`].

mod access;
mod body;
mod config;
mod connections;
mod control;
mod engine;
mod failure;
mod images;
mod linger;
mod metrics;
mod models;
mod multipart;
mod page;
mod queue;
mod reload;
mod routes;

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;

use tokio::net::TcpListener;

pub use access::Token;
pub use config::ServeConfig;
pub use control::{Control, Listener, ServeEvent};
pub use models::{Loading, ModelSource};

use crate::device::threads::num_processors;
use crate::error::{Error, Result};
use body::Bodies;
use engine::{Batching, Engine};
use images::Decoders;
use metrics::ServerMetrics;
use models::Served;
use routes::{Shared, router};

/// A server that listens, with its models loaded.
pub struct Server {
    listener: std::net::TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
    engines: Vec<Engine>,
}

impl Server {
    /// Listens, and loads `sources` as `loading` says, which is called once libtorch's settings are made. What happens later is
    /// said to `events`.
    ///
    /// # Errors
    /// A configuration error where `config` cannot be used, the port is taken, or two models have one name; those of
    /// [`crate::device::configure`], of `loading` and of loading a model.
    pub fn bind(
        config: ServeConfig,
        sources: Vec<ModelSource>,
        loading: impl FnOnce() -> Result<Loading>,
        events: Listener,
    ) -> Result<Self> {
        config.check()?;
        check_names(&sources)?;
        let (listener, address) = listen(&config)?;
        let batching = Batching { max: config.max_batch, delay: config.max_delay };
        let start = |_| Engine::start(config.threads, batching);
        let engines = sources.iter().map(start).collect::<Result<Vec<_>>>()?;
        let loading = loading()?;
        let load = |source| Served::load(source, loading, config.queue).map(Arc::new);
        let models = sources.into_iter().map(load).collect::<Result<Vec<_>>>()?;
        engines.iter().zip(&models).for_each(|(engine, served)| engine.serve(Arc::clone(served)));
        let shared = Arc::new(Shared {
            bodies: Bodies::new(config.max_body_bytes, config.timeout),
            decoders: Decoders::new(config.max_images, config.max_pixels, num_processors()),
            metrics: ServerMetrics::default(),
            control: Control::default(),
            listener: events,
            config,
            models,
        });
        Ok(Server { listener, address, shared, engines })
    }

    /// Where it is: `http://127.0.0.1:8000/`.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// A handle that stops it, or lets it load its models again.
    pub fn control(&self) -> Control {
        self.shared.control.clone()
    }

    /// What is told of each model.
    pub fn descriptions(&self) -> Vec<serde_json::Value> {
        self.shared.models.iter().map(|served| served.current().description.clone()).collect()
    }

    /// Answers requests until it is told to stop, and then those that have come. Gives how many connections had to be cut
    /// because that took too long.
    ///
    /// # Errors
    /// An internal error where the system gives no threads or sockets.
    pub fn serve(self) -> Result<usize> {
        let failed = |error: std::io::Error| Error::internal("cannot serve").because(error);
        let Server { listener, shared, engines, .. } = self;
        // what decoding takes stays with its thread
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.max_blocking_threads(num_processors() + 1).enable_all().build().map_err(failed)?;
        let follower = {
            let shared = Arc::clone(&shared);
            let follow = move || reload::follow(&shared.models, shared.config.watch, &shared.control, &shared.listener);
            thread::Builder::new().name("reload".to_owned()).spawn(follow).map_err(failed)?
        };
        let app = router(Arc::clone(&shared));
        let cut = runtime.block_on(async {
            Ok(connections::serve(TcpListener::from_std(listener)?, app, Arc::clone(&shared)).await)
        });
        runtime.shutdown_background();
        shared.models.iter().for_each(|served| served.queue.close());
        engines.into_iter().for_each(Engine::end);
        let _ = follower.join();
        cut.map_err(failed)
    }
}

fn check_names(sources: &[ModelSource]) -> Result<()> {
    let twice =
        sources.iter().enumerate().find(|(at, source)| sources[..*at].iter().any(|other| other.name == source.name));
    match twice {
        None if sources.is_empty() => Err(Error::config("there is no model to serve")),
        None => Ok(()),
        Some((_, source)) => Err(Error::config(format!("two models are called '{}'", source.name))
            .help("name one of them otherwise: NAME=MODEL")),
    }
}

fn listen(config: &ServeConfig) -> Result<(std::net::TcpListener, SocketAddr)> {
    let failed = |error| {
        let error = Error::config(format!("cannot listen on port {} of {}", config.port, config.host)).because(error);
        error.help("choose another port, or 0 for one that is free")
    };
    let listener = std::net::TcpListener::bind((config.host, config.port)).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}
