//! Any bytes as a model's weights, with a JSON whose checksum is theirs.

#![no_main]

use std::cell::LazyCell;

use convnet::model::saved;
use libfuzzer_sys::fuzz_target;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const MODEL: &str = include_str!("../model.json");

thread_local! {
    static FOLDER: LazyCell<TempDir> = LazyCell::new(|| tempfile::tempdir().expect("a temporary folder"));
}

fuzz_target!(|bytes: &[u8]| {
    FOLDER.with(|folder| {
        let checksum: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        let json = folder.path().join("model.json");
        std::fs::write(&json, MODEL.replace("CHECKSUM", &checksum)).expect("a file");
        std::fs::write(folder.path().join("model.safetensors"), bytes).expect("a file");
        let _ = saved::load(&json, tch::Device::Cpu);
    });
});
