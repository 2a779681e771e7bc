//! Several processes that train together: the store where they meet, sums over all of them, and the gradient's, by c10d and its Gloo,
//! which are part of libtorch, and by NCCL where each has a GPU.

use std::ffi::{CString, c_char, c_int, c_void};
use std::net::TcpListener;
use std::os::fd::IntoRawFd;
use std::ptr::{self, NonNull};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tch::Tensor;

use super::nccl::Communicator;
use super::{checked, made, milliseconds, taken};
use crate::error::{Error, Result};

unsafe extern "C" {
    fn convnet_store_new(
        host: *const c_char,
        port: u16,
        serves: bool,
        listening: c_int,
        prefix: *const c_char,
        timeout_ms: i64,
        out: *mut *mut c_void,
    ) -> *mut c_char;
    fn convnet_store_free(store: *mut c_void);
    fn convnet_store_set(store: *mut c_void, key: *const c_char, value: *const c_char) -> *mut c_char;
    fn convnet_store_get(store: *mut c_void, key: *const c_char, value: *mut *mut c_char) -> *mut c_char;
    fn convnet_store_add(store: *mut c_void, key: *const c_char, amount: i64, sum: *mut i64) -> *mut c_char;
    fn convnet_group_new(
        store: *mut c_void,
        rank: c_int,
        size: c_int,
        timeout_ms: i64,
        out: *mut *mut c_void,
    ) -> *mut c_char;
    fn convnet_group_free(group: *mut c_void);
    fn convnet_group_disconnect(group: *mut c_void) -> *mut c_char;
    fn convnet_group_use_gpus(group: *mut c_void, gpus: *mut c_void);
    fn convnet_all_reduce(group: *mut c_void, tensor: *mut c_void, is_bf16: bool, is_maximum: bool) -> *mut c_char;
    fn convnet_all_reduce_begin(
        group: *mut c_void,
        tensor: *const c_void,
        is_maximum: bool,
        out: *mut *mut c_void,
    ) -> *mut c_char;
    fn convnet_all_reduce_finish(under_way: *mut c_void) -> *mut c_char;
    fn convnet_all_reduce_free(under_way: *mut c_void);
    fn convnet_differentiable_sum(group: *mut c_void, x: *const c_void, out: *mut *mut c_void) -> *mut c_char;
    fn convnet_reducer_new(
        group: *mut c_void,
        parameters: *const *mut c_void,
        count: usize,
        bucket_size: i64,
        is_bf16: bool,
        out: *mut *mut c_void,
    ) -> *mut c_char;
    fn convnet_reducer_arm(reducer: *mut c_void, gradient: *const c_void, adds: bool, sums: bool) -> *mut c_char;
    fn convnet_reducer_finish(reducer: *mut c_void) -> *mut c_char;
    fn convnet_reducer_free(reducer: *mut c_void);
}

/// Names and values that all processes see: c10d's TCPStore.
#[derive(Debug)]
pub struct TcpStore(NonNull<c_void>);

// SAFETY: TCPStore guards its connection by a mutex of its own.
unsafe impl Send for TcpStore {}
// SAFETY: as above.
unsafe impl Sync for TcpStore {}

/// How values of all processes become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reduction {
    /// Their sum.
    Sum,
    /// The largest.
    Max,
}

/// This process's connections with the others of a training: c10d's ProcessGroupGloo, and NCCL for what lies on a GPU.
#[derive(Debug)]
pub struct GlooGroup {
    group: NonNull<c_void>,
    /// The group uses it.
    gpus: OnceLock<Arc<Communicator>>,
}

// SAFETY: calls come from one thread at a time; Gloo's threads are its own.
unsafe impl Send for GlooGroup {}
// SAFETY: ProcessGroupGloo queues its work behind a mutex.
unsafe impl Sync for GlooGroup {}

/// A tensor on its way to becoming one of all processes, while this one goes on.
#[derive(Debug)]
pub struct ReductionUnderWay {
    handle: NonNull<c_void>,
    tensor: Tensor,
}

