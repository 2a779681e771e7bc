//! JPEG files, decoded by libjpeg (mozjpeg-sys compiles it), as Pillow, torchvision and OpenCV do with libjpeg-turbo.

use std::ffi::{CStr, c_char, c_int, c_uint};

// the library that jpeg.c calls
use mozjpeg_sys as _;

/// The most scans that a file may have: each costs a walk over all pixels, so a small file could take hours. Encoders make
/// about ten; libjpeg-turbo's own tests stop at this number.
const MAX_SCANS: c_int = 500;
/// libjpeg's JMSG_LENGTH_MAX.
const MESSAGE_BYTES: usize = 200;

unsafe extern "C" {
    fn convnet_decode_jpeg(
        data: *const u8,
        length: usize,
        width: c_uint,
        height: c_uint,
        channels: c_int,
        eighths: c_int,
        most_scans: c_int,
        pixels: *mut u8,
        message: *mut c_char,
    ) -> c_int;
}

/// What a JPEG's frame header tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// The width in pixels.
    pub width: u16,
    /// The height in pixels.
    pub height: u16,
    /// 1: grey, 3: colour, 4: CMYK.
    pub channels: u8,
}

impl Frame {
    /// Width and height in so many eighths of the size, rounded up, as libjpeg has it.
    pub fn size_in_eighths(&self, eighths: u8) -> (u32, u32) {
        let scaled = |side: u16| (u32::from(side) * u32::from(eighths)).div_ceil(8);
        (scaled(self.width), scaled(self.height))
    }
}

/// The pixels `u8 [height, width, channels]` of the JPEG file `bytes`, in `eighths` of its size (1, 2, 4 or 8): grey, RGB, or CMYK as
/// the file has it.
///
/// # Errors
/// libjpeg's sentence where it cannot decode the file, where the file is cut short, or is not what `frame` says.
pub fn decode(bytes: &[u8], frame: Frame, eighths: u8) -> Result<Vec<u8>, String> {
    debug_assert!([1, 2, 4, 8].contains(&eighths));
    let (width, height) = frame.size_in_eighths(eighths);
    let channels = frame.channels;
    let mut pixels = vec![0; width as usize * height as usize * usize::from(channels)];
    let mut message: [c_char; MESSAGE_BYTES] = [0; MESSAGE_BYTES];
    // SAFETY: it reads `length` bytes, and writes as many pixels as the three numbers say (it fails where the file has
    // others) and at most MESSAGE_BYTES of text, which end in a zero. It keeps nothing, and unwinds through no Rust.
    let failed = unsafe {
        convnet_decode_jpeg(
            bytes.as_ptr(),
            bytes.len(),
            width,
            height,
            channels.into(),
            eighths.into(),
            MAX_SCANS,
            pixels.as_mut_ptr(),
            message.as_mut_ptr(),
        )
    };
    if failed == 0 {
        return Ok(pixels);
    }
    // SAFETY: the last byte was 0 and is not written to, as no message is longer.
    Err(unsafe { CStr::from_ptr(message.as_ptr()) }.to_string_lossy().into_owned())
}
