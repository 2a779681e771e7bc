//! Training in several processes: the same images, masks and losses whatever their number, one end for all of them, and one message.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::alike::{assert_alike, difference, losses, network};
use crate::program::{NO_GPU, convnet, failed, history, json as printed_json, python, succeeded, wait_until};

/// Twenty steps an epoch, the last one of a single image: three of four processes then have none.
const SMALL: &str = "train -d digits --limit-train 571 -b 30 --validation 60 --epochs 2 --device cpu -j 1 -q --no-check --tensorboard none";

fn train(folder: &Path, line: &str, run: &str, more: &[&str]) -> Output {
    let words: Vec<&str> =
        line.split_whitespace().chain(["--run", run, "--name", run]).chain(more.iter().copied()).collect();
    convnet(folder, &words)
}

#[test]
fn any_number_of_processes_sees_the_same_images_and_masks() {
    let folder = tempfile::tempdir().unwrap();
    let train = |run: &str, more: &[&str]| train(folder.path(), SMALL, run, more);
    // the default network drops out
    assert_alike(folder.path(), train, &[], &[2, 3, 4], [1e-6, 1e-4]);
    let recipe = [
        "--accumulate",
        "3",
        "--label-smoothing",
        "0.1",
        "--augment",
        "shift=0.1,cutmix=1,mixup=0.3",
        "--lr",
        "0.0005",
    ];
    let weights = ["--class-weights", "1,2,1,1,0.5,1,1,1,1,3", "--ema", "0.9", "--cache", "none"];
    assert_alike(folder.path(), train, &[&recipe[..], &weights[..]].concat(), &[3, 4], [1e-6, 1e-4]);
}

#[test]
fn random_layers_draw_for_the_whole_batch() {
    let folder = tempfile::tempdir().unwrap();
    let layer = |class: &str, config: Value| json!({ "class_name": class, "config": config });
    let between = [
        layer("RandomFlip", json!({ "name": "flip", "mode": "horizontal" })),
        layer("GaussianNoise", json!({ "name": "noise", "stddev": 0.1 })),
        layer("GaussianDropout", json!({ "name": "gaussian", "rate": 0.1 })),
        layer("SpatialDropout2D", json!({ "name": "spatial", "rate": 0.2 })),
        layer("AlphaDropout", json!({ "name": "alpha", "rate": 0.1 })),
        layer("Dropout", json!({ "name": "shared", "rate": 0.2, "noise_shape": [null, 1, null, 8] })),
    ];
    let network = network(folder.path(), &between);
    let train = |run: &str, more: &[&str]| train(folder.path(), SMALL, run, more);
    assert_alike(folder.path(), train, &["--model", &network], &[3], [1e-6, 1e-4]);
}

#[test]
fn statistics_of_the_whole_batch_are_those_of_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let norm = json!({ "class_name": "BatchNormalization", "config": { "name": "norm" } });
    let network = network(folder.path(), &[norm]);
    let train = |run: &str, more: &[&str]| train(folder.path(), SMALL, run, more);
    assert_alike(folder.path(), train, &["--model", &network, "--sync-batchnorm"], &[2, 4], [1e-6, 1e-4]);
    // each by its own images it is another network, and all have the same one
    succeeded(&train("own", &["--model", &network, "--nproc", "3"]));
    succeeded(&train("own2", &["--model", &network, "--nproc", "3"]));
    assert_eq!(history(folder.path(), "own"), history(folder.path(), "own2"));
    let weights = |run: &str| fs::read(folder.path().join(format!("models/{run}.safetensors"))).unwrap();
    assert!(weights("own") == weights("own2"), "the same number of processes, the same bits");
}

