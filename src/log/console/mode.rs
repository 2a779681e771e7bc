//! How progress is shown: what the user chose, and what holds in every mode.

use std::io::{self, Write};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use strum::{Display, EnumMessage, EnumString, VariantArray};

/// The least time between two lines in an epoch, where lines are printed: a night's log stays readable.
pub(super) const LINE_INTERVAL: Duration = Duration::from_secs(30);

/// How progress is shown.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, Display, EnumMessage, EnumString, VariantArray,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
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

/// Prints on stderr, at once. Nobody may be there to read it (EPIPE): no reason to stop.
pub(super) fn print(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}
