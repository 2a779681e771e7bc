//! What no image may be: too large a file, too many pixels, of a kind that is not read.

use image::ImageFormat;

use crate::error::{Error, Result};

/// The largest image file that is read, in bytes.
pub(in crate::data) const MAX_FILE_BYTES: u64 = 256 << 20;
/// The largest width and height, in pixels.
pub(super) const MAX_SIDE_PX: u32 = 32_767;
/// The most bytes that a decoded image may have: 178,956,970 RGB pixels, where Pillow, too, refuses a decompression bomb.
const MAX_DECODED_BYTES: u64 = 512 << 20;

/// That a file has more than [`MAX_FILE_BYTES`].
pub(in crate::data) fn file_too_large() -> Error {
    Error::data("the image file is too large").expected(format!("at most {MAX_FILE_BYTES} bytes"))
}

/// How the error for an image begins that has too many pixels.
const TOO_LARGE: &str = "the image is too large";

/// Whether `error` says that an image has too many pixels.
pub fn is_too_large(error: &Error) -> bool {
    error.fault().starts_with(TOO_LARGE)
}

/// Refuses sizes that no memory should be taken for. `num_bytes` is what the decoded image takes.
pub(super) fn check_size(width: u32, height: u32, num_bytes: u64) -> Result<()> {
    match width.max(height) > MAX_SIDE_PX || num_bytes > MAX_DECODED_BYTES {
        true => Err(too_large().got(format!("{width}×{height} pixels"))),
        false => Ok(()),
    }
}

pub(super) fn too_large() -> Error {
    let most = format!("sides up to {MAX_SIDE_PX} pixels and {} MiB of pixels", MAX_DECODED_BYTES >> 20);
    Error::data(TOO_LARGE).expected(most)
}

/// What a file that is not what it should be begins with, for the error message.
pub(in crate::data) fn describe_start(bytes: &[u8]) -> String {
    let start = bytes.get(..bytes.len().min(16)).unwrap_or_default();
    match std::str::from_utf8(start) {
        _ if start.is_empty() => "an empty file".to_owned(),
        Ok(text) if !text.contains(|c: char| c.is_control() && !c.is_whitespace()) => format!("text: {text:?}"),
        _ => format!("bytes {}", start.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")),
    }
}

/// That a file is of a kind of `format` that is not decoded.
pub(super) fn unread(format: ImageFormat) -> Error {
    Error::data(format!("this kind of {format:?} image cannot be read")).help("convert it to PNG or JPEG")
}