#[test]
fn a_checkpoint_does_not_know_how_many_processes_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let line = SMALL.replace("--epochs 2", "");
    succeeded(&train(folder.path(), &line, "whole", &["--epochs", "2"]));
    succeeded(&train(folder.path(), &line, "four", &["--epochs", "1", "--nproc", "4"]));
    let record: Value = serde_json::from_slice(&fs::read(folder.path().join("logs/four/run.json")).unwrap()).unwrap();
    assert_eq!((&record["processes"]["count"], &record["processes"]["backend"]), (&json!(4), &json!("gloo")));
    assert_eq!(record["result"]["processes"].as_array().unwrap().len(), 4);
    let expected = losses(folder.path(), "whole");
    for count in ["1", "2", "3"] {
        let run = format!("from-four-{count}");
        let copied =
            Command::new("cp").args(["-r", "logs/four"]).arg(format!("logs/{run}")).current_dir(&folder).status();
        assert!(copied.unwrap().success());
        let resume = ["train", "--resume", &run, "--epochs", "2", "-q", "--name", &run, "-j", "1", "--nproc", count];
        succeeded(&convnet(folder.path(), &resume));
        let found = losses(folder.path(), &run);
        assert_eq!(found.len(), 2);
        for (a, b) in expected.iter().zip(&found) {
            assert!(difference(a[0], b[0]) < 1e-4 && difference(a[1], b[1]) < 1e-4, "{count}: {expected:?} {found:?}");
        }
    }
}

#[test]
fn the_report_says_what_each_process_did() {
    let folder = tempfile::tempdir().unwrap();
    let printed = printed_json(&train(folder.path(), SMALL, "r", &["--nproc", "2", "--json", "--profile"]));
    let processes = printed["processes"].as_array().unwrap();
    let images: u64 = processes.iter().map(|process| process["images"].as_u64().unwrap()).sum();
    assert_eq!((processes.len(), images), (2, 2 * 571));
    let waits = |process: &Value| (0.0..=1.0).contains(&process["waiting"].as_f64().unwrap());
    assert!(processes.iter().all(waits), "{processes:?}");
    let phases = printed["profile"]["phases"].as_array().unwrap();
    assert!(
        phases.iter().any(|phase| phase["phase"] == "communication" && phase["count"].as_u64() > Some(0)),
        "{phases:?}"
    );
}

/// The processes of a launcher that does no more than set the variables.
fn launch(folder: &Path, port: u16, each: &[&[&str]], variables: &[(&str, &str)]) -> Vec<Child> {
    let size = each.len().to_string();
    let start = |(rank, arguments): (usize, &&[&str])| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_convnet"));
        command.args(arguments.iter()).current_dir(folder).env(NO_GPU, "").stderr(Stdio::piped()).stdout(Stdio::null());
        command.env("RANK", rank.to_string()).env("WORLD_SIZE", &size).env("MASTER_ADDR", "127.0.0.1");
        command.env("MASTER_PORT", port.to_string()).env("GLOO_SOCKET_IFNAME", "lo");
        command.envs(variables.iter().copied()).spawn().unwrap()
    };
    each.iter().enumerate().map(start).collect()
}

/// A port of this machine that nobody has.
pub fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

#[test]
fn processes_that_disagree_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let [usual, other, images] =
        [SMALL.to_owned(), format!("{SMALL} --lr 0.5"), SMALL.replace("-d digits", "-d digits:900")];
    for (second, difference) in [(&other, "another --lr"), (&images, "another data set")] {
        let processes = launch(folder.path(), free_port(), &[&words(&usual), &words(second)], &[]);
        for process in processes {
            let output = process.wait_with_output().unwrap();
            failed(&output, 2, difference);
            failed(&output, 2, "process 1");
        }
    }
    assert_eq!(fs::read_dir(folder.path().join("logs")).map_or(0, Iterator::count), 0, "no run was begun");
}

