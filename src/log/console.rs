//! Progress on the terminal: a bar, or plain lines. All of it goes to stderr.

mod lines;

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use super::{Event, Sink};
use crate::error::Result;
use lines::RunProgress;

/// The least time between two lines in an epoch, where lines are printed: a night's log stays readable.
const LINE_INTERVAL: Duration = Duration::from_secs(30);

/// To the start of the line, and ANSI's EL: erases it.
const ERASE_LINE: &str = "\r\x1b[K";

/// Left free behind the bar: the terminal echoes Ctrl-C there as `^C`, and would go to the next line with it.
const ECHO_COLUMNS: usize = 2;

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Progress {
    /// A bar on a terminal, lines elsewhere.
    #[default]
    Auto,
    /// One line that is drawn again and again, and a lasting one per epoch; where stderr is no terminal: lines.
    Bar,
    /// A line per epoch, and one every 30 seconds in long epochs: no control characters.
    Lines,
    /// Warnings only.
    None,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Progress::Auto => "auto",
            Progress::Bar => "bar",
            Progress::Lines => "lines",
            Progress::None => "none",
        })
    }
}

/// Shows on stderr how far a run is. A terminal that went away does not stop it: what cannot be printed is not.
pub struct ConsoleSink {
    screen: Screen,
    run: RunProgress,
}

enum Screen {
    Bar,
    Lines { last: Instant },
    None,
}

impl ConsoleSink {
    /// Shows progress as `mode` says. Without a terminal, and on a dumb one (`TERM`), a bar becomes lines.
    pub fn new(mode: Progress) -> Self {
        let screen = match mode {
            Progress::None => Screen::None,
            Progress::Auto | Progress::Bar if stderr_can_redraw() => Screen::Bar,
            Progress::Auto | Progress::Bar | Progress::Lines => Screen::Lines { last: Instant::now() },
        };
        ConsoleSink { screen, run: RunProgress::default() }
    }
}

impl Sink for ConsoleSink {
    fn on(&mut self, event: &Event) -> Result<()> {
        self.run.follow(event);
        match (&mut self.screen, event) {
            (Screen::Bar, event) => print(&redraw(&self.run, event, columns())),
            (Screen::Lines { last }, event) => {
                if let Some(line) = plain_line(&self.run, event, last, Instant::now()) {
                    print(&format!("{line}\n"));
                }
            }
            (Screen::None, Event::Warning(text)) => print(&format!("warning: {text}\n")),
            (Screen::None, _) => {}
        }
        Ok(())
    }
}

impl Drop for ConsoleSink {
    /// A run that ends without saying so (a panic) leaves no bar either.
    fn drop(&mut self) {
        if matches!(self.screen, Screen::Bar) && self.run.is_under_way() {
            print(ERASE_LINE);
        }
    }
}

/// What to print for `event`, where a bar is drawn: it replaces the bar by the line that stays, if there is one, and the
/// new bar, if the run goes on.
fn redraw(run: &RunProgress, event: &Event, columns: usize) -> String {
    let lasting = match event {
        Event::Epoch(epoch) => run.epoch_line(epoch, columns) + "\n",
        Event::Warning(text) => format!("warning: {text}\n"),
        Event::Start(_) | Event::Batch(_) | Event::Validating | Event::Saving | Event::End => String::new(),
    };
    let bar = run.progress_line(Some(columns.saturating_sub(ECHO_COLUMNS)));
    format!("{ERASE_LINE}{lasting}{}", bar.unwrap_or_default())
}

/// What to print for `event`, where lines are printed: `last` is when that was done before.
fn plain_line(run: &RunProgress, event: &Event, last: &mut Instant, now: Instant) -> Option<String> {
    let line = match event {
        Event::Epoch(epoch) => run.epoch_line(epoch, usize::MAX),
        Event::Warning(text) => return Some(format!("warning: {text}")),
        Event::Batch(_) if now.duration_since(*last) >= LINE_INTERVAL => run.progress_line(None)?,
        Event::Start(_) | Event::Batch(_) | Event::Validating | Event::Saving | Event::End => return None,
    };
    *last = now;
    Some(line)
}

