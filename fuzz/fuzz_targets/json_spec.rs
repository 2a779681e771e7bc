//! Any bytes as an architecture: an error, or a network that is the same after it was written and read again.

#![no_main]

use convnet::model::{Spec, Summary};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(document) = serde_json::from_slice::<serde_json::Value>(bytes) else { return };
    let Ok(spec) = Spec::from_json(&document) else { return };
    let _ = spec.plan();
    let _ = Summary::new(&spec).map(|summary| summary.table());
    let written = spec.to_json();
    let again = Spec::from_json(&written).expect("what is written is read");
    assert_eq!(again, spec, "{written}");
});
