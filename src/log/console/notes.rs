//! Notes on the terminal.

use super::super::{Event, Sink};
use super::mode::print;
use crate::error::Result;

/// Prints a run's notes on stderr, a line each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NoteSink {
    /// Whether details are printed, too.
    pub with_details: bool,
}

impl Sink for NoteSink {
    fn on(&mut self, event: &Event) -> Result<()> {
        match event {
            Event::Note(line) => print(&format!("{line}\n")),
            Event::Detail(line) if self.with_details => print(&format!("{line}\n")),
            _ => {}
        }
        Ok(())
    }
}
