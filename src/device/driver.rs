//! NVIDIA's driver, asked before libtorch is: libtorch says less of what is wrong with it.

use std::ffi::{CStr, c_char, c_int, c_uint};

use super::libraries::{self, Library};

/// CUDA's major versions, and the first version of the Linux driver that each runs on (CUDA Toolkit release notes, "CUDA
/// Toolkit and Minimum Required Driver Version for CUDA Minor Version Compatibility").
const OLDEST_DRIVERS: [(u32, &str); 3] = [(11, "450"), (12, "525"), (13, "580")];

/// Results of the driver, by their numbers in `cuda.h`.
const SUCCESS: c_int = 0;
const STUB_LIBRARY: c_int = 34;
const DEVICE_UNAVAILABLE: c_int = 46;
const NO_DEVICE: c_int = 100;
const SYSTEM_NOT_READY: c_int = 802;
const SYSTEM_DRIVER_MISMATCH: c_int = 803;
const COMPAT_NOT_SUPPORTED: c_int = 804;
const UNKNOWN: c_int = 999;

/// The driver, ready to be asked.
pub struct Driver {
    library: Library,
    /// How many GPUs it shows, at least one.
    pub count: usize,
}

impl Driver {
    /// Loads and begins the driver. `cuda` is the major version of CUDA that libtorch was built for, where it is known.
    ///
    /// # Errors
    /// Why it cannot be used, a sentence.
    pub fn open(cuda: Option<u32>) -> Result<Self, String> {
        let library =
            libraries::load("libcuda.so.1", false).map_err(|reason| match reason.is_missing("libcuda.so.1") {
                true => "no NVIDIA driver (libcuda.so.1 is not there)".to_owned(),
                false => format!("the NVIDIA driver's library does not load ({reason})"),
            })?;
        let version = number(&library, c"cuDriverGetVersion")?;
        if let Some(sentence) = cuda.and_then(|cuda| too_old(version, cuda)) {
            return Err(sentence);
        }
        let visible = std::env::var("CUDA_VISIBLE_DEVICES").ok();
        // SAFETY: `CUresult cuInit(unsigned)`, made for being called at any time.
        let result = unsafe {
            let init: unsafe extern "C" fn(c_uint) -> c_int = library.symbol(c"cuInit")?;
            init(0)
        };
        if result != SUCCESS {
            return Err(refusal(result, visible.as_deref()));
        }
        match number(&library, c"cuDeviceGetCount")? {
            count @ 1.. => Ok(Driver { library, count: count as usize }),
            _ => Err(refusal(NO_DEVICE, visible.as_deref())),
        }
    }

    /// The name of the GPU number `index`.
    pub fn gpu_name(&self, index: usize) -> Option<String> {
        const MOST_BYTES: usize = 256;
        let mut name: [c_char; MOST_BYTES] = [0; MOST_BYTES];
        let mut device: c_int = 0;
        // SAFETY: `CUresult cuDeviceGet(CUdevice*, int)` and `CUresult cuDeviceGetName(char*, int, CUdevice)`, where a
        // CUdevice is an int; both write where they are told, the name with its 0.
        unsafe {
            let get: unsafe extern "C" fn(*mut c_int, c_int) -> c_int = self.library.symbol(c"cuDeviceGet").ok()?;
            let name_of: unsafe extern "C" fn(*mut c_char, c_int, c_int) -> c_int =
                self.library.symbol(c"cuDeviceGetName").ok()?;
            let found = get(&raw mut device, i32::try_from(index).ok()?) == SUCCESS
                && name_of(name.as_mut_ptr(), MOST_BYTES as c_int - 1, device) == SUCCESS;
            found.then(|| CStr::from_ptr(name.as_ptr()).to_string_lossy().into_owned())
        }
    }
}

/// The newest CUDA that the driver knows, `13.0`.
///
/// # Errors
/// Why it cannot be asked, a sentence.
pub fn cuda_version() -> Result<String, String> {
    let library = libraries::load("libcuda.so.1", false).map_err(|reason| reason.to_string())?;
    let version = number(&library, c"cuDriverGetVersion")?;
    Ok(format!("{}.{}", version / 1000, version % 1000 / 10))
}

/// What a function of the driver that gives a number gives.
fn number(library: &Library, name: &CStr) -> Result<c_int, String> {
    let mut number = 0;
    // SAFETY: `CUresult name(int*)`.
    let result = unsafe {
        let function: unsafe extern "C" fn(*mut c_int) -> c_int = library.symbol(name)?;
        function(&raw mut number)
    };
    match result {
        SUCCESS => Ok(number),
        result => Err(refusal(result, None)),
    }
}

/// Whether a driver of `version` (12080 is CUDA 12.8) is too old for CUDA `needed`: then what to do.
fn too_old(version: c_int, needed: u32) -> Option<String> {
    let (major, minor) = (version / 1000, version % 1000 / 10);
    let driver = OLDEST_DRIVERS.iter().find(|(cuda, _)| *cuda == needed).map_or("a newer one", |(_, driver)| driver);
    (major < needed as c_int).then(|| {
        format!(
            "the NVIDIA driver is too old: it goes up to CUDA {major}.{minor}, and this libtorch is built for CUDA \
             {needed}, which needs driver {driver} or newer"
        )
    })
}

/// What a result of the driver means, and what to do. `visible` is `CUDA_VISIBLE_DEVICES`.
fn refusal(result: c_int, visible: Option<&str>) -> String {
    let sentence = match (result, visible) {
        (NO_DEVICE, Some("")) => "CUDA_VISIBLE_DEVICES is empty, which hides every GPU: unset it",
        (NO_DEVICE, Some(visible)) => {
            return format!(
                "no GPU is left by CUDA_VISIBLE_DEVICES={visible}: unset it, or name one that nvidia-smi lists"
            );
        }
        (NO_DEVICE, None) => {
            "the NVIDIA driver is there, and no GPU: see nvidia-smi; a container has to be given its GPUs (docker run \
             --gpus all)"
        }
        (SYSTEM_DRIVER_MISMATCH, _) => {
            "the NVIDIA driver's library is not of the version of its kernel module (error 803), as after an update: \
             reboot"
        }
        (COMPAT_NOT_SUPPORTED, _) => {
            "CUDA's forward compatibility package does not go with this GPU (error 804): take its folder out of \
             LD_LIBRARY_PATH, or update the driver"
        }
        (SYSTEM_NOT_READY, _) => {
            "the GPUs' switches are not started (error 802): start NVIDIA's fabric manager (systemctl start \
             nvidia-fabricmanager)"
        }
        (STUB_LIBRARY, _) => {
            "the libcuda.so.1 that was found is the CUDA toolkit's stub, not the driver (error 34): take its folder out \
             of LD_LIBRARY_PATH"
        }
        (DEVICE_UNAVAILABLE, _) => "the GPU is taken by another process (error 46): see nvidia-smi",
        (UNKNOWN, _) => {
            "the NVIDIA driver fails for a reason that it does not tell (error 999), as after a suspended session or \
             without its module nvidia_uvm: modprobe nvidia_uvm, or reboot"
        }
        (result, _) => return format!("the NVIDIA driver refuses with error {result}: see nvidia-smi"),
    };
    sentence.to_owned()
}

#[cfg(test)]
mod tests;
