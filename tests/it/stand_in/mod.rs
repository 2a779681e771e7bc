//! CUDA without a GPU: stand-ins for `libtorch_cuda.so` (CUDA's device over host memory), `libcuda.so.1` and `libnccl.so.2`, built by the
//! C++ compiler against the libtorch that the program was built with. `torch_cuda.cpp` and `nccl.c` beside this file say what they do.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use convnet::metrics::Metric;

const LIBTORCH: &str = env!("CONVNET_LIBTORCH");
const SOURCES: [&str; 6] = [
    include_str!("torch_cuda.cpp"),
    include_str!("happenings.h"),
    include_str!("graph.h"),
    include_str!("cuda_graph.h"),
    include_str!("driver.c"),
    include_str!("nccl.c"),
];

/// The folder of the libraries.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let built = || build().unwrap_or_else(|reason| panic!("the stand-in for CUDA was not built: {reason}"));
    FOLDER.get_or_init(built)
}

/// Builds them once for these sources and this libtorch; tests that run at the same time wait for one another.
fn build() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stand-in");
    fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let lock = File::create(folder.join("lock")).map_err(|error| error.to_string())?;
    lock.lock().map_err(|error| error.to_string())?;
    let built_from = format!("{LIBTORCH}\n{}", SOURCES.concat());
    if fs::read_to_string(folder.join("built_from")).is_ok_and(|before| before == built_from) {
        return Ok(folder);
    }
    let source = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/stand_in").join(name);
    let torch = Path::new(LIBTORCH);
    compile(
        Command::new(std::env::var_os("CXX").unwrap_or("c++".into()))
            .args(["-std=c++17", "-O1", "-w", "-shared", "-fPIC", "-Wl,-soname,libtorch_cuda.so"])
            .arg(source("torch_cuda.cpp"))
            .arg("-I")
            .arg(torch.join("include"))
            .arg("-L")
            .arg(torch.join("lib"))
            .args(["-ltorch_cpu", "-lc10", "-o"])
            .arg(folder.join("libtorch_cuda.so")),
    )?;
    for (name, library) in [("driver.c", "libcuda.so.1"), ("nccl.c", "libnccl.so.2")] {
        compile(
            Command::new(std::env::var_os("CC").unwrap_or("cc".into()))
                .args(["-O1", "-Wall", "-shared", "-fPIC", &format!("-Wl,-soname,{library}")])
                .arg(source(name))
                .arg("-o")
                .arg(folder.join(library)),
        )?;
    }
    fs::write(folder.join("built_from"), built_from).map_err(|error| error.to_string())?;
    Ok(folder)
}

/// Runs a compiler.
pub fn compile(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// The program on the stand-in, in a folder.
pub struct StandIn<'a> {
    /// Where it runs.
    pub at: &'a Path,
    /// The stand-in's libraries.
    pub libraries: &'a Path,
    /// What is asked of the stand-in.
    pub environment: Vec<(&'static str, String)>,
}

impl<'a> StandIn<'a> {
    /// In the folder `at`, with nothing asked of it.
    pub fn new(at: &'a Path, libraries: &'a Path) -> Self {
        StandIn { at, libraries, environment: Vec::new() }
    }

    /// The same with `value` in the variable `name`.
    pub fn with(&self, name: &'static str, value: impl Into<String>) -> Self {
        let mut environment = self.environment.clone();
        environment.push((name, value.into()));
        StandIn { environment, ..*self }
    }

    /// `convnet ARGS`.
    pub fn convnet(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("the program starts")
    }

    /// `convnet ARGS`, to be started.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_convnet"));
        command.env("XDG_CACHE_HOME", self.at.join("cache")).env("LD_LIBRARY_PATH", self.libraries);
        command.env_remove("CUDA_VISIBLE_DEVICES").envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.args(args).current_dir(self.at);
        command
    }

    /// `convnet ARGS`, and what the stand-in saw.
    pub fn watched(&self, args: &[&str]) -> (Output, Log) {
        let log = tempfile::NamedTempFile::new_in(self.at).expect("a log");
        let output = self.with("STAND_IN_LOG", log.path().display().to_string()).convnet(args);
        (output, Log::read(log.path()))
    }
}