/// Sums the gradients of some parameters over all processes while the backward pass still goes on.
#[derive(Debug)]
pub struct GradientReducer(NonNull<c_void>);

fn text(text: &str) -> Result<CString> {
    CString::new(text).map_err(|error| Error::internal("a text for other processes has a zero byte").because(error))
}

impl TcpStore {
    /// The store at `host` and `port`, which this process `serves` or connects to, for at most `timeout`. All its keys begin with
    /// `prefix`.
    ///
    /// # Errors
    /// A device error where the port is taken, or nobody serves it.
    pub fn open(host: &str, port: u16, serves: bool, prefix: &str, timeout: Duration) -> Result<Self> {
        Self::new(host, port, serves, -1, prefix, timeout)
    }

    /// A store of this process at `listener`'s address, of an IPv4 host: nobody reaches it from elsewhere than that allows.
    ///
    /// # Errors
    /// A device error where it cannot be served there.
    pub fn serve_at(listener: TcpListener, prefix: &str, timeout: Duration) -> Result<Self> {
        let unknown = |error| Error::device("the processes' meeting place has no address").because(error);
        let address = listener.local_addr().map_err(unknown)?;
        Self::new(&address.ip().to_string(), address.port(), true, listener.into_raw_fd(), prefix, timeout)
    }

    fn new(host: &str, port: u16, serves: bool, listening: c_int, prefix: &str, timeout: Duration) -> Result<Self> {
        let (host, prefix, time, mut store) = (text(host)?, text(prefix)?, milliseconds(timeout), ptr::null_mut());
        // SAFETY: the texts live, and so does `store`; the socket is the store's from now on. It returns null or a string that is ours.
        checked(unsafe {
            convnet_store_new(host.as_ptr(), port, serves, listening, prefix.as_ptr(), time, &raw mut store)
        })?;
        Ok(TcpStore(made(store)))
    }

    /// Gives `key` a value.
    ///
    /// # Errors
    /// A device error where nobody serves the store any more.
    pub fn set(&self, key: &str, value: &str) -> Result<()> {
        let (key, value) = (text(key)?, text(value)?);
        // SAFETY: the store and the texts live; it returns null or a string that is ours.
        checked(unsafe { convnet_store_set(self.0.as_ptr(), key.as_ptr(), value.as_ptr()) })
    }

    /// The value of `key`; none where it has none yet.
    ///
    /// # Errors
    /// As [`TcpStore::set`].
    pub fn get(&self, key: &str) -> Result<Option<String>> {
        let (key, mut value) = (text(key)?, ptr::null_mut());
        // SAFETY: the store and the text live, and so does `value`; it returns null or a string that is ours.
        checked(unsafe { convnet_store_get(self.0.as_ptr(), key.as_ptr(), &raw mut value) })?;
        Ok(taken(value))
    }

    /// Adds `amount` to the number of `key`, which begins at 0, and gives the sum.
    ///
    /// # Errors
    /// As [`TcpStore::set`].
    pub fn add(&self, key: &str, amount: i64) -> Result<i64> {
        let (key, mut sum) = (text(key)?, 0);
        // SAFETY: the store and the text live, and so does `sum`; it returns null or a string that is ours.
        checked(unsafe { convnet_store_add(self.0.as_ptr(), key.as_ptr(), amount, &raw mut sum) })?;
        Ok(sum)
    }
}

impl Drop for TcpStore {
    fn drop(&mut self) {
        // SAFETY: it was made by the C++ side, and is not used again.
        unsafe { convnet_store_free(self.0.as_ptr()) }
    }
}

