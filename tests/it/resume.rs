//! A run that is killed anywhere and resumed is the uninterrupted one, bit for bit: weights, optimizer state, history, curves.
//!
//! `CONVNET_KILLS=100 cargo test --release --features crash-points --test it resume::` kills as often, at random instants and at file operations.

use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::program::wait_until;
use protobuf::Message;
use tensorboard_proto::event::Event;

/// Everything that a checkpoint has to keep is in use: momentum, averages, mixed images, a plateau, patience, groups of
/// batches.
const RUN: &str = "train --data digits:700 --validation 60 -b 32 --accumulate 3 --save-every 6 --log-every 2 \
                   --optimizer rmsprop --momentum 0.5 --ema 0.9 --augment strong,cutmix=1 --schedule plateau \
                   --plateau-patience 1 --plateau-min-delta 2 --monitor val_loss --patience 5 --restore-best \
                   --global-clip-norm 1 --weight-decay 0.01 --label-smoothing 0.1 --device cpu --threads 1 -q";
const EPOCHS: [&str; 2] = ["--epochs", "3"];

fn command(folder: &Path, line: &str, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_convnet"));
    command.args(line.split_whitespace()).args(more).current_dir(folder);
    command
}

fn succeeded(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn failed(output: &Output, code: i32, word: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(stderr.contains(word) && !stderr.contains("panicked"), "{word}: {stderr}");
}

/// All that a run leaves and that does not depend on the clock.
#[derive(Debug, PartialEq)]
struct Result {
    weights: Vec<u8>,
    best: Vec<u8>,
    optimizer: Vec<u8>,
    history: Vec<String>,
    curves: Vec<(String, i64, u64)>,
}

fn result(folder: &Path, run: &str) -> Result {
    let logs = folder.join("logs").join(run);
    let checkpoint = |which: &str, key: &str| {
        let json = fs::read_to_string(logs.join(format!("checkpoints/{which}.json"))).unwrap();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let file = json["convnet"][key]["file"].as_str().unwrap().to_owned();
        fs::read(logs.join("checkpoints").join(file)).unwrap()
    };
    let state = checkpoint("last", "state");
    // behind the header, whose metadata has times in it
    let header = u64::from_le_bytes(*state.first_chunk().unwrap()) as usize + 8;
    let history = fs::read_to_string(logs.join("history.csv")).unwrap();
    let without_times = |line: &str| line.rsplitn(3, ',').nth(2).unwrap().to_owned();
    let mut curves = [curves(&logs.join("train")), curves(&logs.join("validation"))].concat();
    let points = curves.len();
    curves.sort();
    curves.dedup_by_key(|(tag, step, _)| (tag.clone(), *step));
    assert_eq!(curves.len(), points, "no step is logged twice");
    Result {
        weights: fs::read(folder.join(format!("models/{run}.safetensors"))).unwrap(),
        best: checkpoint("best", "weights"),
        optimizer: state[header..].to_vec(),
        history: history.lines().map(without_times).collect(),
        curves,
    }
}

/// Tag, step and a hash of every scalar, picture, curve and histogram of a folder's event files, each up to its first torn record, as
/// TensorBoard reads.
fn curves(folder: &Path) -> Vec<(String, i64, u64)> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut points = Vec::new();
    for file in files {
        let bytes = fs::read(file).unwrap();
        let mut rest = &bytes[..];
        while let Some(length) = rest.first_chunk::<8>().map(|length| u64::from_le_bytes(*length) as usize) {
            let Some(record) = rest.get(12..12 + length) else { break };
            let Some(after) = rest.get(16 + length..) else { break };
            let event = Event::parse_from_bytes(record).unwrap();
            for value in event.get_summary().get_value() {
                let prefix = folder.file_name().unwrap().to_string_lossy();
                let tag = format!("{prefix}/{}", value.get_tag());
                let mut hasher = DefaultHasher::new();
                hasher.write(&value.write_to_bytes().unwrap());
                points.push((tag, event.get_step(), hasher.finish()));
            }
            rest = after;
        }
    }
    points
}

/// The run, from its beginning.
fn begin(folder: &Path, run: &str) -> Command {
    command(folder, RUN, &[&EPOCHS[..], &["--run", run, "--name", run]].concat())
}

