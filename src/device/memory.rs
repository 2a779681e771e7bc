//! The memory that the process uses.

/// The most memory that the process has used, in bytes; none where the system does not say.
pub fn peak_memory() -> Option<u64> {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::uninit();
    // SAFETY: getrusage writes one rusage to the pointer, which is valid for it
    let usage = unsafe {
        if libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) != 0 {
            return None;
        }
        usage.assume_init()
    };
    u64::try_from(usage.ru_maxrss).ok().map(|kibibytes| kibibytes * 1024)
}
