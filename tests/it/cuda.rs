//! CUDA, proven without a GPU: the unmodified program on a stand-in for it (`stand_in/`). No tensor is on the wrong
//! device, no step waits for the GPU, and what fails ends with a sentence.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::program::{failed, json, succeeded};
use crate::stand_in::{self, Log, StandIn};

/// Steps of 16 of 150 images, and validation.
const SMALL: [&str; 11] =
    ["train", "--validation", "22", "--device", "cuda", "--batch-size", "16", "--log-every", "1000", "-q", "--json"];
/// 128 training images.
const STEPS: i64 = 8;

/// Layers that have constants, statistics, random numbers, regularisers or constraints.
pub const LAYERS: &str = r#"{"class_name": "Sequential", "config": {"name": "many", "layers": [
    {"class_name": "InputLayer", "config": {"name": "input", "batch_shape": [null, 28, 28, 1]}},
    {"class_name": "Rescaling", "config": {"name": "a", "scale": 2.0, "offset": -0.5}},
    {"class_name": "Normalization", "config": {"name": "b", "axis": -1, "mean": [0.1], "variance": [0.3]}},
    {"class_name": "Normalization", "config": {"name": "c", "axis": -1}},
    {"class_name": "RandomFlip", "config": {"name": "d", "mode": "horizontal"}},
    {"class_name": "RandomRotation", "config": {"name": "e", "factor": [-0.1, 0.1], "fill_mode": "constant"}},
    {"class_name": "RandomZoom", "config": {"name": "f", "height_factor": [-0.1, 0.1], "fill_mode": "nearest"}},
    {"class_name": "RandomTranslation", "config": {"name": "g", "height_factor": [-0.1, 0.1],
        "width_factor": [-0.1, 0.1], "fill_mode": "constant"}},
    {"class_name": "RandomContrast", "config": {"name": "h", "factor": [0.1, 0.1]}},
    {"class_name": "RandomBrightness", "config": {"name": "i", "factor": [-0.1, 0.1], "value_range": [0, 1]}},
    {"class_name": "Conv2D", "config": {"name": "j", "filters": 4, "kernel_size": [3, 3], "strides": [2, 2],
        "kernel_regularizer": {"class_name": "L2", "config": {"l2": 0.01}},
        "kernel_constraint": {"class_name": "MaxNorm", "config": {"max_value": 1.0, "axis": [0, 1, 2]}}}},
    {"class_name": "BatchNormalization", "config": {"name": "k", "axis": -1}},
    {"class_name": "GroupNormalization", "config": {"name": "l", "groups": 2, "axis": -1}},
    {"class_name": "LayerNormalization", "config": {"name": "m", "axis": [3]}},
    {"class_name": "SpatialDropout2D", "config": {"name": "n", "rate": 0.1}},
    {"class_name": "GaussianNoise", "config": {"name": "o", "stddev": 0.1}},
    {"class_name": "PReLU", "config": {"name": "p"}},
    {"class_name": "Flatten", "config": {"name": "q"}},
    {"class_name": "AlphaDropout", "config": {"name": "r", "rate": 0.1}},
    {"class_name": "Dense", "config": {"name": "s", "units": 10, "activation": "softmax"}}]}}"#;

/// `SMALL` with `more`: digits, and two epochs unless said otherwise.
fn small<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let unless_given = |option: [&'a str; 2]| if more.contains(&option[0]) { vec![] } else { option.to_vec() };
    [&SMALL[..], &unless_given(["--data", "digits:150"]), &unless_given(["--epochs", "2"]), more].concat()
}

/// Trains, and fails unless no tensor was elsewhere and no step waited.
fn trains(stand_in: &StandIn, name: &str, more: &[&str]) -> Log {
    let (output, log) = stand_in.watched(&small(&[&["--run", name, "--name", name], more].concat()));
    let report = json(&output);
    assert_eq!(report["device"], "cuda:0", "{name}");
    let fault = log.fault(STEPS, seconds(&output));
    assert!(fault.is_none(), "{name} {more:?}: {fault:?}");
    log
}

/// How long a training took.
fn seconds(output: &Output) -> f64 {
    json(output)["total_seconds"].as_f64().expect("a number")
}

