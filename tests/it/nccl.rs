//! Sums from GPU to GPU, proven without one: the program on the stand-ins for CUDA and NCCL (`stand_in/`).

use std::ffi::CString;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use convnet::distributed::nccl;
use convnet::native::{GlooGroup, GradientReducer, Reduction, TcpStore};
use serde_json::Value;
use tch::{Device, Kind, Tensor};

use crate::alike::{assert_alike, network};
use crate::on_device::device;
use crate::processes::{free_port, signal};
use crate::program::{failed, history, succeeded, wait_until};
use crate::stand_in::{self, Log, StandIn};

/// Twenty steps an epoch, the last one of a single image: two of three processes then have none.
const SMALL: &str = "train -d digits --limit-train 571 -b 30 --validation 60 --epochs 2 --device cuda -j 1 --no-check --tensorboard none";
const STEPS: i64 = 20;
/// A training that lasts until it is ended.
const LONG: &str = "train -d digits --limit-train 320 -b 32 --validation 60 --epochs 500 --device cuda -j 1 -q --no-check --tensorboard none --run long";
/// How long a call waits for others, where a test is about that.
const PATIENCE: (&str, &str) = ("CONVNET_PEER_TIMEOUT", "15");

/// The stand-ins in `at`, which show four GPUs.
fn four_gpus(at: &Path) -> StandIn<'_> {
    StandIn::new(at, stand_in::folder()).with("STAND_IN_DRIVER", "13000 0 4")
}

fn train(stand_in: &StandIn, run: &str, more: &[&str]) -> Output {
    let words: Vec<&str> = SMALL.split_whitespace().chain(["--run", run, "--name", run]).collect();
    stand_in.convnet(&[&words[..], more].concat())
}

/// What carried the sums, by `run.json`.
fn backend(at: &Path, run: &str) -> String {
    let record: Value = serde_json::from_slice(&fs::read(at.join(format!("logs/{run}/run.json"))).unwrap()).unwrap();
    record["processes"]["backend"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn gpus_sum_what_one_computes_alone() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let stand_in = four_gpus(at);
    let train = |run: &str, more: &[&str]| train(&stand_in, run, more);
    // of a seed by which no ReLU or max-pooling turns over: then what the last digit of a sum does is no longer small
    assert_alike(at, train, &["-q", "--seed", "1"], &[2, 3], [1e-6, 1e-4]);
    let dropout = serde_json::json!({ "class_name": "Dropout", "config": { "name": "dropout", "rate": 0.3 } });
    let without_kinks = network(at, &[dropout]);
    assert_alike(at, train, &["-q", "--model", &without_kinks], &[2, 3], [1e-6, 1e-4]);
    let norm = serde_json::json!({ "class_name": "BatchNormalization", "config": { "name": "norm" } });
    let network = network(at, &[norm]);
    assert_alike(at, train, &["-q", "--model", &network, "--sync-batchnorm"], &[2], [1e-6, 1e-4]);
}

#[test]
fn gpus_sum_to_the_bits_of_the_host() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let (by_nccl, log) = (four_gpus(at), at.join("nccl"));
    let by_gloo = by_nccl.with("CONVNET_NCCL", "0");
    let by_nccl = by_nccl.with("STAND_IN_NCCL_LOG", log.display().to_string());
    // two numbers have one sum
    for (precision, kind) in [("none", 7), ("bf16", 9)] {
        let [nccl, gloo] = ["nccl", "gloo"].map(|name| format!("{name}-{precision}"));
        let more = ["--nproc", "2", "--gradient-compression", precision, "--ema", "0.9"];
        let output = train(&by_nccl, &nccl, &more);
        succeeded(&output);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(told.contains("processes: 2 (nccl 2.28.9)") && !told.contains("warning"), "{told}");
        succeeded(&train(&by_gloo, &gloo, &more));
        assert_eq!([backend(at, &nccl), backend(at, &gloo)], ["nccl 2.28.9", "gloo"]);
        assert_eq!(history(at, &nccl), history(at, &gloo), "{precision}");
        let weights = |name: &str| fs::read(at.join(format!("models/{name}.safetensors"))).unwrap();
        assert!(weights(&nccl) == weights(&gloo), "{precision}");
        for rank in 0..2 {
            let calls = fs::read_to_string(at.join(format!("nccl.{rank}"))).unwrap();
            assert!(calls.starts_with(&format!("init 2 {rank}\nsum 7 1\n")), "{calls}");
            let gradients = calls.lines().filter(|line| line.starts_with(&format!("sum {kind} ")) && line.len() > 10);
            assert!(gradients.count() >= 2 * STEPS as usize, "{calls}");
            fs::remove_file(at.join(format!("nccl.{rank}"))).unwrap();
        }
    }
}

