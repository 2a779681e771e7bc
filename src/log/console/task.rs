//! Progress of work outside of training, whose length is known: evaluating, decoding, measuring.

use std::time::{Duration, Instant};

use super::bar::Bar;
use super::fields::{Fields, Wording, clock, count, duration, percent, rate};
use super::mode::{LINE_INTERVAL, ProgressMode, print};
use super::terminal;

/// Work that is over sooner shows nothing.
const PATIENCE: Duration = Duration::from_millis(500);
/// How often the bar is drawn.
const INTERVAL: Duration = Duration::from_millis(100);

/// Shows on stderr how far some work is: a bar on a terminal, a line every 30 seconds elsewhere. Nothing is left of the bar
/// when it is dropped.
///
/// ```
/// use convnet::log::console::{ProgressMode, Task};
/// let mut task = Task::new(ProgressMode::Auto, "evaluating", "images", 1000);
/// for done in (0..=1000).step_by(250) {
///     task.show(done, "");
/// }
/// ```
pub struct Task {
    screen: TaskScreen,
    title: String,
    unit: &'static str,
    total: u64,
    started: Instant,
    next: Instant,
}

enum TaskScreen {
    Bar(Bar),
    Lines,
    None,
}

impl Task {
    /// `total` of `unit` ("images") are to be done by what is called `title`.
    pub fn new(mode: ProgressMode, title: &str, unit: &'static str, total: u64) -> Self {
        let (screen, wait) = match mode {
            ProgressMode::None => (TaskScreen::None, PATIENCE),
            ProgressMode::Auto | ProgressMode::Bar if terminal::can_redraw() => (TaskScreen::Bar(Bar::new()), PATIENCE),
            ProgressMode::Auto | ProgressMode::Bar | ProgressMode::Lines => (TaskScreen::Lines, LINE_INTERVAL),
        };
        let started = Instant::now();
        Task { screen, title: title.to_owned(), unit, total, started, next: started + wait }
    }

    /// Says that so many are `done`, and a `note` (`loss 0.3012`), which may be empty. Cheap: draws ten times a second at most.
    pub fn show(&mut self, done: u64, note: &str) {
        let now = Instant::now();
        if now < self.next {
            return;
        }
        let seconds = now.duration_since(self.started).as_secs_f64();
        match &self.screen {
            TaskScreen::None => {}
            TaskScreen::Bar(bar) => {
                self.next = now + INTERVAL;
                let fields = self.fields(done, note, seconds, terminal::line_columns(), true);
                bar.show(fields.fit(bar.has_colours()), done, self.total);
            }
            TaskScreen::Lines => {
                self.next = now + LINE_INTERVAL;
                print(&format!("{}\n", self.fields(done, note, seconds, usize::MAX, false).fit(false).before));
            }
        }
    }

    fn fields(&self, done: u64, note: &str, seconds: f64, columns: usize, with_bar: bool) -> Fields {
        let of_a_second = done as f64 / seconds.max(1e-9);
        let mut fields = Fields::new(self.title.clone(), columns);
        if !note.is_empty() {
            fields.push(2, note.to_owned());
        }
        if with_bar {
            fields.push_bar(5);
        }
        fields.push(1, percent(done, self.total));
        let unit = if Wording::of(columns) == Wording::Full { format!(" {}", self.unit) } else { String::new() };
        fields.push(4, format!("{}{unit}", count(done, self.total)));
        fields.push(6, duration(seconds));
        fields.push(3, format!("ETA {}", clock(self.total.saturating_sub(done) as f64 / of_a_second)));
        fields.push(7, format!("{} {}/s", rate(of_a_second), self.unit));
        fields
    }
}

#[cfg(test)]
mod tests;
