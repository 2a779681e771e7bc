//! What the program prints, word for word: help, tables, errors. After a change on purpose,
//! `INSTA_UPDATE=always cargo test --test it printed::` writes the snapshots anew, for `git diff` to show.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Output;

use crate::program::{convnet, succeeded};

/// What was printed on stdout, and on stderr behind it, without the line on the machine's device.
fn text(output: &Output) -> String {
    let [stdout, stderr] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    let stderr: String = stderr.split_inclusive('\n').filter(|line| !line.starts_with("device: ")).collect();
    format!("{stdout}{stderr}exit code {}\n", output.status.code().expect("it ended by itself"))
}

/// Each command line with what it prints.
fn session(folder: &Path, lines: &[&str]) -> String {
    let mut session = String::new();
    for line in lines {
        let words: Vec<&str> = line.split_whitespace().collect();
        write!(session, "$ convnet {line}\n{}\n", text(&convnet(folder, &words))).unwrap();
    }
    session
}

#[test]
fn help_is_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let commands =
        ["", "train", "lr-find", "evaluate", "predict", "explain", "summary", "import", "export", "reproduce", "data"];
    for command in commands.into_iter().chain([
        "runs",
        "runs list",
        "runs show",
        "runs compare",
        "report",
        "data suspects",
        "verify",
        "serve",
    ]) {
        let words: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
        let name = if command.is_empty() { "help".into() } else { format!("help_{}", command.replace(' ', "_")) };
        insta::assert_snapshot!(name, succeeded(&convnet(folder.path(), &words)));
    }
}

#[test]
fn tables_are_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let lines =
        ["summary keras-cnn", "summary mlp", "summary keras-cnn --short", "data show digits:600 --validation 60"];
    insta::assert_snapshot!(session(folder.path(), &lines));
}

#[test]
fn errors_are_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let lines = [
        "train --batch-size 0",
        "train --epochz 3",
        "train --optimizer adm",
        "train --data fashion-mnst",
        "train --data digits:600 --validation 5000",
        "train --model keras-cn",
        "train --monitor val_los",
        "train --resume nothing",
        "evaluate models/model",
        "predict models/model a.png",
        "export models/model --format keras --out a.onnx",
    ];
    insta::assert_snapshot!(session(folder.path(), &lines));
}