/// What the model `name` is worth on the data's test images, on a device.
fn evaluated(stand_in: &StandIn, name: &str, device: &str) -> serde_json::Value {
    json(&stand_in.convnet(&["evaluate", &format!("models/{name}"), "--device", device, "--json"]))
}

/// Fails unless the model `name` is worth the same on the device as on the CPU.
fn same_on_the_cpu(stand_in: &StandIn, name: &str) {
    let (cuda, cpu) = (evaluated(stand_in, name, "cuda"), evaluated(stand_in, name, "cpu"));
    let difference = cuda["loss"].as_f64().unwrap() - cpu["loss"].as_f64().unwrap();
    assert!(difference.abs() < 1e-5 && cuda["accuracy"] == cpu["accuracy"], "{name}: {cuda} {cpu}");
}

/// A folder `pictures` of two classes in `at`: stripes along and across, of many widths.
fn two_classes(at: &Path) {
    for (split, count) in [("train", 75), ("test", 10)] {
        for class in ["along", "across"] {
            let folder = at.join("pictures").join(split).join(class);
            fs::create_dir_all(&folder).unwrap();
            for number in 0..count {
                let pixel = |x: u32, y: u32| {
                    let along = if class == "along" { x } else { y };
                    image::Luma([((along + number) % (2 + number % 7) * 40) as u8])
                };
                image::GrayImage::from_fn(28, 28, pixel).save(folder.join(format!("{number}.png"))).unwrap();
            }
        }
    }
}

#[test]
fn no_step_waits_whatever_is_trained() {
    let libraries = stand_in::folder();
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::write(at.join("layers.json"), LAYERS).unwrap();
    let stand_in = StandIn::new(at, libraries);
    let combinations: [(&str, &str); 10] = [
        ("plain", ""),
        ("streaming", "--cache ram --optimizer adamw --augment strong --precision bf16 --ema 0.9 --global-clip-norm 1"),
        ("mixed", "--optimizer nadam --augment mixup=0.2,cutmix=1 --clip-norm 1 --accumulate 2 --model lenet5"),
        (
            "mixed-streaming",
            "--cache ram --augment light,mixup=1 --accumulate 3 --optimizer lion --tf32 false --ema 0.5",
        ),
        (
            "vgg",
            "--model vgg-small --optimizer sgd --momentum 0.9 --nesterov --clip-value 0.5 --label-smoothing 0.1 \
             --class-weights balanced --weight-decay 0.01",
        ),
        (
            "wide",
            "--model wide-cnn --optimizer rmsprop --momentum 0.5 --centered --augment strong --schedule one-cycle \
             --deterministic --limit-train 128",
        ),
        ("mlp", "--model mlp --optimizer sgd --shuffle false --restore-best --patience 3"),
        ("layers", "--model layers.json"),
        ("layers-streaming", "--model layers.json --cache ram --precision bf16 --clip-norm 0.1 --optimizer adamw"),
        ("transfer", "--init-from models/plain --freeze conv2d* --schedule plateau --monitor val_loss --cache ram"),
    ];
    for (name, flags) in combinations {
        trains(&stand_in, name, &flags.split_whitespace().collect::<Vec<_>>());
    }
    same_on_the_cpu(&stand_in, "plain");
    let run: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(at.join("logs/wide/run.json")).unwrap()).unwrap();
    assert_eq!((&run["gpu"], &run["config"]["deterministic"]), (&"Stand-in 0".into(), &true.into()));
}

