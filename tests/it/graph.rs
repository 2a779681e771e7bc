//! Steps by a CUDA graph, on the stand-in for CUDA, whose graphs do again what they recorded: the same bits as by plain steps, and what
//! cannot be recorded, or is recorded wrongly, is found and said.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use convnet::native::GRAPH_SYMBOLS;

use crate::cuda::LAYERS;
use crate::program::{history, succeeded};
use crate::stand_in::{self, Log, StandIn, compile};

/// On 128 images for two epochs.
const TRAIN: &str = "train --data digits:150 --validation 22 --device cuda --epochs 2 --log-every 1 -q";
/// Unless another number is said: 16 whole batches in both epochs.
const BATCHES: [&str; 2] = ["--batch-size", "16"];
/// Whole batches before one is recorded.
const FIRST_STEPS: usize = 3;
/// The operator that launches what was recorded.
const LAUNCH: &str = "cudaGraphLaunch";

fn arguments<'a>(name: &'a str, flags: &'a str) -> Vec<&'a str> {
    let names = ["--run", name, "--name", name];
    let batches = if flags.contains(BATCHES[0]) { None } else { Some(BATCHES) };
    TRAIN.split(' ').chain(names).chain(batches.into_iter().flatten()).chain(flags.split_whitespace()).collect()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The tensors of a file of weights or of an optimizer's state, without what else it says.
fn tensors(path: &Path) -> Vec<(String, Vec<u8>)> {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let all = file.tensors().into_iter().map(|(name, view)| (name, view.data().to_vec()));
    let mut all: Vec<_> = all.collect();
    all.sort();
    assert!(!all.is_empty());
    all
}

/// The state file of a run's last checkpoint.
fn state_file(at: &Path, run: &str) -> String {
    let folder = format!("logs/{run}/checkpoints");
    let names = fs::read_dir(at.join(&folder)).unwrap().flatten().map(|file| file.file_name().into_string().unwrap());
    let name = names.into_iter().find(|name| name.ends_with(".state.safetensors")).expect("a state");
    format!("{folder}/{name}")
}

/// Fails unless two trainings left the same: history, the model, the optimizer's state.
fn same_bits(at: &Path, [a, b]: [&str; 2]) {
    assert_eq!(history(at, a), history(at, b), "{b}");
    let same = |files: [String; 2]| {
        let [a, b] = files.map(|file| tensors(&at.join(file)));
        a == b
    };
    assert!(same([a, b].map(|name| format!("models/{name}.safetensors"))), "{b}: other weights");
    assert!(same([a, b].map(|run| state_file(at, run))), "{b}: another state of the optimizer");
}

/// How many steps were launched from a record.
fn launches(log: &Log) -> usize {
    let steps = 0..=log.ops().len() as i64;
    steps.filter(|&step| log.names(step).iter().any(|name| name == LAUNCH)).count()
}

/// Trains as `flags` say by a graph and, unless it was done before, plainly; fails unless both leave the same bits. Gives what was said and
/// how many steps were launched.
fn graphed(stand_in: &StandIn, name: &str, flags: &str) -> (String, usize) {
    let plain = format!("{name}-plain");
    if !stand_in.at.join("logs").join(&plain).exists() {
        succeeded(&stand_in.convnet(&arguments(&plain, flags)));
    }
    let flags = format!("{flags} --cuda-graph");
    let (output, log) = stand_in.with("STAND_IN_NAMES", "1").watched(&arguments(name, &flags));
    succeeded(&output);
    assert_eq!(log.mismatches, [""; 0], "{name}");
    same_bits(stand_in.at, [&plain, name]);
    (stderr(&output), launches(&log))
}

#[test]
fn launched_steps_are_the_plain_ones_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let stand_in = StandIn::new(folder.path(), stand_in::folder());
    fs::write(folder.path().join("layers.json"), LAYERS).unwrap();
    for (name, flags) in [
        ("adam", "--schedule cosine"),
        ("momentum", "--optimizer sgd --momentum 0.9 --nesterov --schedule linear --clip-value 0.5"),
        ("bf16", "--precision bf16 --optimizer adamw --schedule one-cycle"),
        ("norm", "--model vgg-small --optimizer rmsprop --momentum 0.5 --centered --weight-decay 0.01"),
        ("average", "--model mlp --ema 0.9 --optimizer lion --clip-norm 0.1 --label-smoothing 0.1"),
        ("nadam", "--optimizer nadam --global-clip-norm 1 --class-weights balanced --histograms 1"),
        ("layers", "--model layers.json --backbone-lr-scale 0.1 --schedule plateau"),
        ("augmented", "--augment strong --cache ram --restore-best"),
    ] {
        let (said, launches) = graphed(&stand_in, name, flags);
        let others = match name {
            "average" => 1, // with the first step the average begins
            "nadam" => 2,   // the gradient of an epoch's last step is kept for its histogram
            _ => 0,
        };
        let plain = FIRST_STEPS + others;
        assert_eq!((said.as_str(), launches), ("", 16 - plain), "{name}");
    }
}

#[test]
fn a_batch_that_is_not_whole_is_plain() {
    let folder = tempfile::tempdir().unwrap();
    let stand_in = StandIn::new(folder.path(), stand_in::folder());
    let (said, launches) = graphed(&stand_in, "partial", "--batch-size 24 --schedule exponential");
    assert_eq!((said.as_str(), launches), ("", 10 - FIRST_STEPS)); // 5 of 24 images and one of 8 in each epoch
}

