//! Curves over epochs or other numbers.

use super::svg::{Anchor, INK, LINE, MUTED, SERIES_COLORS, Svg, TextStyle, text_width};

const WIDTH_PX: f64 = 560.0;
const HEIGHT_PX: f64 = 320.0;
const LEFT_PX: f64 = 80.0;
const RIGHT_PX: f64 = 20.0;
const TOP_PX: f64 = 64.0;
const BOTTOM_PX: f64 = 52.0;
/// About how many numbers stand on an axis.
const TICKS: f64 = 5.0;
/// Curves of so many points or fewer have a mark at each.
const MAX_MARKED_POINTS: usize = 40;
/// What tells series apart where colours do not.
const DASHES: [&str; 4] = ["", "7 4", "2 3", "9 3 2 3"];
const LEGEND_ROW_PX: f64 = 18.0;

/// A chart of curves in one pair of axes.
#[derive(Debug, Clone, Default)]
pub struct LineChart {
    /// What it shows.
    pub title: String,
    /// What x is.
    pub x_label: String,
    /// What y is.
    pub y_label: String,
    /// The curves.
    pub series: Vec<Series>,
    /// The lowest and highest y; those of the curves where absent.
    pub y_range: Option<[f64; 2]>,
    /// The lowest and highest x; those of the curves where absent.
    pub x_range: Option<[f64; 2]>,
}

/// One curve. Points that are not finite are left out.
#[derive(Debug, Clone, Default)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// `[x, y]`, by x.
    pub points: Vec<[f64; 2]>,
}

/// A linear scale from numbers to pixels.
#[derive(Clone, Copy)]
struct Axis {
    low: f64,
    high: f64,
    from_px: f64,
    to_px: f64,
}

impl Axis {
    fn at(self, value: f64) -> f64 {
        self.from_px + (value - self.low) / (self.high - self.low) * (self.to_px - self.from_px)
    }

    /// The round numbers on it, at least `least_step` apart.
    fn ticks(self, least_step: f64) -> Vec<f64> {
        let step = round_step((self.high - self.low) / TICKS).max(least_step);
        let first = (self.low / step - 1e-9).ceil() as i64;
        let last = (self.high / step + 1e-9).floor() as i64;
        (first..=last).map(|number| number as f64 * step).collect()
    }
}

impl LineChart {
    /// The drawing.
    pub fn draw(&self) -> String {
        let legend = self.legend_rows();
        let top = TOP_PX + (legend.len().saturating_sub(1)) as f64 * LEGEND_ROW_PX;
        let height = HEIGHT_PX + top - TOP_PX;
        let mut svg = Svg::new(WIDTH_PX, height, &self.alternative());
        svg.text(LEFT_PX, 24.0, &self.title, TextStyle { bold: true, size_px: 15.0, ..TextStyle::default() });
        let shown =
            || self.series.iter().flat_map(|series| &series.points).filter(|point| point.iter().all(|v| v.is_finite()));
        let x = range(self.x_range, shown().map(|point| point[0]), 0.0);
        let y = range(self.y_range, shown().map(|point| point[1]), 0.06);
        let x = Axis { low: x[0], high: x[1], from_px: LEFT_PX, to_px: WIDTH_PX - RIGHT_PX };
        let y = Axis { low: y[0], high: y[1], from_px: height - BOTTOM_PX, to_px: top };
        self.draw_axes(&mut svg, x, y);
        for (number, series) in self.series.iter().enumerate() {
            draw_series(&mut svg, number, series, x, y);
        }
        for (row, entries) in legend.iter().enumerate() {
            let baseline = 46.0 + row as f64 * LEGEND_ROW_PX;
            entries.iter().for_each(|&(number, left)| self.draw_legend(&mut svg, number, left, baseline));
        }
        svg.finish()
    }

    /// What is said of it to those who do not see it.
    fn alternative(&self) -> String {
        let ends = self.series.iter().filter_map(|series| {
            let [_, last] = series.points.last()?;
            Some(format!("{} ends at {}", series.name, number_text(*last)))
        });
        format!("{}: {}", self.title, ends.collect::<Vec<_>>().join(", "))
    }

    /// Which series stand in each row of the legend, and where.
    fn legend_rows(&self) -> Vec<Vec<(usize, f64)>> {
        let mut rows = vec![Vec::new()];
        let mut left = LEFT_PX;
        for (number, series) in self.series.iter().enumerate() {
            let width = 40.0 + text_width(&series.name, 12.0);
            if left > LEFT_PX && left + width > WIDTH_PX {
                rows.push(Vec::new());
                left = LEFT_PX;
            }
            rows.last_mut().expect("there is one").push((number, left));
            left += width;
        }
        rows
    }

    fn draw_legend(&self, svg: &mut Svg, number: usize, left: f64, baseline: f64) {
        let (color, dashes) = looks(number);
        svg.polyline(&[[left, baseline - 4.0], [left + 24.0, baseline - 4.0]], color, 2.5, dashes);
        svg.text(left + 29.0, baseline, &self.series[number].name, TextStyle { size_px: 12.0, ..TextStyle::default() });
    }

