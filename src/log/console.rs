//! Progress on the terminal: a bar, or plain lines. All of it goes to stderr.

mod bar;
mod fields;
mod lines;
mod mode;
mod notes;
mod task;
mod terminal;

use std::time::Instant;

pub use mode::ProgressMode;
pub use notes::NoteSink;
pub use task::Task;
pub use terminal::{announce, stops_are_handled};

use super::{Event, Sink};
use crate::device::peak_memory;
use crate::error::Result;
use bar::Bar;
use lines::{Look, RunProgress};
use mode::{LINE_INTERVAL, print};

/// Shows on stderr how far a run is. A terminal that went away does not stop it: what cannot be printed is not.
pub struct ConsoleSink {
    mode: ProgressMode,
    screen: Screen,
    run: RunProgress,
    /// While the test images are evaluated.
    testing: Option<Task>,
}

enum Screen {
    Bar(Bar),
    Lines { last: Instant },
    None,
}

impl ConsoleSink {
    /// Shows progress as `mode` says. Without a terminal, and on a dumb one (`TERM`), a bar becomes lines.
    pub fn new(mode: ProgressMode) -> Self {
        let screen = match mode {
            ProgressMode::None => Screen::None,
            ProgressMode::Auto | ProgressMode::Bar if terminal::can_redraw() => Screen::Bar(Bar::new()),
            ProgressMode::Auto | ProgressMode::Bar | ProgressMode::Lines => Screen::Lines { last: Instant::now() },
        };
        ConsoleSink { mode, screen, run: RunProgress::default(), testing: None }
    }
}

impl Sink for ConsoleSink {
    fn on(&mut self, event: &Event) -> Result<()> {
        self.run.follow(event);
        match (&mut self.screen, event) {
            (_, Event::Note(_) | Event::Detail(_)) => {}
            (_, Event::Validated(_) | Event::Distributions(_) | Event::Over { .. }) => {}
            (_, &Event::Testing { done, total }) => {
                let task = self.testing.get_or_insert_with(|| Task::new(self.mode, "testing", "images", total));
                task.show(done, "");
            }
            (_, Event::End) if self.testing.take().is_some() => {}
            (Screen::Bar(bar), event) => draw(bar, &self.run, event),
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

/// Prints the line that stays of `event`, if there is one, and draws the bar again, if the run goes on.
fn draw(bar: &Bar, run: &RunProgress, event: &Event) {
    let look = Look { columns: terminal::line_columns(), colours: bar.has_colours(), memory: peak_memory() };
    match event {
        Event::Epoch(epoch) => bar.print(&run.epoch_line(epoch, Look { columns: terminal::columns(), ..look })),
        Event::Warning(text) => bar.print(&format!("warning: {text}")),
        Event::Start(_) | Event::Batch(_) | Event::Validating | Event::Saving | Event::End => {}
        Event::Testing { .. } | Event::Note(_) | Event::Detail(_) => {}
        Event::Validated(_) | Event::Distributions(_) | Event::Over { .. } => {}
    }
    let (done, all) = run.steps();
    match run.progress_line(look, true) {
        Some(line) => bar.show(line, done, all),
        None => bar.clear(),
    }
}

/// What to print for `event`, where lines are printed: `last` is when that was done before.
fn plain_line(run: &RunProgress, event: &Event, last: &mut Instant, now: Instant) -> Option<String> {
    let line = match event {
        Event::Epoch(epoch) => run.epoch_line(epoch, Look::PLAIN),
        Event::Warning(text) => return Some(format!("warning: {text}")),
        Event::Batch(_) if now.duration_since(*last) >= LINE_INTERVAL => run.progress_line(Look::PLAIN, false)?.before,
        Event::Start(_) | Event::Batch(_) | Event::Validating | Event::Saving | Event::End => return None,
        Event::Testing { .. } | Event::Note(_) | Event::Detail(_) => return None,
        Event::Validated(_) | Event::Distributions(_) | Event::Over { .. } => return None,
    };
    *last = now;
    Some(line)
}

#[cfg(test)]
mod tests;
