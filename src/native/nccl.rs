//! Sums over GPUs by NCCL, whose functions are found while the program runs.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::{self, NonNull};
use std::time::Duration;

use tch::Device;

use super::{checked, made, milliseconds, taken};
use crate::error::{Error, Result};

unsafe extern "C" {
    fn convnet_nccl_id(functions: *const NcclFunctions, text: *mut *mut c_char) -> *mut c_char;
    fn convnet_nccl_connect(
        functions: *const NcclFunctions,
        id: *const c_char,
        rank: c_int,
        size: c_int,
        gpu: i8,
        out: *mut *mut c_void,
    ) -> *mut c_char;
    fn convnet_nccl_check(communicator: *mut c_void, limit_ms: i64) -> *mut c_char;
    fn convnet_nccl_give_up(communicator: *mut c_void, patience_ms: i64, done: *mut bool) -> *mut c_char;
    fn convnet_nccl_free(communicator: *mut c_void);
}

/// NCCL's functions, as `nccl.h` there has them in that order.
const NAMES: [&CStr; 7] = [
    c"ncclGetUniqueId",
    c"ncclCommInitRank",
    c"ncclAllReduce",
    c"ncclCommAbort",
    c"ncclCommGetAsyncError",
    c"ncclGetErrorString",
    c"ncclGetLastError",
];
/// It says more of an error, and old libraries lack it.
const LACKING: &CStr = c"ncclGetLastError";

/// A function of a library, whatever its type.
pub type Symbol = *const c_void;

/// The functions of NCCL that are used.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct NcclFunctions([Symbol; NAMES.len()]);

// SAFETY: they are functions, which stay where they are, and NCCL's may be called from any thread.
unsafe impl Send for NcclFunctions {}

/// This process's GPU, connected with those of the other processes.
#[derive(Debug)]
pub struct Communicator(NonNull<c_void>);

// SAFETY: the C++ side guards it by a mutex.
unsafe impl Send for Communicator {}
// SAFETY: as above.
unsafe impl Sync for Communicator {}

impl NcclFunctions {
    /// What `symbol` finds by name.
    ///
    /// # Safety
    /// It gives functions of NCCL, 2.10 or later, which stay where they are.
    ///
    /// # Errors
    /// Those of `symbol`.
    pub unsafe fn new(mut symbol: impl FnMut(&CStr) -> Result<Symbol, String>) -> Result<Self, String> {
        let mut functions = [ptr::null(); NAMES.len()];
        for (function, name) in functions.iter_mut().zip(NAMES) {
            *function = match symbol(name) {
                Err(_) if name == LACKING => ptr::null(),
                found => found?,
            };
        }
        Ok(NcclFunctions(functions))
    }

    /// A text that the processes of a group know each other by: one asks for it, and tells the others.
    ///
    /// # Errors
    /// A device error where NCCL finds no network.
    pub fn id(&self) -> Result<String> {
        let mut id = ptr::null_mut();
        // SAFETY: the functions live, and so does `id`; it returns null or a string that is ours.
        checked(unsafe { convnet_nccl_id(self, &raw mut id) })?;
        Ok(taken(id).unwrap_or_default())
    }

    /// Connects the GPU `device` of process `rank` with those of the others of `size`, which come with the same `id`. Waits for them as
    /// long as it takes.
    ///
    /// # Errors
    /// A device error where NCCL cannot connect them, or `device` is the CPU.
    pub fn connect(&self, id: &CStr, rank: usize, size: usize, device: Device) -> Result<Communicator> {
        let Device::Cuda(gpu) = device else { return Err(Error::device("NCCL connects GPUs alone")) };
        let number = |number: usize| c_int::try_from(number).unwrap_or(c_int::MAX);
        let (gpu, mut communicator) = (i8::try_from(gpu).unwrap_or(i8::MAX), ptr::null_mut());
        // SAFETY: functions and text live, and so does `communicator`; it returns null or a string that is ours.
        checked(unsafe {
            convnet_nccl_connect(self, id.as_ptr(), number(rank), number(size), gpu, &raw mut communicator)
        })?;
        Ok(Communicator(made(communicator)))
    }
}

impl Communicator {
    /// Looks whether all is well with the sums, without waiting for them.
    ///
    /// # Errors
    /// A device error where NCCL has noticed a failure, or the sums have not gone on for `limit`, looked at often enough.
    pub fn check(&self, limit: Duration) -> Result<()> {
        // SAFETY: the communicator lives; it returns null or a string that is ours.
        checked(unsafe { convnet_nccl_check(self.0.as_ptr(), milliseconds(limit)) })
    }

    /// Ends all sums that are under way, so that nobody waits for them any more: what they leave is wrong, and no other one can begin.
    /// Whether that is done: it is not where another thread was within NCCL for all of `patience`.
    pub fn give_up(&self, patience: Duration) -> bool {
        let mut done = false;
        // SAFETY: the communicator lives, and so does `done`; it returns null or a string that is ours.
        let ended = checked(unsafe { convnet_nccl_give_up(self.0.as_ptr(), milliseconds(patience), &raw mut done) });
        ended.is_ok() && done
    }

    pub(super) fn as_ptr(&self) -> *mut c_void {
        self.0.as_ptr()
    }
}

impl Drop for Communicator {
    fn drop(&mut self) {
        // SAFETY: it was made by the C++ side, and is not used again.
        unsafe { convnet_nccl_free(self.0.as_ptr()) }
    }
}