#[test]
fn no_step_waits_whatever_the_outputs_mean() {
    let libraries = stand_in::folder();
    let folder = tempfile::tempdir().unwrap();
    let stand_in = StandIn::new(folder.path(), libraries);
    two_classes(folder.path());
    let ends: [(&str, &str, &str); 8] = [
        ("odd", "Conv2D 5 3 relu\nConv2D 7 3 2 relu\nFlatten\nDense 11 relu\nDense 10", ""),
        ("odd-bf16", "Conv2D 5 3 relu\nConv2D 7 3 2 relu\nFlatten\nDense 11 relu\nDense 10", "--precision bf16"),
        ("logits", "Conv2D 4 3 2 relu\nFlatten\nDense 10", ""),
        ("sigmoids", "Flatten\nDense 10 sigmoid", "--class-weights balanced --label-smoothing 0.1 --cache ram"),
        ("probabilities", "Conv2D 10 3 4 softmax\nGlobalAveragePooling2D", "--augment mixup=0.5"),
        ("dropped", "Flatten\nDense 10 softmax\nDropout 0.2", "--precision bf16"),
        ("binary", "Conv2D 4 3 4 relu\nFlatten\nDense 1 sigmoid", "--data pictures --label-smoothing 0.1"),
        ("streamed", "Flatten\nDense 1 sigmoid", "--data pictures --cache ram --augment light,mixup=1 --accumulate 2"),
    ];
    for (name, network, flags) in ends {
        let file = format!("{name}.txt");
        fs::write(folder.path().join(&file), network).unwrap();
        let flags: Vec<_> = flags.split_whitespace().collect();
        trains(&stand_in, name, &[&["--model", &file], &flags[..]].concat());
        same_on_the_cpu(&stand_in, name);
    }
}

#[test]
fn everything_else_runs_on_the_device_too() {
    let libraries = stand_in::folder();
    let folder = tempfile::tempdir().unwrap();
    let stand_in = StandIn::new(folder.path(), libraries);
    let streamed = ["--cache", "ram", "--augment", "light,mixup=1"];
    let log = trains(&stand_in, "whole", &[&streamed[..], &["--epochs", "3"]].concat());
    let per_step = log.ops()[2];
    trains(&stand_in, "resumed", &streamed);
    let without_mismatch = |args: &[&str]| {
        let (output, log) = stand_in.watched(args);
        succeeded(&output);
        assert_eq!(log.mismatches, [""; 0], "{args:?}");
        (output, log)
    };
    let (output, log) = without_mismatch(&["train", "--resume", "resumed", "--epochs", "3", "-q", "--json"]);
    assert_eq!((log.fault(STEPS, seconds(&output)), log.ops()[2]), (None, per_step));
    let weights = |name: &str| fs::read(folder.path().join(format!("models/{name}.safetensors"))).unwrap();
    assert!(weights("whole") == weights("resumed"), "a resumed run is not the uninterrupted one");
    without_mismatch(&["predict", "models/whole", "--data", "digits:150", "--index", "0", "--device", "cuda"]);
    without_mismatch(&["evaluate", "models/whole", "--data", "digits:150", "--device", "cuda:0", "--top-k", "3"]);
    let data = ["--data", "digits:150", "--batch-size", "16", "--device", "cuda", "-q"];
    without_mismatch(&[&["lr-find", "--steps", "20", "--run", "find", "--cache", "ram"], &data[..]].concat());
    without_mismatch(&[&["train", "--folds", "2", "--epochs", "1", "--model", "mlp"], &data[..]].concat());
    without_mismatch(
        &[&["train", "--verify-resume", "--optimizer", "nadam", "--augment", "strong"], &data[..]].concat(),
    );
}

#[test]
fn layers_compute_on_the_device_what_they_do_on_the_cpu() {
    let libraries = stand_in::folder();
    // this program again, with the stand-in in its process
    let mut tests = Command::new(std::env::current_exe().unwrap());
    tests.arg("keras_layers::").env("LD_LIBRARY_PATH", libraries).env("CONVNET_TEST_DEVICE", "cuda");
    tests.env_remove("CUDA_VISIBLE_DEVICES");
    let text = succeeded(&tests.output().unwrap());
    assert!(text.contains("4 passed"), "{text}");
}

#[test]
fn a_host_copy_in_a_step_is_found() {
    let libraries = stand_in::folder();
    let folder = tempfile::tempdir().unwrap();
    let planted = StandIn::new(folder.path(), libraries).with("STAND_IN_PLANT", "aten::convolution");
    let (output, log) = planted.watched(&small(&[]));
    let fault = log.fault(STEPS, seconds(&output)).expect("a copy in every step");
    assert!(fault.starts_with("step 0 waits") && fault.contains("copy cpu:Float"), "{fault}");
}