impl GlooGroup {
    /// Connects process `rank` with the others of `size`, which come to the same store. A call that takes longer than `timeout`
    /// fails.
    ///
    /// # Errors
    /// A device error where another does not come, or cannot be reached.
    pub fn connect(store: &TcpStore, rank: usize, size: usize, timeout: Duration) -> Result<Self> {
        let number = |number: usize| c_int::try_from(number).unwrap_or(c_int::MAX);
        let mut group = ptr::null_mut();
        // SAFETY: the store lives, and so does `group`; it returns null or a string that is ours.
        checked(unsafe {
            convnet_group_new(store.0.as_ptr(), number(rank), number(size), milliseconds(timeout), &raw mut group)
        })?;
        Ok(GlooGroup { group: made(group), gpus: OnceLock::new() })
    }

    /// Closes the connections: calls of the others that wait for this process fail at once, and so do this process's own from now on.
    ///
    /// # Errors
    /// A device error where libtorch fails.
    pub fn disconnect(&self) -> Result<()> {
        // SAFETY: the group lives; it returns null or a string that is ours.
        checked(unsafe { convnet_group_disconnect(self.group.as_ptr()) })
    }

    /// Has tensors on a GPU be summed there, by `gpus`, which connects the same processes: all do this at the same place, once.
    pub fn use_gpus(&self, gpus: Arc<Communicator>) {
        let gpus = self.gpus.get_or_init(|| gpus);
        // SAFETY: both live, and the communicator as long as the group.
        unsafe { convnet_group_use_gpus(self.group.as_ptr(), gpus.as_ptr()) }
    }

    /// Puts the sum over all processes, or the largest values, into `tensor`, contiguous, of any shape. Every process calls this with
    /// tensors of one shape and kind, in one order. Waits for the others, and where the tensor lies on a GPU for that; but not where
    /// GPUs are connected ([`GlooGroup::use_gpus`]): then the GPU waits, before whatever is done with the tensor next, which is f32,
    /// f64, bf16 or i64.
    ///
    /// # Errors
    /// A device error where another process is gone, or does not call it in time, or GPUs do not sum tensors of that kind.
    pub fn all_reduce(&self, tensor: &mut Tensor, reduction: Reduction) -> Result<()> {
        let is_maximum = reduction == Reduction::Max;
        // SAFETY: group and tensor live; it returns null or a string that is ours.
        checked(unsafe { convnet_all_reduce(self.group.as_ptr(), tensor.as_mut_ptr().cast(), false, is_maximum) })
    }

    /// Begins with what [`GlooGroup::all_reduce`] does to `tensor`, on the CPU, and goes on meanwhile. The group has to outlive it.
    ///
    /// # Errors
    /// A device error where libtorch fails.
    pub fn begin_all_reduce(&self, tensor: Tensor, reduction: Reduction) -> Result<ReductionUnderWay> {
        let (is_maximum, mut handle) = (reduction == Reduction::Max, ptr::null_mut());
        // SAFETY: group and tensor live, and so does `handle`; it returns null or a string that is ours.
        checked(unsafe {
            convnet_all_reduce_begin(self.group.as_ptr(), tensor.as_ptr().cast(), is_maximum, &raw mut handle)
        })?;
        Ok(ReductionUnderWay { handle: made(handle), tensor })
    }

    /// The sum over all processes of `x`, of any shape, as a tensor through which gradients go: that of `x` is the sum of theirs.
    ///
    /// # Errors
    /// As [`GlooGroup::all_reduce`].
    pub fn differentiable_sum(&self, x: &Tensor) -> Result<Tensor> {
        let mut sum = ptr::null_mut();
        // SAFETY: group and tensor live, and so does `sum`; it returns null or a string that is ours.
        checked(unsafe { convnet_differentiable_sum(self.group.as_ptr(), x.as_ptr().cast(), &raw mut sum) })?;
        // SAFETY: a new tensor, which nobody else has.
        Ok(unsafe { Tensor::from_ptr(sum.cast()) })
    }
}

impl ReductionUnderWay {
    /// Waits for the others, and gives the tensor back.
    ///
    /// # Errors
    /// As [`GlooGroup::all_reduce`].
    pub fn finish(self) -> Result<Tensor> {
        // SAFETY: the handle lives; it returns null or a string that is ours.
        checked(unsafe { convnet_all_reduce_finish(self.handle.as_ptr()) })?;
        Ok(self.tensor.shallow_clone())
    }
}

