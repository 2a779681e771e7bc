//! The look at a data set before its first training.

use crate::cli::{Globals, output};
use crate::data::check::{cached_counts, class_counts};
use crate::data::{Dataset, registry};
use crate::log;

/// Tells on stderr, in two lines, what may be wrong with `dataset`, which `source` names. Nothing that goes wrong here keeps
/// a training from its work.
pub fn warn(dataset: &Dataset, source: &str, globals: Globals) {
    // images that are drawn have no faults
    if registry::is_built_in(source) {
        return;
    }
    // to look at images that are not in memory takes too long
    let is_in_memory = dataset.splits().all(|(_, samples)| samples.pixels().is_some());
    let counts = match is_in_memory {
        true => cached_counts(dataset, registry::cache_folder().as_deref()),
        false => Ok(class_counts(dataset)),
    };
    match counts {
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
