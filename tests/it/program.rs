//! Runs the program in a folder and looks at how it ends.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// Set to nothing, it hides a machine's GPUs: what is compared bit for bit is computed on the CPU.
pub const NO_GPU: &str = "CUDA_VISIBLE_DEVICES";
/// A training of seconds.
pub const SMALL: [&str; 6] = ["--data", "digits:600", "--validation", "60", "-q", "--device=cpu"];

/// `convnet ARGS` in `folder`.
pub fn convnet(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_convnet"));
    command.env("XDG_CACHE_HOME", folder.join("cache")).env(NO_GPU, "").args(args).current_dir(folder);
    command.output().expect("the program starts")
}

/// A small `convnet train`, two epochs unless said otherwise.
pub fn train(folder: &Path, more: &[&str]) -> Output {
    let epochs: &[&str] = if more.contains(&"--epochs") { &[] } else { &["--epochs", "2"] };
    convnet(folder, &[&["train"], &SMALL[..], epochs, more].concat())
}

/// What it printed, with success.
pub fn succeeded(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

/// What it printed, as JSON.
pub fn json(output: &Output) -> Value {
    serde_json::from_str(&succeeded(output)).expect("one JSON document")
}

/// The exit code, and that the message is one paragraph without a panic.
pub fn failed(output: &Output, code: i32, word: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(stderr.contains(word) && !stderr.contains("panicked"), "{word}: {stderr}");
}

/// The folder with real data and Keras's files, where there is one.
pub fn assets() -> Option<PathBuf> {
    let assets = std::env::var_os("CONVNET_TEST_ASSETS").map(PathBuf::from);
    if assets.is_none() {
        eprintln!("skipped: CONVNET_TEST_ASSETS is not set");
    }
    assets
}
