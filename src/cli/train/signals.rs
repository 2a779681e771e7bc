//! Signals during training, and the command that resumes the run afterwards.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use convnet::config::RunConfig;
use convnet::error::{Error, ErrorKind, Result};
use convnet::log::console;
use convnet::run::{FinishedRun, RunFolder};
use convnet::train::{StopReason, StopSignal};

/// The signals that end a training after a checkpoint, and their names.
const SIGNALS: [(i32, &str); 3] = [(SIGHUP, "SIGHUP"), (SIGINT, "SIGINT (Ctrl-C)"), (SIGTERM, "SIGTERM")];

/// Where a long command is broken, in letters.
const MAX_LINE_CHARS: usize = 90;

/// What is said at the first signal: a step, or a validation, may take a while.
const STOPPING: &[u8] = b"stopping after this step and a checkpoint; a second time ends at once, without one\n";

/// The first signal asks the loop to stop, a second SIGINT or SIGTERM ends the process at once. A second SIGHUP does not: a
/// terminal that closes may send two, and service managers one behind their SIGTERM. A signal that was ignored when the
/// program started (nohup, a shell's background jobs) stays ignored.
///
/// Of several processes one says so: the one that `is_heard`.
pub fn stop_on_signals(is_heard: bool) -> Result<Arc<StopSignal>> {
    let stop = Arc::new(StopSignal::new(0));
    console::stops_are_handled();
    for (signal, _) in SIGNALS.into_iter().filter(|(signal, _)| !is_ignored(*signal)) {
        let stop = stop.clone();
        let action = move || match stop.compare_exchange(0, signal, SeqCst, SeqCst) {
            Ok(_) if is_heard => console::announce(STOPPING),
            Ok(_) => {}
            Err(_) if signal == SIGHUP => {}
            Err(_) => {
                console::announce(b"");
                signal_hook::low_level::exit(128 + signal);
            }
        };
        // SAFETY: the action is an atomic exchange and writes or, the second time, _exit: all are async-signal-safe.
        unsafe { signal_hook::low_level::register(signal, action) }
            .map_err(|error| Error::internal("cannot listen for signals").because(error))?;
    }
    Ok(stop)
}

fn is_ignored(signal: i32) -> bool {
    // SAFETY: all zeros is a valid sigaction, and the call only writes the present one there
    unsafe {
        let mut present: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &raw mut present) == 0 && present.sa_sigaction == libc::SIG_IGN
    }
}

/// An error where a signal ended the training: `way_on` is the command that goes on with it.
pub fn check_ending(finished: &FinishedRun, way_on: impl FnOnce() -> String) -> Result<()> {
    let StopReason::Signal(signal) = finished.ending else { return Ok(()) };
    if !finished.is_saved {
        return Err(Error::internal("stopped by a signal, and the checkpoint could not be saved: see the warnings"));
    }
    let name = SIGNALS.iter().find(|(number, _)| *number == signal).map_or("a signal", |(_, name)| *name);
    let progress = &finished.state;
    let place = match progress.batches {
        0 => format!("after epoch {}", progress.epochs),
        batches => format!("epoch {}, batch {batches}", progress.epochs + 1),
    };
    let stopped = Error::new(ErrorKind::Stopped { signal }, format!("stopped by {name}; a checkpoint is saved"));
    Err(stopped.at(place).help(format!("to go on: {}", way_on())))
}

/// The command that resumes a run.
pub fn resume_command(folder: &RunFolder) -> String {
    let mut words = vec!["convnet".to_owned(), "train".into(), "--resume".into(), folder.name.clone()];
    let logs = folder.path.parent().unwrap_or(Path::new(""));
    if logs != RunConfig::default().outputs.logs {
        words.extend(["--logs".into(), logs.display().to_string()]);
    }
    command_line(words)
}

/// The command that was typed, in lines that a page shows whole.
pub fn typed_command() -> String {
    in_lines(&typed_words())
}

/// Words as a shell takes them, in lines of at most [`MAX_LINE_CHARS`] letters where the words are not longer.
fn in_lines(words: &[String]) -> String {
    let (mut text, mut length) = (String::new(), 0);
    for word in words.iter().map(|word| quoted(word)) {
        let letters = word.chars().count();
        if length > 0 {
            let is_full = length + 1 + letters > MAX_LINE_CHARS;
            text += if is_full { " \\\n    " } else { " " };
            length = if is_full { 4 } else { length + 1 };
        }
        text += &word;
        length += letters;
    }
    text
}

fn typed_words() -> Vec<String> {
    let words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    std::iter::once("convnet".to_owned()).chain(words).collect()
}

/// The command that goes on with a series of runs: the one that was typed, which has to name its runs.
pub fn command_again(run: &str) -> String {
    let mut words = typed_words();
    let names_run = words.iter().any(|word| word == "--run" || word.starts_with("--run="));
    if !names_run {
        words.extend(["--run".into(), run.to_owned()]);
    }
    command_line(words)
}

/// Words as a shell takes them.
fn command_line(words: Vec<String>) -> String {
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> Cow<'_, str> {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "_-./:=,@%+".contains(letter);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => Cow::Borrowed(word),
        false => Cow::Owned(format!("'{}'", word.replace('\'', "'\\''"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_command_is_broken_between_its_words() {
        let words: Vec<String> = (0..20).map(|number| format!("--flag-{number}")).collect();
        let lines = in_lines(&words);
        assert!(lines.lines().count() > 1 && lines.lines().all(|line| line.chars().count() <= MAX_LINE_CHARS + 2));
        assert_eq!(lines.replace(" \\\n    ", " "), words.join(" "));
    }

    #[test]
    fn a_command_can_be_pasted() {
        let words = ["convnet", "--run", "my run", "it's", "", "a=1,2"].map(str::to_owned).to_vec();
        assert_eq!(command_line(words), "convnet --run 'my run' 'it'\\''s' '' a=1,2");
    }
}
