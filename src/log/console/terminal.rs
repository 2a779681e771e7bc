//! The terminal behind stderr: its width, one line that is drawn again and again, and what is to be left when the program is
//! stopped. The line never wraps, the cursor stays visible behind it, and two columns stay free: the terminal echoes Ctrl-C
//! there as `^C`, and would go to the next line with it.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Once, PoisonError};

use indicatif::TermLike;
use signal_hook::consts::{SIGINT, SIGQUIT, SIGTERM, SIGTSTP};

/// Left free behind the line, for `^C`.
const ECHO_COLUMNS: usize = 2;
/// To the start of the line, and ANSI's EL: erases it.
pub(super) const ERASE_LINE: &str = "\r\x1b[K";

/// Whether the line is on the screen.
static IS_DRAWN: AtomicBool = AtomicBool::new(false);
/// Whether someone else ends the program in good order at SIGINT and SIGTERM.
static STOPS_ARE_HANDLED: AtomicBool = AtomicBool::new(false);

/// Erases the line where it is on the screen. Async-signal-safe.
pub(super) fn erase() {
    if IS_DRAWN.swap(false, Ordering::SeqCst) {
        write_raw(ERASE_LINE.as_bytes());
    }
}

/// Says `text`, a line with its end, from a signal handler: in place of the line that is drawn, or on a line of its own.
pub fn announce(text: &'static [u8]) {
    match IS_DRAWN.load(Ordering::SeqCst) {
        true => erase(),
        false => write_raw(b"\n"),
    }
    write_raw(text);
}

/// From now on SIGINT and SIGTERM do not end the program by themselves: a handler asks it to stop.
pub fn stops_are_handled() {
    STOPS_ARE_HANDLED.store(true, Ordering::SeqCst);
}

fn write_raw(text: &[u8]) {
    // SAFETY: the bytes live through the call; nobody has to read them
    unsafe { libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len()) };
}

/// Before the program is stopped by the keyboard, for good or for a while, the line goes.
fn erase_at_signals() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for signal in [SIGINT, SIGTERM, SIGQUIT, SIGTSTP] {
            let action = move || {
                erase();
                let is_a_stop = [SIGINT, SIGTERM].contains(&signal);
                if !is_a_stop || !STOPS_ARE_HANDLED.load(Ordering::SeqCst) {
                    let _ = signal_hook::low_level::emulate_default_handler(signal);
                }
            };
            // SAFETY: atomics, write and emulate_default_handler are async-signal-safe. Without the handler, the line stays.
            let _ = unsafe { signal_hook::low_level::register(signal, action) };
        }
    });
}

/// Whether stderr is a terminal where a line can be drawn again.
pub(super) fn can_redraw() -> bool {
    io::stderr().is_terminal() && std::env::var_os("TERM").is_some_and(|term| term != "dumb")
}

/// The width of the terminal behind stderr; 80 where it is not known.
pub(super) fn columns() -> usize {
    let size = rustix::termios::tcgetwinsize(io::stderr());
    size.map(|size| usize::from(size.ws_col)).ok().filter(|columns| *columns > 0).unwrap_or(80)
}

/// How wide a line that is drawn again may be.
pub(super) fn line_columns() -> usize {
    columns().saturating_sub(ECHO_COLUMNS)
}

/// Whether letters beyond ASCII can be shown: the locale says UTF-8.
pub(super) fn is_utf8() -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().filter_map(|name| std::env::var(name).ok());
    let first = locale.into_iter().find(|value| !value.is_empty()).unwrap_or_default().to_lowercase();
    first.contains("utf-8") || first.contains("utf8")
}

/// Whether the terminal is this program's now: in the background, nothing is drawn into what the shell shows.
fn is_in_foreground() -> bool {
    // SAFETY: both only ask; a terminal that cannot say it is taken as ours
    let (terminal, own) = unsafe { (libc::tcgetpgrp(libc::STDERR_FILENO), libc::getpgrp()) };
    terminal == -1 || terminal == own
}

/// Whether a terminal that becomes narrower breaks its lines anew: all that are common today but xterm and the console.
fn reflows() -> bool {
    std::env::var_os("XTERM_VERSION").is_none() && std::env::var_os("TERM").is_none_or(|term| term != "linux")
}

/// What indicatif draws to.
#[derive(Debug, Default)]
pub(super) struct Terminal(Mutex<Drawing>);

/// What is to be written, and what is on the screen.
#[derive(Debug, Default)]
struct Drawing {
    text: String,
    /// The columns of the line that `text` draws.
    width: usize,
    /// The columns of the line on the screen.
    shown: usize,
}

impl Terminal {
    pub fn new() -> Self {
        erase_at_signals();
        Terminal::default()
    }

    fn change(&self, change: impl FnOnce(&mut Drawing)) -> io::Result<()> {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(())
    }
}

impl Drawing {
    /// Erases the line that is shown, in as many rows as it takes on a terminal of `columns` by now.
    fn clear(&mut self, columns: usize, reflows: bool) {
        match self.shown.saturating_sub(1) / columns.max(1) {
            rows if rows > 0 && reflows => self.text += &format!("\x1b[{rows}A\r\x1b[J"),
            _ => self.text += ERASE_LINE,
        }
        self.width = 0;
    }

    /// Adds to the line. indicatif fills it up with blanks, which would take the columns that are to stay free.
    fn add(&mut self, text: &str) {
        if !text.chars().all(|character| character == ' ') {
            self.text += text;
            self.width += console::measure_text_width(text.trim_start_matches('\r'));
        }
    }
}

impl TermLike for Terminal {
    fn width(&self) -> u16 {
        u16::try_from(line_columns().max(1)).unwrap_or(u16::MAX)
    }

    fn move_cursor_up(&self, rows: usize) -> io::Result<()> {
        self.change(|drawing| drawing.text += &if rows > 0 { format!("\x1b[{rows}A") } else { String::new() })
    }

    fn move_cursor_down(&self, rows: usize) -> io::Result<()> {
        self.change(|drawing| drawing.text += &if rows > 0 { format!("\x1b[{rows}B") } else { String::new() })
    }

    fn move_cursor_right(&self, columns: usize) -> io::Result<()> {
        self.change(|drawing| drawing.text += &if columns > 0 { format!("\x1b[{columns}C") } else { String::new() })
    }

    fn move_cursor_left(&self, columns: usize) -> io::Result<()> {
        self.change(|drawing| drawing.text += &if columns > 0 { format!("\x1b[{columns}D") } else { String::new() })
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.change(|drawing| {
            drawing.text += text;
            drawing.text.push('\n');
            drawing.width = 0;
        })
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.change(|drawing| drawing.add(text))
    }

    fn clear_line(&self) -> io::Result<()> {
        self.change(|drawing| drawing.clear(columns(), reflows()))
    }

    /// Writes at once. Nobody may be there to read it (EPIPE): no reason to stop.
    fn flush(&self) -> io::Result<()> {
        self.change(|drawing| {
            let text = std::mem::take(&mut drawing.text);
            drawing.shown = std::mem::take(&mut drawing.width);
            if !is_in_foreground() {
                drawing.shown = 0;
                IS_DRAWN.store(false, Ordering::SeqCst);
                return;
            }
            IS_DRAWN.store(drawing.shown > 0, Ordering::SeqCst);
            let _ = io::stderr().write_all(text.as_bytes());
        })
    }
}

#[cfg(test)]
mod tests;
