//! Work on a GPU, recorded once and done again by one launch: a CUDA graph, by libtorch's own class, whose functions are found while the
//! program runs.

use std::ffi::{CStr, c_char, c_void};
use std::ptr::{self, NonNull};

use tch::{Device, Tensor};

use super::{Symbol, checked, guarded, made};
use crate::error::{Error, Result};

unsafe extern "C" {
    fn convnet_graph_begin(functions: *const GraphFunctions, gpu: i8, out: *mut *mut c_void) -> *mut c_char;
    fn convnet_graph_end(graph: *mut c_void) -> *mut c_char;
    fn convnet_graph_replay(graph: *mut c_void) -> *mut c_char;
    fn convnet_graph_free(graph: *mut c_void);
    fn convnet_set_numbers(to: *const c_void, numbers: *const f32, count: i64) -> *mut c_char;
}

/// `at::cuda::CUDAGraph`'s constructor, destructor, `capture_begin`, `capture_end` and `replay`, as libtorch 2.11's library has them:
/// `nm -D libtorch_cuda.so`.
pub const GRAPH_SYMBOLS: [&CStr; 5] = [
    c"_ZN2at4cuda9CUDAGraphC1Eb",
    c"_ZN2at4cuda9CUDAGraphD1Ev",
    c"_ZN2at4cuda9CUDAGraph13capture_beginESt4pairIyyE21cudaStreamCaptureMode",
    c"_ZN2at4cuda9CUDAGraph11capture_endEv",
    c"_ZN2at4cuda9CUDAGraph6replayEv",
];

/// The functions of libtorch that record.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct GraphFunctions([Symbol; GRAPH_SYMBOLS.len()]);

/// Recorded work, with the memory that it computes in.
#[derive(Debug)]
pub struct Graph(NonNull<c_void>);

impl GraphFunctions {
    /// What `symbol` finds by name.
    ///
    /// # Safety
    /// It gives functions of the libtorch that this program runs on, which stay where they are.
    ///
    /// # Errors
    /// Those of `symbol`.
    pub unsafe fn new(mut symbol: impl FnMut(&CStr) -> Result<Symbol, String>) -> Result<Self, String> {
        let mut functions = [ptr::null(); GRAPH_SYMBOLS.len()];
        for (function, name) in functions.iter_mut().zip(GRAPH_SYMBOLS) {
            *function = symbol(name)?;
        }
        Ok(GraphFunctions(functions))
    }

    /// Records what `action` has the GPU `device` do, which it does not do yet. Tensors that were there before are read and written where
    /// they lie whenever it is done again, and so are those that `action` returns; numbers on the host are those of now for ever. The
    /// generator of `device` draws by the seed that it has when the graph is [replayed](Graph::replay). Waits for the GPU.
    ///
    /// # Errors
    /// Those of `action`; a device error where it does what cannot be recorded, such as to wait for the GPU, or `device` is the CPU.
    pub fn record<T>(&self, device: Device, action: impl FnOnce() -> Result<T>) -> Result<(Graph, T)> {
        let Device::Cuda(gpu) = device else { return Err(Error::device("GPUs alone record what they do")) };
        let (gpu, mut graph) = (i8::try_from(gpu).unwrap_or(i8::MAX), ptr::null_mut());
        // SAFETY: the functions live, and so does `graph`; it returns null or a string that is ours.
        checked(unsafe { convnet_graph_begin(self, gpu, &raw mut graph) })?;
        let graph = Graph(made(graph));
        let result = guarded(action);
        // SAFETY: the graph lives; it returns null or a string that is ours.
        let ended = checked(unsafe { convnet_graph_end(graph.0.as_ptr()) });
        // what `action` failed at says more than that nothing was recorded
        let result = result?;
        ended?;
        Ok((graph, result))
    }
}

impl Graph {
    /// Has the GPU do what was recorded, behind what it is doing. Does not wait for it.
    ///
    /// # Errors
    /// A device error where the GPU fails.
    pub fn replay(&self) -> Result<()> {
        // SAFETY: the graph lives and was recorded to its end; it returns null or a string that is ours.
        checked(unsafe { convnet_graph_replay(self.0.as_ptr()) })
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        // SAFETY: it was made by the C++ side, and is not used again.
        unsafe { convnet_graph_free(self.0.as_ptr()) }
    }
}

/// Begins to copy `numbers` into `to`, `f32` of as many on a GPU, behind what it is doing. Does not wait for it.
///
/// # Errors
/// A device error where libtorch fails, or the counts differ.
pub fn set_numbers(to: &mut Tensor, numbers: &[f32]) -> Result<()> {
    // SAFETY: the tensor and the numbers live, and are read before it returns null or a string that is ours.
    checked(unsafe { convnet_set_numbers(to.as_ptr().cast(), numbers.as_ptr(), numbers.len() as i64) })
}
