//! `convnet serve`: models behind HTTP, and a page.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::{Globals, at_least_one, output, spelling};
use convnet::device::{self, DeviceChoice};
use convnet::error::{Error, Result};
use convnet::files::bounded::read_up_to;
use convnet::serve::{Control, Loading, ModelSource, ServeConfig, ServeEvent, Server, Token};

/// Where the token may be, so that no file and no command line has it.
const TOKEN_VARIABLE: &str = "CONVNET_TOKEN";
/// The largest file that is read for a token, in bytes.
const MAX_TOKEN_BYTES: u64 = 4096;

/// What `convnet serve` is told.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The models: stems (models/model), files or runs, as for predict; NAME=MODEL gives one another name
    #[arg(value_name = "MODEL", required = true)]
    served: Vec<String>,
    /// The address to listen on; any but this machine's own needs a token
    #[arg(long, value_name = "ADDRESS", default_value_t = Ipv4Addr::LOCALHOST.into())]
    host: IpAddr,
    /// The port to listen on; 0: one that is free
    #[arg(long, value_name = "N", default_value_t = 8000)]
    port: u16,
    /// A file with the word that requests must bring (Authorization: Bearer WORD) [default: CONVNET_TOKEN, if set]
    #[arg(long, value_name = "FILE")]
    token: Option<PathBuf>,
    /// Load a model again when its files change; SIGHUP does it at once
    #[arg(long)]
    watch: bool,
    /// How many of the most probable classes an answer has, unless the request says ?top=K
    #[arg(long, value_name = "K", default_value = "3", value_parser = at_least_one)]
    top_k: NonZeroUsize,
    /// Probabilities that are as often right as they say: with the temperature that the model keeps
    #[arg(long)]
    calibrated: bool,
    /// Name a class only where the model is right in at least this share of the cases, as its validation images say
    #[arg(long, value_name = "SHARE")]
    min_precision: Option<f64>,
    /// The most images that go through the network at once
    #[arg(long, value_name = "N", default_value = "32", value_parser = at_least_one)]
    max_batch: NonZeroUsize,
    /// How long images wait for others that are being decoded, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 2)]
    max_delay: u64,
    /// The most images that wait for a model; beyond it, requests are answered 429
    #[arg(long, value_name = "N", default_value = "256", value_parser = at_least_one)]
    queue: NonZeroUsize,
    /// The largest request, in MiB
    #[arg(long, value_name = "MIB", default_value = "16", value_parser = at_least_one)]
    max_body: NonZeroUsize,
    /// The most images in a request
    #[arg(long, value_name = "N", default_value = "64", value_parser = at_least_one)]
    max_images: NonZeroUsize,
    /// The most pixels of an image, in millions
    #[arg(long, value_name = "N", default_value = "50", value_parser = at_least_one)]
    max_pixels: NonZeroUsize,
    /// The most connections at a time; more wait
    #[arg(long, value_name = "N", default_value = "512", value_parser = at_least_one)]
    connections: NonZeroUsize,
    /// Seconds that a client may take to send a request
    #[arg(long, value_name = "S", default_value = "10", value_parser = at_least_one)]
    timeout: NonZeroUsize,
    /// Seconds that open requests may take once the server is told to stop
    #[arg(long, value_name = "S", default_value = "20", value_parser = at_least_one)]
    drain: NonZeroUsize,
    /// The device: auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto")]
    device: DeviceChoice,
    /// CPU threads [default: one per core]
    #[arg(short = 'j', long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

