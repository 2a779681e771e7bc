//! Training in several processes: those that a launcher has started, and those that `--nproc` starts.

use std::env;
use std::net::TcpListener;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use convnet::config::RunConfig;
use convnet::distributed::{Group, Launch, local_environment};
use convnet::error::{Error, ErrorKind, Result};
use convnet::native::TcpStore;
use convnet::run::RunFolder;
use convnet::run::record::RunRecord;

/// The most processes that `--nproc` starts.
const MAX_PROCESSES: usize = 256;
/// How long the others may take to end once one has failed.
const GRACE: Duration = Duration::from_secs(15);
/// How often the processes are looked at.
const PAUSE: Duration = Duration::from_millis(20);
/// How long the store waits for an answer.
const STORE_TIME: Duration = Duration::from_secs(60);

/// Starts `count` processes of the command that was typed, and waits for them. The first one writes; the others only tell of errors.
pub fn start(count: usize) -> Result<()> {
    if !(1..=MAX_PROCESSES).contains(&count) {
        return Err(Error::config("`nproc` cannot be used").expected(format!("1 to {MAX_PROCESSES}")).got(count));
    }
    let signal = listen()?;
    let no_port = |error| Error::internal("this machine has no free port").because(error);
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(no_port)?; // nobody comes from elsewhere
    let port = listener.local_addr().map_err(no_port)?.port();
    let _store = TcpStore::serve_at(listener, "convnet", STORE_TIME)?;
    let children = (0..count).map(|rank| child(rank, count, port)).collect::<Result<Vec<Child>>>()?;
    match wait(children, &signal)? {
        None => Ok(()),
        Some(status) => Err(ended(status)),
    }
}

/// The signals that are passed on: the last one that came.
fn listen() -> Result<Arc<AtomicI32>> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let last = Arc::new(AtomicI32::new(0));
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        let last = Arc::clone(&last);
        // SAFETY: the action is an atomic store, which is async-signal-safe.
        unsafe { signal_hook::low_level::register(signal, move || last.store(signal, Ordering::SeqCst)) }
            .map_err(|error| Error::internal("cannot listen for signals").because(error))?;
    }
    Ok(last)
}

fn child(rank: usize, count: usize, port: u16) -> Result<Child> {
    let failed = |error| Error::internal("cannot start a process").because(error);
    let mut command = Command::new(env::current_exe().map_err(failed)?);
    command.args(env::args_os().skip(1)).envs(local_environment(rank, count, port));
    if rank > 0 {
        command.stdout(Stdio::null()).stdin(Stdio::null());
    }
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::process::CommandExt;
        // signals of the terminal come through the parent, once; and children do not outlive it
        command.process_group(0);
        // SAFETY: prctl is async-signal-safe.
        unsafe {
            command.pre_exec(|| {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
                Ok(())
            });
        }
    }
    command.spawn().map_err(failed)
}

/// Waits until all have ended: how the first one ended that failed. Signals are passed on.
fn wait(mut children: Vec<Child>, signal: &AtomicI32) -> Result<Option<ExitStatus>> {
    let mut failed: Option<(ExitStatus, Instant)> = None;
    let failure = |error| Error::internal("cannot wait for a process").because(error);
    loop {
        let passed_on = signal.swap(0, Ordering::SeqCst);
        let mut running = Vec::new();
        for mut child in children {
            match child.try_wait().map_err(failure)? {
                Some(status) if status.success() => {}
                Some(status) => failed = failed.or(Some((status, Instant::now()))),
                None => {
                    send(&child, passed_on);
                    running.push(child);
                }
            }
        }
        children = running;
        if children.is_empty() {
            return Ok(failed.map(|(status, _)| status));
        }
        if failed.is_some_and(|(_, since)| since.elapsed() > GRACE) {
            children.iter_mut().for_each(|child| drop(child.kill()));
        }
        thread::sleep(PAUSE);
    }
}

