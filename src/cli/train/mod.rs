//! `convnet train`: resolves the configuration, runs [`convnet::run::Run`] and prints the result.

mod args;
mod plan;
mod processes;
mod report;
mod series;
pub mod signals;

use std::time::Instant;

use serde_json::Map;

use super::spelling::{FlagSpelling, with_flags};
use super::{Globals, output};
use convnet::config::RunConfig;
use convnet::config::resolved::Resolved;
use convnet::distributed::{Group, Launch};
use convnet::error::Result;
use convnet::log::Sinks;
use convnet::log::console::{ConsoleSink, ProgressMode};
use convnet::run::plan::plan as plan_training;
use convnet::run::series::{Series, SeriesKind};
use convnet::run::verify::{ExactResume, verify_resume};
use convnet::run::{Resume, Run, RunFolder, RunReport, is_finished};
use signals::{check_ending, command_again, resume_command, stop_on_signals};

pub use args::{Args, Flags};

pub fn run(args: Args, globals: Globals) -> anyhow::Result<()> {
    match (Launch::from_environment()?, args.options.nproc) {
        (None, Some(count)) => Ok(processes::start(count)?),
        (None, None) => train(args, globals, &Group::alone(), None),
        (Some(launch), _) if launch.size == 1 => train(args, globals, &Group::alone(), Some(&launch)),
        (Some(launch), _) => {
            args.check_alone()?;
            let globals = if launch.rank == 0 { globals } else { globals.silenced() };
            processes::join(&launch, |group| train(args, globals, group, Some(&launch)))
        }
    }
}

fn train(args: Args, globals: Globals, group: &Group, launch: Option<&Launch>) -> anyhow::Result<()> {
    let started = Instant::now();
    let Some((resolved, resumed)) = what_to_train(&args, globals, group, launch)? else { return Ok(()) };
    if args.options.print_config {
        return Ok(print_config(&resolved, args.options.json)?);
    }
    if args.options.verify_resume {
        return Ok(print_exact_resume(&verify_resume(&resolved.config)?, args.options.json)?);
    }
    for setting in resolved.origins.given() {
        output::detail(globals, &format!("setting: {setting}"));
    }
    for setting in &resolved.left {
        output::note(globals, &format!("note: the trained model was compiled with {setting}: not taken over"));
    }
    if args.options.plan {
        return Ok(print_plan(&resolved.config, args.options.json, globals)?);
    }
    let mode = args.progress_mode(globals);
    let series = args.options.folds.map(SeriesKind::Folds).or(args.options.repeats.map(SeriesKind::Repeats));
    if let Some(kind) = series {
        return train_series(&args, kind, resolved, mode, globals);
    }
    let run = Run {
        resume: resumed.map(|folder| Resume { folder, changed: resolved.changed }),
        sinks: sinks(globals, mode),
        stop: stop_on_signals(group.is_main())?,
        checks_data: args.checks_data(globals),
        command: Some(signals::typed_command()),
        origins: Some(resolved.origins),
        is_profiled: args.options.profile,
        group: group.clone(),
        launch: launch.and_then(|_| processes::launcher()),
        ..Run::new(resolved.config)
    };
    if !group.is_main() {
        return run.follow().map(drop).map_err(Into::into);
    }
    let finished = run.execute()?;
    match args.options.json {
        true => output::json(&RunReport::new(&finished, started.elapsed().as_secs_f64()))?,
        false => output::result(&report::text(&finished))?,
    }
    Ok(check_ending(&finished, || resume_command(&finished.folder))?)
}

/// The settings, and the run to go on with; none of it where the launcher has started a run again that is finished.
fn what_to_train(
    args: &Args,
    globals: Globals,
    group: &Group,
    launch: Option<&Launch>,
) -> Result<Option<(Resolved, Option<RunFolder>)>> {
    let mut resumed = match &args.options.resume {
        None => None,
        Some(run) if args.options.print_config || !group.is_main() => Some(RunFolder::open(run, &args.logs_folder())?),
        Some(run) => Some(RunFolder::resume(run, &args.logs_folder())?),
    };
    let mut resolved = args.resolve(resumed.as_ref(), group.size())?;
    if let Some(launch) = launch.filter(|launch| launch.restarts > 0) {
        if resumed.is_none() {
            resumed = processes::begun_run(group, &resolved.config)?;
            if let Some(folder) = &resumed {
                resolved = folder.resolve_for(&Map::new(), group.size())?;
            }
        }
        if let Some(folder) = resumed.as_ref().filter(|folder| is_finished(folder, &resolved.config).unwrap_or(false)) {
            output::note(
                globals,
                &format!("note: run {} is finished: restart {} has nothing to do", folder.name, launch.restarts),
            );
            return Ok(None);
        }
    }
    Ok(Some((resolved, resumed)))
}

fn train_series(
    args: &Args,
    kind: SeriesKind,
    resolved: Resolved,
    mode: ProgressMode,
    globals: Globals,
) -> anyhow::Result<()> {
    let series = Series {
        config: resolved.config,
        kind,
        new_sinks: &|| sinks(globals, mode),
        stop: stop_on_signals(true)?,
        checks_data: args.checks_data(globals),
        origins: Some(resolved.origins),
    };
    let result = series.execute()?;
    if let Some(finished) = &result.interrupted {
        check_ending(finished, || command_again(&result.run))?;
    }
    match args.options.json {
        true => output::json(&series::json(&result))?,
        false => output::result(&series::text(&result))?,
    }
    Ok(())
}

/// The sinks of a run on the terminal: notes and progress.
pub fn sinks(globals: Globals, mode: ProgressMode) -> Sinks {
    let mut sinks = output::sinks(globals);
    sinks.add(FlagSpelling(ConsoleSink::new(mode)));
    sinks
}

fn print_config(resolved: &Resolved, as_json: bool) -> Result<()> {
    let num_threads = usize::try_from(tch::get_num_threads()).unwrap_or(1); // libtorch's own choice
    let origins = resolved.origins.of_values(&resolved.config.with_defaults(num_threads))?;
    match as_json {
        true => output::json(&origins.to_json()),
        false => output::result(&with_flags(&origins.to_toml())),
    }
}

fn print_plan(config: &RunConfig, as_json: bool, globals: Globals) -> Result<()> {
    let plan = plan_training(config, &mut output::sinks(globals))?;
    match as_json {
        true => output::json(&plan),
        false => output::result(&plan::text(&plan, config.network.init_from.as_ref().unwrap_or(&config.network.model))),
    }
}

fn print_exact_resume(found: &ExactResume, as_json: bool) -> Result<()> {
    let ExactResume { epochs, batches, stops, device } = found;
    if as_json {
        return output::json(
            &serde_json::json!({ "exact": true, "epochs": epochs, "batches": batches, "stops": stops, "device": device }),
        );
    }
    output::result(&format!(
        "resuming is exact here: {epochs} epochs, {batches} batches on {device}, stopped after batches {} and {}: the same \
         weights, optimizer state and history, bit for bit\n",
        stops[0], stops[1]
    ))
}
