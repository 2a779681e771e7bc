//! The shared libraries of CUDA: loaded once, for the rest of the process, and only where a GPU is wanted.

use std::error::Error as _;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::fmt;
use std::path::{Path, PathBuf};
use std::ptr;

use libloading::os::unix::{Library as Loaded, RTLD_GLOBAL, RTLD_LOCAL, RTLD_NOW};

use crate::installed::Installed;

/// A library that is never unloaded.
pub struct Library(Loaded);

/// Why a library does not load, in the loader's words: `<library>: <reason>`, of the library itself or of one that it
/// needs.
pub struct NotLoaded(String);

impl NotLoaded {
    /// Whether the library called `name` itself is not there.
    pub fn is_missing(&self, name: &str) -> bool {
        self.0.starts_with(&format!("{name}: cannot open shared object file: No such file"))
    }
}

impl fmt::Display for NotLoaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Library {
    /// The function called `name`.
    ///
    /// # Safety
    /// `T` is the function's type.
    ///
    /// # Errors
    /// Where there is none, in a sentence.
    pub unsafe fn symbol<T: Copy>(&self, name: &CStr) -> Result<T, String> {
        // SAFETY: the type is the caller's promise.
        let symbol = unsafe { self.0.get::<T>(name.to_bytes_with_nul()) };
        symbol.map(|symbol| *symbol).map_err(|_| format!("a library of CUDA lacks {}", name.to_string_lossy()))
    }
}

/// Loads a library for the rest of the process; `global`: what it defines is there for libraries that come later.
pub fn load(name: impl AsRef<Path>, global: bool) -> Result<Library, NotLoaded> {
    let scope = if global { RTLD_GLOBAL } else { RTLD_LOCAL };
    // SAFETY: the driver's and libtorch's libraries run initialisers that are made for being loaded at any time.
    let library = unsafe { Loaded::open(Some(name.as_ref()), RTLD_NOW | scope) };
    let library =
        library.map_err(|error| NotLoaded(error.source().map_or_else(|| error.to_string(), ToString::to_string)))?;
    // a second handle, never closed: the library stays
    // SAFETY: as above.
    std::mem::forget(unsafe { Loaded::open(Some(name.as_ref()), RTLD_NOW | scope) });
    Ok(Library(library))
}

/// Where the library whose file's name begins with `name` is mapped into this process; none where it is not.
pub fn mapped(name: &str) -> Option<PathBuf> {
    mapped_in(&std::fs::read_to_string("/proc/self/maps").unwrap_or_default(), name)
}

fn mapped_in(maps: &str, name: &str) -> Option<PathBuf> {
    let mut paths = maps.lines().filter_map(|line| line.find('/').map(|start| Path::new(&line[start..])));
    let is_it = |path: &&Path| path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(name));
    paths.find(is_it).map(Path::to_owned)
}

/// libtorch's CUDA half.
const HALF: &str = "libtorch_cuda.so";

/// Loads libtorch's CUDA half; what it defines is there for libraries that come later.
///
/// # Errors
/// Why it does not load.
pub fn cuda_half() -> Result<Library, NotLoaded> {
    load(HALF, true)
}

/// Loads libtorch's CUDA half, then NVRTC, which compiles kernels while the program runs.
///
/// # Errors
/// Which library does not load and why, in a sentence.
pub fn load_cuda() -> Result<(), String> {
    cuda_half().map_err(|reason| {
        let advice = Installed::here().cuda_advice();
        match reason.is_missing(HALF) {
            true => format!("this libtorch is the CPU's ({HALF} is not there): {advice}"),
            false => format!("libtorch's CUDA half does not load ({reason}): {advice}"),
        }
    })?;
    load_nvrtc();
    Ok(())
}

/// NVRTC looks for its builtins by name where the loader looks, and not beside itself: it compiles nothing until they are
/// loaded by their path. Few operators need it, and they say so.
fn load_nvrtc() {
    for folder in
        ["libcudart.so", "libtorch_cuda.so"].iter().filter_map(|name| mapped(name)?.parent().map(Path::to_owned))
    {
        for name in ["libnvrtc-builtins.so.", "libnvrtc.so."] {
            if let Some(path) = file_in(&folder, name) {
                let _ = load(path, false);
            }
        }
    }
}

/// Compiles a kernel with NVRTC, as libtorch's operators do.
///
/// # Errors
/// Why it does not, in a sentence.
pub fn try_nvrtc() -> Result<(), String> {
    type Create = unsafe extern "C" fn(
        *mut *mut c_void,
        *const c_char,
        *const c_char,
        c_int,
        *const *const c_char,
        *const *const c_char,
    ) -> c_int;
    type Compile = unsafe extern "C" fn(*mut c_void, c_int, *const *const c_char) -> c_int;
    const KERNEL: &CStr = c"extern \"C\" __global__ void f(float *x) { x[0] = sinf(x[1]); }";
    // as libcaffe2_nvrtc.so needs it
    let path = mapped("libnvrtc.so.").ok_or("libnvrtc.so was not found beside CUDA's other libraries")?;
    let library = load(&path, false).map_err(|reason| reason.to_string())?;
    // SAFETY: `nvrtcResult nvrtcCreateProgram(nvrtcProgram*, const char*, const char*, int, const char* const*, const char*
    // const*)` and `nvrtcResult nvrtcCompileProgram(nvrtcProgram, int, const char* const*)`, with strings that live.
    let result = unsafe {
        let create: Create = library.symbol(c"nvrtcCreateProgram")?;
        let compile: Compile = library.symbol(c"nvrtcCompileProgram")?;
        let mut program = ptr::null_mut();
        match create(&raw mut program, KERNEL.as_ptr(), c"f.cu".as_ptr(), 0, ptr::null(), ptr::null()) {
            0 => compile(program, 0, ptr::null()),
            result => result,
        }
    };
    match result {
        0 => Ok(()),
        7 => Err("NVRTC does not find its builtins (libnvrtc-builtins.so)".to_owned()),
        result => Err(format!("NVRTC does not compile (error {result})")),
    }
}

/// The file in `folder` whose name begins with `name`.
fn file_in(folder: &Path, name: &str) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths.into_iter().find(|path| path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(name)))
}

#[cfg(test)]
mod tests;