/// Waits until a training has saved its first checkpoint.
fn wait_for_checkpoint(child: &mut Child, run: &Path) {
    assert!(wait_until(child, || run.join("checkpoints/last.json").exists()), "it ended before its first checkpoint");
}

/// The seconds that an uninterrupted run takes, and what it leaves.
fn uninterrupted(folder: &Path) -> (f64, Result) {
    let started = Instant::now();
    succeeded(&begin(folder, "whole").output().unwrap());
    (started.elapsed().as_secs_f64(), result(folder, "whole"))
}

/// Goes on with a run until it is done, whatever was left of it.
fn complete(folder: &Path, run: &str) {
    let was_begun = folder.join("logs").join(run).join("run.json").is_file();
    let resume = ["--resume", run];
    let mut command = if was_begun { command(folder, "train -q", &resume) } else { begin(folder, run) };
    let output = command.output().unwrap();
    // killed after its last file operation: nothing was left to do
    let was_done = String::from_utf8_lossy(&output.stderr).contains("the run is finished");
    assert!(output.status.success() || was_done, "{run}: {output:?}");
}

/// How many kills this run of the test is to try.
fn num_kills() -> u64 {
    std::env::var("CONVNET_KILLS").ok().and_then(|number| number.parse().ok()).unwrap_or(10)
}

#[test]
#[cfg_attr(not(any(debug_assertions, feature = "crash-points")), ignore = "needs crash-points")]
#[cfg(unix)]
fn a_killed_run_goes_on_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let (seconds, expected) = uninterrupted(at);
    assert!(expected.curves.len() > 30 && expected.history.len() == 4, "{expected:?}");
    let operations = num_file_operations(at);
    let (mut killed, kills) = (0, num_kills());
    for kill in 0..kills {
        let run = format!("killed-{kill}");
        // every other one at an instant, the others at a file operation, both spread over the run
        let part = (kill as f64 + 0.5) / kills as f64;
        let status = match kill % 2 {
            0 => kill_after(at, &run, Duration::from_secs_f64(seconds * part)),
            _ => crash_at(at, &run, (operations as f64 * part) as u64 + 1),
        };
        killed += u64::from(!status.success());
        if kill % 4 > 1 && at.join("logs").join(&run).join("run.json").is_file() {
            // once more, on the way
            let mut again = command(at, "train -q", &["--resume", &run]);
            again.env("CONVNET_CRASH_AT", (kill * 7 % 40 + 1).to_string()).output().unwrap();
        }
        complete(at, &run);
        assert_eq!(result(at, &run), expected, "{run}");
        fs::remove_dir_all(at.join("logs").join(&run)).unwrap();
    }
    println!("{killed} of {kills} runs were killed ({operations} file operations a run), all came to the same bits");
    assert!(killed * 2 >= kills, "only {killed} of {kills} were killed");
}

/// How many file operations one run has: the largest number at which it is still killed.
fn num_file_operations(folder: &Path) -> u64 {
    let (mut low, mut high) = (1, 1000);
    while low + 1 < high {
        let middle = (low + high) / 2;
        let run = format!("count-{middle}");
        match crash_at(folder, &run, middle).success() {
            true => high = middle,
            false => low = middle,
        }
        let _ = fs::remove_dir_all(folder.join("logs").join(run));
    }
    low
}

fn crash_at(folder: &Path, run: &str, operation: u64) -> std::process::ExitStatus {
    begin(folder, run).env("CONVNET_CRASH_AT", operation.to_string()).output().unwrap().status
}

fn kill_after(folder: &Path, run: &str, time: Duration) -> std::process::ExitStatus {
    let mut child = begin(folder, run).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(time);
    let _ = child.kill(); // SIGKILL
    child.wait().unwrap()
}

const SMALL: &str = "train --data digits:600 --validation 60 --device cpu --threads 1 -q";