#[test]
fn a_run_is_resumed_with_a_graph_or_without() {
    let folder = tempfile::tempdir().unwrap();
    let stand_in = StandIn::new(folder.path(), stand_in::folder());
    succeeded(&stand_in.convnet(&arguments("whole", "--schedule cosine --save-every 5")));
    // it stops within the second epoch, and goes on from the checkpoint before
    for (name, resumed_with) in [("both", "--cuda-graph"), ("first", "--cuda-graph=false")] {
        let flags = "--schedule cosine --save-every 5 --cuda-graph";
        let failing = stand_in.with("STAND_IN_FAIL", "launch 17 2");
        assert!(!failing.convnet(&arguments(name, flags)).status.success());
        let output = stand_in.convnet(&["train", "--resume", name, resumed_with, "-q"]);
        succeeded(&output);
        assert_eq!(stderr(&output), "", "{name}");
        same_bits(folder.path(), ["whole", name]);
    }
    let run = fs::read_to_string(folder.path().join("logs/both/run.json")).unwrap();
    assert!(run.contains("\"cuda_graph\": true"), "{run}");
}

#[test]
fn what_a_graph_has_for_ever_is_found_and_the_training_is_the_plain_one() {
    let folder = tempfile::tempdir().unwrap();
    let stand_in = StandIn::new(folder.path(), stand_in::folder());
    for (name, flags, baked, fault) in [
        ("fetching", "", "Float 0", "it has no finite numbers in the weights"), // the learning rate
        ("fetching", "", "Long 1", "in the outputs"),                           // which images
        ("fetching", "", "seed", "in the outputs"),                             // dropout masks
        ("given", "--augment strong", "Byte 4", "in the outputs"),              // the images
        ("given", "--augment strong", "Long 1", "in the loss"),                 // the labels
    ] {
        fs::remove_dir_all(folder.path().join("logs").join(name)).ok();
        let (said, launches) = graphed(&stand_in.with("STAND_IN_BAKE", baked), name, flags);
        let expected = "warning: the recorded step is not the plain one: ";
        assert!(said.starts_with(expected) && said.contains(fault) && said.lines().count() == 1, "{baked}: {said}");
        assert!(said.contains("training goes on without --cuda-graph") && launches == 1, "{baked}: {said}");
    }
}

#[test]
fn what_cannot_be_recorded_is_said_and_the_training_is_the_plain_one() {
    let folder = tempfile::tempdir().unwrap();
    let stand_in = StandIn::new(folder.path(), stand_in::folder());
    let waiting = stand_in.with("STAND_IN_PLANT", "aten::convolution");
    let (said, launches) = graphed(&waiting, "waits", "");
    let expected = "warning: the step cannot be recorded: ";
    assert!(said.starts_with(expected) && said.contains("not permitted when stream is capturing"), "{said}");
    assert_eq!((said.lines().count(), launches), (1, 0), "{said}");
    let on_two = stand_in.with("STAND_IN_DRIVER", "13000 0 2");
    for (name, stand_in, flags, why) in [
        ("accumulate", &stand_in, "--accumulate 2", "with --accumulate a step has several batches"),
        ("mixup", &stand_in, "--augment mixup=0.2", "mixup and cutmix"),
        ("large", &stand_in, "--batch-size 200", "more images than there are"),
        ("profile", &stand_in, "--profile", "a profile"),
        ("processes", &on_two, "--nproc 2 -j 1", "a run in one process"),
    ] {
        has_no_effect(stand_in, &arguments(name, &format!("{flags} --cuda-graph")), why);
    }
    // a note, as of every setting without effect
    let on_the_cpu = format!("{} --cuda-graph", TRAIN.replace("cuda", "cpu").replace(" -q", ""));
    has_no_effect(&stand_in, &on_the_cpu.split(' ').collect::<Vec<_>>(), "it belongs to CUDA");
}

/// Fails unless it trains, and says once why there is no graph.
fn has_no_effect(stand_in: &StandIn, args: &[&str], why: &str) {
    let output = stand_in.convnet(args);
    succeeded(&output);
    let said = stderr(&output);
    assert!(said.contains("--cuda-graph has no effect: ") && said.contains(why), "{args:?}: {said}");
    assert_eq!(said.matches("--cuda-graph").count(), 1, "{args:?}: {said}");
}

/// `CONVNET_TEST_CUDA_INCLUDE` names the folder of CUDA's headers, such as /usr/local/cuda/include: NVIDIA's wheels have them in several.
#[test]
#[ignore = "needs CONVNET_TEST_CUDA_INCLUDE"]
fn libtorch_s_own_class_is_as_it_is_called() {
    let folder = tempfile::tempdir().unwrap();
    let (libtorch, library) = (Path::new(env!("CONVNET_LIBTORCH")), folder.path().join("libuse.so"));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/stand_in/real_graph.cpp");
    let mut command = Command::new(std::env::var_os("CXX").unwrap_or("c++".into()));
    command.args(["-std=c++17", "-O1", "-w", "-shared", "-fPIC", "-Wl,--no-undefined"]);
    command.arg("-Wl,--unresolved-symbols=ignore-in-shared-libs").arg(source).arg("-I").arg(libtorch.join("include"));
    let folders = std::env::var_os("CONVNET_TEST_CUDA_INCLUDE").expect("CONVNET_TEST_CUDA_INCLUDE");
    for include in std::env::split_paths(&folders) {
        command.arg("-I").arg(include);
    }
    command.arg("-L").arg(libtorch.join("lib")).args(["-ltorch_cuda", "-ltorch_cpu", "-lc10_cuda", "-lc10", "-o"]);
    compile(command.arg(&library)).unwrap(); // its linker has found all of them in libtorch_cuda.so
    let bytes = fs::read(library).unwrap();
    for name in GRAPH_SYMBOLS {
        let name = name.to_bytes_with_nul();
        assert!(bytes.windows(name.len()).any(|window| window == name), "{}", String::from_utf8_lossy(name));
    }
}
