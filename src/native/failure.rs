//! libtorch's exceptions as errors. tch turns most of them into panics, which say the exception's text; [`guarded`] makes
//! those errors again.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use crate::error::{Error, Result};

/// How the message of a panic over an exception has its text: `TchError::Torch` as `Debug` writes it.
const MARK: &str = "Torch(\"";
/// What of an exception's text is for developers of libtorch begins with one of these.
const ASIDES: [&str; 8] = [
    "Exception raised from",
    "CUDA kernel errors might be",
    "For debugging consider",
    "Device-side assertion tracking",
    "Compile with `TORCH_USE_CUDA_DSA`",
    "Search for `cuda",
    "If reserved but unallocated memory",
    "See documentation for Memory Management",
];
/// Longer texts than this one are no sentences.
const MOST_CHARACTERS: usize = 600;

thread_local! {
    /// How many [`guarded`] are at work on this thread.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// Does `action`; an exception of libtorch in it, which tch makes a panic, is an error. Other panics go on.
///
/// # Errors
/// Those of `action` and of [`throw`] in it, and a device error for an exception.
pub fn guarded<T>(action: impl FnOnce() -> Result<T>) -> Result<T> {
    quiet_hook();
    let has_gradients = set_gradients(true);
    set_gradients(has_gradients);
    DEPTH.set(DEPTH.get() + 1);
    // what `action` borrows may be half changed: whoever takes the error gives that up
    let result = panic::catch_unwind(AssertUnwindSafe(action));
    DEPTH.set(DEPTH.get() - 1);
    result.unwrap_or_else(|panic| {
        let error = match panic.downcast::<Error>() {
            Ok(error) => *error,
            Err(panic) => match exception(&*panic) {
                Some(text) => failure(&text),
                None => panic::resume_unwind(panic),
            },
        };
        set_gradients(has_gradients); // `no_grad` does not put it back
        Err(error)
    })
}

/// Ends what is under way with `error`, which [`guarded`] gives back: for code that libtorch or a layer calls and that returns tensors.
pub fn throw(error: Error) -> ! {
    panic::panic_any(error)
}

fn set_gradients(on: bool) -> bool {
    // SAFETY: it sets a flag of this thread and returns the flag before.
    unsafe { torch_sys::at_grad_set_enabled(on.into()) != 0 }
}

/// Keeps the panics that [`guarded`] makes errors from being printed.
fn quiet_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let is_error = info.payload().is::<Error>() || exception(info.payload()).is_some();
            if DEPTH.get() == 0 || !is_error {
                before(info);
            }
        }));
    });
}

/// The text of the exception that a panic is about.
fn exception(panic: &(dyn Any + Send)) -> Option<String> {
    let message = panic.downcast_ref::<String>()?;
    let (_, escaped) = message.split_once(MARK)?;
    let escaped = escaped.strip_suffix("\")")?;
    Some(
        escaped
            .replace("\\n", "\n")
            .replace("\\t", "\t")
            .replace("\\\"", "\"")
            .replace("\\'", "'")
            .replace("\\\\", "\\"),
    )
}

/// What went wrong in libtorch or under it, by the text of its exception, as an error with a way out.
pub fn failure(text: &str) -> Error {
    let reason = sentence(text);
    let has = |words: &[&str]| words.iter().any(|word| reason.contains(word));
    let (what, help) = if has(&["out of memory", "can't allocate memory", "ALLOC_FAILED"]) {
        (
            "there is not enough memory for this",
            "a smaller `batch_size` (with `accumulate`, the same step), `precision = 'bf16'`, or `cache = 'ram'`, which keeps the \
             images off the GPU",
        )
    } else if has(&["NCCL"]) {
        (
            "the GPUs cannot sum over the processes",
            "with NCCL_DEBUG=INFO in the environment NCCL says more; with CONVNET_NCCL=0 sums go through the host's memory instead (gloo)",
        )
    } else if has(&["no kernel image", "arch mismatch", "ARCH_MISMATCH"]) {
        ("this libtorch has no code for this GPU", "`device = 'cpu'`, or a libtorch that was built for the GPU")
    } else if has(&["CUDA error", "CUDA driver error", "cuDNN error", "CUDNN_STATUS", "CUBLAS_STATUS"]) {
        (
            "the GPU failed",
            "a run goes on from its last checkpoint with `resume`; where it fails again, look at nvidia-smi and at the \
             system's log (dmesg, Xid), or take `device = 'cpu'`",
        )
    } else {
        ("libtorch failed", "where it fails again, please report it with this line and the command")
    };
    Error::device(what).because(reason).help(help)
}

/// The part of an exception's text that is for users, on one line.
fn sentence(text: &str) -> String {
    let end = ASIDES.iter().filter_map(|aside| text.find(aside)).min().unwrap_or(text.len());
    let words: Vec<&str> = text[..end].split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(MOST_CHARACTERS) {
        Some((end, _)) => format!("{} …", &line[..end]),
        None => line.trim_end_matches(['.', ':']).to_owned(),
    }
}

#[cfg(test)]
mod tests;