/// The folder's names, sorted.
fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).map(|entries| entries.flatten().collect()).unwrap_or_else(|_| Vec::new());
    let mut names: Vec<String> = entries.iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Fails unless the program ended with exit code 5 and one paragraph with `words`.
fn is_refused(output: &Output, words: &[&str]) {
    failed(output, 5, "error: ");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(stderr.trim_end().lines().count(), 1, "{stderr}");
    assert!(words.iter().all(|word| stderr.contains(word)) && !stderr.contains("raised from"), "{words:?}: {stderr}");
}

#[test]
fn failures_of_libtorch_are_sentences_and_leave_nothing_behind() {
    let libraries = stand_in::folder();
    let folder = tempfile::tempdir().unwrap();
    let stand_in = StandIn::new(folder.path(), libraries);
    let memory = ["not enough memory", "1.00 GiB is free", "--batch-size", "--precision bf16", "--cache ram"];
    let gpu = ["the GPU failed", "CUDA error: ", "--resume"];
    // while the device is tried, the model is built, the images are copied; in a step: forward, backward, update
    for (failure, words) in [
        ("oom -1 2", &memory[..]),
        ("oom -1 9", &memory),
        ("oom -1 13", &memory),
        ("oom 0 3", &memory),
        ("oom 0 25", &memory),
        ("oom 1 45", &memory),
        ("launch 0 10", &gpu),
        ("launch 3 40", &gpu),
        ("seed 0 0", &gpu),
        ("seed 2 0", &gpu),
    ] {
        for feed in ["auto", "ram"] {
            let failing = stand_in.with("STAND_IN_FAIL", failure);
            is_refused(&failing.convnet(&small(&["--run", "a", "--cache", feed])), words);
            assert_eq!(names_in(&folder.path().join("logs")), [""; 0], "{failure} {feed}");
        }
    }
    is_refused(
        &stand_in.with("STAND_IN_FAIL", "oom 2 20").convnet(&[
            "lr-find",
            "--data",
            "digits:150",
            "--device",
            "cuda",
            "-q",
        ]),
        &memory,
    );
    assert_eq!(names_in(&folder.path().join("logs")), [""; 0]);
}

#[test]
fn a_failure_after_a_checkpoint_leaves_it_whole() {
    let libraries = stand_in::folder();
    let folder = tempfile::tempdir().unwrap();
    let stand_in = StandIn::new(folder.path(), libraries);
    succeeded(&stand_in.convnet(&small(&["--run", "whole", "--name", "whole"])));
    // in the second epoch, and behind its last step, where it is validated
    for (run, failure) in [("a", "launch 9 20"), ("b", "oom 15 70"), ("c", "seed 12 0")] {
        let failing = stand_in.with("STAND_IN_FAIL", failure);
        let output = failing.convnet(&small(&["--run", run, "--name", run]));
        failed(&output, 5, "error: ");
        succeeded(&stand_in.convnet(&["train", "--resume", run, "-q"]));
        let weights = |name: &str| fs::read(folder.path().join(format!("models/{name}.safetensors"))).unwrap();
        assert!(weights(run) == weights("whole"), "{run}");
    }
    let failing = stand_in.with("STAND_IN_FAIL", "oom -1 40");
    is_refused(
        &failing.convnet(&["evaluate", "models/whole", "--data", "digits:150", "--device", "cuda"]),
        &["memory"],
    );
}