/// `arguments` in as many processes as there are environments, `own` beside the launcher's.
fn launch(stand_in: &StandIn, arguments: &str, own: &[&[(&str, &str)]]) -> Vec<Child> {
    let (port, size) = (free_port().to_string(), own.len().to_string());
    let words: Vec<&str> = arguments.split_whitespace().collect();
    let start = |(rank, own): (usize, &&[(&str, &str)])| {
        let mut command = stand_in.command(&words);
        command.env("RANK", rank.to_string()).env("WORLD_SIZE", &size).env("MASTER_ADDR", "127.0.0.1");
        command.env("MASTER_PORT", &port).env("GLOO_SOCKET_IFNAME", "lo").envs(own.iter().copied());
        command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap()
    };
    own.iter().enumerate().map(start).collect()
}

fn ended(processes: Vec<Child>) -> Vec<Output> {
    processes.into_iter().map(|process| process.wait_with_output().unwrap()).collect()
}

#[test]
fn no_gradient_goes_through_the_host() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let stand_in = four_gpus(at);
    let line = format!("{SMALL} -q --log-every 1000");
    let waits = |run: &str, carrier: &str| {
        let logs = [0, 1].map(|rank| at.join(format!("{run}.{rank}")));
        let own = logs.each_ref().map(|log| [("CONVNET_NCCL", carrier), ("STAND_IN_LOG", log.to_str().unwrap())]);
        let processes =
            launch(&stand_in, &format!("{line} --run {run} --name {run}"), &own.each_ref().map(|own| &own[..]));
        for output in ended(processes) {
            succeeded(&output);
        }
        let logs = logs.map(|log| Log::read(&log));
        assert!(logs.iter().all(|log| log.mismatches.is_empty() && log.ops().len() >= 2 * STEPS as usize), "{logs:?}");
        // metrics are f64
        let of_gradients = |log: &Log| log.waits(STEPS).iter().filter(|wait| wait.contains("Float[")).count();
        logs.map(|log| of_gradients(&log))
    };
    assert_eq!(waits("nccl", "1"), [0, 0]);
    assert!(waits("gloo", "0").iter().all(|&count| count >= STEPS as usize), "the test sees them where there are");
}

#[test]
fn who_is_gone_is_named_while_the_others_wait_for_a_gpu() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let log = at.join("calls").display().to_string();
    let stand_in = four_gpus(at).with("STAND_IN_NCCL_LOG", log).with("STAND_IN_NCCL", "rank 1 hang 60");
    let mut processes = launch(&stand_in, LONG, &[&[][..]; 3]);
    let calls = |rank: usize| fs::read_to_string(at.join(format!("calls.{rank}"))).unwrap_or_default().lines().count();
    assert!(wait_until(&mut processes[1], || calls(1) > 60), "it ended before it hung");
    signal(&processes[1], "-KILL");
    let killed = Instant::now();
    processes.remove(1).wait().unwrap();
    for output in ended(processes) {
        failed(&output, 5, "process 1 of 3 is gone");
    }
    assert!(killed.elapsed() < Duration::from_secs(60), "{:?}", killed.elapsed());
    let resumed = StandIn::new(at, stand_in::folder()).with("STAND_IN_DRIVER", "13000 0 2");
    let resume = ["train", "--resume", "long", "--time", "1s", "-q", "-j", "1", "--nproc", "2"];
    succeeded(&resumed.convnet(&resume));
    assert_eq!(backend(at, "long"), "nccl 2.28.9");
}

#[test]
fn sums_that_do_not_come_end_all_processes() {
    let refused = ["a sum over the processes cannot begin", "unhandled error", "the stand-in was asked to fail"];
    for (asked, words) in [
        ("rank 1 hang 60", &["has not come in 15 seconds"][..]),
        ("rank 1 apart 60", &["NCCL: a sum over the processes failed", "NCCL_DEBUG", "CONVNET_NCCL=0"]),
        ("rank 1 fail 60", &refused),
        ("rank 1 lonely 0", &["the GPUs are not connected after 15 seconds", "NCCL_DEBUG"]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let stand_in = four_gpus(folder.path()).with("STAND_IN_NCCL", asked);
        let started = Instant::now();
        for output in ended(launch(&stand_in, LONG, &[&[PATIENCE], &[PATIENCE]])) {
            words.iter().for_each(|word| failed(&output, 5, word));
        }
        assert!(started.elapsed() < Duration::from_secs(240), "{asked}: {:?}", started.elapsed());
    }
}

#[test]
fn all_processes_take_the_same_way() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let without = at.join("without");
    fs::create_dir(&without).unwrap();
    for library in ["libtorch_cuda.so", "libcuda.so.1"] {
        symlink(stand_in::folder().join(library), without.join(library)).unwrap();
    }
    let without = without.display().to_string();
    let lacking = [("LD_LIBRARY_PATH", without.as_str())];
    let old = [("STAND_IN_NCCL", "old 0")];
    let stand_in = four_gpus(at);
    let line = SMALL.replace("--epochs 2", "--epochs 1");
    for (run, own, words) in [
        ("lacking", [&[][..], &lacking], "warning: process 1 cannot use NCCL (libnccl.so.2: cannot open"),
        ("old", [&old, &old], "warning: process 0 cannot use NCCL (NCCL is older than 2.10.0: 2.9.0)"),
        ("off", [&[], &[("CONVNET_NCCL", "0")]], "warning: process 1 cannot use NCCL (CONVNET_NCCL is 0)"),
    ] {
        let outputs = ended(launch(&stand_in, &format!("{line} --run {run} --name {run}"), &own));
        outputs.iter().for_each(|output| drop(succeeded(output)));
        let told = String::from_utf8_lossy(&outputs[0].stderr).into_owned();
        assert!(told.contains(words) && told.contains("processes: 2 (gloo)"), "{told}");
        assert_eq!(backend(at, run), "gloo");
    }
}

