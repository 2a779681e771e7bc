//! The shape of images.

use std::fmt;

/// Height, width and channels of every image of a data set, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct ImageShape {
    /// H, in pixels.
    pub height: usize,
    /// W, in pixels.
    pub width: usize,
    /// C: 1 grey, 3 red, green and blue.
    pub channels: usize,
}

impl ImageShape {
    /// Bytes of one image: H·W·C. `None` where the product does not fit.
    pub fn num_bytes(self) -> Option<usize> {
        self.height.checked_mul(self.width)?.checked_mul(self.channels)
    }
}

impl fmt::Display for ImageShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = size_text(self.width, self.height);
        write!(f, "{size}, {} {}", self.channels, if self.channels == 1 { "channel" } else { "channels" })
    }
}

/// A size in pixels, in words: which of the two is the width differs from program to program.
pub(crate) fn size_text(width: impl fmt::Display, height: impl fmt::Display) -> String {
    format!("{width} wide × {height} high")
}
