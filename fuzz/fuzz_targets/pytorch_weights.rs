//! Any bytes as a file of PyTorch's weights, in each of its forms.

#![no_main]

use std::cell::LazyCell;

use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

thread_local! {
    static FOLDER: LazyCell<TempDir> = LazyCell::new(|| tempfile::tempdir().expect("a temporary folder"));
}

fuzz_target!(|bytes: &[u8]| {
    FOLDER.with(|folder| {
        let file = folder.path().join("weights");
        std::fs::write(&file, bytes).expect("a file");
        let _ = convnet::pytorch::read_weights(&file);
    });
});
