//! Runs the program in a folder and looks at how it ends.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

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

/// Writes the saved model's JSON at `path` anew, as `edit` has it and as the first versions wrote it: without a checksum.
pub fn write_as_before_checksums(path: &Path, edit: impl FnOnce(&mut Value)) -> Value {
    let mut document: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let key = document["convnet"].as_object_mut().unwrap();
    key.insert("version".to_owned(), 1.into());
    ["golden", "json_sha256"].iter().for_each(|later| drop(key.remove(*later)));
    edit(&mut document);
    std::fs::write(path, document.to_string()).unwrap();
    document
}

/// The rows of a run's history without their times.
pub fn history(at: &Path, run: &str) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(at.join(format!("logs/{run}/history.csv"))).unwrap();
    let header: Vec<&str> = text.lines().next().unwrap().split(',').collect();
    let timed = |index: &usize| !header[*index].contains("seconds") && !header[*index].contains("per_second");
    let row = |line: &str| {
        line.split(',').enumerate().filter(|(index, _)| timed(index)).map(|(_, cell)| cell.to_owned()).collect()
    };
    text.lines().skip(1).map(row).collect()
}

/// The exit code, and that the message is one paragraph without a panic.
pub fn failed(output: &Output, code: i32, word: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(stderr.contains(word) && !stderr.contains("panicked"), "{word}: {stderr}");
}

/// The folder with real data and Keras's files: tests that use it are `#[ignore = "needs CONVNET_TEST_ASSETS"]`.
pub fn assets() -> PathBuf {
    std::env::var_os("CONVNET_TEST_ASSETS").expect("CONVNET_TEST_ASSETS is set").into()
}

/// A Python with Keras, PyTorch and TensorBoard: tests that use it are `#[ignore = "needs CONVNET_TEST_PYTHON"]`.
pub fn python() -> OsString {
    std::env::var_os("CONVNET_TEST_PYTHON").expect("CONVNET_TEST_PYTHON is set")
}

/// Lets `command` die of the signals that a shell or nohup had this process ignore, as a user's would.
#[cfg(unix)]
pub fn with_default_signals(command: &mut Command) -> &mut Command {
    use std::os::unix::process::CommandExt;
    let reset = || {
        for signal in [libc::SIGINT, libc::SIGHUP, libc::SIGTERM] {
            // SAFETY: the child, which has one thread, takes the system's own handler.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
        Ok(())
    };
    // SAFETY: `signal` may be called between fork and exec.
    unsafe { command.pre_exec(reset) }
}

/// Waits until `is_so`; false where `child` ended before.
pub fn wait_until(child: &mut Child, is_so: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    while !is_so() {
        if child.try_wait().expect("the child is ours").is_some() {
            return false;
        }
        assert!(start.elapsed() < Duration::from_secs(300), "nothing came in five minutes");
        std::thread::sleep(Duration::from_millis(10));
    }
    true
}

/// Waits until the run `name` in `folder`, which `child` trains, has a row in its history; false where `child` ended before.
pub fn wait_for_first_epoch(child: &mut Child, folder: &Path, name: &str) -> bool {
    let history = folder.join("logs").join(name).join("history.csv");
    wait_until(child, || std::fs::read_to_string(&history).map_or(0, |text| text.lines().count()) >= 2)
}