impl Drop for ReductionUnderWay {
    fn drop(&mut self) {
        // SAFETY: it was made by the C++ side, and is not used again.
        unsafe { convnet_all_reduce_free(self.handle.as_ptr()) }
    }
}

impl Drop for GlooGroup {
    fn drop(&mut self) {
        // SAFETY: it was made by the C++ side, and is not used again.
        unsafe { convnet_group_free(self.group.as_ptr()) }
    }
}

impl GradientReducer {
    /// For `parameters`, which lie one after the other in a flat tensor, as their gradients will, f32 `[P]`, kernels channels-last. They
    /// are summed in buckets of at least `bucket_size` numbers, in bf16 where `is_bf16`. `group` has to outlive it.
    ///
    /// # Errors
    /// A device error where libtorch fails.
    pub fn new(group: &GlooGroup, parameters: &[&Tensor], bucket_size: usize, is_bf16: bool) -> Result<Self> {
        let pointers: Vec<*mut c_void> =
            parameters.iter().map(|parameter| parameter.as_ptr().cast_mut().cast()).collect();
        let size = i64::try_from(bucket_size).unwrap_or(i64::MAX);
        let mut reducer = ptr::null_mut();
        // SAFETY: the tensors live, and so does `reducer`; it returns null or a string that is ours.
        checked(unsafe {
            convnet_reducer_new(
                group.group.as_ptr(),
                pointers.as_ptr(),
                pointers.len(),
                size,
                is_bf16,
                &raw mut reducer,
            )
        })?;
        Ok(GradientReducer(made(reducer)))
    }

    /// Has the gradients of the backward pass that follows go into `gradient`, f32 `[P]`: added to what is there where it `adds`, and
    /// summed over all processes where it `sums`.
    ///
    /// # Errors
    /// A device error where libtorch fails.
    pub fn begin(&self, gradient: &Tensor, adds: bool, sums: bool) -> Result<()> {
        // SAFETY: reducer and tensor live; it returns null or a string that is ours.
        checked(unsafe { convnet_reducer_arm(self.0.as_ptr(), gradient.as_ptr().cast(), adds, sums) })
    }

    /// Waits until the sums are there, as [`GlooGroup::all_reduce`] does.
    ///
    /// # Errors
    /// As [`GlooGroup::all_reduce`].
    pub fn finish(&self) -> Result<()> {
        // SAFETY: the reducer lives; it returns null or a string that is ours.
        checked(unsafe { convnet_reducer_finish(self.0.as_ptr()) })
    }
}

impl Drop for GradientReducer {
    fn drop(&mut self) {
        // SAFETY: it was made by the C++ side, and is not used again.
        unsafe { convnet_reducer_free(self.0.as_ptr()) }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Instant;

    use tch::{Device, Kind};

    use super::*;

    #[test]
    fn nobody_waits_for_who_has_disconnected() {
        let time = Duration::from_secs(60);
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let _served = TcpStore::serve_at(listener, "test", time).unwrap();
        let connect = move |rank| {
            let store = TcpStore::open("127.0.0.1", port, false, "test", time).unwrap();
            GlooGroup::connect(&store, rank, 3, time).unwrap()
        };
        let waits = move |rank| {
            let group = connect(rank);
            let sum = || group.all_reduce(&mut Tensor::ones([8], (Kind::Float, Device::Cpu)), Reduction::Sum);
            sum().unwrap();
            let started = Instant::now();
            assert!(sum().is_err());
            started.elapsed()
        };
        let waiting = [1, 2].map(|rank| thread::spawn(move || waits(rank)));
        let group = connect(0);
        group.all_reduce(&mut Tensor::ones([8], (Kind::Float, Device::Cpu)), Reduction::Sum).unwrap();
        group.disconnect().unwrap();
        assert!(waiting.map(|thread| thread.join().unwrap()).iter().all(|waited| *waited < time / 2));
    }
}
