//! A reliability diagram: how often a model is right, by how sure it is.

use serde::Serialize;

use super::line_chart::number_text;
use super::svg::{Anchor, INK, LINE, MUTED, SERIES_COLORS, Svg, TextStyle, text_width};

const SIDE_PX: f64 = 300.0;
const LEFT_PX: f64 = 60.0;
const TOP_PX: f64 = 48.0;
const BOTTOM_PX: f64 = 96.0;
/// The height of the strip that shows how many images are in each bin.
const COUNTS_PX: f64 = 30.0;

/// The images whose confidence is within one bin.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ReliabilityBin {
    /// Their mean confidence; 0 where there are none.
    pub confidence: f64,
    /// The share that is right; 0 where there are none.
    pub accuracy: f64,
    /// How many there are.
    pub count: u64,
}

/// A bar for each of `bins`, which cover 0 to 1 in equal widths; a perfectly calibrated model's end on the diagonal. Below, how
/// many images each has.
pub fn reliability_diagram(bins: &[ReliabilityBin], ece: f64, title: &str) -> String {
    let alternative = format!("{title}: expected calibration error {}", number_text(ece));
    let width = (LEFT_PX + SIDE_PX).max(16.0 + text_width(title, 15.0)) + 24.0;
    let mut svg = Svg::new(width, TOP_PX + SIDE_PX + BOTTOM_PX, &alternative);
    svg.text(16.0, 24.0, title, TextStyle { bold: true, size_px: 15.0, ..TextStyle::default() });
    let (x, y) = (|value: f64| LEFT_PX + value * SIDE_PX, |value: f64| TOP_PX + (1.0 - value) * SIDE_PX);
    let style = TextStyle { size_px: 12.0, color: MUTED, anchor: Anchor::End, ..TextStyle::default() };
    for tick in [0.0, 0.25, 0.5, 0.75, 1.0] {
        svg.line([x(0.0), y(tick)], [x(1.0), y(tick)], LINE, 1.0);
        svg.text(x(0.0) - 6.0, y(tick) + 4.0, &number_text(tick), style);
        svg.text(x(tick), y(0.0) + COUNTS_PX + 22.0, &number_text(tick), TextStyle { anchor: Anchor::Middle, ..style });
    }
    let largest = bins.iter().map(|bin| bin.count).max().unwrap_or(0).max(1) as f64;
    let step = 1.0 / bins.len().max(1) as f64;
    for (number, bin) in bins.iter().enumerate().filter(|(_, bin)| bin.count > 0) {
        let left = x(number as f64 * step) + 1.0;
        let width = SIDE_PX * step - 2.0;
        let hint = format!(
            "{} images, mean confidence {}, {} right",
            bin.count,
            number_text(bin.confidence),
            number_text(bin.accuracy)
        );
        svg.rect([left, y(bin.accuracy)], [width, bin.accuracy * SIDE_PX], SERIES_COLORS[4], &hint);
        let share = (bin.count as f64 / largest).sqrt() * (COUNTS_PX - 6.0);
        svg.rect([left, y(0.0) + 6.0], [width, share.max(1.0)], MUTED, &hint);
    }
    svg.polyline(&[[x(0.0), y(0.0)], [x(1.0), y(1.0)]], INK, 1.5, "5 4");
    for bin in bins.iter().filter(|bin| bin.count > 0) {
        svg.circle([x(bin.confidence), y(bin.accuracy)], 3.5, SERIES_COLORS[1], "");
    }
    let label = TextStyle { color: INK, anchor: Anchor::Middle, size_px: 12.0, ..TextStyle::default() };
    svg.turned_text(16.0, TOP_PX + SIDE_PX / 2.0, -90.0, "right, share of images", label);
    svg.text(
        LEFT_PX + SIDE_PX / 2.0,
        y(0.0) + COUNTS_PX + 42.0,
        "confidence (below the axis: images in each bin)",
        label,
    );
    svg.text(x(0.03), y(0.93), &format!("ECE {}", number_text(ece)), TextStyle { bold: true, ..TextStyle::default() });
    svg.finish()
}
