//! The check of a data set for faults before its first training.

use crate::data::check::cached_counts;
use crate::data::{Dataset, registry};
use crate::log::{self, Sinks};

/// Tells in two lines what may be wrong with `dataset`, which `source` names: before its first training, not before each.
/// Nothing that goes wrong here keeps a training from its work.
pub fn tell_faults(dataset: &Dataset, source: &str, sinks: &mut Sinks) {
    // images that are drawn have no faults
    if registry::is_built_in(source) {
        return;
    }
    match cached_counts(dataset, registry::cache_folder().as_deref()) {
        Ok(look) if !look.is_first || look.counts.line().is_empty() => {}
        Ok(look) => {
            sinks.note(format!("data: {}", look.counts.line()));
            let which =
                format!("      convnet data check {source} tells which; `exclude` leaves images out (said once)");
            sinks.note(which);
        }
        Err(error) => sinks.note(format!("the data set was not checked: {}", log::describe(&error))),
    }
}
