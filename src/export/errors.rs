//! Errors of an export that was read back.

use crate::error::{Error, ErrorKind};

/// A check error: a file that was written is not what its format says.
pub(super) fn unreadable() -> Error {
    Error::new(ErrorKind::Check, "the export cannot be read back")
}

/// A check error: what was read back has another weight or another output.
pub(super) fn not_the_model() -> Error {
    Error::new(ErrorKind::Check, "the export, read back, is not the model")
}