#[test]
fn a_process_without_a_gpu_of_its_own_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let stand_in = StandIn::new(folder.path(), stand_in::folder());
    failed(&train(&stand_in, "r", &["--nproc", "2"]), 5, "there is no GPU number 1");
    let line = SMALL.replace("--device cuda", "--device auto").replace("--epochs 2", "--epochs 1");
    let outputs = ended(launch(&stand_in, &format!("{line} --run r --name r"), &[&[], &[]]));
    outputs.iter().for_each(|output| failed(output, 2, "process 1 computes on the CPU, and others on GPUs"));
    assert_eq!(fs::read_dir(folder.path().join("logs")).map_or(0, Iterator::count), 0, "no run was begun");
}

/// NCCL with one process, on a GPU (`scripts/check_device`) or on the stand-in.
#[test]
fn a_gpu_sums_with_itself() {
    let gpu = device();
    if gpu == Device::Cpu {
        return; // nothing to connect
    }
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let time = Duration::from_secs(60);
    let store = TcpStore::serve_at(listener, "test", time).unwrap();
    let (functions, version) = nccl().unwrap();
    let id = CString::new(functions.id().unwrap()).unwrap();
    let communicator = Arc::new(functions.connect(&id, 0, 1, gpu).unwrap());
    let group = GlooGroup::connect(&store, 0, 1, time).unwrap();
    group.use_gpus(Arc::clone(&communicator));
    for kind in [Kind::Float, Kind::Double, Kind::BFloat16, Kind::Int64] {
        for reduction in [Reduction::Sum, Reduction::Max] {
            let numbers = Tensor::arange(1000, (kind, gpu));
            let mut all = numbers.copy();
            group.all_reduce(&mut all, reduction).unwrap();
            assert!(all.equal(&numbers), "{kind:?} {reduction:?}, NCCL {version}");
        }
    }
    let mut bytes = Tensor::zeros([4], (Kind::Uint8, gpu));
    let error = group.all_reduce(&mut bytes, Reduction::Sum).unwrap_err();
    assert!(convnet::error::describe(&error).contains("no tensors of kind Byte"), "{error:?}");
    for is_bf16 in [false, true] {
        let weights = Tensor::ones([3, 5], (Kind::Float, gpu)).set_requires_grad(true);
        let reducer = GradientReducer::new(&group, &[&weights], 1, is_bf16).unwrap();
        let gradient = Tensor::zeros([15], (Kind::Float, gpu));
        reducer.begin(&gradient, false, true).unwrap();
        group.differentiable_sum(&(&weights * 2.0)).unwrap().sum(Kind::Float).backward();
        reducer.finish().unwrap();
        assert_eq!(Vec::<f32>::try_from(&gradient).unwrap(), [2.0; 15]);
    }
    communicator.check(time).unwrap();
    assert!(communicator.give_up(time));
    let mut numbers = Tensor::ones([4], (Kind::Float, gpu));
    let error = group.all_reduce(&mut numbers, Reduction::Sum).unwrap_err();
    assert!(convnet::error::describe(&error).contains("were given up"), "{error:?}");
}

#[test]
fn a_stand_in_sums_with_itself() {
    let mut tests = Command::new(std::env::current_exe().unwrap());
    tests.arg("nccl::a_gpu_sums_with_itself").env("LD_LIBRARY_PATH", stand_in::folder());
    tests.env("CONVNET_TEST_DEVICE", "cuda").env_remove("CUDA_VISIBLE_DEVICES").current_dir(std::env::temp_dir());
    let text = succeeded(&tests.output().unwrap());
    assert!(text.contains("1 passed"), "{text}");
}
