//! `convnet train`: what was asked for, the training, what came of it.

mod args;
mod data_check;
mod folds;
mod library;
mod network;
mod report;
pub mod run_folder;
pub mod session;
pub mod signals;
mod verify;

pub use args::{Args, Flags};
pub use library::{Trained, train_from};
pub use network::{build_model, class_weights};
pub use verify::without_times;

use super::{Globals, output};
use run_folder::RunFolder;
use session::Session;
use signals::{check_ending, resume_command, stop_on_signals};

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
        checks_data: !args.no_check,
        origins: Some(resolved.origins),
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
    Ok(check_ending(&finished, || resume_command(&finished.folder))?)
}