/// Serves the models until a signal ends it.
///
/// # Errors
/// Where the settings cannot be used, the port is taken, a model cannot be loaded, or requests had to be cut off at the end.
pub fn run(args: Args, globals: Globals) -> anyhow::Result<()> {
    let sources = args.served.iter().map(|model| ModelSource::parse(model)).collect::<Result<Vec<_>>>()?;
    let config = config(&args)?;
    let loading = || {
        let device = device::select(args.device)?.device;
        Ok(Loading { device, calibrated: args.calibrated, min_precision: args.min_precision })
    };
    let events = Arc::new(move |event: &ServeEvent| say(event, globals));
    let server = Server::bind(config, sources, loading, events)?;
    obey_signals(server.control())?;
    for model in server.descriptions() {
        output::note(globals, &format!("model {}", describe(&model)));
    }
    output::note(globals, "note: Ctrl-C or SIGTERM ends this, SIGHUP loads the models again");
    output::result(&format!("{}\n", server.url()))?;
    match server.serve()? {
        0 => Ok(()),
        cut => Err(Error::internal(format!("{cut} connections were cut off: their requests took too long"))
            .help("give them longer: --drain")
            .into()),
    }
}

fn config(args: &Args) -> Result<ServeConfig> {
    let seconds = |count: NonZeroUsize| Duration::from_secs(count.get() as u64);
    let times = |count: NonZeroUsize, unit: usize| count.get().saturating_mul(unit);
    Ok(ServeConfig {
        host: args.host,
        port: args.port,
        token: token(args.token.as_deref())?,
        max_body_bytes: times(args.max_body, 1 << 20),
        max_pixels: times(args.max_pixels, 1_000_000),
        max_images: args.max_images.get(),
        max_batch: args.max_batch.get(),
        max_delay: Duration::from_millis(args.max_delay),
        queue: args.queue.get(),
        connections: args.connections.get(),
        timeout: seconds(args.timeout),
        drain: seconds(args.drain),
        top_k: args.top_k.get(),
        threads: args.threads.map(NonZeroUsize::get),
        watch: args.watch,
    })
}

/// The token in the file `path`, or in the environment.
fn token(path: Option<&Path>) -> Result<Option<Token>> {
    let Some(path) = path else {
        let word = std::env::var_os(TOKEN_VARIABLE).filter(|word| !word.is_empty());
        let word = word.map(|word| word.to_string_lossy().into_owned());
        return word.map(|word| Token::new(&word).map_err(|error| error.at(TOKEN_VARIABLE))).transpose();
    };
    let failed = |error| Error::config("cannot read the token").at_path(path).because(error);
    let bytes = std::fs::File::open(path).and_then(|file| read_up_to(file, MAX_TOKEN_BYTES)).map_err(failed)?;
    let bytes = bytes.ok_or_else(|| {
        Error::config("the token's file is too large").expected(format!("{MAX_TOKEN_BYTES} bytes")).at_path(path)
    })?;
    Token::new(&String::from_utf8_lossy(&bytes)).map(Some).map_err(|error| error.at_path(path))
}

/// `digits: 28×28×1, 10 classes, 34826 parameters, on cpu`.
fn describe(model: &Value) -> String {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let [height, width, channels] = ["height", "width", "channels"].map(|side| text(&model["input"][side]));
    let classes = model["labels"].as_array().map_or(0, Vec::len);
    let [name, parameters, device] = ["name", "parameters", "device"].map(|key| text(&model[key]));
    format!("{name}: {height}×{width}×{channels}, {classes} classes, {parameters} parameters, on {device}")
}

fn say(event: &ServeEvent, globals: Globals) {
    match event {
        ServeEvent::Answered { .. } => output::detail(globals, &event.to_string()),
        ServeEvent::Reloaded(_) | ServeEvent::Stopping => output::note(globals, &format!("note: {event}")),
        ServeEvent::KeptOld(..) | ServeEvent::NoConnection(_) => {
            output::note(globals, &format!("warning: {}", spelling::with_flags(&event.to_string())));
        }
    }
}

/// SIGHUP loads the models again, SIGINT and SIGTERM end the server, a second time at once.
fn obey_signals(control: Control) -> Result<()> {
    let failed = |error| Error::internal("cannot listen for signals").because(error);
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).map_err(failed)?;
    let obey = move || {
        for signal in signals.forever() {
            match signal {
                SIGHUP => control.reload(),
                _ if control.is_stopping() => signal_hook::low_level::exit(128 + signal),
                _ => control.stop(),
            }
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(obey).map_err(failed)?;
    Ok(())
}
