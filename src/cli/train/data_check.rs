//! The look at a data set before its first training.

use crate::cli::{Globals, output};
use crate::data::check::cached_counts;
use crate::data::{Dataset, registry};
use crate::log;

/// Tells on stderr, in two lines, what may be wrong with `dataset`, which `source` names: before its first training, not
/// before each. Nothing that goes wrong here keeps a training from its work.
pub fn warn(dataset: &Dataset, source: &str, globals: Globals) {
    // images that are drawn have no faults; what nobody hears is said the next time
    if registry::is_built_in(source) || globals.quiet {
        return;
    }
    match cached_counts(dataset, registry::cache_folder().as_deref()) {
        Ok(look) if !look.is_first || look.counts.line().is_empty() => {}
        Ok(look) => {
            output::note(globals, &format!("data: {}", look.counts.line()));
            output::note(
                globals,
                &format!("      convnet data check {source} tells which; --exclude leaves images out (said once)"),
            );
        }
        Err(error) => output::note(globals, &format!("the data set was not checked: {}", log::describe(&error))),
    }
}
