//! How much is read of what comes from outside: the one place with limits. A few megabytes must not fill the memory.

use std::io::{self, Read};

/// Up to so many bytes anything may unpack to, ...
const MIN_BYTES: u64 = 256 << 20;
/// ... and above to so many times its packed size: deflate reaches 1000 with zeros alone, and images seldom 20.
pub const MAX_RATIO: u64 = 200;

/// The most bytes that are believed to come out of `packed` bytes.
pub fn max_unpacked(packed: u64) -> u64 {
    packed.saturating_mul(MAX_RATIO).max(MIN_BYTES)
}

/// All bytes of `reader`; `None` where they are more than `max_bytes`, of which no more than one is read.
///
/// # Errors
/// What `reader` returns.
pub fn read_up_to(reader: impl Read, max_bytes: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    reader.take(max_bytes.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= max_bytes).then_some(bytes))
}

/// Room for `expected` bytes more, which a header claims: addresses alone, for memory is taken as bytes come. Where the system does not
/// give so many, `bytes` grows as it would have.
pub fn reserve(bytes: &mut Vec<u8>, expected: u64) {
    let _ = usize::try_from(expected).is_ok_and(|expected| bytes.try_reserve_exact(expected).is_ok());
}

/// Reads up to a bound; more is an error.
pub struct BoundedReader<R> {
    reader: R,
    left: u64,
    bound: Bound,
}

/// What the bound is made of, for the message.
#[derive(Debug, Clone, Copy)]
enum Bound {
    /// [`max_unpacked`].
    Unpacked,
    /// So many bytes.
    Bytes(u64),
}

impl<R: Read> BoundedReader<R> {
    /// `reader` unpacks `packed` bytes: to no more than [`max_unpacked`].
    pub fn unpacking(reader: R, packed: u64) -> Self {
        BoundedReader { reader, left: max_unpacked(packed), bound: Bound::Unpacked }
    }

    /// `reader` has at most `max_bytes`.
    pub fn new(reader: R, max_bytes: u64) -> Self {
        BoundedReader { reader, left: max_bytes, bound: Bound::Bytes(max_bytes) }
    }
}

impl<R: Read> Read for BoundedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| {
            io::Error::other(match self.bound {
                Bound::Unpacked => format!(
                    "it unpacks to more than {} MiB and {MAX_RATIO} times its size, as images never do",
                    MIN_BYTES >> 20
                ),
                Bound::Bytes(most) => format!("it has more than {most} bytes"),
            })
        })?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