    fn draw_axes(&self, svg: &mut Svg, x: Axis, y: Axis) {
        let style = TextStyle { size_px: 12.0, color: MUTED, anchor: Anchor::Middle, ..TextStyle::default() };
        for tick in y.ticks(0.0) {
            svg.line([x.from_px, y.at(tick)], [x.to_px, y.at(tick)], LINE, 1.0);
            svg.text(x.from_px - 8.0, y.at(tick) + 4.0, &number_text(tick), TextStyle { anchor: Anchor::End, ..style });
        }
        // there is no epoch 1.5
        let is_counted = self.series.iter().flat_map(|series| &series.points).all(|point| point[0].fract() == 0.0);
        for tick in x.ticks(if is_counted { 1.0 } else { 0.0 }) {
            svg.line([x.at(tick), y.from_px], [x.at(tick), y.from_px + 5.0], MUTED, 1.0);
            svg.text(x.at(tick), y.from_px + 19.0, &number_text(tick), style);
        }
        svg.line([x.from_px, y.from_px], [x.to_px, y.from_px], MUTED, 1.0);
        let label = TextStyle { color: INK, ..style };
        svg.text((x.from_px + x.to_px) / 2.0, y.from_px + 40.0, &self.x_label, label);
        svg.turned_text(16.0, (y.from_px + y.to_px) / 2.0, -90.0, &self.y_label, label);
    }
}

fn looks(number: usize) -> (&'static str, &'static str) {
    (SERIES_COLORS[number % SERIES_COLORS.len()], DASHES[number % DASHES.len()])
}

fn draw_series(svg: &mut Svg, number: usize, series: &Series, x: Axis, y: Axis) {
    let (color, dashes) = looks(number);
    let finite = series.points.iter().filter(|point| point.iter().all(|value| value.is_finite()));
    let places: Vec<[f64; 2]> = finite.clone().map(|point| [x.at(point[0]), y.at(point[1])]).collect();
    svg.polyline(&places, color, 2.0, dashes);
    if places.len() <= MAX_MARKED_POINTS {
        for (place, point) in places.iter().zip(finite) {
            let hint = format!("{}: {} at {}", series.name, number_text(point[1]), number_text(point[0]));
            svg.circle(*place, 3.0, color, &hint);
        }
    }
}

/// The ends of an axis: those that are `given`, or those of the values with a part `margin` of their distance beyond.
fn range(given: Option<[f64; 2]>, values: impl Iterator<Item = f64>, margin: f64) -> [f64; 2] {
    if let Some(given) = given {
        return given;
    }
    let [low, high] =
        values.fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], value| [low.min(value), high.max(value)]);
    match low < high {
        true => [low - margin * (high - low), high + margin * (high - low)],
        // one value, in the middle
        false if low.is_finite() && low != 0.0 => [low - low.abs() / 2.0, high + high.abs() / 2.0],
        false if low.is_finite() => [-0.5, 0.5],
        false => [0.0, 1.0],
    }
}

/// 1, 2 or 5 times a power of ten, `step` or the next above.
fn round_step(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .map(|factor| factor * power)
        .into_iter()
        .find(|round| *round >= step * 0.999_999)
        .unwrap_or(step)
}

/// Up to four digits that say something.
pub fn number_text(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let size = value.abs();
    if !(1e-4..1e6).contains(&size) {
        return format!("{value:.1e}");
    }
    let decimals = (3 - size.log10().floor() as i32).clamp(0, 6) as usize;
    let text = format!("{value:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_numbers() {
        let axis = |low, high| Axis { low, high, from_px: 0.0, to_px: 100.0 };
        let texts = |axis: Axis| axis.ticks(0.0).into_iter().map(number_text).collect::<Vec<_>>();
        assert_eq!(axis(1.0, 3.0).ticks(1.0), [1.0, 2.0, 3.0]);
        assert_eq!(texts(axis(0.0, 1.0)), ["0", "0.2", "0.4", "0.6", "0.8", "1"]);
        assert_eq!(texts(axis(1.0, 10.0)), ["2", "4", "6", "8", "10"]);
        assert_eq!(texts(axis(0.861, 0.934)), ["0.88", "0.9", "0.92"]);
        assert_eq!(texts(axis(-2000.0, 9000.0)), ["0", "5000"]);
    }

    #[test]
    fn a_chart_of_nothing_and_of_one_point_can_be_drawn() {
        let series = |points| Series { name: "a <b>".into(), points };
        for points in [vec![], vec![[1.0, 0.5]], vec![[1.0, f64::NAN], [2.0, f64::INFINITY]]] {
            let chart = LineChart { title: "t".into(), series: vec![series(points)], ..LineChart::default() };
            let svg = chart.draw();
            assert!(!svg.contains("NaN") && !svg.contains("inf,"), "{svg}");
            super::super::rasterize(&svg, 1.0).unwrap();
        }
    }
}
