//! Drawings: SVG that pages hold as it is, and PNG of it. Text is DejaVu Sans, which the program carries.
//!
//! Colours are Okabe's and Ito's, which the colour-blind tell apart (<https://jfly.uni-koeln.de/color/>); what a colour says, a
//! dash or a number says too. Elements have classes, so that a page's style sheet can recolour them.

mod line_chart;
mod matrix;
mod raster;
mod reliability;
mod svg;

pub use line_chart::{LineChart, Series};
pub use matrix::confusion_matrix;
pub use raster::{png_bytes, rasterize};
pub use reliability::{ReliabilityBin, reliability_diagram};
pub use svg::{Anchor, INK, LINE, MUTED, PAPER, SERIES_COLORS, Svg, TextStyle, embed_fonts, escaped, text_width};

#[cfg(test)]
mod tests;
