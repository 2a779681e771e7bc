//! Models that are loaded again: when told so, or when their files change.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::control::{Control, Listener, ServeEvent};
use super::models::Served;
use crate::error::describe;

/// Between two looks at the files.
const INTERVAL: Duration = Duration::from_secs(1);

/// Loads models again until the server stops; `watch` says whether their files are looked at.
pub(super) fn follow(models: &[Arc<Served>], watch: bool, control: &Control, listener: &Listener) {
    let mut said: BTreeMap<&str, String> = BTreeMap::new();
    while !control.is_stopping() {
        let is_told = control.wait_for_reload(INTERVAL);
        if control.is_stopping() {
            return;
        }
        for served in models.iter().filter(|served| is_told || watch && served.has_changed()) {
            let name = &*served.source.name;
            match served.reload().map_err(|error| describe(&error)) {
                Ok(()) => {
                    said.remove(name);
                    listener(&ServeEvent::Reloaded(name.to_owned()));
                }
                // files that are being copied are looked at again and again
                Err(why) if is_told || said.get(name) != Some(&why) => {
                    listener(&ServeEvent::KeptOld(name.to_owned(), why.clone()));
                    said.insert(name, why);
                }
                Err(_) => {}
            }
        }
    }
}