/// Prints on stderr, at once. Nobody may be there to read it (EPIPE): no reason to stop.
fn print(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Whether stderr is a terminal where a line can be drawn again.
fn stderr_can_redraw() -> bool {
    io::stderr().is_terminal() && std::env::var_os("TERM").is_some_and(|term| term != "dumb")
}

/// The width of the terminal behind stderr; 80 where it is not known.
fn columns() -> usize {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCGWINSZ writes one winsize to the pointer, which is valid for it; stderr's number is always 2.
    let result = unsafe { libc::ioctl(libc::STDERR_FILENO, libc::TIOCGWINSZ, &raw mut size) };
    if result == 0 && size.ws_col > 0 { usize::from(size.ws_col) } else { 80 }
}

#[cfg(test)]
mod tests {
    use super::super::tensorboard::tests::{batch, epoch, start};
    use super::*;

    #[test]
    fn lines_within_an_epoch_are_thinned() {
        let mut run = RunProgress::default();
        let begin = Instant::now();
        let mut last = begin;
        let mut line = |event: Event, second| {
            run.follow(&event);
            plain_line(&run, &event, &mut last, begin + Duration::from_secs(second))
        };
        assert_eq!(line(Event::Start(start(1)), 0), None);
        assert_eq!(line(Event::Batch(batch(1, 100)), 29), None);
        let shown = "Epoch 1/3  200/430  0.3012 loss  0.8921 accuracy  9.1k images/s  ETA 0:03  run ETA 0:15";
        assert_eq!(line(Event::Batch(batch(1, 200)), 30).as_deref(), Some(shown));
        assert_eq!(line(Event::Batch(batch(1, 300)), 59), None);
        assert_eq!(line(Event::Validating, 100), None);
        assert!(line(Event::Epoch(epoch(1, None)), 101).is_some_and(|line| line.starts_with("Epoch 1/3  loss")));
        assert_eq!(line(Event::Batch(batch(2, 1)), 102), None);
        let warning = Event::Warning("the log's disk is full".to_owned());
        assert_eq!(line(warning, 103).as_deref(), Some("warning: the log's disk is full"));
        assert_eq!(line(Event::End, 200), None);
    }

    /// What a terminal shows after `text`, whose own echo of Ctrl-C is `^C`.
    fn shown(text: &str, columns: usize) -> Vec<String> {
        let mut lines = vec![String::new()];
        for part in text.replace(ERASE_LINE, "\r").chars() {
            match part {
                '\n' => lines.push(String::new()),
                '\r' => lines.last_mut().unwrap().clear(),
                letter if lines.last().unwrap().len() == columns => lines.push(letter.to_string()),
                letter => lines.last_mut().unwrap().push(letter),
            }
        }
        lines
    }

    #[test]
    fn a_bar_leaves_nothing_behind() {
        for columns in 3..=130 {
            let mut run = RunProgress::default();
            let mut text = String::new();
            let warning = Event::Warning("full".to_owned());
            let events = [Event::Start(start(1)), Event::Batch(batch(1, 5)), warning, Event::Batch(batch(1, 300))];
            for event in events.iter().chain([&Event::Epoch(epoch(1, None)), &Event::Batch(batch(2, 9))]) {
                run.follow(event);
                text += &redraw(&run, event, columns);
            }
            assert!(shown(&text, columns).last().unwrap().starts_with("E"));
            text += "^C";
            run.follow(&Event::End);
            text += &redraw(&run, &Event::End, columns);
            let epoch_line = run.epoch_line(&epoch(1, None), columns);
            assert_eq!(shown(&text, columns).concat(), format!("warning: full{epoch_line}"), "{columns}");
        }
    }

    #[test]
    fn modes_have_their_flags_names() {
        for mode in <Progress as clap::ValueEnum>::value_variants() {
            let name = clap::ValueEnum::to_possible_value(mode).unwrap();
            assert_eq!(mode.to_string(), name.get_name());
            assert_eq!(serde_json::to_string(mode).unwrap(), format!("{:?}", name.get_name()));
        }
    }
}