#[test]
fn a_driver_that_cannot_be_used_says_why() {
    let libraries = stand_in::folder();
    let folder = tempfile::tempdir().unwrap();
    let stand_in = StandIn::new(folder.path(), libraries);
    let train = ["train", "--data", "digits:150", "--epochs", "1", "--model", "mlp", "--device"];
    for (driver, words) in [
        ("12080 0 1", &["too old", "CUDA 12.8", "580"][..]),
        ("13000 100 0", &["no GPU", "nvidia-smi"]),
        ("13000 0 0", &["no GPU", "nvidia-smi"]),
        ("13000 803 0", &["803", "reboot"]),
        ("13000 999 0", &["999", "nvidia_uvm"]),
        ("13000 802 0", &["802", "fabric manager"]),
        ("13000 2 0", &["error 2"]),
    ] {
        let broken = stand_in.with("STAND_IN_DRIVER", driver);
        is_refused(&broken.convnet(&[&train[..], &["cuda"]].concat()), words);
        let doctor = succeeded(&broken.convnet(&["doctor"]));
        let row = doctor.lines().find(|line| line.starts_with("CUDA")).unwrap();
        assert!(row.contains("not used") && words.iter().all(|word| row.contains(word)), "{row}");
    }
    let hidden = stand_in.with("CUDA_VISIBLE_DEVICES", "");
    is_refused(&hidden.convnet(&[&train[..], &["cuda"]].concat()), &["CUDA_VISIBLE_DEVICES is empty"]);
    is_refused(&stand_in.convnet(&[&train[..], &["cuda:1"]].concat()), &["no GPU number 1", "cuda:0"]);
    let auto = stand_in.with("STAND_IN_DRIVER", "13000 999 0").convnet(&[&train[..], &["auto"]].concat());
    succeeded(&auto);
    assert!(String::from_utf8_lossy(&auto.stderr).contains("CUDA not used: the NVIDIA driver fails"), "{auto:?}");
    // a GPU that its driver shows and that computes nothing
    let auto = stand_in.with("STAND_IN_FAIL", "launch -1 1").convnet(&[&train[..], &["auto"]].concat());
    succeeded(&auto);
    assert!(String::from_utf8_lossy(&auto.stderr).contains("unspecified launch failure"), "{auto:?}");
}

#[test]
fn a_library_that_is_missing_is_named() {
    let libraries = stand_in::folder();
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("lib");
    fs::create_dir(&broken).unwrap();
    fs::copy(libraries.join("libcuda.so.1"), broken.join("libcuda.so.1")).unwrap();
    let source = folder.path().join("empty.c");
    fs::write(&source, "").unwrap();
    let library = |name: &str, needs: &[&str]| {
        let mut command = Command::new("cc");
        command.args(["-shared", "-fPIC", "-Wl,--no-as-needed", "-o"]).arg(broken.join(name)).arg(&source).args(needs);
        stand_in::compile(&mut command).unwrap();
    };
    library("libnot_there.so.9", &[]);
    let missing = broken.join("libnot_there.so.9");
    std::os::unix::fs::symlink(&missing, broken.join("libnot_there.so")).unwrap();
    library("libtorch_cuda.so", &["-L", broken.to_str().unwrap(), "-lnot_there"]);
    fs::remove_file(missing).unwrap();
    let output = StandIn::new(folder.path(), &broken).convnet(&["train", "--device", "cuda"]);
    is_refused(&output, &["libnot_there.so", "scripts/setup --cuda"]);
}

#[test]
fn in_an_archive_the_advice_is_an_archive() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    // as scripts/package lays them out; libtorch itself is found where it was built against
    fs::create_dir_all(at("archive/bin")).unwrap();
    fs::create_dir_all(at("archive/torch/lib")).unwrap();
    fs::create_dir_all(at("broken")).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_convnet"), at("archive/bin/convnet")).unwrap();
    fs::write(at("archive/torch/lib/libtorch_cpu.so"), "").unwrap();
    fs::copy(stand_in::folder().join("libcuda.so.1"), at("broken/libcuda.so.1")).unwrap();
    fs::write(at("broken/libtorch_cuda.so"), "no library").unwrap();
    let run = |args: &[&str]| {
        let mut command = Command::new(at("archive/bin/convnet"));
        command.args(args).env("LD_LIBRARY_PATH", at("broken")).current_dir(folder.path()).output().unwrap()
    };
    let expected = format!("convnet-{}-linux-x86_64-cuda", env!("CARGO_PKG_VERSION"));
    let doctor = succeeded(&run(&["doctor"]));
    let row = doctor.lines().find(|line| line.starts_with("libtorch's CUDA half")).unwrap();
    assert!(row.contains("not used") && row.contains(&expected) && !doctor.contains("scripts/"), "{doctor}");
    is_refused(&run(&["train", "--device", "cuda"]), &["libtorch_cuda.so", &expected]);
}
