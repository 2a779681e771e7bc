//! Which device computes, and why not CUDA where it is not used.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use tch::{Cuda, Device};

use crate::error::{Error, Result};
use crate::native;

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
    /// Where the choice was `auto` and fell on the CPU: why.
    pub why_not_cuda: Option<String>,
}

/// Turns the user's choice into a device that works. Call it before anything else that uses libtorch.
///
/// # Errors
/// A device error with the reason, where CUDA was asked for and cannot be used.
pub fn select(choice: DeviceChoice) -> Result<Selected> {
    let cpu = |why_not_cuda| Selected { device: Device::Cpu, name: "cpu".into(), why_not_cuda };
    let number = match choice {
        DeviceChoice::Cpu => return Ok(cpu(None)),
        DeviceChoice::Auto => 0,
        DeviceChoice::Cuda(number) => number,
    };
    match cuda_devices() {
        Ok(count) if number < *count => {
            Ok(Selected { device: Device::Cuda(number), name: format!("cuda:{number}"), why_not_cuda: None })
        }
        Ok(count) => Err(Error::device(format!("there is no GPU number {number}"))
            .expected(format!("cuda:0 to cuda:{}", count - 1))
            .got(choice)),
        Err(reason) if choice == DeviceChoice::Auto => Ok(cpu(Some(reason.clone()))),
        Err(reason) => {
            Err(Error::device("CUDA cannot be used").got(reason).help("use --device cpu, or see: convnet doctor"))
        }
    }
}

/// How many GPUs libtorch can use (at least one), or why none. Loads libtorch's CUDA half, once.
pub fn cuda_devices() -> &'static Result<usize, String> {
    static DEVICES: OnceLock<Result<usize, String>> = OnceLock::new();
    DEVICES.get_or_init(|| {
        load_library("libcuda.so.1", false).map_err(|_| "no NVIDIA driver (libcuda.so.1 is not there)".to_owned())?;
        load_library("libtorch_cuda.so", true).map_err(|error| {
            format!("libtorch's CUDA half does not load ({error}); scripts/setup --cuda fetches it")
        })?;
        match usize::try_from(Cuda::device_count()) {
            Ok(count) if count > 0 && Cuda::is_available() => Ok(count),
            _ => Err("the NVIDIA driver shows no usable GPU (see nvidia-smi)".to_owned()),
        }
    })
}

/// Loads a shared library for the rest of the process.
#[cfg(unix)]
fn load_library(name: &str, global: bool) -> Result<(), libloading::Error> {
    use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_LOCAL, RTLD_NOW};
    let scope = if global { RTLD_GLOBAL } else { RTLD_LOCAL };
    // SAFETY: the driver's and libtorch's libraries run initialisers that are made for being loaded at any time; they are
    // never unloaded.
    let library = unsafe { Library::open(Some(name), RTLD_NOW | scope)? };
    std::mem::forget(library);
    Ok(())
}

/// Settings that make libtorch fast on this machine, without changing results: call once, first. f32 is f32 on CUDA too,
/// until [`native::allow_tf32`] says otherwise.
///
/// `num_threads`: how many threads an operator may use on the CPU; `None` leaves libtorch's choice, one per core.
///
/// # Errors
/// A device error where libtorch refuses.
pub fn configure(num_threads: Option<usize>) -> Result<()> {
    keep_freed_memory();
    if let Some(threads) = num_threads.and_then(|threads| i32::try_from(threads).ok()) {
        tch::set_num_threads(threads);
    }
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
mod tests {
    use super::*;

    #[test]
    fn choices_read_and_print() {
        for (text, choice) in [
            ("auto", DeviceChoice::Auto),
            ("cpu", DeviceChoice::Cpu),
            ("cuda:0", DeviceChoice::Cuda(0)),
            ("cuda:3", DeviceChoice::Cuda(3)),
        ] {
            assert_eq!(text.parse(), Ok(choice));
            assert_eq!(choice.to_string(), text);
        }
        assert_eq!("cuda".parse(), Ok(DeviceChoice::Cuda(0)));
        for wrong in ["", "gpu", "cuda:", "cuda:-1", "cuda:x", "CPU"] {
            assert!(wrong.parse::<DeviceChoice>().is_err(), "{wrong}");
        }
    }
}
