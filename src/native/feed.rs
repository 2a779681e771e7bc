//! Batches on their way to a GPU, copied while it computes.

use std::ffi::{c_char, c_void};
use std::ptr;

use tch::Tensor;

use super::checked;
use crate::error::Result;

/// What the C++ side keeps.
#[repr(C)]
struct Handle {
    _private: [u8; 0],
}

unsafe extern "C" {
    fn convnet_feed_new(index: i8, num_slots: usize, bytes: i64, out: *mut *mut Handle) -> *mut c_char;
    fn convnet_feed_start(feed: *mut Handle, slot: usize, pixels: *const u8, count: i64) -> *mut c_char;
    fn convnet_feed_take(
        feed: *mut Handle,
        slot: usize,
        sizes: *const i64,
        rank: usize,
        out: *mut *mut c_void,
    ) -> *mut c_char;
    fn convnet_feed_free(feed: *mut Handle);
}

/// Pinned memory and a copying stream, for a few batches that go to a GPU one after the other. Neither to begin a copy nor
/// to take one waits for what the GPU computes.
pub struct Feed {
    handle: *mut Handle,
    num_slots: usize,
    bytes: usize,
    /// Copies that were begun, and those of them that were taken.
    begun: usize,
    taken: usize,
}

impl Feed {
    /// For batches of at most `bytes` bytes to the GPU number `gpu`; `ahead` of them may be on their way.
    ///
    /// # Errors
    /// A device error where libtorch has no such memory.
    pub fn new(gpu: usize, ahead: usize, bytes: usize) -> Result<Self> {
        let num_slots = ahead + 1; // and the one that is computed on
        let index = i8::try_from(gpu).unwrap_or(i8::MAX);
        let mut handle = ptr::null_mut();
        // SAFETY: it writes a pointer to `handle`, which lives, and returns null or a string that is ours.
        checked(unsafe { convnet_feed_new(index, num_slots, bytes as i64, &raw mut handle) })?;
        Ok(Feed { handle, num_slots, bytes, begun: 0, taken: 0 })
    }

    /// How large a batch may be.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many batches are on their way.
    pub fn on_the_way(&self) -> usize {
        self.begun - self.taken
    }

    /// Begins to copy a batch. At most `ahead` are on their way before it.
    ///
    /// # Errors
    /// A device error where the copy fails.
    pub fn begin(&mut self, pixels: &[u8]) -> Result<()> {
        assert!(self.on_the_way() < self.num_slots, "every slot is on its way");
        let slot = self.begun % self.num_slots;
        // SAFETY: the handle lives, the pixels are read before it returns null or a string that is ours.
        checked(unsafe { convnet_feed_start(self.handle, slot, pixels.as_ptr(), pixels.len() as i64) })?;
        self.begun += 1;
        Ok(())
    }

    /// The batch that was begun first, `u8` of `sizes`.
    ///
    /// # Errors
    /// As [`Feed::begin`].
    pub fn take(&mut self, sizes: &[i64]) -> Result<Tensor> {
        assert!(self.on_the_way() > 0, "a batch is on its way");
        let slot = self.taken % self.num_slots;
        let mut tensor = ptr::null_mut();
        // SAFETY: the handle lives, and so do the sizes and `tensor`; it returns null or a string that is ours.
        checked(unsafe { convnet_feed_take(self.handle, slot, sizes.as_ptr(), sizes.len(), &raw mut tensor) })?;
        self.taken += 1;
        // SAFETY: a new tensor, which nobody else has.
        Ok(unsafe { Tensor::from_ptr(tensor.cast()) })
    }

    /// Forgets the batches that are on their way.
    pub fn clear(&mut self) {
        self.taken = self.begun;
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        // SAFETY: made by convnet_feed_new, and nobody uses it after this.
        unsafe { convnet_feed_free(self.handle) };
    }
}
