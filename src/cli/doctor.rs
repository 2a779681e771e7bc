//! `convnet doctor`: which parts of libtorch and of the machine are used, which are not and why.

use serde::Serialize;
use tch::Device;

use super::{output, spelling};
use convnet::device::{self, libraries};
use convnet::installed::Installed;
use convnet::libtorch::{self, EXPECTED_VERSION};

/// What `convnet doctor` is told.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

/// One feature, and whether it is used.
#[derive(Debug, Serialize)]
struct Feature {
    what: &'static str,
    used: bool,
    detail: String,
}

impl Feature {
    fn new(what: &'static str, used: bool, detail: impl Into<String>) -> Self {
        Feature { what, used, detail: detail.into() }
    }
}

/// Prints one row per feature of libtorch and the machine: whether it is used, and why not.
///
/// # Errors
/// Where stdout takes nothing.
pub fn run(args: Args) -> anyhow::Result<()> {
    device::configure(None)?;
    let mut rows = vec![libtorch_row()];
    rows.extend(cuda());
    rows.extend(cpu(&read("/proc/cpuinfo")));
    rows.extend(libraries());
    match args.json {
        true => output::json(&rows)?,
        false => output::result(&table(&rows))?,
    }
    Ok(())
}

/// The text of one of the kernel's files; empty on systems that have none.
fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn libtorch_row() -> Feature {
    let library = libraries::mapped("libtorch_cpu.so");
    // <libtorch>/lib/libtorch_cpu.so
    let found = library.as_deref().and_then(|library| libtorch::version(library.parent()?.parent()?));
    let place = library.map_or("an unknown place".into(), |library| library.display().to_string());
    let detail = match found {
        Some((version, _)) if version == EXPECTED_VERSION => format!("{version} from {place}"),
        Some((version, _)) => format!(
            "{version} from {place}, and this program goes with {EXPECTED_VERSION} only: {}",
            Installed::here().libtorch_advice()
        ),
        None => format!("{EXPECTED_VERSION} expected; {place} does not tell its version"),
    };
    Feature::new("libtorch", true, detail)
}

/// The GPU, what is missing where none is used, and NVRTC where libtorch's CUDA half loads.
fn cuda() -> Vec<Feature> {
    let mut rows = Vec::new();
    match device::gpus() {
        Ok(gpus) => {
            let name = gpus.name(0).unwrap_or("a GPU without a name".into());
            let others = match gpus.count {
                1 => String::new(),
                count => format!(", one of {count} GPUs; --device cuda:N chooses another"),
            };
            rows.push(match device::try_out(Device::Cuda(0)) {
                Ok(()) => Feature::new("CUDA", true, format!("{name}{others}")),
                Err(error) => Feature::new("CUDA", false, format!("{name}{others}: {}", spelling::describe(&error))),
            });
        }
        Err(reason) => {
            let help = "without a GPU, nothing to do";
            rows.push(Feature::new("CUDA", false, format!("{reason}; {help}")));
        }
    }
    // without a driver, too: what is to be fetched is then known before there is one
    rows.push(match libraries::load_cuda() {
        Ok(()) => Feature::new("libtorch's CUDA half", true, "loads"),
        Err(reason) => Feature::new("libtorch's CUDA half", false, reason),
    });
    if rows[1].used {
        rows.push(match libraries::try_nvrtc() {
            Ok(()) => Feature::new("NVRTC", true, "compiles kernels"),
            Err(reason) => Feature::new("NVRTC", false, format!("{reason}; few operators need it")),
        });
    }
    rows
}

/// From the text of `/proc/cpuinfo`.
fn cpu(cpuinfo: &str) -> Vec<Feature> {
    let field = |name: &str| {
        let lines = cpuinfo.lines().filter_map(|line| line.split_once(':'));
        lines.into_iter().find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim())
    };
    let flags: Vec<&str> = field("flags").unwrap_or_default().split_whitespace().collect();
    let feature = |name: &'static str, needs_bf16: bool| match (flags.contains(&name), needs_bf16) {
        (false, _) => Feature::new(name, false, "the CPU does not have it, or the system does not show it"),
        (true, false) => Feature::new(name, true, "the CPU has it; libtorch chooses its kernels by it"),
        (true, true) => Feature::new(name, false, "the CPU has it; only computing in bfloat16 uses it"),
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = tch::get_num_threads();
    vec![
        Feature::new("CPU", true, field("model name").unwrap_or("its name is not shown by the system")),
        feature("avx2", false),
        feature("avx512f", false),
        feature("avx512_bf16", true),
        feature("amx_bf16", true),
        Feature::new("threads", true, format!("{threads} of {cores} cores; --threads changes it")),
    ]
}

fn libraries() -> Vec<Feature> {
    let built_in = |what, present, purpose: &str| {
        let state = if present { "in this libtorch" } else { "not in this libtorch" };
        Feature::new(what, present, format!("{state}: {purpose}"))
    };
    let tuned = cfg!(all(target_os = "linux", target_env = "gnu"));
    let allocator = match tuned {
        true => "glibc keeps freed memory for the next step",
        false => "only glibc on Linux is tuned",
    };
    vec![
        built_in("oneDNN", tch::utils::has_mkldnn(), "convolutions on the CPU"),
        built_in("MKL", tch::utils::has_mkl(), "matrix products on the CPU"),
        built_in("OpenMP", tch::utils::has_openmp(), "several threads an operator"),
        Feature::new("allocator tuning", tuned, allocator),
    ]
}

fn table(rows: &[Feature]) -> String {
    let width = rows.iter().map(|row| row.what.len()).max().unwrap_or(0);
    let line = |row: &Feature| {
        let used = if row.used { "used" } else { "not used" };
        format!("{:<width$}  {used:<8}  {}\n", row.what, row.detail)
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests;
