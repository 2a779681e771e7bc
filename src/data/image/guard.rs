//! Readers and decoders that panic: the one place that makes errors of it.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use crate::error::{Error, Result};

thread_local! {
    /// Whether this thread decodes, so that a panic is caught.
    static DECODES: Cell<bool> = const { Cell::new(false) };
}

/// What `decode` gives; `broken`'s error where it panics, of which nothing is printed.
pub(in crate::data) fn caught<T>(broken: fn() -> Error, decode: impl FnOnce() -> Result<T>) -> Result<T> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !DECODES.get() {
                before(panic);
            }
        }));
    });
    let outer = DECODES.replace(true);
    let outcome = panic::catch_unwind(AssertUnwindSafe(decode));
    DECODES.set(outer);
    outcome.unwrap_or_else(|panic| Err(broken().because(text(&*panic))))
}

/// What a panic says, on one line.
fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without words").lines().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
