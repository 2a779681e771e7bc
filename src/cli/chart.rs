//! A line chart as a picture: x by powers of ten, y plain, one point marked.

use image::{Rgb, RgbImage};
use noto_sans_mono_bitmap::{FontWeight, RasterHeight};

use convnet::data::font::TextStyle;

const PAPER: Rgb<u8> = Rgb([255, 255, 255]);
const GRID: Rgb<u8> = Rgb([225, 225, 225]);
const LINE: Rgb<u8> = Rgb([0, 90, 180]);
const MARK: Rgb<u8> = Rgb([200, 60, 20]);
const TEXT: TextStyle =
    TextStyle { weight: FontWeight::Regular, height: RasterHeight::Size16, colour: Rgb([40, 40, 40]) };

/// The picture's size and the margins of the plot in it, in pixels.
const SIZE: [u32; 2] = [860, 520];
const LEFT: u32 = 90;
const RIGHT: u32 = 30;
const TOP: u32 = 50;
const BOTTOM: u32 = 60;

/// A line chart of points, with a title, an axis label and one point marked.
pub struct Chart<'a> {
    /// Above the plot.
    pub title: &'a str,
    /// Below it.
    pub x_label: &'a str,
    /// At least two points, x above 0 and rising, y finite.
    pub points: &'a [(f64, f64)],
    /// The x that is marked by a vertical line.
    pub mark: Option<f64>,
}

impl Chart<'_> {
    /// Renders the chart as an RGB image.
    pub fn draw(&self) -> RgbImage {
        let mut canvas = RgbImage::from_pixel(SIZE[0], SIZE[1], PAPER);
        TEXT.draw(&mut canvas, LEFT, 16, self.title);
        TEXT.draw(&mut canvas, LEFT, SIZE[1] - 24, self.x_label);
        self.draw_grid(&mut canvas);
        if let Some(mark) = self.mark {
            let x = self.x(mark);
            line(&mut canvas, (x, f64::from(TOP)), (x, f64::from(SIZE[1] - BOTTOM)), MARK);
        }
        for pair in self.points.windows(2) {
            let [from, to] = [pair[0], pair[1]].map(|(x, y)| (self.x(x), self.y(y)));
            for offset in [0.0, 1.0] {
                line(&mut canvas, (from.0, from.1 + offset), (to.0, to.1 + offset), LINE);
            }
        }
        canvas
    }

    /// A line for each power of ten, and some across at round numbers.
    fn draw_grid(&self, canvas: &mut RgbImage) {
        let [first, last] = self.x_range().map(f64::log10);
        let (top, bottom) = (f64::from(TOP), f64::from(SIZE[1] - BOTTOM));
        for power in first.ceil() as i32..=last.floor() as i32 {
            let x = self.x(10f64.powi(power));
            line(canvas, (x, top), (x, bottom), GRID);
            TEXT.draw(canvas, (x as u32).saturating_sub(18), SIZE[1] - BOTTOM + 8, &format!("1e{power}"));
        }
        for (value, label) in ticks(self.y_range()) {
            let y = self.y(value);
            line(canvas, (f64::from(LEFT), y), (f64::from(SIZE[0] - RIGHT), y), GRID);
            TEXT.draw(canvas, 16, (y as u32).saturating_sub(8), &label);
        }
    }

    fn x_range(&self) -> [f64; 2] {
        [self.points[0].0, self.points[self.points.len() - 1].0]
    }

    fn y_range(&self) -> [f64; 2] {
        let values = self.points.iter().map(|point| point.1);
        let (low, high) = (values.clone().fold(f64::INFINITY, f64::min), values.fold(f64::NEG_INFINITY, f64::max));
        [low, if high > low { high } else { low + 1.0 }]
    }

    fn x(&self, value: f64) -> f64 {
        let [first, last] = self.x_range().map(f64::log10);
        f64::from(LEFT) + (value.log10() - first) / (last - first) * f64::from(SIZE[0] - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        let [low, high] = self.y_range();
        f64::from(SIZE[1] - BOTTOM) - (value - low) / (high - low) * f64::from(SIZE[1] - TOP - BOTTOM)
    }
}

/// Some four to ten round numbers from `low` to `high`, with their labels: multiples of 1, 2 or 5 times a power of ten.
fn ticks([low, high]: [f64; 2]) -> Vec<(f64, String)> {
    let rough = (high - low) / 5.0;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|step| *step >= rough);
    let step = step.unwrap_or(10.0 * power);
    let decimals = (-step.log10().floor()).clamp(0.0, 12.0) as usize;
    let [first, last] = [(low / step).ceil(), (high / step).floor()];
    // far from 0 the steps may be finer than numbers are: then there are none
    let count = if last - first <= 20.0 { (last - first).max(-1.0) as i64 } else { -1 };
    (0..=count).map(|index| (first + index as f64) * step).map(|value| (value, format!("{value:.decimals$}"))).collect()
}

/// A straight line, a pixel wide; what lies outside the canvas is left out.
fn line(canvas: &mut RgbImage, from: (f64, f64), to: (f64, f64), colour: Rgb<u8>) {
    let steps = (to.0 - from.0).abs().max((to.1 - from.1).abs()).ceil().max(1.0);
    for step in 0..=steps as u32 {
        let part = f64::from(step) / steps;
        let (x, y) = (from.0 + (to.0 - from.0) * part, from.1 + (to.1 - from.1) * part);
        if x >= 0.0
            && y >= 0.0
            && let Some(pixel) = canvas.get_pixel_mut_checked(x.round() as u32, y.round() as u32)
        {
            *pixel = colour;
        }
    }
}

#[cfg(test)]
mod tests;
