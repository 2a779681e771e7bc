//! Any bytes as a Parquet file: of images, all of which are read, and of the names of images.

#![no_main]

use std::cell::LazyCell;
use std::sync::Arc;

use convnet::data::parquet::{self, KeptPages};
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

thread_local! {
    static FOLDER: LazyCell<TempDir> = LazyCell::new(|| tempfile::tempdir().expect("a temporary folder"));
}

fuzz_target!(|bytes: &[u8]| {
    FOLDER.with(|folder| {
        let file = folder.path().join("file.parquet");
        std::fs::write(&file, bytes).expect("a file");
        let _ = parquet::has_images(&file);
        let _ = parquet::open_names(&file);
        let Ok(opened) = parquet::open(&file, &Arc::new(KeptPages::default())) else { return };
        for row in 0..opened.labels.len().min(1000) as u64 {
            let _ = opened.images.image(row);
        }
        assert!(opened.images.image(opened.labels.len() as u64).is_err(), "there is no row after the last");
    });
});