fn send(child: &Child, signal: i32) {
    if signal != 0 {
        // SAFETY: the child has not been waited for, so that its number is its own.
        unsafe { libc::kill(child.id() as libc::pid_t, signal) };
    }
}

/// What the parent says of a process that failed, which has said why itself.
fn ended(status: ExitStatus) -> Error {
    use std::os::unix::process::ExitStatusExt;
    let kinds =
        [ErrorKind::Config, ErrorKind::Data, ErrorKind::Model, ErrorKind::Device, ErrorKind::Numeric, ErrorKind::Check];
    let stops = [1, 2, 15].map(|signal| ErrorKind::Stopped { signal });
    let code = status.code().unwrap_or(0);
    let kind = kinds.into_iter().chain(stops).find(|kind| i32::from(kind.exit_code()) == code);
    match (kind, status.signal()) {
        (Some(kind @ ErrorKind::Stopped { .. }), _) => Error::new(kind, "the processes were stopped; see above"),
        (_, Some(signal)) => Error::internal(format!("a process was killed by signal {signal}"))
            .help("`resume` goes on from the last checkpoint, with any number of processes"),
        (kind, None) => Error::new(kind.unwrap_or(ErrorKind::Internal), "a process failed; see above"),
    }
}

/// Does `train` as one of the processes of `launch`; the others hear of it where it fails.
pub fn join(launch: &Launch, train: impl FnOnce(&Group) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let group = Group::join(launch)?;
    let place = |error: Error| {
        if group.is_alone() { error } else { error.at(format!("process {} of {}", launch.rank, launch.size)) }
    };
    let trained = train(&group)
        .map_err(|error| error.downcast::<Error>().unwrap_or_else(|error| Error::internal(error.to_string())));
    match &trained {
        Ok(()) => group.leave(),
        Err(error) if matches!(error.kind(), ErrorKind::Stopped { .. }) => group.leave(),
        Err(error) => group.tell_failure(error),
    }
    Ok(trained.map_err(place)?)
}

/// What the launcher is known again by, where it starts its processes again after one has failed: torchrun's run and its process.
pub fn launcher() -> Option<String> {
    let run = env::var("TORCHELASTIC_RUN_ID").ok()?;
    let parent = std::os::unix::process::parent_id();
    // the process's start, in ticks since the machine's: another process of that number has another
    let stat = std::fs::read_to_string(format!("/proc/{parent}/stat")).ok()?;
    let started = stat.rsplit(')').next()?.split_whitespace().nth(19)?.to_owned();
    Some(format!("{run}/{parent}/{started}"))
}

/// The run to go on with, as the processes have been started again after one has failed; none where it had not begun.
pub fn begun_run(group: &Group, config: &RunConfig) -> Result<Option<RunFolder>> {
    let logs = &config.outputs.logs;
    let found = group.is_main().then(|| match &config.outputs.run {
        Some(run) => Some(run.clone()).filter(|run| logs.join(run).join("run.json").is_file()),
        None => run_of(launcher().as_deref(), config),
    });
    let name = group.told_by_main("the run to go on with", found.flatten())?;
    match (name.is_empty(), group.is_main()) {
        (true, _) => Ok(None),
        (false, true) => RunFolder::resume(&name, logs).map(Some),
        (false, false) => RunFolder::open(&name, logs).map(Some),
    }
}

/// The latest run in the logs that `launcher` has started.
fn run_of(launcher: Option<&str>, config: &RunConfig) -> Option<String> {
    let launcher = launcher?;
    let runs = std::fs::read_dir(&config.outputs.logs).ok()?.flatten();
    let is_its = |record: &RunRecord| record.launch.as_deref() == Some(launcher);
    let started = runs.filter_map(|entry| {
        let record = RunRecord::read(&entry.path().join("run.json")).ok().filter(is_its)?;
        Some((record.started, entry.file_name().to_string_lossy().into_owned()))
    });
    started.max().map(|(_, name)| name)
}
