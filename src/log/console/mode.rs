//! How progress is shown: what the user chose, and what holds in every mode.

use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

/// The least time between two lines in an epoch, where lines are printed: a night's log stays readable.
pub(super) const LINE_INTERVAL: Duration = Duration::from_secs(30);

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProgressMode {
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

impl fmt::Display for ProgressMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ProgressMode::Auto => "auto",
            ProgressMode::Bar => "bar",
            ProgressMode::Lines => "lines",
            ProgressMode::None => "none",
        })
    }
}

/// Prints on stderr, at once. Nobody may be there to read it (EPIPE): no reason to stop.
pub(super) fn print(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}