#[test]
fn what_may_not_change_is_refused_on_resume() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    succeeded(&command(at, SMALL, &["--epochs", "2", "--run", "a"]).output().unwrap());
    let resume = |more: &[&str]| command(at, "train --resume a -q", more).output().unwrap();
    failed(&resume(&[]), 2, "finished");
    for (flags, word) in [
        (&["--lr", "0.1"][..], "lr cannot change"),
        (&["--batch-size", "64"], "batch-size cannot change"),
        (&["--ema", "0.9"], "ema cannot change"),
        (&["--cache", "ram"], "cache cannot change"),
    ] {
        failed(&resume(flags), 2, word);
    }
    // a moved data set may have another name; its images may not be others
    failed(&resume(&["--data", "digits:601", "--epochs", "3"]), 3, "fingerprint");
    // another data set under the same name
    let path = at.join("logs/a/run.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("digits:600", "digits:600:1")).unwrap();
    failed(&resume(&["--epochs", "3"]), 3, "fingerprint");
    fs::write(&path, text).unwrap();
    succeeded(&resume(&["--epochs", "3", "--name", "other"]));
    let run: serde_json::Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!((run["config"]["epochs"].as_u64(), run["resumes"][0]["changed"]["epochs"].as_u64()), (Some(3), Some(3)));
    assert_eq!(run["result"]["epochs"], 3);
    assert!(at.join("models/other.json").is_file());
    let help = succeeded(&command(at, "train --help", &[]).output().unwrap());
    assert!(help.contains("--save-every") && help.contains("other devices round differently"), "{help}");
}

#[test]
#[cfg(unix)]
fn a_run_has_one_trainer_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let mut first = command(at, RUN, &["--run", "a", "--epochs", "200"]).stderr(Stdio::null()).spawn().unwrap();
    wait_for_checkpoint(&mut first, &at.join("logs/a"));
    failed(&command(at, "train --resume a -q", &[]).output().unwrap(), 2, "another process");
    failed(&begin(at, "a").output().unwrap(), 2, "there is a run");
    first.kill().unwrap();
    first.wait().unwrap();
    // the lock ended with its process
    succeeded(&command(at, "train --resume a -q --time 1s", &[]).output().unwrap());
}

#[test]
fn resuming_verifies_itself_and_runs_are_reproduced() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let verified = succeeded(&command(at, SMALL, &["--verify-resume"]).output().unwrap());
    assert!(verified.contains("bit for bit"), "{verified}");
    assert_eq!(fs::read_dir(at).unwrap().count(), 0, "nothing is written here");

    succeeded(&command(at, SMALL, &["--epochs", "2", "--run", "a", "--augment", "light"]).output().unwrap());
    let reproduce = |more: &[&str]| command(at, "reproduce a -q", more).output().unwrap();
    let identical = succeeded(&reproduce(&[]));
    assert!(identical.contains("identical: every number of 2 epochs of a and the final weights"), "{identical}");
    let path = at.join("logs/a/history.csv");
    let text = fs::read_to_string(&path).unwrap();
    let column = text.lines().next().unwrap().split(',').position(|name| name == "val_loss").unwrap();
    let val_loss = text.lines().nth(2).unwrap().split(',').nth(column).unwrap();
    fs::write(&path, text.replace(val_loss, "0.125")).unwrap();
    let output = reproduce(&["--json"]);
    failed(&output, 7, "val_loss differs: expected 0.125");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((report["identical"].as_bool(), report["difference"]["epoch"].as_u64()), (Some(false), Some(2)));
}

#[test]
fn logs_that_vanish_cost_themselves_and_not_the_training() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let mut child = command(at, SMALL, &["--run", "gone", "--epochs", "12"]).stderr(Stdio::piped()).spawn().unwrap();
    wait_for_checkpoint(&mut child, &at.join("logs/gone"));
    // what was saved before stays loadable, wherever it is now
    fs::rename(at.join("logs"), at.join("elsewhere")).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("training goes on"), "{output:?}");
    assert!(at.join("models/model.json").is_file());
    succeeded(&command(at, "evaluate elsewhere/gone --data digits:600", &[]).output().unwrap());
}

#[test]
#[ignore = "needs a user who is not root"]
#[cfg(unix)]
fn checkpoints_that_cannot_be_written_cost_nothing_else() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    succeeded(&command(at, SMALL, &["--epochs", "2", "--run", "a"]).output().unwrap());
    let checkpoints = at.join("logs/a/checkpoints");
    fs::set_permissions(&checkpoints, fs::Permissions::from_mode(0o555)).unwrap();
    let output = command(at, "train --resume a --epochs 3 -q", &[]).output().unwrap();
    succeeded(&output);
    assert!(String::from_utf8_lossy(&output.stderr).contains("Permission denied"), "{output:?}");
}