#[test]
fn what_a_launcher_gets_wrong_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let line = words(SMALL);
    let lacking = |missing: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_convnet"));
        command
            .args(&line)
            .current_dir(&folder)
            .env("RANK", "0")
            .env("WORLD_SIZE", "2")
            .env("MASTER_ADDR", "127.0.0.1");
        command.env("MASTER_PORT", "1").env_remove(missing).output().unwrap()
    };
    for missing in ["RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"] {
        failed(&lacking(missing), 2, &format!("{missing} is missing"));
    }
    // another program has the port
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let patience = [("CONVNET_PEER_TIMEOUT", "3")];
    for process in launch(folder.path(), port, &[&line, &line], &patience) {
        failed(&process.wait_with_output().unwrap(), 2, "meeting place");
    }
    // one process of two
    let port = free_port();
    let mut both = launch(folder.path(), port, &[&line, &["--version"]], &patience);
    failed(&both.remove(0).wait_with_output().unwrap(), 2, "none of RANK 1");
    both.remove(0).wait().unwrap();
    failed(&train(folder.path(), SMALL, "r", &["--nproc", "0"]), 2, "nproc");
    failed(&train(folder.path(), SMALL, "r", &["--nproc", "2", "--folds", "3"]), 2, "--folds");
    assert!(!folder.path().join("logs").exists(), "no run was begun");
}

/// A training that lasts until it is ended.
const LONG: &str = "train -d digits --limit-train 2000 -b 32 --validation 60 --epochs 500 --device cpu -j 1 -q --no-check --tensorboard none --run long";

fn long_run(folder: &Path) -> Vec<Child> {
    let mut processes = launch(folder, free_port(), &[&words(LONG), &words(LONG), &words(LONG)], &[]);
    let last = folder.join("logs/long/checkpoints/last.json");
    assert!(wait_until(&mut processes[0], || last.exists()), "it ended before its first checkpoint");
    processes
}

/// Sends a signal, such as `-KILL`.
pub fn signal(process: &Child, name: &str) {
    let sent = Command::new("kill").args([name, &process.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

#[test]
fn a_signal_to_any_process_saves_one_checkpoint_for_all() {
    let folder = tempfile::tempdir().unwrap();
    let processes = long_run(folder.path());
    signal(&processes[2], "-TERM");
    for process in processes {
        let output = process.wait_with_output().unwrap();
        assert!(matches!(output.status.code(), Some(0 | 143)), "{output:?}");
    }
    let resumed =
        convnet(folder.path(), &["train", "--resume", "long", "--epochs", "500", "--time", "1s", "-q", "-j", "1"]);
    succeeded(&resumed);
}

#[test]
fn who_is_gone_is_named_and_the_last_checkpoint_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let mut processes = long_run(folder.path());
    signal(&processes[1], "-KILL");
    let killed = Instant::now();
    processes.remove(1).wait().unwrap();
    for process in processes {
        failed(&process.wait_with_output().unwrap(), 5, "process 1 of 3 is gone");
    }
    assert!(killed.elapsed() < Duration::from_secs(30), "{:?}", killed.elapsed());
    let resumed =
        convnet(folder.path(), &["train", "--resume", "long", "--time", "1s", "-q", "-j", "1", "--nproc", "2"]);
    succeeded(&resumed);
}

#[test]
fn who_hangs_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let line = words(LONG);
    let patience = [("CONVNET_PEER_TIMEOUT", "5")];
    let mut processes = launch(folder.path(), free_port(), &[&line, &line], &patience);
    let last = folder.path().join("logs/long/checkpoints/last.json");
    assert!(wait_until(&mut processes[0], || last.exists()), "it ended before its first checkpoint");
    signal(&processes[1], "-STOP");
    let stopped = Instant::now();
    failed(&processes.remove(0).wait_with_output().unwrap(), 5, "process 1 of 2 is gone, or stopped");
    assert!(stopped.elapsed() < Duration::from_secs(40), "{:?}", stopped.elapsed());
    signal(&processes[0], "-KILL");
    processes[0].wait().unwrap();
}

#[test]
fn a_restart_goes_on_with_what_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    succeeded(&train(folder.path(), SMALL, "r", &[]));
    let restarted = |line: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_convnet"));
        command.args(line.split_whitespace()).current_dir(&folder).env("RANK", "0").env("WORLD_SIZE", "1");
        succeeded(&command.env("TORCHELASTIC_RESTART_COUNT", "1").output().unwrap())
    };
    let before = history(folder.path(), "r");
    assert_eq!(restarted(&format!("{SMALL} --run r")), "", "it is finished");
    assert_eq!(history(folder.path(), "r"), before);
    restarted("train --resume r --epochs 3 -q");
    assert_eq!(history(folder.path(), "r").len(), 3, "it had been finished, and is to go on");
}

