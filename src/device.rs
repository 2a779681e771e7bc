//! Which device computes, and why not CUDA where it is not used.

mod config;
mod driver;
pub mod libraries;
mod memory;
#[cfg(target_os = "linux")]
mod spinning;
pub mod threads;

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use tch::{Cuda, Device, Kind, Tensor};

pub use config::DeviceConfig;
pub use driver::cuda_version as driver_cuda_version;
pub use memory::peak_memory;

use crate::error::{Error, Result, describe};
use crate::libtorch;
use crate::native;
use driver::Driver;

/// What the user asked for: `auto`, `cpu`, `cuda` or `cuda:N`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DeviceChoice {
    /// CUDA where it can be used, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// A GPU by its number.
    Cuda(usize),
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("expected auto, cpu, cuda or cuda:N, got '{text}'");
        match text {
            "auto" => Ok(DeviceChoice::Auto),
            "cpu" => Ok(DeviceChoice::Cpu),
            "cuda" => Ok(DeviceChoice::Cuda(0)),
            _ => {
                let number = text.strip_prefix("cuda:").ok_or_else(wrong)?;
                number.parse().map(DeviceChoice::Cuda).map_err(|_| wrong())
            }
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeviceChoice::Auto => f.write_str("auto"),
            DeviceChoice::Cpu => f.write_str("cpu"),
            DeviceChoice::Cuda(number) => write!(f, "cuda:{number}"),
        }
    }
}

impl TryFrom<String> for DeviceChoice {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<DeviceChoice> for String {
    fn from(choice: DeviceChoice) -> Self {
        choice.to_string()
    }
}

/// The device to compute on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selected {
    /// As tch has it.
    pub device: Device,
    /// `cpu` or `cuda:N`.
    pub name: String,
    /// The GPU's name, as its driver tells it.
    pub gpu: Option<String>,
    /// Where the choice was `auto` and fell on the CPU: why.
    pub why_not_cuda: Option<String>,
}

/// The GPUs that can be used.
pub struct Gpus {
    driver: Driver,
    /// How many, at least one.
    pub count: usize,
}

impl Gpus {
    /// The name of the GPU number `index`, as its driver tells it.
    pub fn name(&self, index: usize) -> Option<String> {
        self.driver.gpu_name(index)
    }
}

/// Turns the user's choice into a device that works: a GPU has computed something. Call it before anything else that uses
/// libtorch.
///
/// # Errors
/// A device error with the reason, where CUDA was asked for and cannot be used.
pub fn select(choice: DeviceChoice) -> Result<Selected> {
    select_behind(choice, 0)
}

/// As [`select`], the GPU so many numbers behind the chosen one: each process of a machine has its own.
///
/// # Errors
/// As [`select`].
pub fn select_behind(choice: DeviceChoice, behind: usize) -> Result<Selected> {
    let cpu = |why_not_cuda| Selected { device: Device::Cpu, name: "cpu".into(), gpu: None, why_not_cuda };
    let number = match choice {
        DeviceChoice::Cpu => return Ok(cpu(None)),
        DeviceChoice::Auto => behind,
        DeviceChoice::Cuda(number) => number + behind,
    };
    let gpu = || -> Result<Selected> {
        let gpus = gpus().as_ref().map_err(|reason| Error::device("CUDA cannot be used").because(reason.clone()))?;
        if number >= gpus.count {
            return Err(Error::device(format!("there is no GPU number {number}"))
                .expected(format!("cuda:0 to cuda:{}", gpus.count - 1))
                .got(choice));
        }
        let device = Device::Cuda(number);
        try_out(device)?;
        Ok(Selected { device, name: format!("cuda:{number}"), gpu: gpus.name(number), why_not_cuda: None })
    };
    match gpu() {
        Err(error) if choice == DeviceChoice::Auto => Ok(cpu(Some(error.reason()))),
        Err(error) if error.advice().is_none() => Err(error.help("use `device = 'cpu'`, or see: convnet doctor")),
        selected => selected,
    }
}

/// Computes something small on `device`: a GPU that its driver shows may yet refuse.
///
/// # Errors
/// A device error where it fails or gives a wrong number.
pub fn try_out(device: Device) -> Result<()> {
    native::guarded(|| {
        let numbers = Tensor::arange(1024, (Kind::Float, device)) * 2.0 + 1.0;
        let sum = numbers.sum(Kind::Double).double_value(&[]);
        match sum == 1024.0 * 1024.0 {
            true => Ok(()),
            false => Err(Error::device("the GPU computes wrong numbers").expected(1024 * 1024).got(sum)),
        }
    })
}

/// The GPUs that libtorch can use, or why none. Loads the driver and libtorch's CUDA half, once.
pub fn gpus() -> &'static Result<Gpus, String> {
    static GPUS: OnceLock<Result<Gpus, String>> = OnceLock::new();
    GPUS.get_or_init(|| {
        let libtorch = libraries::mapped("libtorch_cpu.so");
        // <libtorch>/lib/libtorch_cpu.so
        let folder = libtorch.as_deref().and_then(|library| library.parent()?.parent());
        let driver = Driver::open(folder.and_then(libtorch::cuda_version))?;
        libraries::load_cuda()?;
        let none = "libtorch's CUDA half finds no GPU, though the NVIDIA driver shows one (see nvidia-smi)";
        let count = native::guarded(|| Ok(if Cuda::is_available() { Cuda::device_count() } else { 0 }));
        match count.map_err(|error| describe(&error))? {
            count @ 1.. => Ok(Gpus { count: driver.count.min(count as usize), driver }),
            _ => Err(none.to_owned()),
        }
    })
}

/// Settings that make libtorch fast on this machine, without changing results: call once, first, on the thread that computes.
/// f32 is f32 on CUDA too, until [`native::allow_tf32`] says otherwise.
///
/// `num_threads`: how many threads an operator may use on the CPU, and as many read and decode images beside them
/// ([`threads`]); `None` is one for each processor that this process may use, by its affinity and its cgroup's quota.
///
/// # Errors
/// A device error where libtorch refuses, an internal one where the system gives no threads.
pub fn configure(num_threads: Option<usize>) -> Result<()> {
    keep_freed_memory();
    let most = i32::try_from(threads::num_processors()).unwrap_or(i32::MAX);
    match num_threads.and_then(|threads| i32::try_from(threads).ok()) {
        Some(threads) => tch::set_num_threads(threads),
        None if tch::get_num_threads() > most => tch::set_num_threads(most),
        None => {}
    }
    threads::configure(num_threads)?;
    #[cfg(target_os = "linux")]
    spinning::watch();
    native::allow_tf32(false)
}

/// Keeps glibc from giving memory back to the system and mapping it anew in every step: libtorch's temporaries are large.
/// Measured on two cores, default CNN, batch 128: 1.2 to 1.6 times the speed.
fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        const LARGEST_MMAP_THRESHOLD: libc::c_int = 1 << 30;
        // SAFETY: mallopt only sets the allocator's parameters; no other thread allocates yet.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD);
            libc::mallopt(libc::M_TRIM_THRESHOLD, libc::c_int::MAX);
            libc::mallopt(libc::M_TOP_PAD, 64 << 20);
        }
    }
}

#[cfg(test)]
mod tests;
