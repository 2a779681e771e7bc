//! Printing: results go to stdout, notes and progress to stderr.

use std::io::{self, Write};
use std::path::Path;

use super::Globals;
use super::spelling::{FlagSpelling, with_flags};
use convnet::error::{Error, Result};
use convnet::log::Sinks;
use convnet::log::console::{NoteSink, ProgressMode, Task};

/// Prints a result on stdout. A reader that has gone away (`| head`) is no fault: the program ends quietly.
///
/// # Errors
/// An internal error where stdout takes nothing more (a full disk).
pub fn result(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => end(0),
        Err(error) => Err(Error::internal("cannot write to standard output").because(error)),
    }
}

/// Ends the process with exit code `code`. libtorch is not asked to forget its operators one by one, which it does at exit for half as
/// long as it took to register them.
pub fn end(code: i32) -> ! {
    let _ = io::stdout().flush();
    // SAFETY: it ends the process at once; files are written and closed before, stderr has no buffer.
    unsafe { libc::_exit(code) }
}

/// Prints `value` on stdout as one JSON document.
///
/// # Errors
/// As [`result`].
pub fn json(value: &impl serde::Serialize) -> Result<()> {
    let text = serde_json::to_string(value).map_err(|error| Error::internal("cannot print JSON").because(error))?;
    result(&(text + "\n"))
}

/// Prints a note on stderr, unless `--quiet`; a closed stderr is ignored.
pub fn note(globals: Globals, text: &str) {
    if !globals.quiet {
        let _ = writeln!(io::stderr(), "{}", with_flags(text));
    }
}

/// Prints each of `notes` on stderr, unless `--quiet`.
pub fn notes(globals: Globals, notes: &[String]) {
    notes.iter().for_each(|text| note(globals, &format!("note: {text}")));
}

/// The note for a file about to be written to `path`: `wrote` or `replaced`.
pub fn written(path: &Path) -> String {
    let verb = if path.is_file() { "replaced" } else { "wrote" };
    format!("{verb} {}", path.display())
}

/// Prints a note on stderr with `--verbose` only.
pub fn detail(globals: Globals, text: &str) {
    if globals.verbose {
        note(globals, text);
    }
}

/// A progress bar on stderr, unless `--quiet`: see [`Task`].
pub fn task(globals: Globals, title: &str, unit: &'static str, total: u64) -> Task {
    Task::new(if globals.quiet { ProgressMode::None } else { ProgressMode::Auto }, title, unit, total)
}

/// The sinks that print a run's notes on stderr, unless `--quiet`.
pub fn sinks(globals: Globals) -> Sinks {
    let mut sinks = Sinks::default();
    if !globals.quiet {
        sinks.add(FlagSpelling(NoteSink { with_details: globals.verbose }));
    }
    sinks
}
