//! SHA-256 as files name it, in lower-case hexadecimal.

use sha2::{Digest, Sha256};

use crate::files::hex;

/// The SHA-256 of `bytes`, in hexadecimal.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}
