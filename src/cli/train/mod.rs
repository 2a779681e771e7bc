//! `convnet train`: what was asked for, the training, what came of it.

mod args;
mod faults;
mod folds;
mod network;
mod report;
pub mod run_folder;
pub mod session;
mod verify;

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use signal_hook::consts::{SIGINT, SIGTERM};

pub use args::{Args, Flags};
pub use network::{build_model, class_weights};
pub use verify::without_times;

use super::{Globals, output};
use crate::error::{Error, ErrorKind, Result};
use crate::train::{Ending, StopSignal};
use run_folder::RunFolder;
use session::{Finished, Session};

pub fn run(args: Args, globals: Globals) -> anyhow::Result<()> {
    let started = std::time::Instant::now();
    let resumed = match &args.resume {
        None => None,
        Some(run) if args.print_config => Some(RunFolder::open(run, &args.logs_folder())?),
        Some(run) => Some(RunFolder::resume(run, &args.logs_folder())?),
    };
    let resolved = args.resolve(resumed.as_ref())?;
    if args.print_config {
        match args.json {
            true => output::json(&resolved.origins.to_json())?,
            false => output::result(&resolved.origins.to_toml())?,
        }
        return Ok(());
    }
    if args.verify_resume {
        verify::run(&resolved.config, args.json, globals)?;
        return Ok(());
    }
    for setting in resolved.origins.given() {
        output::detail(globals, &format!("setting: {setting}"));
    }
    for setting in &resolved.left {
        output::note(globals, &format!("note: the trained model was compiled with {setting}: not taken over"));
    }
    let session = Session {
        config: resolved.config,
        resumed: resumed.map(|folder| (folder, resolved.changed)),
        progress: args.progress_mode(globals),
        globals,
        stop: stop_on_signals()?,
        stop_after: None,
        looks_for_faults: !args.no_check,
    };
    if let Some(num_folds) = args.folds {
        folds::run(&session, num_folds, args.json)?;
        return Ok(());
    }
    let finished = session.run()?;
    match args.json {
        true => output::json(&finished.json(started.elapsed().as_secs_f64()))?,
        false => output::result(&finished.text())?,
    }
    Ok(check_ending(&finished, || format!("--resume {}", finished.folder.name))?)
}

/// An error where a signal ended the training: what goes on with it, `way_on` tells.
fn check_ending(finished: &Finished, way_on: impl FnOnce() -> String) -> Result<()> {
    match finished.ending {
        Ending::Signal(_) if !finished.is_saved => {
            Err(Error::internal("stopped by a signal, and the checkpoint could not be saved: see the warnings"))
        }
        Ending::Signal(signal) => {
            let stopped = Error::new(ErrorKind::Stopped { signal }, "stopped by a signal; everything is saved");
            Err(stopped.help(format!("continue with {}", way_on())))
        }
        _ => Ok(()),
    }
}

/// What is said at the first signal: a step, or a validation, may take a while.
const STOPPING: &[u8] = b"\nstopping after this step and a checkpoint; a second time ends at once\n";

/// The first SIGINT or SIGTERM asks the loop to stop, a second one ends the process at once.
pub fn stop_on_signals() -> Result<Arc<StopSignal>> {
    let stop = Arc::new(StopSignal::new(0));
    for signal in [SIGINT, SIGTERM] {
        let stop = stop.clone();
        let action = move || {
            if stop.compare_exchange(0, signal, SeqCst, SeqCst).is_err() {
                signal_hook::low_level::exit(128 + signal);
            }
            // SAFETY: the bytes live for ever; nobody has to read them
            unsafe { libc::write(libc::STDERR_FILENO, STOPPING.as_ptr().cast(), STOPPING.len()) };
        };
        // SAFETY: the action is an atomic exchange and a write or, the second time, _exit: all are async-signal-safe.
        unsafe { signal_hook::low_level::register(signal, action) }
            .map_err(|error| Error::internal("cannot listen for signals").because(error))?;
    }
    Ok(stop)
}
