//! The look at a data set before its first training.

use crate::cli::{Globals, output};
use crate::data::check::cached_counts;
use crate::data::{Dataset, registry};
use crate::log;

/// Tells on stderr, in two lines, what may be wrong with `dataset`, which `source` names. Nothing that goes wrong here keeps
/// a training from its work.
pub fn warn(dataset: &Dataset, source: &str, globals: Globals) {
    // images that are drawn have no faults, and those of a set too large for memory take too long
    if registry::is_built_in(source) || dataset.splits().any(|(_, samples)| samples.pixels().is_none()) {
        return;
    }
    match cached_counts(dataset, registry::cache_folder().as_deref()) {
        Ok(counts) if counts.line().is_empty() => {}
        Ok(counts) => {
            output::note(globals, &format!("data: {}", counts.line()));
            output::note(
                globals,
                &format!("      convnet data check {source} tells which; --exclude leaves images out"),
            );
        }
        Err(error) => output::note(globals, &format!("the data set was not checked: {}", log::describe(&error))),
    }
}