#[test]
#[ignore = "needs CONVNET_TEST_PYTHON"]
fn torchrun_starts_again_and_the_run_is_the_undisturbed_one() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/check_restarts");
    let output = Command::new(&script)
        .args(["--nproc", "2", "--kills", "3", "--convnet", env!("CARGO_BIN_EXE_convnet"), "--python"])
        .arg(python())
        .env(NO_GPU, "")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The images of `digits`, as many as are trained on, in their order, for the Python side.
const BATCHES: &str = r"
import sys, numpy
arrays = numpy.load('arrays.npz')
images, labels = arrays['x_train'].reshape(-1, 28, 28, 1), arrays['y_train'].ravel()
count, size, epochs = map(int, sys.argv[1:])
batches = [min(size, count - start) for start in range(0, count, size)]
numpy.savez('batches.npz', images=images[:count], labels=labels[:count].astype('int64'),
            order=numpy.tile(numpy.arange(count), epochs), sizes=numpy.array(batches * epochs))
";

#[test]
#[ignore = "needs CONVNET_TEST_PYTHON"]
fn pytorch_s_distributed_data_parallel_follows_the_same_losses() {
    let folder = tempfile::tempdir().unwrap();
    let network = network(folder.path(), &[]);
    let data = [
        "-d",
        "digits:75",
        "--validation",
        "none",
        "--device",
        "cpu",
        "-q",
        "-j",
        "1",
        "--shuffle",
        "false",
        "-b",
        "30",
    ];
    let run = |more: &[&str]| succeeded(&convnet(folder.path(), &[&["train"], &data[..], more].concat()));
    run(&["--model", &network, "--epochs", "1", "--name", "base", "--run", "base"]);
    succeeded(&convnet(folder.path(), &["export", "models/base", "--format", "pytorch", "--out", "base.py", "-q"]));
    run(&["--init-from", "models/base", "--epochs", "7", "--name", "two", "--run", "two", "--nproc", "2"]);
    succeeded(&convnet(
        folder.path(),
        &["data", "export", "digits:75", "--format", "npz", "--out", "arrays.npz", "-q"],
    ));
    let python_says = |arguments: &[&str]| {
        let output = Command::new(python()).args(arguments).current_dir(&folder).output().unwrap();
        succeeded(&output)
    };
    python_says(&["-c", BATCHES, "75", "30", "7"]);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/ddp.py");
    let found: Value = serde_json::from_str(&python_says(&[
        script.to_str().unwrap(),
        "base.py",
        "batches.npz",
        "--processes",
        "2",
        "--steps",
        "21",
        "--lr",
        "0.002",
    ]))
    .unwrap();
    let steps: Vec<f64> = found["losses"].as_array().unwrap().iter().map(|loss| loss.as_f64().unwrap()).collect();
    let epochs: Vec<f64> = steps.chunks(3).map(|of| (of[0] * 30.0 + of[1] * 30.0 + of[2] * 15.0) / 75.0).collect();
    for (epoch, ([loss, _], expected)) in losses(folder.path(), "two").into_iter().zip(&epochs).enumerate() {
        assert!(difference(*expected, loss) < 1e-6, "epoch {epoch}: {loss} {expected}");
    }
}
