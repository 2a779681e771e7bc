//! A bound on what is unpacked: a few megabytes must not fill the memory.

use std::io::{self, Read};

/// Up to so many bytes anything may unpack to, ...
const MIN_BYTES: u64 = 256 << 20;
/// ... and above to so many times its packed size: deflate reaches 1000 with zeros alone, and images seldom 20.
pub(super) const MAX_RATIO: u64 = 200;

/// The most bytes that are believed to come out of `packed` bytes.
pub(super) fn most(packed: u64) -> u64 {
    packed.saturating_mul(MAX_RATIO).max(MIN_BYTES)
}

/// Reads what is unpacked, up to a bound.
pub(super) struct BoundedReader<R> {
    reader: R,
    left: u64,
}

impl<R: Read> BoundedReader<R> {
    /// `reader` unpacks `packed` bytes.
    pub fn new(reader: R, packed: u64) -> Self {
        BoundedReader { reader, left: most(packed) }
    }
}

impl<R: Read> Read for BoundedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| {
            io::Error::other(format!(
                "it unpacks to more than {} MiB and {MAX_RATIO} times its size, as images never do",
                MIN_BYTES >> 20
            ))
        })?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bomb_is_read_up_to_the_bound() {
        assert_eq!((most(0), most(2 << 20)), (256 << 20, 400 << 20));
        let read = |count: u64, bound: u64| {
            let mut bytes = Vec::new();
            BoundedReader { reader: io::repeat(0).take(count), left: bound }
                .read_to_end(&mut bytes)
                .map(|_| bytes.len())
        };
        assert_eq!(read(100_000, 100_000).unwrap(), 100_000);
        let error = read(100_001, 100_000).unwrap_err().to_string();
        assert!(error.contains("200 times its size"), "{error}");
    }
}
