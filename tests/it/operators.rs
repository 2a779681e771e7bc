//! How many operators a training step takes on a GPU, counted on the stand-in for one: of a small network a step takes as long as
//! they take to be launched.

use crate::program::succeeded;
use crate::stand_in::{self, StandIn};

/// 128 images in steps of 16.
const TRAIN: &str =
    "train --data digits:150 --validation 22 --device cuda --batch-size 16 --log-every 1000 --epochs 1 -q";
/// Flags, and how many operators a step takes at most.
const MOST: [(&str, u64); 10] = [
    ("", 53),
    ("--precision bf16", 59),
    ("--augment light", 61),
    ("--augment strong", 75),
    ("--model vgg-small", 96),
    ("--model wide-cnn", 83),
    ("--cuda-graph", 10),
    ("--cuda-graph --precision bf16", 10),
    ("--cuda-graph --augment strong", 34),
    ("--cuda-graph --model vgg-small", 10),
];
/// A step within the epoch, after which nothing is told.
const STEPS: std::ops::Range<i64> = 1..7;
/// As it is by a graph, behind the plain steps, the one that is recorded and those that are checked.
const GRAPH_STEPS: std::ops::Range<i64> = 8..10;

#[test]
fn a_step_takes_no_more_operators_than_it_did() {
    let folder = tempfile::tempdir().unwrap();
    let stand_in = StandIn::new(folder.path(), stand_in::folder()).with("STAND_IN_NAMES", "1");
    let mut more = Vec::new();
    for (flags, most) in MOST {
        let (output, log) = stand_in.watched(&TRAIN.split(' ').chain(flags.split_whitespace()).collect::<Vec<_>>());
        succeeded(&output);
        // where the progress is told there is one more
        let steps = if flags.contains("--cuda-graph") { GRAPH_STEPS } else { STEPS };
        let least = steps.min_by_key(|&step| log.names(step).len()).expect("there are steps");
        let names = log.names(least);
        println!("{} operators: {flags}", names.len());
        if names.is_empty() || names.len() as u64 > most {
            more.push(format!("'{flags}': {} in place of {most}: {}", names.len(), names.join(" ")));
        }
    }
    assert!(more.is_empty(), "{}", more.join("\n"));
}
