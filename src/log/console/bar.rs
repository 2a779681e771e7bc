//! A bar with words on both of its sides, drawn by indicatif.

use std::sync::{Arc, Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::fields::Line;
use super::mode::print;
use super::terminal::{self, Terminal};

/// The bar's colour, by ANSI's SGR: indicatif's own colours ask whether stdout takes them.
const CYAN: &str = "\x1b[36m";
const NO_COLOUR: &str = "\x1b[0m";

/// A bar on the terminal's last line.
pub(super) struct Bar {
    bar: ProgressBar,
    line: Arc<Mutex<Line>>,
    colours: bool,
}

impl Bar {
    /// A bar that is not drawn yet.
    pub fn new() -> Self {
        let target = ProgressDrawTarget::term_like(Box::new(Terminal::new()));
        let colours = console::colors_enabled_stderr();
        let bar = ProgressBar::with_draw_target(Some(1), target);
        Bar { bar, line: Arc::default(), colours }
    }

    /// Whether words may have colours: a terminal that knows them, without `NO_COLOR` and `CLICOLOR=0`.
    pub fn has_colours(&self) -> bool {
        self.colours
    }

    /// Draws the bar with `line` about it, at `done` of `total`.
    pub fn show(&self, mut line: Line, done: u64, total: u64) {
        let has_bar = line.has_bar;
        if has_bar && self.colours {
            line.before += CYAN;
            line.after.insert_str(0, NO_COLOUR);
        }
        *self.line.lock().unwrap_or_else(PoisonError::into_inner) = line;
        self.bar.set_style(self.style(has_bar));
        self.bar.update(|state| {
            state.set_len(total.max(1));
            state.set_pos(done.min(total));
        });
        self.bar.force_draw();
    }

    fn style(&self, has_bar: bool) -> ProgressStyle {
        let template = if has_bar { "{before}{wide_bar}{after}" } else { "{before}" };
        let words = |side: fn(&Line) -> &str| {
            let line = Arc::clone(&self.line);
            move |_: &ProgressState, text: &mut dyn std::fmt::Write| {
                let _ = text.write_str(side(&line.lock().unwrap_or_else(PoisonError::into_inner)));
            }
        };
        let style = ProgressStyle::with_template(template).expect("the templates are right");
        let characters = if terminal::is_utf8() { "━╸─" } else { "=>-" };
        let style = style.progress_chars(characters);
        style.with_key("before", words(|line| &line.before)).with_key("after", words(|line| &line.after))
    }

    /// Prints a line that stays, in the bar's place; the bar comes back with the next [`Bar::show`].
    pub fn print(&self, text: &str) {
        self.clear();
        print(&format!("{text}\n"));
    }

    /// Takes the bar from the screen.
    pub fn clear(&self) {
        *self.line.lock().unwrap_or_else(PoisonError::into_inner) = Line::default();
        self.bar.set_style(self.style(false));
        self.bar.force_draw();
        terminal::erase(); // a panic under way draws nothing
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.clear();
    }
}