/// What the stand-in saw, step by step.
#[derive(Debug, Default)]
pub struct Log {
    steps: BTreeMap<i64, Step>,
    /// Tensors that were not on the device.
    pub mismatches: Vec<String>,
}

#[derive(Debug, Default)]
struct Step {
    ops: u64,
    /// Their names, where `STAND_IN_NAMES` is set.
    names: Vec<String>,
    waits: Vec<String>,
}

impl Log {
    /// From the file that `STAND_IN_LOG` names.
    pub fn read(path: &Path) -> Self {
        let mut log = Log::default();
        for line in fs::read_to_string(path).expect("a log").lines() {
            let mut fields = line.splitn(3, '\t');
            let mut field = || fields.next().unwrap_or_else(|| panic!("a short line: {line}"));
            let step = log.steps.entry(field().parse().expect("a number")).or_default();
            match (field(), field()) {
                ("op", name) => step.names.push(name.to_owned()),
                ("ops", count) => step.ops = count.parse().expect("a number"),
                ("wait", what) => step.waits.push(what.to_owned()),
                (_, what) => log.mismatches.push(what.to_owned()),
            }
        }
        log
    }

    /// How many operators each step had.
    pub fn ops(&self) -> Vec<u64> {
        self.steps.range(0..).map(|(_, step)| step.ops).collect()
    }

    /// The names of a step's operators, where `STAND_IN_NAMES` is set.
    pub fn names(&self, step: i64) -> &[String] {
        self.steps.get(&step).map_or(&[], |step| &step.names)
    }

    /// What the host waited for in the steps of epochs of `steps_per_epoch`, but for the last of each.
    pub fn waits(&self, steps_per_epoch: i64) -> Vec<&str> {
        let inner = self.steps.range(0..).filter(|(step, _)| (*step + 1) % steps_per_epoch != 0);
        inner.flat_map(|(_, step)| step.waits.iter().map(String::as_str)).collect()
    }

    /// What is wrong with a training of `seconds` in epochs of `steps_per_epoch` steps: a tensor elsewhere, or a step that
    /// waits. An epoch's last one does, for what follows it, and so does a step after which the progress is told, at most
    /// four times a second, for the metrics' sums: one copy.
    pub fn fault(&self, steps_per_epoch: i64, seconds: f64) -> Option<String> {
        // one copy of all sums, of more of them where there are more classes
        let is_told = |waits: &[String]| {
            let of_metrics = |count: usize| format!("copy cpu:Double[{count}] <- cuda:0:Double[{count}]");
            let told = [2, 10].map(|num_classes| of_metrics(Metric::of(num_classes).count()));
            told.iter().any(|told| waits == [told.as_str()])
        };
        let most_told = 1 + (4.0 * seconds) as usize;
        let inner = || self.steps.range(0..).filter(|(step, _)| (*step + 1) % steps_per_epoch != 0);
        let waiting = inner().find(|(_, step)| !step.waits.is_empty() && !is_told(&step.waits));
        let told = inner().filter(|(_, step)| !step.waits.is_empty()).count();
        match (self.mismatches.first(), waiting) {
            (Some(mismatch), _) => Some(format!("not on the device: {mismatch}")),
            (None, Some((step, Step { waits, .. }))) => Some(format!("step {step} waits: {waits:?}")),
            _ if told > most_told => Some(format!("told after {told} steps in {seconds} s")),
            // the last step's operators are not counted
            _ if inner().count() < 3 || inner().any(|(_, step)| step.ops < 10) => {
                Some(format!("no steps: {:?}", self.ops()))
            }
            _ => None,
        }
    }
}
